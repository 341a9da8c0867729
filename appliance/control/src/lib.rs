//! driver: local control: requests and replies as JSON lines over a unix socket.
//!
//! The server answers root and its own user, runs a [`Service`] behind bounded clients, and trusts no byte it
//! reads; the client is a plain blocking socket. *Invariants:* no payload of a protected disk ever passes here; a
//! request has a length and a time limit; each request gets exactly one result or error.
//!
//! This crate does not know how machines are kept: it has no journal, no disk and no state of its own.

/// What may be asked and what is told.
pub mod api;
mod code;
mod error;
mod hint;
mod service;

/// Every error code, in one table.
pub use code::{Code, Entry, Exit, TABLE};
/// Errors as a person reads them.
pub use error::{ApiError, ErrorReply};
/// What the server serves.
pub use service::Service;
