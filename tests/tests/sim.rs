//! Crashes of the real replica in a simulated world: exhaustively for short sequences, at random for long ones.

#[cfg(test)]
#[path = "../sim/mod.rs"]
mod sim;

use std::time::Duration;

use blockdev::OperationKind;
use sim::explore::{Effort, Found, Shard, Start, explore, told};
use sim::lies::Lie;
use sim::runs::Kind;
use sim::seen::Sight;
use sim::{bounded, faults, hotplug, lies, plan, rot, runs, shapes, views, wrap};

/// Runs the shards on two threads, and puts together what they found.
fn explore_all(effort: Effort, start: impl Fn() -> Start + Sync) -> Found {
    let shard = |number| explore(&start(), &plan::ALPHABET, effort, Shard { number, of: plan::SHARDS });
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
    let thin = if runs::number("LANDFALL_SIM_WHOLE").is_some() { 1 } else { plan::THIN };
    let effort = Effort { thin, ..plan::EFFORT };
    let found = explore_all(effort, || Start::new(1, &shapes::tiny(), &plan::PREFIX));
    println!("{found}");
    let (found, least) = (found.images.len(), plan::IMAGES_MIN / thin);
    assert!(found >= least, "only {found} distinct crash images, {least} are expected");
}

#[test]
fn every_short_seed_survives_a_crash_at_every_step() {
    let start = Start::new(2, &shapes::tiny(), &[]);
    let found =
        explore(&start, &plan::SEEDING, Effort { thin: 1, ..plan::EFFORT }, Shard { number: 0, of: 1 });
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
    let shape = shapes::two();
    let kinds = [
        (OperationKind::Read, 20),
        (OperationKind::Write, 40),
        (OperationKind::Flush, 40),
        (OperationKind::Grow, 1),
    ];
    for (kind, least) in kinds {
        let failed = faults::fail_each(&shape, kind);
        println!("{kind:?}: each of {failed} failed once");
        assert!(failed >= least, "the script has {failed} operations of kind {kind:?}");
    }
}

#[test]
fn a_device_that_hangs_puts_its_machine_out_and_no_other() {
    let shape = shapes::two();
    for (kind, least) in [(OperationKind::Read, 20), (OperationKind::Write, 40), (OperationKind::Flush, 40)] {
        let hung = faults::hang_each(&shape, kind);
        println!("{kind:?}: each of {hung} hung once");
        assert!(hung >= least, "the script has {hung} operations of kind {kind:?}");
    }
}

#[test]
fn a_disk_that_vanishes_or_is_another_puts_its_machine_out_and_is_never_written() {
    hotplug::pull_out(&shapes::two());
}

#[test]
fn writes_that_were_lost_or_went_astray_are_never_served() {
    for lie in [Lie::Lost, Lie::Astray] {
        let tally = lies::lie_each(&shapes::tiny(), lie);
        println!("{lie:?}: {tally:?}");
        assert!(tally.exact > 0 && tally.refused + tally.in_part > 0, "{tally:?}");
    }
}

#[test]
fn a_small_volume_wraps_thousands_of_times() {
    let batches = wrap::wrap(&shapes::tiny(), plan::EPOCHS);
    println!("{} epochs in {batches} batches", plan::EPOCHS);
}

#[test]
fn a_crash_replays_no_more_than_the_limits_allow() {
    let most = bounded::crash_long_runs(&shapes::lasting(), plan::LONG_RUNS);
    println!("{most} bytes of redo were replayed at the most");
    assert!(most > 0, "something is replayed");
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

#[test]
fn random_runs_of_a_replica_hold_repeat_exactly_and_meet_every_interesting_state() {
    runs::conclude(&runs::run_all(Kind::Replica, plan::SEEDS), Sight::REPLICA);
}

#[test]
fn random_runs_of_a_fleet_hold_repeat_exactly_and_meet_every_interesting_state() {
    runs::conclude(&runs::run_all(Kind::Fleet, plan::FLEETS), Sight::FLEET);
}

/// Asked for alone, by scripts/soak: fresh seeds for `LANDFALL_SIM_MINUTES`, from `LANDFALL_SIM_FIRST` on.
#[test]
#[ignore = "runs as long as it is told to"]
fn soak() {
    let minutes = runs::number("LANDFALL_SIM_MINUTES").unwrap_or(10);
    for kind in [Kind::Fleet, Kind::Replica] {
        println!("{}", runs::soak(kind, Duration::from_secs(minutes * 30)));
    }
}

/// Asked for alone, with the feature: `cargo nextest run -p landfall-tests --test sim --features planted-bugs planted`. One mistake alone is
/// looked at with its name in `LANDFALL_SIM_MISTAKE`.
#[cfg(feature = "planted-bugs")]
#[test]
fn every_planted_mistake_is_caught_by_the_check_it_breaks() {
    let mut missed = Vec::new();
    let only = std::env::var("LANDFALL_SIM_MISTAKE").ok();
    let chosen = |mistake: &sim::planted::Mistake| {
        only.as_ref().is_none_or(|only| format!("{mistake:?}").contains(only))
    };
    for (mistake, invariants) in sim::planted::ALL.into_iter().filter(|(mistake, _)| chosen(mistake)) {
        let caught = sim::planted::caught_by(mistake, invariants);
        let check = caught.as_ref().map_or("", |(_, check)| check.lines().next().unwrap_or(""));
        println!("{mistake:?}: {}: {check}", caught.as_ref().map_or("not caught", |(part, _)| part));
        if !invariants.iter().any(|invariant| check.contains(invariant)) {
            missed.push((mistake, invariants));
        }
    }
    assert!(missed.is_empty(), "mistakes that nothing caught, or another check than these: {missed:?}");
}
