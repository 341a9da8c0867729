//! Whether a payload can become its extent, told without decoding it: an ack is not to wait for a decompressor.

use wire::{Encoding, Extent, RefusalCode, extent_payloads};
use zstd::zstd_safe::{find_frame_compressed_size, get_frame_content_size};

use crate::refusal::SessionEnd;

/// Checks that each zstd payload is one whole frame that says it decodes to exactly its extent. A frame that lies about it is
/// found when it is decoded, into a buffer of the extent's length: then the machine is put out, and no other. Errors: the
/// first payload that is none.
pub(crate) fn check_frames(extents: &[Extent], payload: &[u8]) -> Result<(), SessionEnd> {
    for (index, (extent, part)) in extent_payloads(extents, payload).enumerate() {
        if !matches!(extent.encoding, Encoding::Zstd { .. }) {
            continue;
        }
        let said = get_frame_content_size(part).ok().flatten();
        let frame = find_frame_compressed_size(part).ok();
        if said == Some(extent.len.0) && frame == Some(part.len()) {
            continue;
        }
        let found = match said {
            Some(len) => format!("says it decodes to {len} bytes"),
            None => "does not say what it decodes to".to_owned(),
        };
        let detail = format!(
            "extent {index} of {} bytes: its payload of {} bytes is not one zstd frame of that length: it {found}",
            extent.len.0,
            part.len()
        );
        return Err(SessionEnd::refused(RefusalCode::BadPayload, detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use units::{ByteLen, ByteOffset, DiskIndex, Hash};

    fn check(len: u64, payload: &[u8]) -> bool {
        let encoded_len = u32::try_from(payload.len()).unwrap();
        let encoding = Encoding::Zstd { encoded_len, hash: Hash::default() };
        let extent = Extent { disk: DiskIndex(0), start: ByteOffset(0), len: ByteLen(len), encoding };
        check_frames(&[extent], payload).is_ok()
    }

    #[test]
    fn only_one_whole_frame_of_the_extents_length_passes() {
        let frame = zstd::bulk::compress(&[7; 8192], 1).unwrap();
        assert!(check(8192, &frame));
        assert!(!check(4096, &frame), "a bomb says more than its extent");
        assert!(!check(12_288, &frame), "too little is as wrong");
        assert!(!check(8192, &frame[..frame.len() - 1]), "cut short");
        assert!(!check(8192, &[&frame[..], &frame[..]].concat()), "two frames");
        assert!(!check(8192, b"no frame at all"));
    }
}
