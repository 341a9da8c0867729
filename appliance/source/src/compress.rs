//! Compression of leaves, and the choice of how much of it pays.
//!
//! On a fast link compression costs more than it saves; on a slow one it multiplies what gets through. Which it is, is
//! measured: what the link takes per second, and what a sample of the real data costs and saves at each level.

use std::time::Instant;

use crate::config::Compression;

/// What a leaf must shrink to, to travel compressed: 7/8 of its length.
const KEEP_NUMERATOR: usize = 7;
const KEEP_DENOMINATOR: usize = 8;
/// What one core reads and hashes in a second, in bytes: the part of the scan that compression is added to.
const SCAN_RATE: f64 = 2.5e9;
/// How much better another level must promise to be before it is tried.
const PROMISE: f64 = 1.25;
/// How much better it must turn out to be to be kept.
const PROOF: f64 = 1.05;
/// Above this many bytes per second no level of compression can help, so that none is sampled.
const LINK_RATE_MAX: f64 = 1.5e9;
/// Intervals without another trial after one that failed; doubled each time up to the second.
const REST: (u32, u32) = (16, 256);

/// How much compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// None.
    None,
    /// zstd −5.
    Fast,
    /// zstd 1.
    Zstd1,
}

/// What a level costs and saves on the data at hand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cost {
    /// Bytes compressed per second.
    pub(crate) rate: f64,
    /// Encoded bytes per byte.
    pub(crate) ratio: f64,
}

/// What the choice rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Measured {
    /// Payload bytes per second the link takes while there is something to send.
    pub(crate) link_rate: f64,
    /// At level `Fast`.
    pub(crate) fast: Cost,
    /// At level `Zstd1`.
    pub zstd1: Cost,
}

/// Returns the disk bytes per second to expect: scan and compression share one core, the link runs beside them.
fn expected(link_rate: f64, cost: Cost) -> f64 {
    let processor = 1.0 / (1.0 / SCAN_RATE + 1.0 / cost.rate);
    processor.min(link_rate / cost.ratio.max(0.001))
}

/// Returns the level that promises most, staying at `present` unless another promises clearly more.
pub(crate) fn choose(measured: &Measured, present: Level) -> Level {
    let none = Cost { rate: f64::INFINITY, ratio: 1.0 };
    let levels = [(Level::None, none), (Level::Fast, measured.fast), (Level::Zstd1, measured.zstd1)];
    let promise = |cost| expected(measured.link_rate, cost);
    let stay = levels.iter().find(|(level, _)| *level == present).map_or(0.0, |(_, cost)| promise(*cost));
    let best = levels.into_iter().max_by(|(_, a), (_, b)| promise(*a).total_cmp(&promise(*b)));
    best.filter(|(_, cost)| promise(*cost) > stay * PROMISE).map_or(present, |(level, _)| level)
}

/// What was seen since the last look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interval {
    /// Disk bytes sent per second of it.
    pub(crate) disk_rate: f64,
    /// Payload bytes per second the link took while there was something to send.
    pub(crate) link_rate: f64,
    /// Whether the link was busy most of the time, so that its rate says something.
    pub(crate) link_bound: bool,
}

/// The running choice: tries what promises more, keeps it only if it proves better.
#[derive(Debug)]
pub(crate) struct Adaptive {
    level: Level,
    trial: Option<Trial>,
    rest: u32,
    rest_next: u32,
}

#[derive(Debug)]
struct Trial {
    before: Level,
    disk_rate: f64,
}

impl Adaptive {
    /// Starts without compression.
    pub(crate) fn new() -> Self {
        Self { level: Level::None, trial: None, rest: 0, rest_next: REST.0 }
    }

    /// Returns the present choice.
    pub(crate) fn level(&self) -> Level {
        self.level
    }

