//! Consistency groups: machines whose recovery points share one order.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use units::{MachineName, Rfc3339, Timestamp};

use crate::Record;

/// Machines one group may have.
pub const GROUP_MEMBERS_MAX: usize = 64;
/// Seconds between two points of a group that may be asked for.
pub const EVERY_SECONDS: RangeInclusive<u32> = 10..=31 * 86_400;
/// Milliseconds that writes may be held for a point.
pub const HOLD_MS: RangeInclusive<u32> = 200..=60_000;
/// How long writes are held at the most, unless something else was asked for, in milliseconds.
pub const HOLD_MS_DEFAULT: u32 = 10_000;
/// After a point that came to nothing the next is tried this soon, or sooner if points are wanted more often.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// A consistency group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its name.
    pub name: MachineName,
    /// Its members, by name.
    #[serde(default)]
    pub machines: Vec<MachineName>,
    /// Seconds between two points of it; as the members' policies say for application-consistent points, when absent.
    #[serde(default)]
    pub every_seconds: Option<u32>,
    /// How long writes are held for a point, at the most, in milliseconds.
    #[serde(default = "hold_default")]
    pub hold_ms: u32,
    /// When it was made.
    #[serde(default)]
    pub created: Rfc3339,
    /// The highest number that was given to a point of it.
    #[serde(default)]
    pub numbered: u64,
    /// What became of the last point that was tried.
    #[serde(default)]
    pub last: Option<GroupAttempt>,
}

/// What became of a group point that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupAttempt {
    /// Its number.
    pub number: u64,
    /// When it was begun.
    pub begun: Rfc3339,
    /// Why there is no such point; absent if there is.
    #[serde(default)]
    pub failed: Option<String>,
}

/// Says that a machine belongs to a group; there is one for each machine at the most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupMember {
    /// The machine.
    pub machine: MachineName,
    /// Its group.
    pub group: MachineName,
}

/// Why a group can't be as it was wished for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// The machine is named twice, or is a member already.
    #[error("machine {0} is a member already")]
    Twice(MachineName),
    /// Too many machines, or none.
    #[error("a group has 1 to {GROUP_MEMBERS_MAX} members; this would be {0}")]
    Size(usize),
    /// The machine is no member.
    #[error("machine {machine} is no member of group {group}")]
    NotMember {
        /// The machine.
        machine: MachineName,
        /// The group.
        group: MachineName,
    },
    /// A span is out of bounds.
    #[error("{what} is {found}, allowed is {least} to {most}")]
    Span {
        /// Which, with its unit.
        what: &'static str,
        /// What was wished for.
        found: u32,
        /// The least.
        least: u32,
        /// The most.
        most: u32,
    },
}

fn hold_default() -> u32 {
    HOLD_MS_DEFAULT
}

impl Group {
    /// Puts a group together. Errors: no members, too many, one twice; a span out of bounds.
    pub fn new(
        name: MachineName,
        machines: Vec<MachineName>,
        every_seconds: Option<u32>,
        hold_ms: Option<u32>,
        now: Timestamp,
    ) -> Result<Self, GroupError> {
        let hold_ms = hold_ms.unwrap_or(HOLD_MS_DEFAULT);
        if let Some(every) = every_seconds {
            within("the interval, in seconds,", every, &EVERY_SECONDS)?;
        }
        within("the time writes may be held, in milliseconds,", hold_ms, &HOLD_MS)?;
        let (created, last) = (now.into(), None);
        let empty = Self { name, machines: Vec::new(), every_seconds, hold_ms, created, numbered: 0, last };
        let group = machines.into_iter().try_fold(empty, |group, machine| group.with(machine))?;
        if group.machines.is_empty() { Err(GroupError::Size(0)) } else { Ok(group) }
    }

    /// Returns the group with one more member. Errors: it is one already, or there are too many.
    pub fn with(mut self, machine: MachineName) -> Result<Self, GroupError> {
        match self.machines.binary_search(&machine) {
            Ok(_) => Err(GroupError::Twice(machine)),
            Err(_) if self.machines.len() >= GROUP_MEMBERS_MAX => {
                Err(GroupError::Size(self.machines.len() + 1))
            }
            Err(at) => {
                self.machines.insert(at, machine);
                Ok(self)
            }
        }
    }

