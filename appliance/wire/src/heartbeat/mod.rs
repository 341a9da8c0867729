//! The heartbeat: what a server and its configuration server say to each other on 443. Drawn in FORMAT.md, chapter 5.
//!
//! An *agent* (a source, a master target, a process server, or a whole appliance under a fleet manager) connects, says
//! [`Hello`], and reports every [`PERIOD`]. The *controller* (a configuration server or fleet manager) answers, and sends commands
//! down the same connection; their outcomes come up and are sent again until they are taken.
//!
//! *Invariants:* `Hello`, `Welcome` and `Refused` never change, so that any two versions can tell each other that they don't
//! fit; a command is executed once at most, in the order of its sequence, and never after it expired.

mod check;
mod command;
mod message;
mod order;
mod report;
mod version;

use std::time::Duration;

/// The rules each message must keep before anything is done with it.
pub use check::{HeartbeatError, check};
/// Commands and what became of them.
pub use command::{
    Answer, Command, CommandId, Instruction, Outcome, OutcomeTaken, ParseCommandIdError, REPLY_PARTS_MAX,
    REQUEST_LEN_MAX, SIGNATURE_LEN_MAX, Statement, Verdict,
};
/// The messages and those that open a session.
pub use message::{Hello, Message, REPLY_PART_LEN_MAX, Refusal, Refused, Welcome};
/// What a source can be ordered to do.
pub use order::{GroupPoint, Mark, PointTaken, Protect, SourceOrder, Wish};
/// What servers tell of themselves.
pub use report::{
    ALARMS_MAX, AlarmReport, Cause, ClockReading, DiskHealth, DiskReport, Heard, JOBS_MAX, JobReport,
    MACHINES_MAX, MachinePhase, MachineReport, Outage, Report,
};
/// Which versions two ends have in common.
pub use version::{VERSIONS, VersionSkew, Versions};

/// Between two reports, unless the controller asks for another span.
pub const PERIOD: Duration = Duration::from_secs(5);
/// Silence after which a server is suspect.
pub const SUSPECT_AFTER: Duration = Duration::from_secs(15);
/// Silence after which a server is lost.
pub const LOST_AFTER: Duration = Duration::from_secs(45);

const _: () =
    assert!(PERIOD.as_secs() * 3 <= SUSPECT_AFTER.as_secs(), "one late report makes no server suspect");

/// Returns as much of a text as fits a field, cut between characters.
pub fn clipped<const N: usize>(text: &str) -> heapless::String<N> {
    let end = (0..=text.len().min(N)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text[..end].try_into().expect("it was cut to fit")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(clipped::<4>("abé").as_str(), "abé");
        assert_eq!(clipped::<3>("abé").as_str(), "ab");
        assert_eq!(clipped::<3>("").as_str(), "");
    }
}
