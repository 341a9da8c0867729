//! What is kept of a machine, and what happens when there is no room for it.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use units::{ByteLen, ByteOffset, DiskIndex, EpochNumber, Sequence, Timestamp};

/// What an operator wants for a machine, or for all that have nothing of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The age of the newest durable recovery point that is still well, in seconds.
    pub rpo_seconds: u32,
    /// How far back recovery points reach, in seconds.
    pub window_seconds: u32,
    /// How old the newest application-consistent point may be, in seconds; 0 asks for none.
    pub application_seconds: u32,
    /// Most bytes of history.
    pub budget: ByteLen,
    /// What happens when the retention volume is full.
    pub when_full: WhenFull,
}

/// What happens when the retention volume is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WhenFull {
    /// The oldest epochs go.
    Shrink,
    /// Old epochs keep their before-images, and lose what lies between their first and last moment.
    Thin,
    /// Nothing more is acked: the source is held back.
    Pause,
}

/// A recovery point that an operator wants kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The point.
    pub sequence: Sequence,
    /// When it may go; never, if not told.
    pub expires: Option<Timestamp>,
    /// Why it is kept, for people.
    pub note: String,
}

/// A range of a disk whose content, at some points, is lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// The disk.
    pub disk: DiskIndex,
    /// Where the range starts.
    pub start: ByteOffset,
    /// How long it is.
    pub len: ByteLen,
    /// Where the damaged bytes lie.
    pub place: DamagedPlace,
    /// The first point that is spoilt.
    pub first: Sequence,
    /// The last; not told while the damage goes on.
    pub last: Option<Sequence>,
    /// When it was found.
    pub found: Timestamp,
}

/// Where damaged bytes lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DamagedPlace {
    /// On the target disk itself.
    Target,
    /// In the redo log of an epoch.
    Redo {
        /// Which epoch.
        epoch: EpochNumber,
        /// Where the record starts.
        position: ByteOffset,
    },
    /// In the undo log of an epoch.
    Undo {
        /// Which epoch.
        epoch: EpochNumber,
        /// Where the record starts.
        position: ByteOffset,
    },
}

/// The least and the most an operator may ask for, in seconds.
pub const RPO_SECONDS: RangeInclusive<u32> = 10..=7 * 86_400;
/// See [`RPO_SECONDS`].
pub const WINDOW_SECONDS: RangeInclusive<u32> = 60..=366 * 86_400;
/// See [`RPO_SECONDS`]; 0 is allowed too.
pub const APPLICATION_SECONDS: RangeInclusive<u32> = 60..=31 * 86_400;
/// The least and the most budget an operator may ask for.
pub const BUDGET: RangeInclusive<ByteLen> = ByteLen(64 << 20)..=ByteLen(1 << 50);

/// A value of a policy that is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {found}, allowed is {allowed}")]
pub struct PolicyError {
    /// Which.
    pub field: &'static str,
    /// Found, in words.
    pub found: String,
    /// Allowed, in words.
    pub allowed: &'static str,
}

impl Policy {
    /// Returns how far back recovery points reach.
    pub fn window(&self) -> Duration {
        Duration::from_secs(self.window_seconds.into())
    }

    /// Returns the age of the newest recovery point that is still well.
    pub fn rpo(&self) -> Duration {
        Duration::from_secs(self.rpo_seconds.into())
    }

    /// Checks every value against its bounds. Errors: the first that is outside.
    pub fn check(&self) -> Result<(), PolicyError> {
        let seconds = |field, found: u32, lawful: bool, allowed| {
            let found = format!("{found} s");
            if lawful { Ok(()) } else { Err(PolicyError { field, found, allowed }) }
        };
        let application = self.application_seconds;
        let application_lawful = application == 0 || APPLICATION_SECONDS.contains(&application);
        seconds("the RPO threshold", self.rpo_seconds, RPO_SECONDS.contains(&self.rpo_seconds), "10s to 7d")?;
        let window_lawful = WINDOW_SECONDS.contains(&self.window_seconds);
        seconds("the window", self.window_seconds, window_lawful, "1m to 366d")?;
        let field = "the time between application-consistent points";
        seconds(field, application, application_lawful, "0, or 1m to 31d")?;
        if BUDGET.contains(&self.budget) {
            return Ok(());
        }
        let (field, found) = ("the budget", self.budget.to_string());
        Err(PolicyError { field, found, allowed: "64MiB to 1PiB" })
    }
}

impl Default for Policy {
    /// Returns what the retired product had fixed: 15 minutes, 24 hours, every hour.
    fn default() -> Self {
        Self {
            rpo_seconds: 15 * 60,
            window_seconds: 24 * 3600,
            application_seconds: 3600,
            budget: ByteLen(1 << 50),
            when_full: WhenFull::Shrink,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_and_the_bounds_are_lawful_and_what_lies_outside_is_named() {
        let lawful = Policy::default();
        assert_eq!(lawful.check(), Ok(()));
        let cases = [
            (Policy { rpo_seconds: 9, ..lawful }, "the RPO threshold is 9 s, allowed is 10s to 7d"),
            (Policy { window_seconds: 59, ..lawful }, "the window is 59 s, allowed is 1m to 366d"),
            (Policy { budget: ByteLen::mib(63), ..lawful }, "the budget is 63 MiB, allowed is 64MiB to 1PiB"),
        ];
        for (policy, told) in cases {
            assert_eq!(policy.check().map_err(|error| error.to_string()), Err(told.to_owned()));
        }
        for application_seconds in [0, 60, 31 * 86_400] {
            assert_eq!(Policy { application_seconds, ..lawful }.check(), Ok(()));
        }
        for application_seconds in [1, 59, 31 * 86_400 + 1] {
            assert!(Policy { application_seconds, ..lawful }.check().is_err());
        }
    }
}
