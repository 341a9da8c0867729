//! What becomes of a machine by itself that stands at a recovery point: nothing, or it is committed or brought back after a time.
//!
//! *Invariants:* the time begins when the point was reached, and begins anew when the policy changes or the machine is brought to a
//! point again; a policy is of one machine by its id, so that another one of the same name does not have it.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use units::{MachineId, MachineName, Rfc3339, Sequence, Timestamp, as_text};

use crate::Record;

/// Seconds after which something may become of a machine by itself.
pub const COMMIT_SECONDS: RangeInclusive<u32> = 10..=31 * 86_400;
/// Seconds, where nothing is said of them.
pub const COMMIT_SECONDS_DEFAULT: u32 = 4 * 3600;
/// How long before it happens it is an alarm: a quarter of the whole time, within these bounds.
const NOTICE: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(3600);
const NOTICE_PART: u32 = 4;

/// What becomes of a machine by itself that stands at a recovery point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CommitBy {
    /// Nothing: somebody commits or cancels.
    #[default]
    None,
    /// The point is accepted for good.
    Commit,
    /// The target disks are brought back to the latest, and replication goes on.
    Cancel,
}

/// What becomes of machines by themselves, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitPolicy {
    /// Of which machine; of all that have none of their own when absent.
    #[serde(default)]
    pub of: Option<CommitSubject>,
    /// What.
    pub by: CommitBy,
    /// How long after the point was reached, in seconds.
    pub after_seconds: u32,
    /// When somebody wanted it so.
    pub set: Rfc3339,
}

/// A machine, and which of those that have had its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitSubject {
    /// Its name.
    pub machine: MachineName,
    /// Its id.
    #[serde(with = "as_text")]
    pub id: MachineId,
}

/// A machine that stands at a recovery point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Which.
    #[serde(flatten)]
    pub of: CommitSubject,
    /// The point.
    pub at: Sequence,
    /// Since when.
    pub since: Rfc3339,
}

/// What becomes of a machine by itself, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitDue {
    /// What; never nothing.
    pub by: CommitBy,
    /// When.
    pub at: Timestamp,
    /// From when on it is an alarm.
    pub notice: Timestamp,
}

impl CommitPolicy {
    /// Returns the policy where nobody has wanted any: nothing happens.
    pub fn none() -> Self {
        let (by, set) = (CommitBy::None, Timestamp(0).into());
        Self { of: None, by, after_seconds: COMMIT_SECONDS_DEFAULT, set }
    }

    /// Tells whether the time is within its bounds.
    pub fn is_lawful(&self) -> bool {
        COMMIT_SECONDS.contains(&self.after_seconds)
    }

    /// Returns what becomes of a machine by this policy, if anything does.
    pub fn due(&self, standing: &Standing) -> Option<CommitDue> {
        if self.by == CommitBy::None {
            return None;
        }
        let after = Duration::from_secs(self.after_seconds.into());
        let at = standing.since.0.max(self.set.0).after(after);
        let notice = (after / NOTICE_PART).clamp(*NOTICE.start(), *NOTICE.end());
        Some(CommitDue { by: self.by, at, notice: at.before(notice) })
    }

    /// Returns the name under which the policy of a machine is kept.
    pub fn name_of(machine: &MachineName) -> String {
        format!("machine/{machine}")
    }
}

impl Standing {
    /// Returns what is to be noted of a machine that stands at a point. `reached` is what is known of the last failback: its point, and when
    /// the disks stood there.
    #[must_use]
    pub fn noted(
        before: Option<&Self>,
        of: CommitSubject,
        at: Sequence,
        reached: Option<(Sequence, Rfc3339)>,
        now: Timestamp,
    ) -> Self {
        let reached = reached.filter(|(to, _)| *to == at).map(|(_, time)| time);
        let known = before.filter(|before| before.of == of && before.at == at).map(|before| before.since);
        let since = match (known, reached) {
            (Some(known), Some(reached)) => Rfc3339(known.0.max(reached.0)),
            (known, reached) => known.or(reached).unwrap_or(now.into()),
        };
        Self { of, at, since }
    }
}

