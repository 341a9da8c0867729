//! The rules each message must keep. Pure; nothing is done with a message before it passed.

use super::{
    ALARMS_MAX, Command, GroupPoint, Hello, Instruction, JOBS_MAX, MACHINES_MAX, Message, Outcome,
    REPLY_PARTS_MAX, Report, SourceOrder, Versions, Welcome,
};

/// Which rule a well-formed message breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeartbeatError {
    /// A number that can't be.
    #[error("{what} is {found}, expected {expected}")]
    Number {
        /// Which number.
        what: &'static str,
        /// What was found.
        found: u64,
        /// What is allowed.
        expected: &'static str,
    },
    /// A run of versions that ends before it begins.
    #[error("the versions go from {} to {}, expected the older one first, from 1", .0.oldest, .0.newest)]
    Versions(Versions),
    /// Something that must not be empty is.
    #[error("{0} is empty")]
    Empty(&'static str),
}

/// Checks a message of either direction, and the length of the frame's payload.
///
/// # Errors
/// The first rule that is broken.
pub fn check(message: &Message, payload_len: usize) -> Result<(), HeartbeatError> {
    match message {
        Message::Hello(Hello { versions, .. }) => check_versions(*versions),
        Message::Welcome(welcome) => check_welcome(welcome),
        Message::Refused(refused) => check_versions(refused.versions),
        Message::Report(report) => check_report(report),
        Message::Command(command) => check_command(command),
        Message::Outcome(outcome) => check_outcome(outcome, payload_len),
        Message::Machine(_)
        | Message::Job(_)
        | Message::Alarm(_)
        | Message::Heard(_)
        | Message::OutcomeTaken(_)
        | Message::Goodbye => Ok(()),
    }
}

fn check_versions(versions: Versions) -> Result<(), HeartbeatError> {
    let lawful = versions.oldest >= 1 && versions.oldest <= versions.newest;
    if lawful { Ok(()) } else { Err(HeartbeatError::Versions(versions)) }
}

fn check_welcome(welcome: &Welcome) -> Result<(), HeartbeatError> {
    within("the version", welcome.version.into(), 1..=u16::MAX.into(), "1 or more")?;
    within("the period", welcome.period_ms.into(), 100..=60_000, "100 ms to 60 s")
}

fn check_report(report: &Report) -> Result<(), HeartbeatError> {
    within("the number of a report", report.number, 1..=u64::MAX, "1 or more")?;
    within("the number of machines", report.machines.into(), 0..=MACHINES_MAX.into(), "at most 1024")?;
    within("the number of jobs", report.jobs.into(), 0..=JOBS_MAX.into(), "at most 64")?;
    within("the number of alarms", report.alarms.into(), 0..=ALARMS_MAX.into(), "at most 64")
}

fn check_command(command: &Command) -> Result<(), HeartbeatError> {
    let statement = &command.statement;
    within("the sequence of a command", statement.sequence, 1..=u64::MAX, "1 or more")?;
    if command.signature.is_empty() {
        return Err(HeartbeatError::Empty("the signature"));
    }
    match &statement.instruction {
        Instruction::Request(request) if request.is_empty() => Err(HeartbeatError::Empty("the request")),
        Instruction::Request(_) => Ok(()),
        Instruction::Source(order) => check_order(order),
    }
}

fn check_order(order: &SourceOrder) -> Result<(), HeartbeatError> {
    match order {
        SourceOrder::Hold(GroupPoint { deadline_ms, .. }) => {
            within("the deadline", u64::from(*deadline_ms), 1..=600_000, "1 ms to 10 min")
        }
        SourceOrder::Protect(protect) => {
            within("the interval", protect.interval_ms.into(), 100..=86_400_000, "100 ms to 24 h")
        }
        _ => Ok(()),
    }
}

fn check_outcome(outcome: &Outcome, payload_len: usize) -> Result<(), HeartbeatError> {
    let last = u64::from(REPLY_PARTS_MAX) - 1;
    within("the part of a reply", outcome.part.into(), 0..=last, "0 to 63")?;
    if !outcome.last && payload_len == 0 {
        return Err(HeartbeatError::Empty("a part of a reply that is not the last"));
    }
    Ok(())
}

fn within(
    what: &'static str,
    found: u64,
    allowed: std::ops::RangeInclusive<u64>,
    expected: &'static str,
) -> Result<(), HeartbeatError> {
    if allowed.contains(&found) { Ok(()) } else { Err(HeartbeatError::Number { what, found, expected }) }
}
