//! core: the one file of a backup: authority, keys and catalog of an appliance, sealed under a passphrase.
//!
//! *Invariants:* what is not sealed under the passphrase that is given, or was changed anywhere, is refused whole; what a file says of itself
//! decides no allocation before it is checked; secrets have no `Debug`. What this crate does not do: it reads and writes no file, and takes
//! its random bytes from whoever calls.

/// What a backup holds.
mod contents;
/// Why a file is no backup.
mod error;
/// The header, and where things are.
mod layout;
/// The passphrase, and the key that is made of it.
mod passphrase;
/// Sealing and opening.
mod seal;

pub use contents::{Contents, FORM, Holding};
pub use error::BackupError;
pub use layout::{HEADER_LEN, Header};
pub use passphrase::{Cost, PASSPHRASE_LEN_MIN, Passphrase};
pub use seal::{Seeds, open, seal};

/// A decoder, which must never panic.
pub type Decoder = fn(&[u8]);

/// Every decoder of this crate, by name: each must have golden bytes and a fuzz target.
pub const DECODERS: &[(&str, Decoder)] = &[
    ("backup_header", |bytes| {
        let _ = Header::read(bytes);
    }),
    ("backup_contents", |bytes| drop(Contents::decode(bytes))),
];
