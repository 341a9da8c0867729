//! driver: who belongs to an installation: join tokens, certificates and revocations, with the authority's key, over the catalog.
//!
//! The [`Registrar`] makes tokens, signs for whoever proves to have one, renews, and revokes. The [`Register`] is what it knows,
//! in memory, for every handshake: who is enrolled and whose certificates no longer count.
//!
//! *Invariants:* nothing is given out that is not on record; of a token and the certificate it gives both are on record or neither;
//! a token enrols one key; a refusal tells a stranger nothing of why.
//!
//! Not here: the wire (`control`), the keys of those who join (`pki`), when to renew (`agent`).

mod error;
mod issue;
mod join;
mod register;
mod registrar;

/// Why nothing was given out.
pub use error::RegistrarError;
/// Who is enrolled, and whose certificates no longer count.
pub use register::Register;
/// Makes tokens, signs, renews, revokes.
pub use registrar::{Registrar, Terms};
