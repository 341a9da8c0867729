//! One session: reports up, commands down, outcomes up, until it ends.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use link::{Link, Received};
use units::MachineName;
use wire::heartbeat::{
    ALARMS_MAX, Command, Heard, JOBS_MAX, MACHINES_MAX, Message, Outage, REPLY_PARTS_MAX, Report, check,
};

use crate::clock::{ControllerClock, Sent};
use crate::commands::Commands;
use crate::opening::now;
use crate::status::Board;
use crate::{Diagnosis, Facts, Reporter, signature};

/// Reports that may be without an answer before the oldest is no longer waited for.
const UNANSWERED_MAX: usize = 8;

/// What a session works with.
pub(crate) struct Session<'a> {
    pub(crate) link: Link<Message>,
    /// Our own name: commands for another are refused.
    pub(crate) name: MachineName,
    pub(crate) period: Duration,
    pub(crate) started: Instant,
    pub(crate) outage: Option<Outage>,
    pub(crate) reporter: &'a dyn Reporter,
    pub(crate) commands: &'a Arc<Commands>,
    pub(crate) clock: &'a mut ControllerClock,
    pub(crate) board: &'a Board,
    pub(crate) is_stopping: &'a dyn Fn() -> bool,
}

/// Reports that were sent and not answered.
#[derive(Default)]
struct Reports {
    number: u64,
    unanswered: VecDeque<(u64, Sent)>,
}

impl Session<'_> {
    /// Runs until the connection ends, or the agent is to stop: then `None`.
    pub(crate) fn run(mut self) -> Option<Diagnosis> {
        let (mut reports, mut next) = (Reports::default(), Instant::now());
        self.commands.reconnected();
        loop {
            if (self.is_stopping)() {
                drop(self.link.send(&Message::Goodbye, &[]));
                self.link.close(Duration::from_millis(500));
                return None;
            }
            if Instant::now() >= next {
                next += self.period;
                if let Err(error) = self.report(&mut reports) {
                    return Some(error);
                }
            }
            if let Err(error) = self.step(&mut reports, next) {
                return Some(error);
            }
        }
    }

    /// Tells what is to be told, then takes one message, if one comes before the next report is due.
    fn step(&mut self, reports: &mut Reports, next: Instant) -> Result<(), Diagnosis> {
        self.tell()?;
        self.commands.pass_time().map_err(|error| kept_nothing(&error))?;
        let wait = next.saturating_duration_since(Instant::now());
        let received = self.link.receive(&mut Vec::new(), wait);
        match received.map_err(|error| Diagnosis::of_link(&error, None))? {
            Received::Message(message) => self.take(message, reports),
            Received::Woken | Received::TimedOut => Ok(()),
            Received::Closed => Err(Diagnosis::ended("it closed the connection without a word")),
        }
    }

    fn take(&mut self, message: Message, reports: &mut Reports) -> Result<(), Diagnosis> {
        let unlawful = |error: &dyn std::error::Error| {
            Diagnosis::ended(&format!("it sent what is against the rules: {error}"))
        };
        check(&message, 0).map_err(|error| unlawful(&error))?;
        match message {
            Message::Heard(heard) => {
                self.heard(heard, reports);
                Ok(())
            }
            Message::Command(command) => self.take_command(command),
            Message::OutcomeTaken(taken) => {
                self.commands.taken_by_controller(taken).map_err(|error| kept_nothing(&error))
            }
            Message::Refused(refused) => Err(Diagnosis::of_refusal(&refused)),
            Message::Goodbye => Err(Diagnosis::ended("it said goodbye: it is stopping")),
            _ => Err(Diagnosis::ended("it sent a message that is the agent's to send")),
        }
    }

    fn take_command(&mut self, command: Box<Command>) -> Result<(), Diagnosis> {
        if command.statement.server != self.name {
            let detail = format!("it is for {}, this is {}", command.statement.server, self.name);
            self.commands.refuse(&command, &detail);
        } else if !signature::is_signed(&command, self.link.peer_certificate()) {
            self.commands.refuse(&command, "its signature is not of this controller");
        } else {
            let theirs = self.clock.time(Instant::now()).expect("the welcome has told the time");
            self.commands.take(command, theirs).map_err(|error| kept_nothing(&error))?;
        }
        Ok(())
    }

    fn heard(&mut self, heard: Heard, reports: &mut Reports) {
        while let Some((number, sent)) = reports.unanswered.pop_front() {
            if number == heard.number {
                self.clock.learn(heard.time, sent, Instant::now());
                self.board.set_clock(self.clock.reading());
            }
            if number >= heard.number {
                break;
            }
        }
    }

    /// Sends a report and what belongs to it.
    fn report(&mut self, reports: &mut Reports) -> Result<(), Diagnosis> {
        let mut facts = self.reporter.report();
        facts.machines.truncate(MACHINES_MAX.into());
        facts.jobs.truncate(JOBS_MAX.into());
        facts.alarms.truncate(ALARMS_MAX.into());
        reports.number += 1;
        let sent = Sent { time: now(), at: Instant::now() };
        let head = self.head(reports.number, sent, &facts);
        reports.unanswered.push_back((reports.number, sent));
        reports.unanswered.truncate(UNANSWERED_MAX);
        let machines = facts.machines.into_iter().map(|machine| Message::Machine(Box::new(machine)));
        let jobs = facts.jobs.into_iter().map(|job| Message::Job(Box::new(job)));
        let alarms = facts.alarms.into_iter().map(|alarm| Message::Alarm(Box::new(alarm)));
        self.send(&Message::Report(Box::new(head)), &[])?;
        for message in machines.chain(jobs).chain(alarms) {
            self.send(&message, &[])?;
        }
        Ok(())
    }

    fn head(&mut self, number: u64, sent: Sent, facts: &Facts) -> Report {
        let count = |len: usize| u16::try_from(len).expect("it was cut to the limit");
        Report {
            number,
            time: sent.time,
            clock: self.clock.reading(),
            uptime_seconds: sent.at.saturating_duration_since(self.started).as_secs(),
            door: facts.door,
            outage: self.outage.take(),
            machines: count(facts.machines.len()),
            jobs: count(facts.jobs.len()),
            alarms: count(facts.alarms.len()),
        }
    }

    fn tell(&mut self) -> Result<(), Diagnosis> {
        while let Some(told) = self.commands.next_told() {
            for (outcome, part) in told.parts() {
                assert!(outcome.part < REPLY_PARTS_MAX, "a reply has few parts");
                self.send(&Message::Outcome(Box::new(outcome)), &[part])?;
            }
        }
        Ok(())
    }

    fn send(&mut self, message: &Message, payload: &[&[u8]]) -> Result<(), Diagnosis> {
        self.link.send(message, payload).map_err(|error| Diagnosis::of_link(&error, None))
    }
}

/// The ledger can't be written: what is commanded can't be kept, so nothing is taken on this connection.
fn kept_nothing(error: &crate::AgentError) -> Diagnosis {
    Diagnosis::ended(&format!("a command can't be kept here: {}", crate::diagnosis::with_sources(error)))
}
