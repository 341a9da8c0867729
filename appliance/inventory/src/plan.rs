//! Recovery plans: in which order machines come home, with pauses for a person and hooks between.
//!
//! A run of a plan is carried out by whoever keeps it: the step [`PlanRun::next`] names, again and again. Every step may be carried out
//! twice: jobs that a step has started are found by it, and a hook must bear being run again.
//!
//! *Invariants:* steps are done in order; a person's pause ends by a person alone; of one plan one run is under way at a time.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use units::{MachineName, Rfc3339, Sequence, Timestamp};

use crate::{JobLine, Record};

/// Steps a plan may have.
pub const PLAN_STEPS_MAX: usize = 64;
/// Machines that a step may bring home together.
pub const PLAN_TOGETHER_MAX: usize = 64;
/// Seconds a hook may be given.
pub const HOOK_SECONDS: RangeInclusive<u32> = 1..=24 * 3600;
/// Bytes of a note for a person.
pub const PLAN_NOTE_LEN_MAX: usize = 200;
/// Lines that are kept of a run.
const LINES_MAX: usize = 256;

/// A recovery plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Its name.
    pub name: MachineName,
    /// What is done, first things first.
    #[serde(default)]
    pub steps: Vec<PlanStep>,
}

/// A step of a plan, as it is asked for, kept and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum PlanStep {
    /// Brings machines home, all at the same time.
    Machines {
        /// Which; 1 to 64.
        machines: Vec<MachineName>,
    },
    /// Brings every member of a consistency group to one common point.
    Group {
        /// Which.
        group: MachineName,
    },
    /// Waits for a person to say that it may go on.
    Pause {
        /// What they are to look at; one line of at most 200 bytes.
        note: String,
    },
    /// Runs a program of the hook directory, without arguments; one that ends with another code than 0 has failed.
    Hook {
        /// Its file name there.
        program: String,
        /// How long it may take, in seconds, before it is killed; 1 to 86,400.
        seconds: u32,
    },
}

/// Why a plan can't be as it was wished for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// No steps, or too many.
    #[error("a plan has 1 to {PLAN_STEPS_MAX} steps; this would be {0}")]
    Steps(usize),
    /// No machines in a step, or too many.
    #[error("step {step} has {found} machines; a step has 1 to {PLAN_TOGETHER_MAX}")]
    Together {
        /// Which step, from 1.
        step: usize,
        /// How many machines.
        found: usize,
    },
    /// A machine comes home twice.
    #[error("{0} is in the plan twice")]
    Twice(MachineName),
    /// Not a file name.
    #[error("step {0}: a hook is a file name of letters, digits, '.', '_' and '-', and begins with no '.'")]
    Hook(usize),
    /// A span is out of bounds.
    #[error("step {step}: a hook may take 1 to 86400 s, not {found}")]
    Span {
        /// Which step, from 1.
        step: usize,
        /// What was wished for.
        found: u32,
    },
    /// A note is too long.
    #[error("step {0}: a note has at most {PLAN_NOTE_LEN_MAX} bytes on one line")]
    Note(usize),
}

/// A run of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRun {
    /// The plan.
    pub plan: MachineName,
    /// Which run of it, from 1.
    pub number: u64,
    /// Its steps, as the plan was when it was begun.
    pub steps: Vec<PlanStep>,
    /// The newest point at or before this time is taken; the latest when absent.
    #[serde(default)]
    pub to: Option<Rfc3339>,
    /// How many steps are done.
    #[serde(default)]
    pub done: usize,
    /// The points that were chosen for the machines of the step under way: after a restart the same ones are taken.
    #[serde(default)]
    pub points: BTreeMap<MachineName, Sequence>,
    /// How it stands.
    pub state: PlanState,
    /// When it was begun.
    pub started: Rfc3339,
    /// When it ended.
    #[serde(default)]
    pub ended: Option<Rfc3339>,
    /// What happened, oldest first.
    #[serde(default)]
    pub log: Vec<JobLine>,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlanState {
    /// It goes on.
    Running,
    /// It waits for a person.
    Waiting,
    /// Every step is done.
    Done,
    /// A step failed; those behind it were not begun.
    Failed,
    /// A person ended it.
    Stopped,
}

/// Something that happens to a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanEvent {
    /// The program that carries it out has begun anew.
    TakenUp,
    /// Something to be told of the step under way.
    Told(String),
    /// The points of the step under way were chosen.
    Chosen(BTreeMap<MachineName, Sequence>),
    /// The step is done.
    StepDone,
    /// The step failed.
    StepFailed(String),
    /// A person says that it may go on.
    Continued,
    /// A person ends it.
    Stopped,
}

