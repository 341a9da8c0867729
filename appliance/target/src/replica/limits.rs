//! The named limits of a replica.

use std::time::Duration;

use retention::Policy;
use units::ByteLen;

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
    /// Bytes of payload destaged between two checkpoints; bounds the replay after a crash together with `lag_len`.
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
            group_len: ByteLen::mib(4),
            round_len: ByteLen::mib(16),
            gather_len: ByteLen::mib(1),
            gather_age: Duration::from_millis(20),
            checkpoint_len: ByteLen::mib(128),
            lag_len: ByteLen::mib(256),
            before_level: -5,
            retention: Policy::default(),
            #[cfg(feature = "planted-bugs")]
            planted: None,
        }
    }
}
