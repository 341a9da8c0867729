//! driver: control: the local socket with requests and replies as JSON lines, and the door on 443.
//!
//! On the socket, the server answers root and its own user, brings what bounded clients ask before the [`Desk`], and trusts no byte
//! it reads. The desk judges each request, whichever way it came, and hands it to a [`Service`]; the client is a plain blocking
//! socket. *Invariants:* no payload of a protected disk ever passes here; a
//! request has a length and a time limit; each request gets exactly one result or error.
//!
//! The [`Gate`] takes connections on 443 through TLS, and gives each to the protocol its ALPN names.
//!
//! This crate does not know how machines are kept: it has no journal, no disk and no state of its own.

/// What may be asked and what is told.
pub mod api;
mod audit;
mod authorise;
mod caller;
mod client;
mod clock;
mod code;
mod conversation;
mod desk;
mod dispatch;
mod enrol;
mod error;
mod gate;
/// Heartbeats of servers, and orders to them.
pub mod heartbeat;
mod hint;
/// The API over HTTP.
pub mod http;
mod line;
mod local;
mod meter;
mod reach;
mod retired;
mod server;
mod service;
mod shortening;
mod socket;
mod watch;

/// What is written down of requests.
pub use audit::{Audit, Deed};
/// What kind of thing each request does.
pub use authorise::action_of;
/// Who asks.
pub use caller::Caller;
/// The client, and the ways it asks by.
pub use client::{Client, Transport};
/// Every error code, in one table.
pub use code::{Code, Entry, Exit, TABLE};
/// The one place where requests are judged and handed on.
pub use desk::{Ask, Desk, Reply};
/// Enrolment on 443.
pub use enrol::Enrolment;
/// Errors as a person reads them.
pub use error::{ApiError, ErrorReply};
/// The door on 443.
pub use gate::{Gate, GateError, GateLimits, Peer, Protocol, Reception, Serving, Stream};
/// The lines of a reply, and the decoders of both directions.
pub use line::{DECODERS, Decoder, Line, REQUEST_LEN_MAX, decode_request};
/// The numbers of the retired product.
pub use retired::{RETIRED, find_retired, retired_of};
/// The server and its limits.
pub use server::{Config, Server, Stop};
/// What the server serves.
pub use service::{GroupService, NetworkService, PendingService, PlanService, RecordService, Service};
/// Why a server can't serve.
pub use socket::ServerError;
