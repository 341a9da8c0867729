//! driver: local control: requests and replies as JSON lines over a unix socket.
//!
//! The server answers root and its own user, runs a [`Service`] behind bounded clients, and trusts no byte it
//! reads; the client is a plain blocking socket. *Invariants:* no payload of a protected disk ever passes here; a
//! request has a length and a time limit; each request gets exactly one result or error.
//!
//! This crate does not know how machines are kept: it has no journal, no disk and no state of its own.

/// What may be asked and what is told.
pub mod api;
mod client;
mod code;
mod conversation;
mod dispatch;
mod error;
mod hint;
mod line;
mod meter;
mod server;
mod service;
mod socket;

/// The client: one blocking socket.
pub use client::Client;
/// Every error code, in one table.
pub use code::{Code, Entry, Exit, TABLE};
/// Errors as a person reads them.
pub use error::{ApiError, ErrorReply};
/// The lines of a reply, and the decoders of both directions.
pub use line::{DECODERS, Decoder, Line, REQUEST_LEN_MAX, decode_reply, decode_request};
/// The server and its limits.
pub use server::{Config, Server, Stop};
/// What the server serves.
pub use service::Service;
/// Why a server can't serve.
pub use socket::ServerError;
