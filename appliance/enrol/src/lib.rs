//! driver: the asking side of enrolment: a token becomes a certificate, a certificate the next one, and servers hear whose were
//! revoked. Blocking sockets; a [`Keeper`] has a thread of its own.
//!
//! *Invariants:* nothing is sent before the other end has shown a certificate of the authority that the token, or the certificate we
//! have, names; the token itself is never sent; what cannot be renewed is said long before it is over.
//!
//! Not here: the giving side (`registrar`, `control`), heartbeats.

mod ask;
mod error;
mod join;
mod keeper;
mod pinned;
mod renew;
mod revocations;

/// Why there is no certificate.
pub use error::EnrolError;
/// Joins with a token.
pub use join::{CONTROLLER_FILE, controller_of, join};
/// Keeps a certificate good.
pub use keeper::Keeper;
/// Renews a certificate.
pub use renew::renew;
/// Whose certificates no longer count, as heard.
pub use revocations::Revocations;
