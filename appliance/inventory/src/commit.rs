//! What becomes of a machine by itself that stands at a recovery point: nothing, or it is committed or brought back after a time.
//!
//! *Invariants:* the time begins when the point was reached, and begins anew when the policy changes or the machine is brought to a
//! point again; a policy is of one machine by its id, so that another one of the same name does not have it; a clock that jumps takes the
//! deadlines with it.

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
/// A clock that is off by more was set.
const JUMP_LEAST: Duration = Duration::from_secs(60);

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
    /// What is known of how it came there.
    #[serde(flatten)]
    pub stand: Stand,
    /// What was to become of it by itself.
    pub by: CommitBy,
    /// After how many seconds.
    pub after_seconds: u32,
    /// From when on they count.
    pub since: Rfc3339,
}

/// Where a machine stands, and how it came there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stand {
    /// The point.
    pub at: Sequence,
    /// The job that brought it there, as far as it is known.
    #[serde(default)]
    pub job: Option<u64>,
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
        Self { of: None, by: CommitBy::None, after_seconds: COMMIT_SECONDS_DEFAULT }
    }

    /// Tells whether the time is within its bounds.
    pub fn is_lawful(&self) -> bool {
        COMMIT_SECONDS.contains(&self.after_seconds)
    }

    /// Returns the name under which the policy of a machine is kept.
    pub fn name_of(machine: &MachineName) -> String {
        format!("machine/{machine}")
    }
}

impl Standing {
    /// Returns what is to be noted of a machine that stands at a point. `reached` is when its job brought it there, if that is known.
    #[must_use]
    pub fn noted(
        before: Option<&Self>,
        (of, stand): (CommitSubject, Stand),
        policy: &CommitPolicy,
        reached: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        // Jobs of long ago are forgotten: that is no other job.
        let same = |known: &Stand| known.at == stand.at && stand.job.is_none_or(|job| known.job == Some(job));
        let known = before.filter(|before| before.of == of && same(&before.stand));
        let stand = known.map_or(stand, |known| known.stand);
        let alike = |known: &&Self| known.by == policy.by && known.after_seconds == policy.after_seconds;
        let since = match (known, known.filter(alike)) {
            (_, Some(same)) => same.since,
            // Another policy.
            (Some(_), None) => now.into(),
            (None, None) => reached.map_or(now, |reached| reached.min(now)).into(),
        };
        Self { of, stand, by: policy.by, after_seconds: policy.after_seconds, since }
    }

    /// Returns what becomes of the machine by itself, if anything does.
    pub fn due(&self) -> Option<CommitDue> {
        if self.by == CommitBy::None {
            return None;
        }
        let after = Duration::from_secs(self.after_seconds.into());
        let at = self.since.0.after(after);
        let notice = (after / NOTICE_PART).clamp(*NOTICE.start(), *NOTICE.end());
        Some(CommitDue { by: self.by, at, notice: at.before(notice) })
    }

    /// Returns it after the clock has jumped: what is left stays what it was.
    #[must_use]
    pub fn shifted(&self, jump: ClockJump) -> Self {
        let since = match jump {
            ClockJump::Ahead(by) => self.since.0.after(by),
            ClockJump::Back(by) => self.since.0.before(by),
        };
        Self { since: since.into(), ..self.clone() }
    }
}

/// A clock that was set while somebody watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockJump {
    /// It is ahead of what it should be.
    Ahead(Duration),
    /// It is behind.
    Back(Duration),
}

