//! Alarms: what went wrong and still does, and what did.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use units::{Rfc3339, Timestamp};

use crate::Record;

/// How long an alarm that ended is remembered.
pub const REMEMBERED: Duration = Duration::from_secs(7 * 86_400);
/// How old what is noted of an alarm that stands may be.
const NOTED: Duration = Duration::from_secs(60);

/// What went wrong, once for each kind and subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// What went wrong, and with what.
    #[serde(flatten)]
    pub condition: Condition,
    /// When it was first seen, since it last came up.
    pub first_seen: Rfc3339,
    /// When it was last seen.
    pub last_seen: Rfc3339,
    /// How often it has come up.
    #[serde(default)]
    pub raised: u32,
    /// When it ended, if it has.
    #[serde(default)]
    pub cleared: Option<Rfc3339>,
    /// Who has taken note of it, if somebody has since it last came up.
    #[serde(default)]
    pub acked: Option<Ack>,
}

/// Something that is not well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// What it is.
    pub kind: AlarmKind,
    /// With what: the name of a machine or server, or [`APPLIANCE`].
    pub subject: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in a sentence for a person.
    pub what: String,
}

/// The subject of what is about the appliance itself.
pub const APPLIANCE: &str = "appliance";

/// Somebody who has taken note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// Who, as in `operator:anna`.
    pub who: String,
    /// When.
    pub at: Rfc3339,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident $text:literal,)*) => {
        /// A kind of alarm.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum AlarmKind {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl AlarmKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the kind as it is written in keys and commands.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

kinds! {
    /// A machine or one of its disks is out, or damaged.
    #[default]
    Machine "machine",
    /// The source of a machine is not connected.
    Source "source",
    /// The newest recovery point is older than the policy allows.
    Rpo "rpo",
    /// The newest application-consistent point is older than the policy allows.
    Application "application",
    /// Part of a history is damaged.
    Damage "damage",
    /// History was lost, or does not reach as far back as the policy wants.
    History "history",
    /// A source waits for want of room.
    Paused "paused",
    /// The retention volume, or what is on it.
    Volume "volume",
    /// The catalog was brought back from a copy, or made anew.
    Catalog "catalog",
    /// A backup failed, or is overdue.
    Backup "backup",
    /// A server does not report.
    Server "server",
    /// A certificate ends soon, or has.
    Certificate "certificate",
    /// The clock of a server is not that of the appliance.
    Clock "clock",
    /// The audit log is not as it was written.
    Audit "audit",
    /// A machine is committed or brought back by itself soon, or should have been.
    Commit "commit",
    /// Somebody elsewhere wants something destroyed.
    Pending "pending",
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It works, but not as it should.
    Degraded,
    /// A person must act.
    Failed,
}

/// What becomes of an alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlarmStep {
    /// It is this now.
    Put(Alarm),
    /// It is no longer remembered.
    Forget(Alarm),
}

impl Alarm {
    fn new(condition: &Condition, now: Timestamp) -> Self {
        let (first_seen, last_seen) = (now.into(), now.into());
        Self { condition: condition.clone(), first_seen, last_seen, raised: 1, cleared: None, acked: None }
    }

    /// True while it still stands.
    pub fn stands(&self) -> bool {
        self.cleared.is_none()
    }

    /// True while somebody should look: it is not acked, whether it stands or not.
    pub fn is_open(&self) -> bool {
        self.acked.is_none()
    }

    /// Returns the alarm as somebody has taken note of it; who did first, stays.
    #[must_use]
    pub fn acked(&self, who: &str, now: Timestamp) -> Self {
        let ack = self.acked.clone().unwrap_or_else(|| Ack { who: who.to_owned(), at: now.into() });
        Self { acked: Some(ack), ..self.clone() }
    }

    /// Returns what it becomes now that its condition is seen; nothing, if what is noted of it is good enough. It counts as new, and
    /// unacked, if it had ended; one that got worse is unacked, too.
    fn seen(&self, condition: &Condition, now: Timestamp) -> Option<Self> {
        if !self.stands() {
            return Some(Self { raised: self.raised.saturating_add(1), ..Self::new(condition, now) });
        }
        let worse = condition.severity > self.condition.severity;
        let changed = condition.severity != self.condition.severity;
        if !changed && now.since(self.last_seen.0) < NOTED {
            return None;
        }
        let acked = self.acked.clone().filter(|_| !worse);
        Some(Self { condition: condition.clone(), last_seen: now.into(), acked, ..self.clone() })
    }

    /// Returns what becomes of it when its condition is not seen.
    fn unseen(&self, now: Timestamp) -> Option<AlarmStep> {
        match self.cleared {
            None => Some(AlarmStep::Put(Self { cleared: Some(now.into()), ..self.clone() })),
            Some(cleared) if now.since(cleared.0) >= REMEMBERED => Some(AlarmStep::Forget(self.clone())),
            Some(_) => None,
        }
    }
}

