//! Commands and what became of them.

use std::fmt;
use std::str::FromStr;

use heapless::{String, Vec};
use serde::{Deserialize, Serialize};
use units::{MachineName, Timestamp};

use super::{PointTaken, SourceOrder};

/// Bytes of a request a command may carry.
pub const REQUEST_LEN_MAX: usize = 32 << 10;
/// Parts a reply may come in.
pub const REPLY_PARTS_MAX: u16 = 64;
/// Bytes of a signature.
pub const SIGNATURE_LEN_MAX: usize = 72;

/// What the signature of a command is over, before the statement.
const CONTEXT: &[u8] = b"landfall 2026 command\n";

/// The id of a command: 16 random bytes, written as 32 hexadecimal digits. The same id is the same command.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CommandId(pub [u8; 16]);

/// A text is not the id of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not the id of a command; write its 32 hexadecimal digits")]
pub struct ParseCommandIdError;

/// Something to be done, signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// What is signed.
    pub statement: Statement,
    /// ECDSA P-256 with SHA-256, ASN.1, by the key of the controller's certificate, over [`Statement::signed_bytes`].
    pub signature: Vec<u8, SIGNATURE_LEN_MAX>,
}

/// What a controller says that is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Who is to do it: the name in the agent's certificate.
    pub server: MachineName,
    /// Its place in the order of this server's commands; rises, from 1.
    pub sequence: u64,
    /// Which command it is.
    pub id: CommandId,
    /// When it was given, by the controller's clock.
    pub issued: Timestamp,
    /// From when on it is not begun any more, by the controller's clock.
    pub expires: Timestamp,
    /// Who asked for it, for the audit log.
    pub by: String<64>,
    /// What is to be done.
    pub instruction: Instruction,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Instruction {
    /// A request of the control API, in JSON, as the command line sends it.
    Request(Box<String<REQUEST_LEN_MAX>>),
    /// An order to a source.
    Source(SourceOrder),
}

/// What became of a command. Sent again with each connection until it is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The command's place.
    pub sequence: u64,
    /// Which command.
    pub id: CommandId,
    /// Which part of the reply is behind this message, from 0.
    pub part: u16,
    /// No part follows.
    pub last: bool,
    /// How it ended, or stands.
    pub verdict: Verdict,
}

/// How a command ended, or stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It was done.
    Done(Answer),
    /// It was tried and failed, or was refused; the reply is the error in JSON.
    Failed,
    /// It would destroy something: it waits for somebody at the server itself, and is done without them at this time. An end
    /// follows.
    Waiting {
        /// When it is done without anybody's approval, by the agent's clock.
        until: Timestamp,
    },
    /// Somebody at the server itself rejected it.
    Rejected,
    /// It came, or its turn came, after it had expired; nothing was done.
    Expired,
    /// It was begun, and the program ended before it was done: it may have had any part of its effect.
    Interrupted,
    /// Its signature, its server or its place is wrong; nothing was done.
    Invalid {
        /// What is wrong, for people.
        detail: Box<String<256>>,
    },
}

/// What a command has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Nothing but that it was done.
    Nothing,
    /// The result of a request, in JSON, in the reply.
    Reply,
    /// A recovery point.
    Point(PointTaken),
}

/// The outcome is kept by the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeTaken {
    /// Which command.
    pub id: CommandId,
    /// That an end, and not only `Waiting`, was taken.
    pub ended: bool,
}

impl Statement {
    /// Returns the bytes a signature is over: `landfall 2026 command` and a line end, then the statement in postcard.
    pub fn signed_bytes(&self) -> std::vec::Vec<u8> {
        postcard::to_extend(self, CONTEXT.to_vec()).expect("every statement can be written")
    }
}

impl Verdict {
    /// Tells whether nothing follows.
    pub fn is_end(&self) -> bool {
        !matches!(self, Self::Waiting { .. })
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl FromStr for CommandId {
    type Err = ParseCommandIdError;

    fn from_str(text: &str) -> Result<Self, ParseCommandIdError> {
        let lawful = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| lawful);
        number.map(|number| Self(number.to_be_bytes())).ok_or(ParseCommandIdError)
    }
}

impl fmt::Debug for CommandId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}
