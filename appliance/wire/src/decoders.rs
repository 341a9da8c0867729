//! Every decoder of this crate by name: a test elsewhere demands a fuzz target for each.

use crate::{
    DiskShape, HEADER_LEN, Identity, JoinToken, Message, check_message, decode_answer, decode_ask,
    decode_body, decode_header, decode_message, extent_payloads, heartbeat, verify_payload,
};
use units::ByteLen;

/// A function that takes any bytes and must neither panic nor allocate without bound.
pub type Decoder = fn(&[u8]);

/// The decoders of this crate.
pub const DECODERS: &[(&str, Decoder)] = &[
    ("wire_header", |bytes| drop(decode_header::<Message>(bytes))),
    ("wire_message", decode_and_check_message),
    ("wire_frame", decode_frame),
    ("wire_identity", decode_identity),
    ("heartbeat_message", decode_heartbeat_message),
    ("heartbeat_frame", decode_heartbeat_frame),
    ("enrol_ask", |bytes| drop(decode_ask(bytes))),
    ("enrol_answer", |bytes| drop(decode_answer(bytes))),
    ("join_token", decode_token),
];

/// The disks the messages are checked against: an even one, one of odd length, one of a single sector.
const DISKS: [DiskShape; 3] = [
    DiskShape { len: ByteLen::gib(1) },
    DiskShape { len: ByteLen((1 << 20) + 512) },
    DiskShape { len: ByteLen(512) },
];

fn decode_and_check_message(bytes: &[u8]) {
    if let Ok(message) = decode_message::<Message>(bytes) {
        drop(check_message(&message, &DISKS, 0));
    }
}

/// Takes the bytes as one frame: header, body, and all that is left as payload.
fn decode_frame(bytes: &[u8]) {
    let Some((header, rest)) = bytes.split_at_checked(HEADER_LEN) else { return };
    let Ok(header) = decode_header::<Message>(header) else { return };
    let Some((body, payload)) = rest.split_at_checked(header.body_len) else { return };
    let Ok(message) = decode_body::<Message>(&header, body) else { return };
    let checked = check_message(&message, &DISKS, payload.len());
    let extents = match &message {
        Message::Batch(batch) => &batch.extents,
        Message::Seed(seed) => &seed.extents,
        _ => return,
    };
    if checked.is_ok() {
        let cut = extent_payloads(extents, payload).map(|(_, part)| part.len()).sum::<usize>();
        assert_eq!(cut, payload.len(), "a checked payload is cut without a rest");
    }
    drop(verify_payload(extents, payload));
}

fn decode_heartbeat_message(bytes: &[u8]) {
    if let Ok(message) = decode_message::<heartbeat::Message>(bytes) {
        drop(heartbeat::check(&message, 0));
    }
}

/// Takes the bytes as one frame of a heartbeat: header, body, and all that is left as payload.
fn decode_heartbeat_frame(bytes: &[u8]) {
    let Some((header, rest)) = bytes.split_at_checked(HEADER_LEN) else { return };
    let Ok(header) = decode_header::<heartbeat::Message>(header) else { return };
    let Some((body, payload)) = rest.split_at_checked(header.body_len) else { return };
    if let Ok(message) = decode_body::<heartbeat::Message>(&header, body) {
        drop(heartbeat::check(&message, payload.len()));
    }
}

fn decode_identity(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        drop(text.parse::<Identity>());
    }
}

fn decode_token(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        drop(JoinToken::read(text).map(|token| token.text()));
    }
}
