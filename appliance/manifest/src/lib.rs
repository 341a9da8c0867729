//! core: the manifest of a failback: what was brought where, the roots of both sides, and who signed that.
//!
//! A manifest has exactly one form (FORMAT.md): what decodes encodes to the very same bytes, so that no byte of it can be
//! changed without being noticed. What this crate does not do: it makes and checks no signature (`pki` does), and reads no file.
//!
//! *Invariant:* a root that was not given or not computed is absent; a verdict follows from the roots and is never taken on trust.

/// Why a text is not a manifest.
mod error;
/// What a manifest says.
mod facts;
/// The one form: what is signed, and the file around it.
mod form;
/// Values that JSON writes as text.
mod text;

pub use error::FormError;
pub use facts::{Algorithm, Consistency, Disk, Event, Facts, Manifest, Point, Signer, Times, Verdict};
pub use form::{DOMAIN, FILE_LEN_MAX, FORMAT, Sealed, seal, signed_bytes};

/// A decoder that is given any bytes: it may refuse, and must not panic.
pub type Decoder = fn(&[u8]);

/// Every decoder of this crate, by name: each must have golden bytes and a fuzz target.
pub const DECODERS: &[(&str, Decoder)] = &[("manifest", |bytes| drop(Sealed::decode(bytes)))];