impl Record for CommitPolicy {
    const KIND: &'static str = "commit-policy";

    fn name(&self) -> String {
        self.of.as_ref().map_or_else(|| "default".to_owned(), |of| Self::name_of(&of.machine))
    }
}

impl Record for Standing {
    const KIND: &'static str = "standing";

    fn name(&self) -> String {
        self.of.machine.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp(seconds * 1_000_000)
    }

    fn subject(id: u8) -> CommitSubject {
        CommitSubject { machine: "web-01".parse().unwrap(), id: MachineId([id; 16]) }
    }

    fn standing(since: u64) -> Standing {
        Standing { of: subject(1), at: Sequence(7), since: at(since).into() }
    }

    fn policy(by: CommitBy, after_seconds: u32, set: u64) -> CommitPolicy {
        CommitPolicy { of: Some(subject(1)), by, after_seconds, set: at(set).into() }
    }

    #[test]
    fn the_time_begins_when_the_point_was_reached_or_with_the_policy_if_that_came_later() {
        let due = |policy: CommitPolicy| policy.due(&standing(1000)).map(|due| (due.by, due.at, due.notice));
        assert_eq!(CommitPolicy::none().due(&standing(1000)), None);
        let commit = (CommitBy::Commit, at(1000 + 14_400), at(1000 + 14_400 - 3600));
        assert_eq!(due(policy(CommitBy::Commit, 14_400, 5)), Some(commit));
        let cancel = (CommitBy::Cancel, at(2000 + 600), at(2000 + 600 - 150));
        assert_eq!(due(policy(CommitBy::Cancel, 600, 2000)), Some(cancel));
        let short = (CommitBy::Commit, at(1010), at(950));
        assert_eq!(due(policy(CommitBy::Commit, 10, 5)), Some(short), "it is told at once");
    }

    #[test]
    fn what_is_known_of_a_standing_stays_until_the_machine_is_brought_there_again() {
        let noted = |before: Option<&Standing>, id, reached: Option<(u64, u64)>| {
            let reached = reached.map(|(to, time)| (Sequence(to), at(time).into()));
            Standing::noted(before, subject(id), Sequence(7), reached, at(5000)).since.0
        };
        assert_eq!(noted(None, 1, None), at(5000), "nothing is known: from now on");
        assert_eq!(noted(None, 1, Some((7, 4000))), at(4000));
        assert_eq!(noted(None, 1, Some((6, 4000))), at(5000), "that was another point");
        assert_eq!(noted(Some(&standing(1000)), 1, Some((7, 900))), at(1000));
        assert_eq!(noted(Some(&standing(1000)), 1, Some((7, 4000))), at(4000), "brought there again");
        assert_eq!(noted(Some(&standing(1000)), 2, None), at(5000), "another machine of the name");
    }

    #[test]
    fn both_records_are_readable_and_kept_under_their_machine() {
        let own = policy(CommitBy::Commit, 600, 5);
        assert_eq!(own.key().as_str(), "commit-policy/machine/web-01");
        assert_eq!(CommitPolicy::decode(&own.key(), &own.encode()).unwrap(), own);
        let default = CommitPolicy::none();
        assert_eq!(default.key().as_str(), "commit-policy/default");
        assert_eq!(CommitPolicy::decode(&default.key(), &default.encode()).unwrap(), default);
        let text = standing(1).encode();
        assert!(text.starts_with(r#"{"machine":"web-01","id":"0101"#), "{text}");
        assert_eq!(Standing::decode(&standing(1).key(), &text).unwrap(), standing(1));
    }

    #[test]
    fn times_have_bounds() {
        let lawful = [9, 10, 31 * 86_400, 31 * 86_400 + 1].map(|after| policy(CommitBy::None, after, 0).is_lawful());
        assert_eq!(lawful, [false, true, true, false]);
    }
}
