//! driver: an NBD server, for clients nobody here wrote.
//!
//! What is served is an [`Export`]; several of them, by name, are [`Exports`]. A [`Server`] listens on a unix socket, or on
//! TCP with nothing but TLS. A [`Scratch`] makes an export writable for as long as it is served.
//!
//! Not here: what a recovery point is (`target`), who asks for one (`control`).
//!
//! *Invariants:* no bytes of a client make this crate panic; memory, threads and time per client are bounded; a request that
//! can be answered never costs the connection; on TCP nothing is told before a certificate of ours was seen.

mod client;
mod error;
mod export;
mod exports;
mod image;
mod limits;
mod listener;
mod negotiation;
mod protocol;
mod read_reply;
mod scratch;
mod server;
mod socket;
mod stream;
mod transmission;

/// Why there is no server.
pub use error::ServerError;
/// What is served: a disk image that is read in granules, and perhaps written.
pub use export::{Allocation, Export, ExportError, PIECE_LEN_MAX, Span};
/// The images of one server, by name.
pub use exports::Exports;
/// How much clients may have under way, and how long they may take.
pub use limits::Limits;
/// Every decoder of this crate by name.
pub use protocol::decoders::{DECODERS, Decoder};
/// An export made writable; what is written is thrown away at the end.
pub use scratch::{Scratch, ScratchRoom};
/// The server.
pub use server::{Listen, Server};
