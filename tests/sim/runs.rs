//! Many seeds: each runs twice and must come to the same, what failed once is tried for ever, and what was reached is told.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::explore::told;
use super::seen::{Sight, Sights};
use super::{fleet, swarm};

/// What one seed came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Equal for equal runs.
    pub trace: u64,
    pub crashes: u64,
    /// Distinct worlds that were found after a crash.
    pub images: HashSet<u64>,
    /// How long it was, by no clock anybody can set.
    pub time: Duration,
    pub sights: Sights,
}

/// What is run by seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One target, driven by hand.
    Replica,
    /// Sources, a network, clocks, and one target for all.
    Fleet,
}

impl Kind {
    /// Runs one seed; `depth` makes runs longer.
    pub(crate) fn run(self, seed: u64, depth: u64) -> Outcome {
        match self {
            Self::Replica => swarm::run(seed, depth, |_| ()),
            Self::Fleet => fleet::run(seed, depth, |_| ()),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Replica => "replica",
            Self::Fleet => "fleet",
        }
    }

    /// The seeds that failed once.
    fn kept(self) -> impl Iterator<Item = u64> {
        let lines = include_str!("seeds.txt").lines().filter(|line| !line.starts_with('#'));
        let mine = lines.filter_map(move |line| line.strip_prefix(self.name()));
        mine.map(|line| line.split_whitespace().next().and_then(|seed| seed.parse().ok()).expect("a seed"))
    }
}

/// What many seeds came to.
#[derive(Default)]
pub(crate) struct Total {
    pub seeds: u64,
    pub crashes: u64,
    pub images: HashSet<u64>,
    pub time: Duration,
    pub sights: Sights,
}

impl Total {
    fn add(&mut self, outcome: Outcome) {
        self.seeds += 1;
        self.crashes += outcome.crashes;
        self.images.extend(outcome.images);
        self.time += outcome.time;
        self.sights.merge(&outcome.sights);
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.crashes += other.crashes;
        self.images.extend(other.images);
        self.time += other.time;
        self.sights.merge(&other.sights);
    }
}

impl fmt::Display for Total {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seeds, crashes, images, time, sights } = self;
        let (images, hours) = (images.len(), time.as_secs_f64() / 3600.0);
        write!(
            out,
            "{seeds} seeds, {crashes} crashes and recoveries, {images} distinct crash images, {hours:.1} hours simulated"
        )?;
        sights.fmt(out)
    }
}

/// Reads a number from the environment.
pub(crate) fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Runs a seed twice, and says how to run it again if it fails.
fn run_twice(kind: Kind, seed: u64, depth: u64) -> Outcome {
    let name = kind.name();
    let command = || {
        format!(
            "to replay: LANDFALL_SIM_SEED={seed} LANDFALL_SIM_DEPTH={depth} cargo nextest run -p landfall-tests --test sim --no-capture {name}"
        )
    };
    let first = told(command, || kind.run(seed, depth));
    let second = told(command, || kind.run(seed, depth));
    assert!(first == second, "determinism: {name} seed {seed} runs the same way twice");
    first
}

/// Runs the kept seeds and `count` others, or the one that was asked for, on as many threads as there are processors.
pub(crate) fn run_all(kind: Kind, count: u64) -> Total {
    let depth = number("LANDFALL_SIM_DEPTH").unwrap_or(1);
    let seeds: Vec<u64> = match number("LANDFALL_SIM_SEED") {
        Some(only) => vec![only],
        None => kind.kept().chain(0..count).collect(),
    };
    let next = AtomicUsize::new(0);
    on_every_processor(|total| {
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            total.add(run_twice(kind, *seed, depth));
        }
    })
}

/// Runs fresh seeds until the time is over, longer and longer ones.
pub(crate) fn soak(kind: Kind, time: Duration) -> Total {
    const TELL_EVERY: usize = 500;
    let begin = Instant::now();
    let first = number("LANDFALL_SIM_FIRST").unwrap_or(1_000_000);
    let next = AtomicUsize::new(0);
    on_every_processor(|total| {
        while begin.elapsed() < time {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            // One in three is a long one, and they get longer.
            let depth = if nth.is_multiple_of(3) { 2 + (nth as u64 / 2000).min(30) } else { 1 };
            total.add(run_twice(kind, first + nth as u64, depth));
            if (nth + 1).is_multiple_of(TELL_EVERY) {
                let left = time.saturating_sub(begin.elapsed()).as_secs() / 60;
                println!("{}: {} seeds without a failure, {left} min left", kind.name(), nth + 1);
            }
        }
    })
}

fn on_every_processor(run: impl Fn(&mut Total) + Sync) -> Total {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let one = || {
        let mut total = Total::default();
        run(&mut total);
        total
    };
    let mut all = Total::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        threads.into_iter().for_each(|thread| all.merge(thread.join().expect("every seed holds")));
    });
    all
}

/// Tells what was reached, and that nothing is missing if there were enough seeds to expect it.
pub(crate) fn conclude(total: &Total, wanted: &[Sight]) {
    println!("{total}");
    if total.seeds > 100 {
        println!("too rare to be demanded, and not met: {:?}", total.sights.missing(Sight::RARE));
        assert_eq!(total.sights.missing(wanted), [], "every interesting state is met");
    }
}
