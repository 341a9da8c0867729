//! core: the protocols: messages, frames and the rules they must keep; no I/O.
//!
//! Replication is [`Message`], the heartbeat [`heartbeat::Message`]. A frame is a header of 32 bytes, a body (one message, postcard) and
//! a payload (raw bytes). Decoding is in three
//! steps, so that nothing is allocated for a length not yet checked: [`decode_header`], [`decode_body`], then the
//! meaning with [`check_message`] and [`verify_payload`]. The bytes are drawn in FORMAT.md, chapters 1 and 5.
//!
//! Not here: sockets and TLS (`link`), the order of messages in a session (`target`, `source`), zstd.
//!
//! *Invariants:* no decoder panics on any bytes; a message that passed its checks names only bytes inside the disks of
//! its machine; every message this crate can hold fits [`BODY_LEN_MAX`].

mod check;
mod decoders;
mod enrol;
mod error;
mod extent;
mod frame;
/// The heartbeat of a server, and the commands that ride it.
pub mod heartbeat;
mod identity;
mod message;
mod token;

/// The rules each message must keep before anything is done with it.
pub use check::{check_extents, check_message};
/// Every decoder by name, for tests that feed them any bytes.
pub use decoders::{DECODERS, Decoder};
/// Enrolment, renewal and revocations.
pub use enrol::*;
/// Why bytes are not a frame, and why a message is not lawful.
pub use error::{CheckError, FrameError};
/// The payload of a batch or seed, cut into its extents.
pub use extent::{EXTENT_LEN_MAX, extent_payloads, verify_payload};
/// The header and the body of a frame.
pub use frame::{
    BODY_LEN_MAX, Framed, HEADER_LEN, Header, decode_body, decode_header, decode_message, encode,
};
/// Who a certificate speaks for.
pub use identity::{Identity, IdentityError, Role};
pub use message::*;
/// Join tokens.
pub use token::{JoinToken, TokenError, TokenId, TokenSecret};
