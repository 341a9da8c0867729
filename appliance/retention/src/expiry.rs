//! Which whole epochs may go, and why. Nothing is ever cleaned or merged.

use std::time::Duration;

use units::{ByteLen, EpochNumber, Sequence, Timestamp};

/// How much history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// Epochs that closed longer ago than this go.
    pub window: Duration,
    /// The oldest go while the journal is larger than this.
    pub budget: ByteLen,
}

/// What is to be known of a sealed epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochSummary {
    /// Which.
    pub epoch: EpochNumber,
    /// Its last sequence.
    pub last: Sequence,
    /// When its last record was received.
    pub closed: Timestamp,
    /// What it takes on the volume.
    pub size: ByteLen,
}

/// Why an epoch goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpiryReason {
    /// It closed before the window.
    Age {
        /// How long ago it closed.
        closed_for: Duration,
    },
    /// The journal is over its budget.
    Size {
        /// What the journal took before this one went.
        journal: ByteLen,
    },
}

/// One epoch that goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Which.
    pub epoch: EpochSummary,
    /// Why.
    pub reason: ExpiryReason,
}

/// Plans the expiry: oldest first, each with its reason, up to the first that may stay. `sealed` is oldest first; `open` is what
/// the epoch in use takes, which never goes.
pub fn plan_expiry(
    sealed: &[EpochSummary],
    open: ByteLen,
    policy: RetentionPolicy,
    now: Timestamp,
) -> Vec<Expired> {
    assert!(sealed.windows(2).all(|pair| pair[0].epoch < pair[1].epoch), "epochs are listed oldest first");
    let mut journal = open + sealed.iter().map(|epoch| epoch.size).sum();
    let mut expired = Vec::new();
    for &epoch in sealed {
        let closed_for = now.since(epoch.closed);
        let reason = if closed_for > policy.window {
            ExpiryReason::Age { closed_for }
        } else if journal > policy.budget {
            ExpiryReason::Size { journal }
        } else {
            break;
        };
        expired.push(Expired { epoch, reason });
        journal = ByteLen(journal.0 - epoch.size.0);
    }
    expired
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_epochs_go_first_for_age_then_for_size() {
        let epoch = |number: u64| EpochSummary {
            epoch: EpochNumber(number),
            last: Sequence(number * 10),
            closed: Timestamp(number * 1_000_000),
            size: ByteLen::mib(10),
        };
        let sealed = [1, 2, 3, 4].map(epoch);
        let policy = RetentionPolicy { window: Duration::from_secs(8), budget: ByteLen::mib(25) };
        let expired = plan_expiry(&sealed, ByteLen::mib(1), policy, Timestamp(9_500_000));
        let reasons: Vec<_> = expired.iter().map(|each| (each.epoch.epoch.0, each.reason)).collect();
        let age = ExpiryReason::Age { closed_for: Duration::from_millis(8500) };
        assert_eq!(reasons, [(1, age), (2, ExpiryReason::Size { journal: ByteLen::mib(31) })]);
    }
}
