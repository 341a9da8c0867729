//! Crashes of the real replica in a simulated world: exhaustively for short sequences, at random for long ones.

#[path = "../sim/mod.rs"]
mod sim;

use sim::explore::{Effort, Shard, Start, explore};
use sim::ops::Op;
use sim::shapes;

const ALPHABET: [Op; 11] = [
    Op::Write,
    Op::Group,
    Op::Weave,
    Op::Step,
    Op::Settle,
    Op::Rotate,
    Op::Back(1),
    Op::Forward,
    Op::Expire,
    Op::Accept,
    Op::Restart,
];

const PREFIX: [Op; 8] = [
    Op::Begin,
    Op::SeedSync,
    Op::EndSeeding,
    Op::Write,
    Op::Settle,
    Op::Rotate,
    Op::Group,
    Op::Step,
];

#[test]
fn every_short_sequence_survives_a_crash_at_every_step() {
    let start = Start::new(1, &shapes::tiny(), &PREFIX);
    let length = std::env::var("L").map_or(1, |l| l.parse().unwrap());
    let effort = Effort { length, images_per_cut: 24, thorough: 8, again: 6 };
    let found = explore(&start, &ALPHABET, effort, Shard { number: 0, of: 1 });
    println!(
        "{} distinct crash images, {} recoveries, {} sequences, {} cuts",
        found.images.len(),
        found.recoveries,
        found.sequences,
        found.cuts
    );
    found.sights.print();
}