    /// Looks at an interval; `sample` is asked for costs only when they can matter.
    pub(crate) fn step(&mut self, interval: Interval, sample: impl FnOnce() -> Option<(Cost, Cost)>) {
        if let Some(trial) = self.trial.take() {
            if interval.disk_rate < trial.disk_rate * PROOF {
                self.level = trial.before;
                self.rest = self.rest_next;
                self.rest_next = (self.rest_next * 2).min(REST.1);
            } else {
                self.rest_next = REST.0;
            }
            return;
        }
        self.rest = self.rest.saturating_sub(1);
        if self.rest > 0 || !interval.link_bound && self.level == Level::None {
            return;
        }
        let level = if interval.link_rate > LINK_RATE_MAX {
            Level::None
        } else {
            let Some((fast, zstd1)) = sample() else { return };
            choose(&Measured { link_rate: interval.link_rate, fast, zstd1 }, self.level)
        };
        if level != self.level {
            self.trial = Some(Trial { before: self.level, disk_rate: interval.disk_rate });
            self.level = level;
        }
    }
}

impl Default for Adaptive {
    fn default() -> Self {
        Self::new()
    }
}

/// Compresses leaves. One per thread: contexts are reused, which is a third faster at the size of a leaf.
pub struct Compressor {
    fast: zstd::bulk::Compressor<'static>,
    zstd1: zstd::bulk::Compressor<'static>,
    mode: Compression,
    adaptive: Adaptive,
    scratch: Vec<u8>,
}

impl Compressor {
    /// Makes the contexts. Errors: no memory.
    pub fn new(mode: Compression) -> std::io::Result<Self> {
        let (fast, zstd1) = (zstd::bulk::Compressor::new(-5)?, zstd::bulk::Compressor::new(1)?);
        let scratch = vec![0; units::ByteLen(units::LEAF_LEN).as_usize()];
        Ok(Self { fast, zstd1, mode, adaptive: Adaptive::new(), scratch })
    }

    /// Returns the level in use.
    pub fn level(&self) -> Level {
        match self.mode {
            Compression::Auto => self.adaptive.level(),
            Compression::None => Level::None,
            Compression::Fast => Level::Fast,
            Compression::Zstd1 => Level::Zstd1,
        }
    }

    /// Returns the leaf compressed, or `None` if it does not shrink enough to be worth it (or at level `None`).
    pub fn compress(&mut self, leaf: &[u8]) -> Option<&[u8]> {
        let level = self.level();
        let len = self.at(level, leaf)?;
        Some(&self.scratch[..len])
    }

    /// Looks at an interval, with a sample of the data being sent.
    pub(crate) fn observe(&mut self, interval: Interval, leaves: &[&[u8]]) {
        if self.mode != Compression::Auto || leaves.is_empty() {
            return;
        }
        let mut adaptive = std::mem::take(&mut self.adaptive);
        adaptive
            .step(interval, || Some((self.sample(Level::Fast, leaves), self.sample(Level::Zstd1, leaves))));
        self.adaptive = adaptive;
    }

    fn sample(&mut self, level: Level, leaves: &[&[u8]]) -> Cost {
        let start = Instant::now();
        let encoded: usize = leaves.iter().map(|leaf| self.at(level, leaf).unwrap_or(leaf.len())).sum();
        let bytes = leaves.iter().map(|leaf| leaf.len()).sum::<usize>() as f64;
        let seconds = start.elapsed().as_secs_f64().max(1e-9);
        Cost { rate: bytes / seconds, ratio: encoded as f64 / bytes }
    }