/// Compares what is known with what stands now, and returns what becomes of it. A condition that is told twice counts once, as it is
/// told first.
pub fn observe(known: &[Alarm], standing: &[Condition], now: Timestamp) -> Vec<AlarmStep> {
    let known: BTreeMap<_, _> = known.iter().map(|alarm| (alarm.condition.about(), alarm)).collect();
    let mut told = BTreeMap::new();
    for condition in standing {
        told.entry(condition.about()).or_insert(condition);
    }
    let stands = told.iter().filter_map(|(about, condition)| match known.get(about) {
        Some(alarm) => alarm.seen(condition, now),
        None => Some(Alarm::new(condition, now)),
    });
    let over = known.iter().filter(|(about, _)| !told.contains_key(*about));
    stands.map(AlarmStep::Put).chain(over.filter_map(|(_, alarm)| alarm.unseen(now))).collect()
}

impl Condition {
    /// Returns what makes it one and the same: its kind and its subject.
    fn about(&self) -> (AlarmKind, &str) {
        (self.kind, &self.subject)
    }
}

impl Record for Alarm {
    const KIND: &'static str = "alarm";

    fn name(&self) -> String {
        format!("{}/{}", self.condition.kind.as_str(), self.condition.subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(kind: AlarmKind, severity: Severity) -> Condition {
        Condition { kind, subject: "web-01".into(), severity, what: "it is not well".into() }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp(seconds * 1_000_000)
    }

    fn put(steps: Vec<AlarmStep>) -> Alarm {
        match steps.as_slice() {
            [AlarmStep::Put(alarm)] => alarm.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_alarm_comes_up_stays_and_ends_and_each_is_noted() {
        let rpo = condition(AlarmKind::Rpo, Severity::Degraded);
        let raised = put(observe(&[], &[rpo.clone(), rpo.clone()], at(10)));
        assert_eq!((raised.first_seen, raised.last_seen, raised.raised), (at(10).into(), at(10).into(), 1));
        assert_eq!(observe(std::slice::from_ref(&raised), std::slice::from_ref(&rpo), at(15)), []);
        let later = put(observe(&[raised], std::slice::from_ref(&rpo), at(80)));
        assert_eq!((later.first_seen, later.last_seen), (at(10).into(), at(80).into()));
        let ended = put(observe(&[later], &[], at(90)));
        assert_eq!((ended.cleared, ended.stands(), ended.is_open()), (Some(at(90).into()), false, true));
        assert_eq!(observe(std::slice::from_ref(&ended), &[], at(91)), []);
        let again = put(observe(&[ended.acked("operator:anna", at(92))], &[rpo], at(100)));
        assert_eq!((again.first_seen, again.raised, again.is_open()), (at(100).into(), 2, true));
    }

    #[test]
    fn an_ack_stays_unless_it_gets_worse() {
        let degraded = condition(AlarmKind::Rpo, Severity::Degraded);
        let acked = put(observe(&[], std::slice::from_ref(&degraded), at(10))).acked("operator:anna", at(11));
        assert_eq!(acked.acked("operator:ben", at(12)), acked);
        let same = put(observe(std::slice::from_ref(&acked), &[degraded], at(100)));
        assert_eq!(same.acked, acked.acked);
        let worse = put(observe(&[acked], &[condition(AlarmKind::Rpo, Severity::Failed)], at(12)));
        assert_eq!((worse.acked, worse.first_seen), (None, at(10).into()));
    }

    #[test]
    fn what_ended_long_ago_is_forgotten() {
        let raised = put(observe(&[], &[condition(AlarmKind::Source, Severity::Degraded)], at(0)));
        let ended = put(observe(&[raised], &[], at(1)));
        let steps = observe(std::slice::from_ref(&ended), &[], at(1 + REMEMBERED.as_secs()));
        assert_eq!(steps, [AlarmStep::Forget(ended)]);
    }

    #[test]
    fn an_alarm_is_readable_and_survives_the_trip() {
        let alarm = put(observe(&[], &[condition(AlarmKind::Rpo, Severity::Failed)], at(5)));
        let text = alarm.encode();
        assert!(text.starts_with(r#"{"kind":"rpo","subject":"web-01","severity":"failed""#), "{text}");
        assert_eq!(Alarm::decode(&alarm.key(), &text).unwrap(), alarm);
        assert_eq!(alarm.key().as_str(), "alarm/rpo/web-01");
    }

    #[test]
    fn kinds_are_written_alike_in_keys_and_in_json() {
        for kind in AlarmKind::ALL {
            assert_eq!(serde_json::to_string(kind).unwrap(), format!("\"{}\"", kind.as_str()));
        }
    }
}
