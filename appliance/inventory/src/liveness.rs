//! Whether a server is alive, and why not: what was heard of it, what it said when it left, and what a probe has found.
//!
//! Time is told as the span since the program began, so that no clock that jumps makes a server lost.

use std::time::Duration;

use wire::heartbeat::{Cause, LOST_AFTER, SUSPECT_AFTER};

/// Between two probes of a server that stays lost.
pub const PROBE_EVERY: Duration = Duration::from_secs(60);

/// What is known of a server's heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulse {
    heard: Duration,
    liveness: Liveness,
    /// How its last connection ended, since it was heard last.
    ended: Option<Ending>,
    /// Why it was not let in, since it was heard last.
    refused: Option<Finding>,
    /// What the last probe found, since it was heard last.
    probed: Option<Finding>,
    probe_at: Option<Duration>,
}

/// Whether a server is alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It was heard within [`SUSPECT_AFTER`].
    Alive,
    /// It was not.
    Suspect,
    /// It was not within [`LOST_AFTER`], for this reason.
    Lost(Finding),
}

/// Why a server is not heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The step of connecting that fails.
    pub cause: Cause,
    /// What was tried and what came of it, for people.
    pub detail: String,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The server said goodbye: it was stopped.
    Goodbye,
    /// Its system closed the connection without a word of the program.
    Closed,
    /// Nothing came any more.
    Silent,
}

/// Something that concerns a server's heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PulseEvent {
    /// A report came.
    Heard,
    /// A connection ended.
    Ended(Ending),
    /// It came and was not let in.
    Refused(Finding),
    /// A probe has ended.
    Probed(Finding),
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PulseEffect {
    /// Look for the cause, and come back with [`PulseEvent::Probed`].
    Probe,
    /// The liveness is another: tell whoever is to know.
    Changed,
}

impl Pulse {
    /// Begins with a server that is expected: as if it had been heard just now.
    pub fn new(now: Duration) -> Self {
        Self {
            heard: now,
            liveness: Liveness::Alive,
            ended: None,
            refused: None,
            probed: None,
            probe_at: None,
        }
    }

    /// Returns whether the server is alive.
    pub fn liveness(&self) -> &Liveness {
        &self.liveness
    }

    /// Returns how long nothing was heard.
    pub fn silence(&self, now: Duration) -> Duration {
        now.saturating_sub(self.heard)
    }

    /// Takes something that happened, and appends what is to be done.
    pub fn step(&mut self, now: Duration, event: PulseEvent, effects: &mut Vec<PulseEffect>) {
        let before = self.liveness.clone();
        match event {
            PulseEvent::Heard => *self = Self::new(now),
            PulseEvent::Ended(ending) => self.ended = Some(ending),
            PulseEvent::Refused(finding) => self.refused = Some(finding),
            PulseEvent::Probed(finding) => self.probed = Some(finding),
            PulseEvent::Tick => {}
        }
        self.liveness = match self.silence(now) {
            silence if silence < SUSPECT_AFTER => Liveness::Alive,
            silence if silence < LOST_AFTER => Liveness::Suspect,
            _ => Liveness::Lost(self.conclude()),
        };
        if self.liveness != Liveness::Alive && self.probe_at.is_none_or(|at| at <= now) {
            self.probe_at = Some(now + PROBE_EVERY);
            effects.push(PulseEffect::Probe);
        }
        if self.liveness != before {
            effects.push(PulseEffect::Changed);
        }
    }

    /// Returns the best explanation: what the server was told itself, what it said, what a probe found, how it left.
    fn conclude(&self) -> Finding {
        let found = |cause, detail: &str| Finding { cause, detail: detail.to_owned() };
        match (&self.refused, self.ended, &self.probed) {
            (Some(refused), _, _) => refused.clone(),
            (None, Some(Ending::Goodbye), _) => found(Cause::Process, "it said goodbye: it was stopped"),
            (None, _, Some(probed)) => probed.clone(),
            (None, Some(Ending::Closed), None) => {
                found(Cause::Process, "its connection was closed without a word, and it has not come back")
            }
            (None, Some(Ending::Silent) | None, None) => {
                found(Cause::Route, "nothing comes from it, and nothing is known of why")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn step(pulse: &mut Pulse, at: u64, event: PulseEvent) -> Vec<PulseEffect> {
        let mut effects = Vec::new();
        pulse.step(seconds(at), event, &mut effects);
        effects
    }

    fn finding(cause: Cause) -> Finding {
        Finding { cause, detail: format!("found: {cause}") }
    }

    fn lost_with(events: &[PulseEvent]) -> Cause {
        let mut pulse = Pulse::new(seconds(0));
        events.iter().for_each(|event| drop(step(&mut pulse, 1, event.clone())));
        step(&mut pulse, 45, PulseEvent::Tick);
        let Liveness::Lost(finding) = pulse.liveness() else { panic!("lost after 45 s") };
        finding.cause
    }

    #[test]
    fn a_server_is_suspect_at_15_seconds_and_lost_at_45_and_probed_when_it_becomes_suspect() {
        let mut pulse = Pulse::new(seconds(0));
        assert_eq!(step(&mut pulse, 14, PulseEvent::Tick), []);
        assert_eq!(step(&mut pulse, 15, PulseEvent::Tick), [PulseEffect::Probe, PulseEffect::Changed]);
        assert_eq!(pulse.liveness(), &Liveness::Suspect);
        assert_eq!(step(&mut pulse, 44, PulseEvent::Tick), []);
        step(&mut pulse, 45, PulseEvent::Tick);
        assert!(matches!(pulse.liveness(), Liveness::Lost(_)));
    }

    #[test]
    fn a_report_brings_it_back_at_once_and_clears_what_was_held_against_it() {
        let mut pulse = Pulse::new(seconds(0));
        step(&mut pulse, 1, PulseEvent::Refused(finding(Cause::Version)));
        step(&mut pulse, 50, PulseEvent::Tick);
        assert_eq!(step(&mut pulse, 51, PulseEvent::Heard), [PulseEffect::Changed]);
        assert_eq!(pulse, Pulse::new(seconds(51)));
    }

    #[test]
    fn the_cause_is_the_best_that_is_known() {
        use PulseEvent::{Ended, Probed, Refused};
        let probed = Probed(finding(Cause::Tcp));
        assert_eq!(lost_with(&[]), Cause::Route);
        assert_eq!(lost_with(&[Ended(Ending::Closed)]), Cause::Process);
        assert_eq!(lost_with(&[Ended(Ending::Closed), probed.clone()]), Cause::Tcp);
        assert_eq!(lost_with(&[Ended(Ending::Goodbye), probed.clone()]), Cause::Process);
        assert_eq!(lost_with(&[Refused(finding(Cause::Certificate)), probed]), Cause::Certificate);
    }

    #[test]
    fn a_lost_server_is_probed_again_each_minute_and_a_new_cause_is_told() {
        let mut pulse = Pulse::new(seconds(0));
        step(&mut pulse, 15, PulseEvent::Tick);
        step(&mut pulse, 45, PulseEvent::Tick);
        assert_eq!(step(&mut pulse, 74, PulseEvent::Tick), []);
        assert_eq!(step(&mut pulse, 75, PulseEvent::Tick), [PulseEffect::Probe]);
        let told = step(&mut pulse, 76, PulseEvent::Probed(finding(Cause::Process)));
        assert_eq!(told, [PulseEffect::Changed]);
        assert_eq!(step(&mut pulse, 77, PulseEvent::Probed(finding(Cause::Process))), []);
    }
}
