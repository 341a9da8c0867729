//! Crashes of the real replica in a simulated world: exhaustively for short sequences, at random for long ones.

#[cfg(test)]
#[path = "../sim/mod.rs"]
mod sim;

use blockdev::OperationKind;
use sim::explore::{Found, Shard, Start, explore, told};
use sim::seen::{Sight, Sights};
use sim::{faults, plan, rot, shapes, swarm, views};

/// Runs the shards on two threads, and puts together what they found.
fn explore_all(start: impl Fn() -> Start + Sync) -> Found {
    let shard = |number| explore(&start(), &plan::ALPHABET, plan::EFFORT, Shard { number, of: plan::SHARDS });
    let mut all = Found::default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    for round in (0..plan::SHARDS).collect::<Vec<_>>().chunks(threads) {
        let founds: Vec<Found> = std::thread::scope(|scope| {
            let threads: Vec<_> = round.iter().map(|number| scope.spawn(|| shard(*number))).collect();
            threads.into_iter().map(|thread| thread.join().expect("a shard holds")).collect()
        });
        founds.into_iter().for_each(|found| all.merge(found));
    }
    all
}

#[test]
fn every_short_sequence_survives_a_crash_at_every_step() {
    let found = explore_all(|| Start::new(1, &shapes::tiny(), &plan::PREFIX));
    println!("{found}");
    assert!(found.images.len() >= plan::IMAGES_MIN, "only {} distinct crash images", found.images.len());
}

#[test]
fn every_short_seed_survives_a_crash_at_every_step() {
    let start = Start::new(2, &shapes::tiny(), &[]);
    let found = explore(&start, &plan::SEEDING, plan::EFFORT, Shard { number: 0, of: 1 });
    println!("{found}");
    assert_eq!(found.sights.missing(&[Sight::CrashInSeedWrite, Sight::FoundSeeding]), []);
}

#[test]
fn flipped_bits_are_named_or_healed_and_never_served() {
    let tally = rot::flip_each(&shapes::tiny(), plan::FLIP_STRIDE);
    println!("{tally:?}");
    assert!(tally.exact > 0 && tally.refused > 0 && tally.in_part > 0, "{tally:?}");
}

#[test]
fn blocks_in_the_wrong_place_are_never_served() {
    let tally = rot::misplace_blocks(&shapes::tiny(), plan::MISPLACED);
    println!("{tally:?}");
    assert!(tally.exact > 0 && tally.refused > 0 && tally.in_part > 0, "{tally:?}");
}

#[test]
fn a_device_that_fails_puts_its_machine_out_and_no_other() {
    let mut shape = shapes::tiny();
    shape.machines.push(vec![18 << 10 | 512]);
    for (kind, least) in [(OperationKind::Write, 40), (OperationKind::Flush, 40), (OperationKind::Grow, 1)] {
        let failed = faults::fail_each(&shape, kind);
        println!("{kind:?}: each of {failed} failed once");
        assert!(failed >= least, "the script has {failed} operations of kind {kind:?}");
    }
}

#[test]
fn views_show_their_point_while_everything_else_goes_on() {
    let mut all = views::Tally::default();
    for seed in 0..plan::VIEW_SEEDS {
        let adjust = if seed % 8 == 0 { shapes::cramped } else { |_: &mut _| () };
        let tally = told(|| format!("views::run({seed})"), || views::run(seed, adjust));
        all.opened += tally.opened;
        all.reads += tally.reads;
        all.inside += tally.inside;
        all.overtaken += tally.overtaken;
        all.ended += tally.ended;
    }
    println!("{all:?}");
    assert!(all.opened > 0 && all.inside > 0 && all.overtaken > 0 && all.ended > 0, "{all:?}");
}

fn run_twice(seed: u64) -> swarm::Outcome {
    let command = || {
        format!("LANDFALL_SIM_SEED={seed} cargo nextest run -p landfall-tests --test sim --no-capture random")
    };
    let first = told(command, || swarm::run(seed, |_| ()));
    let second = told(command, || swarm::run(seed, |_| ()));
    assert_eq!(first, second, "determinism: seed {seed} runs the same way twice");
    first
}

/// Returns the seeds of this run: one, the kept ones, or the kept ones and as many as were asked for.
fn seeds() -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    if let Some(only) = number("LANDFALL_SIM_SEED") {
        return vec![only];
    }
    let kept = include_str!("../sim/seeds.txt").lines().filter(|line| !line.starts_with('#'));
    let kept =
        kept.map(|line| line.split_whitespace().next().and_then(|seed| seed.parse().ok()).expect("a seed"));
    let first = number("LANDFALL_SIM_FIRST").unwrap_or(0);
    kept.chain(first..first + number("LANDFALL_SIM_SEEDS").unwrap_or(plan::SEEDS)).collect()
}

#[test]
fn random_runs_hold_repeat_exactly_and_meet_every_interesting_state() {
    let seeds = seeds();
    let half = |odd: usize| {
        let mine = seeds.iter().skip(odd).step_by(2);
        mine.fold((0, Sights::default()), |(crashes, mut sights), seed| {
            let outcome = run_twice(*seed);
            sights.merge(&outcome.sights);
            (crashes + outcome.crashes, sights)
        })
    };
    let (one, other) = std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        (half(0), other.join().expect("the other half holds"))
    });
    let (crashes, mut sights) = one;
    sights.merge(&other.1);
    println!(
        "{} seeds, {} crashes; of {} interesting states:",
        seeds.len(),
        crashes + other.0,
        Sight::ALL.len()
    );
    sights.print();
    if seeds.len() > 100 {
        assert_eq!(sights.missing(&Sight::ALL), [], "every interesting state is met");
    }
}

/// Asked for alone, with the feature: `cargo nextest run -p landfall-tests --test sim --features planted-bugs planted`.
#[cfg(feature = "planted-bugs")]
#[test]
fn every_planted_mistake_is_caught() {
    let mut missed = Vec::new();
    for mistake in sim::planted::ALL {
        match sim::planted::caught_by(mistake) {
            Some((part, check)) => {
                println!("{mistake:?}: caught by {part}: {}", check.lines().next().unwrap_or(""));
            }
            None => missed.push(mistake),
        }
    }
    assert_eq!(missed, [], "mistakes that nothing caught");
}
