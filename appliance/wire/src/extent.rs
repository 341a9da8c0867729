//! The payload of a batch or seed, cut into its extents.

use units::{Hash, LEAF_LEN};

use crate::{CheckError, Encoding, Extent, Span};

/// Bytes an extent that is not [`Encoding::Zero`] may cover on its disk, and so decode to: one leaf.
pub const EXTENT_LEN_MAX: u64 = LEAF_LEN;

impl Extent {
    /// Returns the bytes of the disk that the extent is about.
    pub fn span(&self) -> Span {
        Span { disk: self.disk, start: self.start, len: self.len }
    }

    /// Returns how many bytes of payload the extent has.
    pub fn payload_len(&self) -> u64 {
        match self.encoding {
            Encoding::Zero => 0,
            Encoding::Raw { .. } => self.len.0,
            Encoding::Zstd { encoded_len, .. } => u64::from(encoded_len),
        }
    }

    /// Returns the blake3 hash its payload must have, or `None` if it has no payload.
    pub fn payload_hash(&self) -> Option<Hash> {
        match self.encoding {
            Encoding::Zero => None,
            Encoding::Raw { hash } | Encoding::Zstd { hash, .. } => Some(hash),
        }
    }
}

/// Returns each extent with its part of the payload, in order. Panics if the payload is shorter than the extents say:
/// [`crate::check_extents`] or [`verify_payload`] comes first.
pub fn extent_payloads<'a>(
    extents: &'a [Extent],
    payload: &'a [u8],
) -> impl Iterator<Item = (&'a Extent, &'a [u8])> {
    let mut rest = payload;
    extents.iter().map(move |extent| {
        let len = usize::try_from(extent.payload_len()).unwrap_or(usize::MAX);
        let (part, behind) = rest.split_at_checked(len).expect("the payload was checked against its extents");
        rest = behind;
        (extent, part)
    })
}

/// Checks that the payload is exactly as long as the extents say and that each part has its hash.
///
/// # Errors
/// [`CheckError::PayloadLen`] or [`CheckError::WrongHash`].
pub fn verify_payload(extents: &[Extent], payload: &[u8]) -> Result<(), CheckError> {
    check_payload_len(extents, payload.len())?;
    for (extent, (shape, part)) in extent_payloads(extents, payload).enumerate() {
        let Some(expected) = shape.payload_hash() else { continue };
        let found = Hash::from(blake3::hash(part));
        if found != expected {
            return Err(CheckError::WrongHash { extent, found, expected });
        }
    }
    Ok(())
}

/// Checks that the lengths of the extents' payloads sum to `payload_len`.
pub(crate) fn check_payload_len(extents: &[Extent], payload_len: usize) -> Result<(), CheckError> {
    let expected = extents.iter().fold(0_u64, |sum, extent| sum.saturating_add(extent.payload_len()));
    let found = payload_len as u64;
    if found == expected { Ok(()) } else { Err(CheckError::PayloadLen { found, expected }) }
}
