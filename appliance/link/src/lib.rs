//! driver: one connection of a protocol of ours: TLS 1.3, mutual certificates, ALPN, frames. No threads of its own.
//!
//! [`Acceptor`] and [`Connector`] take a socket through its handshake; a [`Link`] then sends and receives frames. One
//! thread uses a link at a time; other threads reach it through its [`Waker`]. While a link waits to write it goes on
//! reading, so that two ends that send at once don't wait for each other.
//!
//! Not here: the order of messages (`target`, `source`), the meaning of a message (`wire::check_message`), pings,
//! making certificates (`pki`).
//!
//! *Invariants:* no bytes of a peer make this crate panic; memory per link is bounded; every wait has an end; a peer
//! without a certificate of our authority, of an allowed role, never gets past [`Acceptor::accept`] or
//! [`Connector::connect`].

mod assembly;
mod certified;
mod channel;
mod config;
mod credentials;
mod door;
mod error;
mod inbound;
mod limits;
mod link;
mod outbound;
mod poll;
mod seal;
mod session;
mod standing;
mod verifier;
mod waker;

/// A certificate, its key and the authority, read from a directory.
pub use credentials::{CA_FILE, CERTIFICATE_FILE, Credentials, KEY_FILE};
/// The two ways to get a link.
pub use door::{Acceptor, Connector, PORT, connect_socket};
/// Why there is no link, or none any more.
pub use error::{HandshakeCause, LinkError};
/// How long a link waits for its peer.
pub use limits::Limits;
/// The connection.
pub use link::{Link, Received};
/// What a peer that refuses us in the handshake says.
pub use rustls::AlertDescription as Alert;
/// Signs with the key of our own certificate.
pub use seal::Seal;
/// Whether a certificate that is good in itself still counts.
pub use standing::{Denied, Standing};
/// Reads the identity of a peer from its certificate.
pub use verifier::{holder_of, identity_of};
/// Wakes a link that waits, from another thread.
pub use waker::Waker;
/// The role and name a certificate speaks for.
pub use wire::{Identity as Peer, Role};