impl Plan {
    /// Puts a plan together. Errors: see [`PlanError`].
    pub fn new(name: MachineName, steps: Vec<PlanStep>) -> Result<Self, PlanError> {
        if steps.is_empty() || steps.len() > PLAN_STEPS_MAX {
            return Err(PlanError::Steps(steps.len()));
        }
        let mut seen = Vec::new();
        for (at, step) in steps.iter().enumerate() {
            check(at + 1, step)?;
            let names = match step {
                PlanStep::Machines { machines } => machines.as_slice(),
                _ => &[],
            };
            for name in names {
                if seen.contains(&name) {
                    return Err(PlanError::Twice(name.clone()));
                }
                seen.push(name);
            }
        }
        Ok(Self { name, steps })
    }
}

fn check(number: usize, step: &PlanStep) -> Result<(), PlanError> {
    match step {
        PlanStep::Machines { machines } if machines.is_empty() || machines.len() > PLAN_TOGETHER_MAX => {
            Err(PlanError::Together { step: number, found: machines.len() })
        }
        PlanStep::Pause { note } if note.len() > PLAN_NOTE_LEN_MAX || note.contains(['\n', '\r']) => {
            Err(PlanError::Note(number))
        }
        PlanStep::Hook { program, .. } if !is_file_name(program) => Err(PlanError::Hook(number)),
        PlanStep::Hook { seconds, .. } if !HOOK_SECONDS.contains(seconds) => {
            Err(PlanError::Span { step: number, found: *seconds })
        }
        _ => Ok(()),
    }
}

/// Tells whether a name is one of a file in a directory, and no way out of it.
fn is_file_name(name: &str) -> bool {
    let lawful = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=64).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(lawful)
}

impl PlanStep {
    /// Describes the step in a few words.
    pub fn describe(&self) -> String {
        match self {
            Self::Machines { machines } => {
                let names: Vec<_> = machines.iter().map(MachineName::as_str).collect();
                format!("machines {}", names.join(", "))
            }
            Self::Group { group } => format!("group {group}"),
            Self::Pause { note } if note.is_empty() => "pause".to_owned(),
            Self::Pause { note } => format!("pause: {note}"),
            Self::Hook { program, seconds } => format!("hook {program}, {seconds} s at the most"),
        }
    }
}

impl PlanRun {
    /// Begins a run.
    pub fn new(plan: &Plan, number: u64, to: Option<Rfc3339>, now: Timestamp) -> Self {
        let (name, steps, state) = (plan.name.clone(), plan.steps.clone(), PlanState::Running);
        let (done, started, ended, log) = (0, now.into(), None, Vec::new());
        let points = BTreeMap::new();
        let run = Self { plan: name, number, steps, to, done, points, state, started, ended, log };
        run.noted("started", now).arriving(now)
    }

    /// Returns the step that is to be carried out; none while it waits, and once it has ended.
    pub fn next(&self) -> Option<&PlanStep> {
        (self.state == PlanState::Running).then(|| &self.steps[self.done])
    }

    /// Tells whether nothing more comes of it.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, PlanState::Done | PlanState::Failed | PlanState::Stopped)
    }

    /// Returns what it is after something happened. What has ended stays as it is.
    #[must_use]
    pub fn after(self, event: PlanEvent, now: Timestamp) -> Self {
        if self.has_ended() {
            return self;
        }
        let number = self.done + 1;
        match (self.state, event) {
            (_, PlanEvent::Stopped) => self.noted("stopped by a person", now).ending(PlanState::Stopped, now),
            (_, PlanEvent::TakenUp) => self.noted(&format!("taken up again at step {number}"), now),
            (PlanState::Waiting, PlanEvent::Continued) => {
                let run = Self { done: number, state: PlanState::Running, ..self };
                run.noted(&format!("step {number}: a person lets it go on"), now).arriving(now)
            }
            (PlanState::Running, PlanEvent::Chosen(points)) => Self { points, ..self },
            (PlanState::Running, PlanEvent::Told(what)) => self.noted(&format!("step {number}: {what}"), now),
            (PlanState::Running, PlanEvent::StepDone) => {
                let line = format!("step {number} is done: {}", self.steps[self.done].describe());
                Self { done: number, points: BTreeMap::new(), ..self }.noted(&line, now).arriving(now)
            }
            (PlanState::Running, PlanEvent::StepFailed(why)) => {
                self.noted(&format!("step {number} failed: {why}"), now).ending(PlanState::Failed, now)
            }
            (_, _) => self,
        }
    }

    /// Comes to its next step: one for a person is waited at, behind the last one it is done.
    fn arriving(self, now: Timestamp) -> Self {
        match self.steps.get(self.done) {
            None => self.ending(PlanState::Done, now),
            Some(PlanStep::Pause { note }) => {
                let line = format!("step {} waits for a person: {note}", self.done + 1);
                Self { state: PlanState::Waiting, ..self }.noted(&line, now)
            }
            Some(_) => self,
        }
    }

    fn ending(self, state: PlanState, now: Timestamp) -> Self {
        Self { state, ended: Some(now.into()), ..self }
    }

    fn noted(mut self, what: &str, now: Timestamp) -> Self {
        self.log.push(JobLine { time: now.into(), what: what.to_owned() });
        let excess = self.log.len().saturating_sub(LINES_MAX);
        self.log.drain(..excess);
        self
    }
}

