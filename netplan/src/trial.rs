//! Trying a plan before it is kept: what is done in which order, so that whoever is cut off gets back in by waiting.
//!
//! The plan that is tried lies beside the one that is kept. A crash or a power cut at any step leaves both, or one of them; whatever is
//! found at the next start, the kept one is applied, and the tried one is dropped. Only keeping replaces the kept one, in one step.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long a plan is tried before it is rolled back by itself.
pub const TRIAL: Duration = Duration::from_secs(30);

/// One of the two plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one that is kept.
    Kept,
    /// The one beside it.
    Tried,
}

/// One thing to do. Each is durable, or done, before the next begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write the new plan beside the kept one.
    WriteTried,
    /// Bring the network to a plan.
    Apply(Which),
    /// Put the tried plan in the place of the kept one.
    Promote,
    /// Remove the tried plan.
    DropTried,
}

/// Where a trial stands. Moments are spans since one beginning, on a clock that never jumps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Nothing is tried.
    #[default]
    Kept,
    /// A plan is tried.
    Trying {
        /// When it had been applied.
        applied: Duration,
        /// When it is rolled back.
        until: Duration,
    },
}

/// Why something is refused. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// A plan is tried already.
    #[error("another plan is being tried, for {} s more", left.as_secs())]
    Trying {
        /// How much longer.
        left: Duration,
    },
    /// No plan is tried.
    #[error("no plan is being tried: it was kept or rolled back already")]
    Nothing,
    /// The wish came by a connection that is older than the new network, and proves nothing about it.
    #[error("the connection is older than the network that is tried, and proves nothing about it")]
    OldConnection,
}

/// The trial of a plan.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trial {
    state: State,
}

impl Trial {
    /// Begins with what is found at a start. Returns the trial, and what to do.
    pub fn open(found_tried: bool) -> (Self, Vec<Step>) {
        let apply = Step::Apply(Which::Kept);
        // The tried plan is dropped last: as long as it is there, the network may be as it says.
        (Self::default(), if found_tried { vec![apply, Step::DropTried] } else { vec![apply] })
    }

    /// Returns where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// Says what to do to try a plan; [`Trial::tried`] follows once it is done, or [`Trial::undo`] if a step failed.
    pub fn begin(&self, now: Duration) -> Result<[Step; 2], Refusal> {
        match self.state {
            State::Kept => Ok([Step::WriteTried, Step::Apply(Which::Tried)]),
            State::Trying { until, .. } => Err(Refusal::Trying { left: until.saturating_sub(now) }),
        }
    }

    /// Notes that the plan was applied just now.
    pub fn tried(&mut self, now: Duration) {
        assert_eq!(self.state, State::Kept, "one plan is tried at a time");
        self.state = State::Trying { applied: now, until: now + TRIAL };
    }

    /// Says what brings the kept plan back, whatever step was reached.
    pub fn undo(&mut self) -> [Step; 2] {
        self.state = State::Kept;
        [Step::Apply(Which::Kept), Step::DropTried]
    }

    /// Says what to do to keep the plan, for a wish that came by a connection opened at `opened`.
    pub fn keep(&self, opened: Duration) -> Result<Step, Refusal> {
        match self.state {
            State::Kept => Err(Refusal::Nothing),
            State::Trying { applied, .. } if opened < applied => Err(Refusal::OldConnection),
            State::Trying { .. } => Ok(Step::Promote),
        }
    }

    /// Notes that the plan was kept.
    pub fn kept(&mut self) {
        assert_ne!(self.state, State::Kept, "what is kept was tried before");
        self.state = State::Kept;
    }

    /// Says what to do at a moment: nothing, or the roll-back.
    pub fn at(&mut self, now: Duration) -> Option<[Step; 2]> {
        match self.state {
            State::Trying { until, .. } if now >= until => Some(self.undo()),
            State::Kept | State::Trying { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a power cut leaves, and the network, which it doesn't.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct World {
        kept: u8,
        tried: Option<u8>,
        network: Option<u8>,
    }

    const BEFORE: World = World { kept: 1, tried: None, network: Some(1) };
    const NEW: u8 = 2;

    fn second(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    impl World {
        fn perform(&mut self, steps: &[Step]) {
            for step in steps {
                match step {
                    Step::WriteTried => self.tried = Some(NEW),
                    Step::Apply(Which::Kept) => self.network = Some(self.kept),
                    Step::Apply(Which::Tried) => self.network = self.tried,
                    Step::Promote => self.kept = self.tried.take().expect("only what was tried is kept"),
                    Step::DropTried => self.tried = None,
                }
            }
        }

        fn restarted(mut self) -> Self {
            self.network = None;
            self.perform(&Trial::open(self.tried.is_some()).1);
            self
        }
    }

    #[test]
    fn a_power_cut_at_any_step_leaves_the_kept_plan_and_nothing_half() {
        let begin = Trial::default().begin(second(0)).expect("nothing is tried").to_vec();
        let mut trial = Trial::default();
        trial.tried(second(1));
        let keep = [begin.clone(), vec![trial.keep(second(2)).expect("it is new")]].concat();
        let back = [begin, trial.at(second(31)).expect("30 s are over").to_vec()].concat();
        for (steps, ends_with) in [(keep, NEW), (back, BEFORE.kept)] {
            for cut in 0..=steps.len() {
                let mut world = BEFORE;
                world.perform(&steps[..cut]);
                let kept = if cut == steps.len() { ends_with } else { BEFORE.kept };
                let after = World { kept, tried: None, network: Some(kept) };
                assert_eq!(world.restarted(), after, "cut before step {cut} of {steps:?}");
                let left = world.tried.is_some();
                let start = Trial::open(left).1;
                for cut in 0..start.len() {
                    let mut again = world;
                    again.network = None;
                    again.perform(&start[..cut]);
                    assert_eq!(again.restarted(), after, "and again at step {cut} of {start:?}");
                }
            }
        }
    }

    #[test]
    fn a_plan_that_nobody_keeps_is_rolled_back_after_30_s_and_not_before() {
        let mut trial = Trial::default();
        trial.tried(second(10));
        assert_eq!(trial.at(Duration::from_millis(39_999)), None);
        assert_eq!(trial.at(second(40)), Some([Step::Apply(Which::Kept), Step::DropTried]));
        assert_eq!(trial.at(second(80)), None, "once is enough");
        assert_eq!(trial.keep(second(81)), Err(Refusal::Nothing));
    }

    #[test]
    fn only_a_connection_over_the_new_network_keeps_it() {
        let mut trial = Trial::default();
        trial.tried(second(10));
        assert_eq!(trial.keep(second(9)), Err(Refusal::OldConnection));
        assert_eq!(trial.begin(second(15)), Err(Refusal::Trying { left: second(25) }));
        assert_eq!(trial.keep(second(11)), Ok(Step::Promote));
        trial.kept();
        assert_eq!(trial.at(second(99)), None);
    }
}
