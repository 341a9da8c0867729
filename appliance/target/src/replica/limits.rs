//! The named limits of a replica.

use std::time::Duration;

use retention::Policy;
use units::ByteLen;

/// Bytes of redo that are written again after a crash at the most (I9), with the limits as they are by default.
const REPLAY_LEN_MAX: ByteLen = ByteLen::mib(256);
const LAG_LEN: ByteLen = ByteLen::mib(112);
const CHECKPOINT_LEN: ByteLen = ByteLen::mib(96);
const GROUP_LEN: ByteLen = ByteLen::mib(4);
const ROUND_LEN: ByteLen = ByteLen::mib(16);

// One group comes while there is still room; two rounds are under way when a checkpoint becomes due, and what a round writes is an
// eighth shorter than its records at the most.
const _: () = assert!(
    CHECKPOINT_LEN.0 + 2 * ROUND_LEN.0 * 9 / 8 + LAG_LEN.0 + GROUP_LEN.0 <= REPLAY_LEN_MAX.0,
    "the replay after a crash is bounded"
);

/// The limits of one machine's replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaLimits {
    /// Bytes a log is lengthened by at a time; a multiple of 4096.
    pub log_chunk: ByteLen,
    /// A new epoch begins behind the first recovery point after the redo log of the present one is longer than this,
    pub epoch_len: ByteLen,
    /// or the present one older than this; and without one when it is twice that.
    pub epoch_age: Duration,
    /// Bytes of payload committed at once.
    pub group_len: ByteLen,
    /// Bytes of target disk written in one destage round.
    pub round_len: ByteLen,
    /// What waits to be destaged is gathered until it is as many bytes as this,
    pub gather_len: ByteLen,
    /// or the oldest of it has waited so long, or something waits for it.
    pub gather_age: Duration,
    /// Bytes of redo destaged between two checkpoints; bounds the replay after a crash together with `lag_len`.
    pub checkpoint_len: ByteLen,
    /// Bytes of redo that may wait to be destaged before the source is held back.
    pub lag_len: ByteLen,
    /// zstd level of before-images.
    pub before_level: i32,
    /// What is kept, unless the machine has a policy of its own or is told another default.
    pub retention: Policy,
    /// The mistake that is made on purpose.
    #[cfg(feature = "planted-bugs")]
    pub planted: Option<super::planted::Planted>,
}

impl Default for ReplicaLimits {
    fn default() -> Self {
        Self {
            log_chunk: ByteLen::mib(64),
            epoch_len: ByteLen::mib(512),
            epoch_age: Duration::from_secs(15 * 60),
            group_len: GROUP_LEN,
            round_len: ROUND_LEN,
            gather_len: ByteLen::mib(1),
            gather_age: Duration::from_millis(20),
            checkpoint_len: CHECKPOINT_LEN,
            lag_len: LAG_LEN,
            before_level: -5,
            retention: Policy::default(),
            #[cfg(feature = "planted-bugs")]
            planted: None,
        }
    }
}
