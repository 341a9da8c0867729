//! The messages, and those that open a session. Append-only: a variant or field is never reused or reordered.

use heapless::String;
use serde::{Deserialize, Serialize};
use units::Timestamp;

use super::{AlarmReport, Command, Heard, JobReport, MachineReport, Outcome, OutcomeTaken, Report, Versions};
use crate::Framed;

/// Bytes of a reply that travel behind one [`Outcome`].
pub const REPLY_PART_LEN_MAX: usize = 64 << 10;

/// One message, in either direction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// Agent: opens a session. Never changes.
    Hello(Hello),
    /// Controller: takes the session. Never changes.
    Welcome(Welcome),
    /// Either: the end, with the reason. Nothing follows. Never changes.
    Refused(Box<Refused>),
    /// Agent: how it is. As many machines, jobs and alarms as it says follow.
    Report(Box<Report>),
    /// Agent: one machine of the report.
    Machine(Box<MachineReport>),
    /// Agent: one job of the report.
    Job(Box<JobReport>),
    /// Agent: one alarm of the report.
    Alarm(Box<AlarmReport>),
    /// Controller: a report was heard.
    Heard(Heard),
    /// Controller: something is to be done.
    Command(Box<Command>),
    /// Agent: what became of a command. Payload: a part of the reply.
    Outcome(Box<Outcome>),
    /// Controller: the outcome is kept here; the agent may forget it.
    OutcomeTaken(OutcomeTaken),
    /// Either: the end, wanted.
    Goodbye,
}

impl Framed for Message {
    const ALPN: &'static [u8] = b"landfall-hb/1";
    const MAGIC: [u8; 4] = *b"LFHB";
    /// The form of the frame; what the messages mean is agreed by `Hello` and `Welcome`.
    const VERSION: u16 = 1;
    const KINDS: u16 = 12;
    /// `Outcome`.
    const KINDS_WITH_PAYLOAD: &'static [u16] = &[9];
    const PAYLOAD_LEN_MAX: usize = REPLY_PART_LEN_MAX;
}

/// Opens a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The versions the agent speaks.
    pub versions: Versions,
    /// Random, new with each start of the program: tells a new process from a new connection.
    pub instance: [u8; 16],
    /// The agent's clock.
    pub time: Timestamp,
    /// The highest sequence of a command the agent has taken, over all time: the next has a higher one.
    pub taken: u64,
    /// The agent's name and version, for people.
    pub software: String<32>,
}

/// Takes a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version both ends speak from here.
    pub version: u16,
    /// Between two reports, in milliseconds.
    pub period_ms: u32,
    /// The controller's clock.
    pub time: Timestamp,
    /// The controller's name and version, for people.
    pub software: String<32>,
}

/// Why a session is refused or ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// What kind of refusal.
    pub refusal: Refusal,
    /// The versions the refusing end speaks.
    pub versions: Versions,
    /// The refusing end's clock.
    pub time: Timestamp,
    /// What was found, what is allowed, what to do; for people.
    pub detail: String<512>,
}

/// The kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Refusal {
    /// The bytes are not a frame of this protocol, or break its rules.
    Malformed,
    /// No common version.
    Version,
    /// The certificate does not allow this, or was revoked.
    NotAuthorised,
    /// A newer connection of the same server has taken over.
    Replaced,
    /// Nothing was heard for too long.
    Silent,
    /// The program is stopping.
    Stopping,
    /// More servers than there is room for.
    Full,
}