    /// Returns the group with one member less. Errors: it is none, or the last one.
    pub fn without(mut self, machine: &MachineName) -> Result<Self, GroupError> {
        let Ok(at) = self.machines.binary_search(machine) else {
            return Err(GroupError::NotMember { machine: machine.clone(), group: self.name });
        };
        if self.machines.len() == 1 {
            return Err(GroupError::Size(0));
        }
        self.machines.remove(at);
        Ok(self)
    }

    /// Returns the group with the next number given to a point: above all it gave, and above `seen`, the highest that any member's
    /// history holds.
    #[must_use]
    pub fn numbering(self, seen: u64) -> Self {
        let numbered = self.numbered.max(seen).checked_add(1).expect("nobody makes 2^64 points");
        Self { numbered, ..self }
    }

    /// Tells whether the next point is due, if points are wanted every so often.
    pub fn is_due(&self, every: Duration, now: Timestamp) -> bool {
        let since = |time: Rfc3339| now.since(time.0);
        match &self.last {
            None => since(self.created) >= every,
            Some(GroupAttempt { failed: None, begun, .. }) => since(*begun) >= every,
            Some(GroupAttempt { failed: Some(_), begun, .. }) => since(*begun) >= every.min(AGAIN_AFTER),
        }
    }
}

fn within(what: &'static str, found: u32, allowed: &RangeInclusive<u32>) -> Result<(), GroupError> {
    let (least, most) = (*allowed.start(), *allowed.end());
    if allowed.contains(&found) { Ok(()) } else { Err(GroupError::Span { what, found, least, most }) }
}

impl Record for Group {
    const KIND: &'static str = "group";

    fn name(&self) -> String {
        self.name.to_string()
    }
}

impl Record for GroupMember {
    const KIND: &'static str = "group-member";

    fn name(&self) -> String {
        self.machine.to_string()
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

    fn shop() -> Group {
        Group::new(name("shop"), vec![name("web"), name("db")], None, None, at(100)).unwrap()
    }

    #[test]
    fn a_group_has_each_member_once_and_at_least_one() {
        let group = shop();
        assert_eq!(group.machines, [name("db"), name("web")]);
        assert_eq!(group.clone().with(name("web")), Err(GroupError::Twice(name("web"))));
        let lone = group.without(&name("web")).unwrap();
        assert_eq!(lone.clone().without(&name("db")), Err(GroupError::Size(0)));
        assert!(matches!(lone.without(&name("web")), Err(GroupError::NotMember { .. })));
        assert_eq!(Group::new(name("a"), Vec::new(), None, None, at(0)), Err(GroupError::Size(0)));
        let many = (0..=GROUP_MEMBERS_MAX).map(|at| name(&format!("m{at}"))).collect();
        assert_eq!(Group::new(name("a"), many, None, None, at(0)), Err(GroupError::Size(65)));
    }

    #[test]
    fn writes_are_held_no_longer_than_allowed() {
        for (hold, lawful) in [(199, false), (200, true), (60_000, true), (60_001, false)] {
            let group = Group::new(name("a"), vec![name("m")], None, Some(hold), at(0));
            assert_eq!(group.is_ok(), lawful, "{hold}");
        }
        assert!(Group::new(name("a"), vec![name("m")], Some(9), None, at(0)).is_err());
    }

    #[test]
    fn numbers_rise_above_what_any_history_holds() {
        let group = shop().numbering(0);
        assert_eq!(group.numbered, 1);
        assert_eq!(group.numbering(7).numbered, 8, "made anew after it was deleted");
    }

    #[test]
    fn a_point_is_due_after_its_interval_and_after_a_failure_sooner() {
        let every = Duration::from_secs(3600);
        let mut group = shop();
        assert!(!group.is_due(every, at(3699)) && group.is_due(every, at(3700)));
        group.last = Some(GroupAttempt { number: 1, begun: at(5000).into(), failed: None });
        assert!(!group.is_due(every, at(8599)) && group.is_due(every, at(8600)));
        group.last = Some(GroupAttempt { number: 2, begun: at(5000).into(), failed: Some("no".into()) });
        assert!(!group.is_due(every, at(5059)) && group.is_due(every, at(5060)));
        assert!(group.is_due(Duration::from_secs(10), at(5010)));
    }

    #[test]
    fn an_older_group_reads_with_what_it_lacks() {
        let group = Group::decode(&shop().key(), r#"{"name":"shop","machines":["db"]}"#).unwrap();
        assert_eq!((group.hold_ms, group.numbered, group.last), (HOLD_MS_DEFAULT, 0, None));
    }
}