    fn at(&mut self, level: Level, leaf: &[u8]) -> Option<usize> {
        let context = match level {
            Level::None => return None,
            Level::Fast => &mut self.fast,
            Level::Zstd1 => &mut self.zstd1,
        };
        // A buffer of the size that pays makes the library give up early on what does not shrink.
        let room = leaf.len() * KEEP_NUMERATOR / KEEP_DENOMINATOR;
        context.compress_to_buffer(leaf, &mut self.scratch[..room]).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Cost = Cost { rate: 650e6, ratio: 0.38 };
    const ZSTD1: Cost = Cost { rate: 480e6, ratio: 0.30 };

    fn at(link_rate: f64, present: Level) -> Level {
        choose(&Measured { link_rate, fast: FAST, zstd1: ZSTD1 }, present)
    }

    fn interval(link_rate: f64, disk_rate: f64) -> Interval {
        Interval { disk_rate, link_rate, link_bound: true }
    }

    #[test]
    fn a_fast_link_gets_none_a_slow_one_the_best_ratio() {
        assert_eq!(at(3e9, Level::None), Level::None);
        assert_eq!(at(3e9, Level::Zstd1), Level::None);
        assert_eq!(at(200e6, Level::None), Level::Fast);
        assert_eq!(at(10e6, Level::None), Level::Zstd1);
    }

    #[test]
    fn what_does_not_shrink_is_never_compressed() {
        let (fast, zstd1) = (Cost { rate: 2e9, ratio: 1.0 }, Cost { rate: 900e6, ratio: 1.0 });
        for link_rate in [1e6, 100e6, 1e9] {
            assert_eq!(choose(&Measured { link_rate, fast, zstd1 }, Level::None), Level::None);
        }
    }

    #[test]
    fn a_small_promise_changes_nothing() {
        assert_eq!(at(10e6, Level::Zstd1), Level::Zstd1);
        assert_eq!(at(150e6, Level::Zstd1), Level::Zstd1);
    }

    #[test]
    fn a_level_that_does_not_prove_better_is_given_up_for_a_while() {
        let mut adaptive = Adaptive::new();
        adaptive.step(interval(300e6, 300e6), || Some((FAST, ZSTD1)));
        assert_eq!(adaptive.level(), Level::Fast);
        adaptive.step(interval(300e6, 290e6), || panic!("a trial is judged without a sample"));
        assert_eq!(adaptive.level(), Level::None);
        for _ in 0..REST.0 - 1 {
            adaptive.step(interval(300e6, 300e6), || panic!("no sample while at rest"));
        }
        adaptive.step(interval(300e6, 300e6), || Some((FAST, ZSTD1)));
        assert_eq!(adaptive.level(), Level::Fast);
    }

    #[test]
    fn a_level_that_proves_better_stays() {
        let mut adaptive = Adaptive::new();
        adaptive.step(interval(50e6, 50e6), || Some((FAST, ZSTD1)));
        adaptive.step(interval(50e6, 160e6), || None);
        assert_eq!(adaptive.level(), Level::Zstd1);
        adaptive.step(interval(50e6, 160e6), || Some((FAST, ZSTD1)));
        assert_eq!(adaptive.level(), Level::Zstd1);
    }

    #[test]
    fn a_link_that_became_fast_gets_no_compression() {
        let mut adaptive = Adaptive::new();
        adaptive.step(interval(50e6, 50e6), || Some((FAST, ZSTD1)));
        adaptive.step(interval(50e6, 160e6), || None);
        adaptive.step(interval(2e9, 400e6), || panic!("no sample on so fast a link"));
        assert_eq!(adaptive.level(), Level::None);
    }

    #[test]
    fn an_idle_link_proves_nothing() {
        let mut adaptive = Adaptive::new();
        let idle = Interval { link_bound: false, ..interval(10e6, 1e9) };
        adaptive.step(idle, || panic!("no sample"));
        assert_eq!(adaptive.level(), Level::None);
    }

    #[test]
    fn leaves_come_back_as_they_were_or_stay_raw() {
        let mut compressor = Compressor::new(Compression::Zstd1).unwrap();
        let text: Vec<u8> = b"a line of a log file\n".iter().copied().cycle().take(65536).collect();
        let encoded = compressor.compress(&text).expect("text shrinks").to_vec();
        assert!(encoded.len() < text.len() / 4);
        assert_eq!(zstd::bulk::decompress(&encoded, 65536).unwrap(), text);
        let mut noise = vec![0; 65536];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        assert_eq!(compressor.compress(&noise), None);
        assert_eq!(Compressor::new(Compression::None).unwrap().compress(&text), None);
    }
}