impl Record for Plan {
    const KIND: &'static str = "plan";

    fn name(&self) -> String {
        self.name.to_string()
    }
}

impl Record for PlanRun {
    const KIND: &'static str = "plan-run";

    /// One run of each plan is kept: the newest.
    fn name(&self) -> String {
        self.plan.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> MachineName {
        text.parse().unwrap()
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp(seconds * 1_000_000)
    }

    fn hook(program: &str, seconds: u32) -> PlanStep {
        PlanStep::Hook { program: program.to_owned(), seconds }
    }

    fn plan() -> Plan {
        let steps = vec![
            PlanStep::Machines { machines: vec![name("db-01")] },
            PlanStep::Pause { note: "look at the database".to_owned() },
            hook("switch-dns", 60),
        ];
        Plan::new(name("shop"), steps).unwrap()
    }

    #[test]
    fn steps_are_done_in_order_and_a_pause_ends_by_a_person_alone() {
        let run = PlanRun::new(&plan(), 1, None, at(1));
        assert_eq!(run.next(), Some(&plan().steps[0]));
        assert_eq!(run.clone().after(PlanEvent::Continued, at(2)), run, "there is nothing to continue");
        let waiting = run.after(PlanEvent::StepDone, at(3));
        assert_eq!((waiting.state, waiting.next()), (PlanState::Waiting, None));
        assert_eq!(waiting.clone().after(PlanEvent::StepDone, at(4)), waiting, "no step is under way");
        let last = waiting.after(PlanEvent::Continued, at(5));
        assert_eq!(last.next(), Some(&hook("switch-dns", 60)));
        let done = last.after(PlanEvent::StepDone, at(6));
        assert_eq!((done.state, done.ended, done.done), (PlanState::Done, Some(at(6).into()), 3));
        assert_eq!(done.clone().after(PlanEvent::Stopped, at(7)), done, "what has ended stays");
    }

    #[test]
    fn a_run_goes_on_where_it_was_whenever_the_program_ends() {
        let events = [PlanEvent::StepDone, PlanEvent::Continued, PlanEvent::StepDone];
        for killed_after in 0..=events.len() {
            let mut run = PlanRun::new(&plan(), 1, None, at(1));
            events[..killed_after].iter().for_each(|event| run = run.clone().after(event.clone(), at(2)));
            run = PlanRun::decode(&run.key(), &run.encode()).unwrap().after(PlanEvent::TakenUp, at(3));
            events[killed_after..].iter().for_each(|event| run = run.clone().after(event.clone(), at(4)));
            assert_eq!(run.state, PlanState::Done, "killed after {killed_after}");
        }
    }

    #[test]
    fn the_points_of_a_step_stay_what_was_chosen_until_it_is_done() {
        let points = BTreeMap::from([(name("db-01"), Sequence(7))]);
        let run = PlanRun::new(&plan(), 1, None, at(1)).after(PlanEvent::Chosen(points.clone()), at(2));
        let again = PlanRun::decode(&run.key(), &run.encode()).unwrap();
        assert_eq!(again.points, points);
        assert!(again.after(PlanEvent::StepDone, at(3)).points.is_empty());
    }

    #[test]
    fn a_failed_step_ends_the_run_and_the_others_are_not_begun() {
        let failed = PlanRun::new(&plan(), 1, None, at(1)).after(PlanEvent::StepFailed("why".into()), at(2));
        assert_eq!((failed.state, failed.done, failed.next()), (PlanState::Failed, 0, None));
        assert!(failed.log.iter().any(|line| line.what == "step 1 failed: why"));
    }

    #[test]
    fn a_plan_that_can_do_harm_is_no_plan() {
        let refused = |step: PlanStep| Plan::new(name("a"), vec![step]).unwrap_err();
        for program in ["", "../sh", "/bin/sh", ".hidden", "a b", "a;b", &"a".repeat(65)] {
            assert_eq!(refused(hook(program, 60)), PlanError::Hook(1), "{program}");
        }
        assert!(matches!(refused(hook("ok", 0)), PlanError::Span { .. }));
        assert!(matches!(refused(hook("ok", 86_401)), PlanError::Span { .. }));
        assert_eq!(refused(PlanStep::Pause { note: "a\nb".to_owned() }), PlanError::Note(1));
        assert!(matches!(refused(PlanStep::Machines { machines: Vec::new() }), PlanError::Together { .. }));
        assert_eq!(Plan::new(name("a"), Vec::new()), Err(PlanError::Steps(0)));
        let twice = PlanStep::Machines { machines: vec![name("m"), name("m")] };
        assert_eq!(refused(twice), PlanError::Twice(name("m")));
    }
}
