//! The sizes and limits the simulator runs with: small, so that everything wraps and rolls over all the time.

use std::time::Duration;

use retention::{Policy, WhenFull};
use target::replica::ReplicaLimits;
use units::ByteLen;

use super::random::Random;
use super::rig::Shape;

/// Limits under which two or three batches are a lot.
pub(crate) fn tiny_limits() -> ReplicaLimits {
    ReplicaLimits {
        log_chunk: ByteLen::kib(16),
        epoch_len: ByteLen::kib(64),
        epoch_age: Duration::from_secs(60),
        group_len: ByteLen::kib(32),
        round_len: ByteLen::kib(12),
        gather_len: ByteLen::ZERO,
        checkpoint_len: ByteLen::kib(24),
        lag_len: ByteLen::kib(256),
        retention: Policy { window_seconds: 3600, budget: ByteLen::gib(1), ..Policy::default() },
        ..ReplicaLimits::default()
    }
}

/// Two small disks of one machine; the last granule of the second is not whole.
pub(crate) fn tiny() -> Shape {
    Shape {
        machines: vec![vec![24 << 10, 18 << 10 | 512]],
        guard: 4096 + 512,
        limits: tiny_limits(),
        resident: ByteLen::mib(1),
        capacity: None,
        depth: 4,
        record_len_max: 56 << 10,
        views: false,
        clock_is_set: false,
        creates_disks: false,
        retries_hangs: false,
    }
}

/// Two machines of which one is small.
pub(crate) fn two() -> Shape {
    let mut shape = tiny();
    shape.machines.push(vec![18 << 10 | 512]);
    shape
}

/// One machine whose epochs last, and that replays little for all that.
pub(crate) fn lasting() -> Shape {
    let mut shape = tiny();
    shape.limits.epoch_len = ByteLen::mib(64);
    shape.limits.epoch_age = Duration::from_secs(1_000_000);
    shape.limits.lag_len = ByteLen::kib(32);
    shape
}

/// Leaves so little room that epochs have to go all the time.
pub(crate) fn cramped(shape: &mut Shape) {
    shape.limits.log_chunk = ByteLen::kib(16);
    shape.limits.epoch_len = ByteLen::kib(16);
    shape.capacity = Some(ByteLen::kib(1024 + 160));
}

/// A policy by seed: mostly the one with the most to lose.
fn policy(random: &mut Random) -> Policy {
    let when_full = random.pick(&[WhenFull::Shrink, WhenFull::Shrink, WhenFull::Thin, WhenFull::Pause]);
    let budget = random.pick(&[ByteLen::gib(1), ByteLen::gib(1), ByteLen::gib(1), ByteLen::kib(200)]);
    Policy { when_full, budget, ..tiny_limits().retention }
}

/// A shape by seed.
pub(crate) fn random(random: &mut Random) -> Shape {
    let disk =
        |random: &mut Random| random.pick(&[24 << 10, 18 << 10 | 512, 64 << 10, 72 << 10, 133 << 10, 512]);
    let machines = 1 + u64::from(random.one_in(3));
    let machine = |random: &mut Random| (0..random.between(1, 2)).map(|_| disk(random)).collect();
    let machines = (0..machines).map(|_| machine(random)).collect();
    let limits = ReplicaLimits {
        log_chunk: ByteLen::kib(random.pick(&[4, 8, 16, 64])),
        epoch_len: ByteLen::kib(random.pick(&[8, 24, 64, 256])),
        group_len: ByteLen::kib(random.pick(&[4, 16, 64])),
        round_len: ByteLen::kib(random.pick(&[4, 12, 64, 256])),
        checkpoint_len: ByteLen::kib(random.pick(&[4, 24, 128])),
        lag_len: ByteLen::kib(random.pick(&[16, 64, 256])),
        retention: policy(random),
        ..tiny_limits()
    };
    let resident = if random.one_in(3) { ByteLen::ZERO } else { ByteLen::mib(1) };
    let capacity = random.one_in(3).then(|| ByteLen::kib(1024 * 2 + random.pick(&[160, 256, 400])));
    Shape {
        machines,
        guard: random.pick(&[0, 512, 8192]),
        limits,
        resident,
        capacity,
        depth: random.between(1, 8) as usize,
        record_len_max: 56 << 10,
        views: false,
        clock_is_set: false,
        creates_disks: false,
        retries_hangs: false,
    }
}

/// An installation by seed: two to four machines.
pub(crate) fn installation(random: &mut Random) -> Shape {
    let mut shape = self::random(random);
    let disk = |random: &mut Random| random.pick(&[64 << 10, 72 << 10, 133 << 10, 320 << 10 | 512, 512]);
    let machine = |random: &mut Random| (0..random.between(1, 2)).map(|_| disk(random)).collect();
    shape.machines = (0..random.between(2, 4)).map(|_| machine(random)).collect();
    shape.clock_is_set = true;
    shape.record_len_max = 272 << 10;
    // Frames of whole leaves: the volume is small for them too.
    shape.limits.group_len = ByteLen::kib(random.pick(&[64, 256]));
    shape.limits.lag_len = ByteLen::kib(random.pick(&[128, 512]));
    shape.limits.epoch_len = ByteLen::kib(random.pick(&[64, 256, 1024]));
    shape.limits.retention.window_seconds = random.pick(&[3600, 86_400]);
    let heads = 1024 * shape.machines.len() as u64;
    shape.capacity = random.one_in(3).then(|| ByteLen::kib(heads + random.pick(&[300, 600, 1200])));
    shape
}
