//! How an extent's payload becomes bytes, and bytes a payload.

use std::io;

use units::{ByteLen, ByteOffset, DISKS_MAX, DiskIndex, GRANULE_LEN};
use wire::{Encoding, Extent};

use crate::DecodeError;

/// Returns how many bytes of payload an extent has, as a length in memory.
pub fn encoded_len(extent: &Extent) -> usize {
    ByteLen(extent.payload_len()).as_usize()
}

/// Checks what every extent of a journal keeps to, whatever its disk: so that no planner meets a position it can't
/// compute with. Errors: the first rule that is broken.
pub(crate) fn check_extent(extent: &Extent) -> Result<(), DecodeError> {
    let bound = |field, found, allowed| Err(DecodeError::Bounds { field, found, allowed });
    let (disk, start, len) = (extent.disk, extent.start, extent.len);
    if usize::from(disk.0) >= DISKS_MAX {
        return bound("disk of an extent", u64::from(disk.0), "below 256");
    }
    if !start.is_multiple_of(GRANULE_LEN) {
        return bound("start of an extent", start.0, "a multiple of 4096");
    }
    if len == ByteLen::ZERO || start.checked_add(len).is_none_or(|end| end.0 > 1 << 63) {
        return bound("length of an extent", len.0, "at least 1, up to position 2^63");
    }
    if encoded_len(extent) > wire::PAYLOAD_LEN_MAX {
        return bound("payload of an extent", encoded_len(extent) as u64, "at most 1 MiB");
    }
    Ok(())
}

/// Decodes payloads; one per thread, so that the decompressor's memory is reused.
pub struct ExtentDecoder {
    zstd: zstd::bulk::Decompressor<'static>,
}

impl ExtentDecoder {
    /// Makes a decoder. Errors: no memory for the decompressor.
    pub fn new() -> io::Result<Self> {
        Ok(Self { zstd: zstd::bulk::Decompressor::new()? })
    }

    /// Checks that `payload` is what the extent's hash says.
    pub fn verify(extent: &Extent, payload: &[u8]) -> Result<(), DecodeError> {
        match extent.payload_hash() {
            Some(hash) if hash != blake3::hash(payload).into() => {
                Err(DecodeError::Checksum { part: "payload" })
            }
            _ => Ok(()),
        }
    }

    /// Fills `out`, exactly the extent's length, from a payload whose hash was checked. A payload that would decode to more or
    /// less is refused; `out` is then undefined. Never writes past `out`.
    pub fn decode(&mut self, extent: &Extent, payload: &[u8], out: &mut [u8]) -> Result<(), DecodeError> {
        assert_eq!(out.len() as u64, extent.len.0, "an extent is decoded into a buffer of its length");
        assert_eq!(payload.len(), encoded_len(extent), "a payload is cut as its extent says");
        match extent.encoding {
            Encoding::Zero => out.fill(0),
            Encoding::Raw { .. } => out.copy_from_slice(payload),
            Encoding::Zstd { .. } => match self.zstd.decompress_to_buffer(payload, out) {
                Ok(len) if len == out.len() => {}
                _ => {
                    return Err(DecodeError::Payload {
                        disk: extent.disk,
                        start: extent.start,
                        len: extent.len.0,
                    });
                }
            },
        }
        Ok(())
    }
}

/// What is done to make a payload smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// zstd: less is written, at the cost of processor time.
    Compress,
    /// Nothing.
    Copy,
}

/// Encodes content for a log; one per thread.
pub struct ExtentEncoder {
    zstd: zstd::bulk::Compressor<'static>,
    scratch: Vec<u8>,
}

impl ExtentEncoder {
    /// Makes an encoder with a zstd level (negative: faster). Errors: no memory for the compressor.
    pub fn new(level: i32) -> io::Result<Self> {
        Ok(Self { zstd: zstd::bulk::Compressor::new(level)?, scratch: Vec::new() })
    }

    /// Appends the payload of `content` to `payload` and returns its extent: zero; zstd if the effort is made and saves an
    /// eighth; or raw.
    pub fn encode(
        &mut self,
        effort: Effort,
        disk: DiskIndex,
        start: ByteOffset,
        content: &[u8],
        payload: &mut Vec<u8>,
    ) -> Extent {
        assert!(!content.is_empty(), "an extent has content");
        let encoding = match (units::is_zero(content), effort) {
            (true, _) => Encoding::Zero,
            (false, Effort::Compress) => {
                self.compressed(content, payload).unwrap_or_else(|| raw(content, payload))
            }
            (false, Effort::Copy) => raw(content, payload),
        };
        Extent { disk, start, len: ByteLen(content.len() as u64), encoding }
    }

    fn compressed(&mut self, content: &[u8], payload: &mut Vec<u8>) -> Option<Encoding> {
        self.scratch.resize(content.len() - content.len() / 8, 0);
        // Too long for the scratch: nothing to gain.
        let len = self.zstd.compress_to_buffer(content, &mut self.scratch[..]).ok()?;
        let bytes = &self.scratch[..len];
        payload.extend_from_slice(bytes);
        let encoded_len = u32::try_from(len).expect("an extent's payload is far below 4 GiB");
        Some(Encoding::Zstd { encoded_len, hash: blake3::hash(bytes).into() })
    }
}

fn raw(content: &[u8], payload: &mut Vec<u8>) -> Encoding {
    payload.extend_from_slice(content);
    Encoding::Raw { hash: blake3::hash(content).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(content: &[u8]) -> Extent {
        let mut payload = Vec::new();
        let extent = ExtentEncoder::new(1).unwrap().encode(
            Effort::Compress,
            DiskIndex(3),
            ByteOffset(8192),
            content,
            &mut payload,
        );
        let mut out = vec![0xee; content.len()];
        ExtentDecoder::verify(&extent, &payload).unwrap();
        ExtentDecoder::new().unwrap().decode(&extent, &payload, &mut out).unwrap();
        assert_eq!(out, content);
        extent
    }

    #[test]
    fn content_survives_whichever_encoding_is_chosen() {
        assert_eq!(round_trip(&[0; 4096]).encoding, Encoding::Zero);
        assert!(matches!(round_trip(&[7; 4096]).encoding, Encoding::Zstd { .. }));
        let noise: Vec<u8> = blake3::Hasher::new().finalize_xof_bytes(4096);
        assert!(matches!(round_trip(&noise).encoding, Encoding::Raw { .. }));
    }

    trait FinalizeXofBytes {
        fn finalize_xof_bytes(&self, len: usize) -> Vec<u8>;
    }

    impl FinalizeXofBytes for blake3::Hasher {
        fn finalize_xof_bytes(&self, len: usize) -> Vec<u8> {
            let mut bytes = vec![0; len];
            self.finalize_xof().fill(&mut bytes);
            bytes
        }
    }

    #[test]
    fn a_decompression_bomb_is_refused() {
        let bomb = zstd::bulk::compress(&vec![0; 1 << 20], 1).unwrap();
        let encoding = Encoding::Zstd { encoded_len: bomb.len() as u32, hash: blake3::hash(&bomb).into() };
        let extent = Extent { disk: DiskIndex(0), start: ByteOffset(0), len: ByteLen(65536), encoding };
        let mut out = vec![0; 65536];
        assert!(ExtentDecoder::new().unwrap().decode(&extent, &bomb, &mut out).is_err());
    }
}
