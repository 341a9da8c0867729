//! Every decoder of this crate by name: a test elsewhere demands a fuzz target for each.

use units::ByteLen;

use super::option::{decode_client_flags, decode_option, decode_option_head};
use super::request::{Action, Terms, decode_request};

/// A function that takes any bytes and must neither panic nor allocate without bound.
pub type Decoder = fn(&[u8]);

/// The decoders of this crate.
pub const DECODERS: &[(&str, Decoder)] =
    &[("nbd-client-flags", client_flags), ("nbd-option", option), ("nbd-request", request)];

fn client_flags(bytes: &[u8]) {
    if let Some(flags) = bytes.first_chunk() {
        let _ = decode_client_flags(*flags);
    }
}

/// Takes the bytes as one option: its head, and all that is left as its data.
fn option(bytes: &[u8]) {
    let Some((head, data)) = bytes.split_first_chunk() else { return };
    if let Ok(head) = decode_option_head(*head) {
        drop(decode_option(head.number, data));
    }
}

/// Takes the bytes as one request, and checks it under every kind of terms.
fn request(bytes: &[u8]) {
    let Some(Ok(request)) = bytes.first_chunk().map(|bytes| decode_request(*bytes)) else { return };
    for kind in 0..8 {
        let [writable, structured, status] = [kind & 1, kind & 2, kind & 4].map(|bit| bit != 0);
        let terms = Terms { len: ByteLen((1 << 30) + 512), writable, structured, status };
        if let Ok(Action::Read { stretch, .. } | Action::Write { stretch, .. }) = request.check(&terms) {
            assert!(stretch.at.0 + stretch.len.0 <= terms.len.0, "what may be done lies on the image");
        }
    }
}