impl ClockJump {
    /// Compares a clock with what it should show: what it showed before, and what has passed since by one that never jumps. What is within a
    /// minute is no jump.
    pub fn between(before: Timestamp, passed: Duration, now: Timestamp) -> Option<Self> {
        let expected = before.after(passed);
        let (ahead, back) = (now.since(expected), expected.since(now));
        match (ahead > JUMP_LEAST, back > JUMP_LEAST) {
            (true, _) => Some(Self::Ahead(ahead)),
            (_, true) => Some(Self::Back(back)),
            _ => None,
        }
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

    const STAND: Stand = Stand { at: Sequence(7), job: Some(3) };

    fn standing(by: CommitBy, after_seconds: u32) -> Standing {
        Standing { of: subject(1), stand: STAND, by, after_seconds, since: at(1000).into() }
    }

    fn policy(by: CommitBy, after_seconds: u32) -> CommitPolicy {
        CommitPolicy { of: Some(subject(1)), by, after_seconds }
    }

    #[test]
    fn what_is_due_is_told_before() {
        let due = |by, after| standing(by, after).due().map(|due| (due.by, due.at, due.notice));
        assert_eq!(due(CommitBy::None, 600), None);
        let commit = (CommitBy::Commit, at(1000 + 14_400), at(1000 + 14_400 - 3600));
        assert_eq!(due(CommitBy::Commit, 14_400), Some(commit));
        let cancel = (CommitBy::Cancel, at(1000 + 600), at(1000 + 600 - 150));
        assert_eq!(due(CommitBy::Cancel, 600), Some(cancel));
        let short = (CommitBy::Commit, at(1010), at(950));
        assert_eq!(due(CommitBy::Commit, 10), Some(short), "it is told at once");
    }

    #[test]
    fn the_time_begins_when_the_point_was_reached_and_anew_with_another_policy_or_failback() {
        let before = standing(CommitBy::Commit, 600);
        let noted = |before: Option<&Standing>, stand, after, reached: Option<u64>| {
            let policy = policy(CommitBy::Commit, after);
            Standing::noted(before, (subject(1), stand), &policy, reached.map(at), at(5000)).since.0
        };
        assert_eq!(noted(None, STAND, 600, None), at(5000), "nothing is known: from now on");
        assert_eq!(noted(None, STAND, 600, Some(4000)), at(4000));
        assert_eq!(noted(None, STAND, 600, Some(9000)), at(5000), "the clock was set back since");
        assert_eq!(noted(Some(&before), STAND, 600, Some(4000)), at(1000), "what is noted stays");
        assert_eq!(noted(Some(&before), STAND, 601, Some(900)), at(5000), "another policy");
        let again = Stand { job: Some(4), ..STAND };
        assert_eq!(noted(Some(&before), again, 600, Some(4000)), at(4000), "brought there again");
        let forgotten = Stand { job: None, ..STAND };
        assert_eq!(noted(Some(&before), forgotten, 600, None), at(1000), "the job is forgotten");
        let policy = policy(CommitBy::Commit, 600);
        let other = Standing::noted(Some(&before), (subject(2), STAND), &policy, None, at(5000));
        assert_eq!(other.since.0, at(5000), "another machine of the name");
    }

    #[test]
    fn a_clock_that_jumps_takes_the_deadlines_with_it() {
        let second = Duration::from_secs(1);
        let between = |now| ClockJump::between(at(1000), second * 5, at(now));
        assert_eq!([between(1005), between(1065), between(945)], [None, None, None]);
        let (ahead, back) = (ClockJump::Ahead(second * 61), ClockJump::Back(second * 61));
        assert_eq!((between(1066), between(944)), (Some(ahead), Some(back)));
        let standing = standing(CommitBy::Commit, 600);
        assert_eq!(standing.shifted(ahead).since.0, at(1061));
        assert_eq!(standing.shifted(ahead).shifted(back), standing);
    }

    #[test]
    fn both_records_are_readable_and_kept_under_their_machine() {
        let own = policy(CommitBy::Commit, 600);
        assert_eq!(own.key().as_str(), "commit-policy/machine/web-01");
        assert_eq!(CommitPolicy::decode(&own.key(), &own.encode()).unwrap(), own);
        let default = CommitPolicy::none();
        assert_eq!(default.key().as_str(), "commit-policy/default");
        assert_eq!(CommitPolicy::decode(&default.key(), &default.encode()).unwrap(), default);
        let standing = standing(CommitBy::Commit, 600);
        let text = standing.encode();
        assert!(text.starts_with(r#"{"machine":"web-01","id":"0101"#), "{text}");
        assert_eq!(Standing::decode(&standing.key(), &text).unwrap(), standing);
    }

    #[test]
    fn times_have_bounds() {
        let lawful =
            [9, 10, 31 * 86_400, 31 * 86_400 + 1].map(|after| policy(CommitBy::None, after).is_lawful());
        assert_eq!(lawful, [false, true, true, false]);
    }
}
