//! How large a retention volume must be: the published formula, term by term.
//!
//! ```text
//! written = churn × (window + epoch)          whole epochs expire, so the oldest one reaches beyond the window
//! redo    = written ÷ compression × 129/128   every write, as it came over the wire, and its records
//! undo    = written × (1 − overwritten) ÷ compression × 129/128
//!                                             the content before the first write of each granule in an epoch
//! index   = (written + written × (1 − overwritten)) ÷ 256
//! reserve = 4 × 64 MiB                        what the logs in use are lengthened by, and room for the next epoch's
//! volume  = (redo + undo + index + reserve) ÷ 0.9
//!                                             a tenth stays free: below that, status says so
//! ```

use std::time::Duration;

use units::ByteLen;

/// The age at which an epoch ends, unless `landfalld` is told another.
pub const EPOCH_AGE: Duration = Duration::from_secs(15 * 60);
/// Logs are lengthened by this much at a time.
pub const LOG_CHUNK: ByteLen = ByteLen::mib(64);
/// A ratio of one, in thousandths.
pub const WHOLE: u32 = 1000;

/// Records and their padding add one part in this many.
const RECORD_PARTS: u128 = 128;
/// An index takes one part in this many of what it is about.
const INDEX_PARTS: u128 = 256;
/// Chunks that are reserved: both logs of the epoch in use, and of the next.
const RESERVE_CHUNKS: u64 = 4;
/// What may be in use of a volume, in thousandths.
const FILL: u32 = 900;

/// What a machine writes, and what is wanted of its history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Bytes of disk that change in a second, as the source sends them.
    pub churn: ByteLen,
    /// How far back recovery points reach.
    pub window: Duration,
    /// How many times smaller the data becomes, in thousandths; at least 1000.
    pub compression: u32,
    /// How much of the churn is written over again within one epoch, in thousandths; at most 1000.
    pub overwritten: u32,
}

/// What the history takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizing {
    /// Every write.
    pub redo: ByteLen,
    /// What was there before.
    pub undo: ByteLen,
    /// What tells where both are.
    pub index: ByteLen,
    /// What the logs in use are lengthened by.
    pub reserve: ByteLen,
    /// The volume.
    pub volume: ByteLen,
}

impl Sizing {
    /// Returns what all parts take together.
    pub fn history(&self) -> ByteLen {
        self.redo + self.undo + self.index + self.reserve
    }
}

impl Workload {
    /// Computes what the history takes. Panics on ratios out of bounds: whoever reads them checks them.
    pub fn sizing(&self) -> Sizing {
        assert!(self.compression >= WHOLE, "compression makes nothing larger");
        let span = (self.window + EPOCH_AGE).as_millis();
        let written = u128::from(self.churn.0) * span / 1000;
        let first = written * u128::from(self.first_touched()) / u128::from(WHOLE);
        let stored = |raw: u128| {
            let encoded = raw * u128::from(WHOLE) / u128::from(self.compression);
            bytes(encoded + encoded.div_ceil(RECORD_PARTS))
        };
        let (redo, undo, index) =
            (stored(written), stored(first), bytes((written + first).div_ceil(INDEX_PARTS)));
        let reserve = ByteLen(RESERVE_CHUNKS * LOG_CHUNK.0);
        let history = [redo, undo, index, reserve].iter().map(|part| u128::from(part.0)).sum::<u128>();
        let volume = bytes((history * u128::from(WHOLE)).div_ceil(u128::from(FILL)));
        Sizing { redo, undo, index, reserve, volume }
    }

    /// Returns the longest window, in whole minutes, that a volume of this size has room for; nothing if there is none.
    pub fn window_on(&self, volume: ByteLen) -> Option<Duration> {
        const MINUTES_MAX: u64 = 366 * 24 * 60;
        let fits = |minutes: u64| {
            let window = Duration::from_secs(minutes * 60);
            Self { window, ..*self }.sizing().volume <= volume
        };
        let (mut low, mut high) = (0, MINUTES_MAX);
        while low < high {
            let middle = (low + high).div_ceil(2);
            if fits(middle) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        (low > 0).then(|| Duration::from_secs(low * 60))
    }

    fn first_touched(&self) -> u32 {
        WHOLE.checked_sub(self.overwritten).expect("no more than all is written over")
    }
}

fn bytes(bytes: u128) -> ByteLen {
    ByteLen(u64::try_from(bytes).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn workload(compression: u32, overwritten: u32) -> Workload {
        Workload { churn: ByteLen::mib(12), window: DAY, compression, overwritten }
    }

    #[test]
    fn the_terms_are_those_of_the_formula() {
        let plain = workload(1000, 0).sizing();
        let written = (12 * (86_400 + 900)) << 20;
        assert_eq!(plain.redo.0, written + written / 128);
        assert_eq!((plain.undo, plain.index.0), (plain.redo, written / 128));
        assert_eq!(plain.reserve, ByteLen::mib(256));
        let small = workload(2000, 750).sizing();
        assert_eq!((small.redo.0, small.undo.0), (plain.redo.0 / 2, plain.redo.0 / 8));
        assert_eq!(small.volume.0, (small.history().0 * 1000).div_ceil(900));
    }

    #[test]
    fn the_window_a_volume_has_room_for_is_the_inverse_of_its_size() {
        for workload in [workload(1000, 0), workload(3300, 400)] {
            let volume = workload.sizing().volume;
            assert_eq!(workload.window_on(volume), Some(DAY));
            assert_eq!(workload.window_on(ByteLen(volume.0 - 1)), Some(DAY - Duration::from_secs(60)));
        }
        assert_eq!(workload(1000, 0).window_on(ByteLen::mib(200)), None);
        let most = Workload { churn: ByteLen(u64::MAX), ..workload(1000, 0) };
        assert_eq!(most.sizing().volume, ByteLen(u64::MAX), "no sum goes round");
    }
}
