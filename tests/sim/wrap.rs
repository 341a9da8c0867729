//! A volume that is always full: epochs go as fast as others come, thousands of times.

use units::ByteLen;

use super::check;
use super::ops::{Op, window};
use super::outage;
use super::random::Random;
use super::rig::{Rig, Shape};
use super::seeding::protect;

/// Writes until `epochs` epochs have come and nearly all gone, with a power cut now and then. Returns how many batches that took.
pub(crate) fn wrap(shape: &Shape, epochs: u64) -> u64 {
    let mut shape = shape.clone();
    shape.limits.log_chunk = ByteLen::kib(4);
    shape.limits.epoch_len = ByteLen::kib(8);
    shape.limits.retention.budget = ByteLen::kib(64);
    let mut rig = Rig::create(3, &shape).expect("nothing stops the world");
    protect(&mut rig, 0).expect("nothing stops the world");
    let mut random = Random::new(3);
    for batches in 1.. {
        for op in [Op::Write, Op::Settle] {
            op.perform(&mut rig, 0).expect("nothing stops the world");
        }
        rig.drain(0).expect("nothing stops the world");
        if random.one_in(200) {
            outage::crash(&mut rig, &mut random);
        }
        if random.one_in(100) {
            let (base, newest) = window(&rig, 0);
            check::disks_are(&rig, 0, newest, "I2: on a volume that wraps");
            check::history(&mut rig, 0, base, newest).expect("nothing stops the world");
            assert!(newest - base < 64, "I8: the history is bounded, found {base} to {newest}");
        }
        let newest = rig.shared[0].lock().epochs.back().map_or(0, |epoch| epoch.epoch.0);
        if newest >= epochs {
            return batches;
        }
    }
    unreachable!("every batch fills an epoch some more")
}
