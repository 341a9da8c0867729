//! What comes in parts: a report with its machines, jobs and alarms, and a reply behind several outcomes. Pure.

use std::sync::Arc;

use wire::heartbeat::{AlarmReport, CommandId, JobReport, MachineReport, Message, Outcome, Report, Verdict};

/// What a server has told of itself, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerReport {
    /// The report.
    pub head: Report,
    /// The machines it spoke of.
    pub machines: Vec<Arc<MachineReport>>,
    /// The jobs it spoke of.
    pub jobs: Vec<JobReport>,
    /// The alarms it spoke of.
    pub alarms: Vec<AlarmReport>,
}

/// A report that is coming.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    coming: Option<Box<ServerReport>>,
}

/// A part came that has no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {0} has no place here")]
pub(crate) struct Misplaced(pub(crate) &'static str);

impl Gathering {
    /// Takes the head of a report, or a part of one; returns it when it is whole.
    pub(crate) fn take(&mut self, message: Message) -> Result<Option<Box<ServerReport>>, Misplaced> {
        match (message, self.coming.as_deref_mut()) {
            (Message::Report(head), None) => self.coming = Some(Box::new(ServerReport::begun(*head))),
            (Message::Machine(machine), Some(coming)) if coming.wants_machine() => {
                coming.machines.push(Arc::from(machine));
            }
            (Message::Job(job), Some(coming)) if coming.wants_job() => coming.jobs.push(*job),
            (Message::Alarm(alarm), Some(coming)) if coming.wants_alarm() => coming.alarms.push(*alarm),
            (Message::Report(_), Some(_)) => return Err(Misplaced("report before the last one is whole")),
            _ => return Err(Misplaced("part of a report")),
        }
        Ok(self.coming.take_if(|coming| coming.is_whole()))
    }
}

impl ServerReport {
    fn begun(head: Report) -> Self {
        Self { head, machines: Vec::new(), jobs: Vec::new(), alarms: Vec::new() }
    }

    fn wants_machine(&self) -> bool {
        self.machines.len() < usize::from(self.head.machines)
    }

    fn wants_job(&self) -> bool {
        !self.wants_machine() && self.jobs.len() < usize::from(self.head.jobs)
    }

    fn wants_alarm(&self) -> bool {
        !self.wants_machine() && !self.wants_job() && self.alarms.len() < usize::from(self.head.alarms)
    }

    fn is_whole(&self) -> bool {
        !self.wants_machine() && !self.wants_job() && !self.wants_alarm()
    }
}

/// A reply that is coming.
#[derive(Debug, Default)]
pub(crate) struct ReplyGathering {
    coming: Option<(CommandId, u16, Vec<u8>)>,
}

/// An outcome, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) sequence: u64,
    pub(crate) id: CommandId,
    pub(crate) verdict: Verdict,
    pub(crate) reply: Vec<u8>,
}

impl ReplyGathering {
    /// Takes an outcome and the part of the reply behind it; returns it when it is whole.
    pub(crate) fn take(&mut self, outcome: Outcome, part: &[u8]) -> Result<Option<Settled>, Misplaced> {
        let (id, number, mut reply) = self.coming.take().unwrap_or((outcome.id, 0, Vec::new()));
        if outcome.id != id || outcome.part != number {
            return Err(Misplaced("part of a reply"));
        }
        reply.extend_from_slice(part);
        let Outcome { sequence, id, last, verdict, .. } = outcome;
        if last {
            return Ok(Some(Settled { sequence, id, verdict, reply }));
        }
        self.coming = Some((id, number + 1, reply));
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use units::{ByteLen, Timestamp};
    use wire::heartbeat::Answer;

    fn head(jobs: u16, alarms: u16) -> Message {
        Message::Report(Box::new(Report {
            number: 1,
            time: Timestamp(0),
            clock: None,
            uptime_seconds: 0,
            door: None,
            outage: None,
            machines: 0,
            jobs,
            alarms,
        }))
    }

    fn job() -> Message {
        let (kind, machine) = ("scrub".try_into().unwrap(), "web-01".parse().unwrap());
        Message::Job(Box::new(JobReport { id: 1, kind, machine, done: ByteLen(0), total: ByteLen(1) }))
    }

    fn alarm() -> Message {
        let (subject, detail) = ("x".try_into().unwrap(), "y".try_into().unwrap());
        Message::Alarm(Box::new(AlarmReport { code: 1, subject, detail, since: Timestamp(0) }))
    }

    #[test]
    fn a_report_is_whole_when_everything_it_announced_has_come() {
        let mut gathering = Gathering::default();
        assert!(gathering.take(head(0, 0)).unwrap().is_some());
        assert_eq!(gathering.take(head(1, 1)), Ok(None));
        assert_eq!(gathering.take(job()), Ok(None));
        let whole = gathering.take(alarm()).unwrap().expect("it is whole");
        assert_eq!((whole.jobs.len(), whole.alarms.len()), (1, 1));
    }

    #[test]
    fn parts_out_of_their_order_are_refused() {
        assert!(Gathering::default().take(job()).is_err());
        let mut gathering = Gathering::default();
        gathering.take(head(1, 1)).unwrap();
        assert!(gathering.take(alarm()).is_err());
        let mut gathering = Gathering::default();
        gathering.take(head(1, 0)).unwrap();
        assert!(gathering.take(head(0, 0)).is_err());
    }

    #[test]
    fn a_reply_is_put_together_and_a_part_of_another_is_refused() {
        let outcome = |id: u8, part, last| Outcome {
            sequence: 1,
            id: CommandId([id; 16]),
            part,
            last,
            verdict: Verdict::Done(Answer::Reply),
        };
        let mut replies = ReplyGathering::default();
        assert_eq!(replies.take(outcome(1, 0, false), b"ab"), Ok(None));
        let whole = replies.take(outcome(1, 1, true), b"c").unwrap().expect("it is whole");
        assert_eq!(whole.reply, b"abc");
        replies.take(outcome(1, 0, false), b"ab").unwrap();
        assert!(replies.take(outcome(2, 1, true), b"c").is_err());
        assert!(replies.take(outcome(1, 1, true), b"c").is_err(), "a part that is not the first");
    }
}
