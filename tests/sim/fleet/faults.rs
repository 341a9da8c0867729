//! What goes wrong in an installation: each seed has some of it.

use std::time::Duration;

use blockdev::{Fault, OperationKind};
use retention::Lifecycle;
use units::{ByteLen, ByteOffset, DiskIndex, GRANULE_LEN};
use wire::{Consistency, Span};

use super::Fleet;
use super::line::End;
use crate::sim::oracle::{Rot, Stance};
use crate::sim::random::Random;
use crate::sim::rig::{Crashed, disk_name};
use crate::sim::seen::Sight;

/// What devices can fail at.
const KINDS: [OperationKind; 3] = [OperationKind::Write, OperationKind::Flush, OperationKind::Read];

/// The faults a seed has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    cuts: bool,
    half_open: bool,
    twice: bool,
    pub jumps: bool,
    outages: bool,
    devices: bool,
    slow: bool,
    pub lags: bool,
    rots: bool,
    doubts: bool,
    restarts: bool,
    pauses: bool,
    ghosts: bool,
}

impl Faults {
    /// Chooses a subset.
    pub(crate) fn some(random: &mut Random) -> Self {
        let mut one = || random.one_in(2);
        Self {
            cuts: one(),
            half_open: one(),
            twice: one(),
            jumps: one(),
            outages: one(),
            devices: one(),
            slow: one(),
            lags: one(),
            rots: one(),
            doubts: one(),
            restarts: one(),
            pauses: one(),
            ghosts: one(),
        }
    }
}

impl Fleet {
    /// Something goes wrong, if this seed has it.
    pub(crate) fn fault(&mut self, machine: usize) -> Result<(), Crashed> {
        match self.random.below(12) {
            0 if self.faults.cuts => self.cut_line(),
            1 if self.faults.half_open => self.half_open(),
            2 | 3 if self.faults.twice => self.send_twice(),
            4 if self.faults.jumps => self.set_clock(),
            5 if self.faults.outages => self.plan_outage(),
            6 if self.faults.devices && self.random.one_in(3) => self.break_device(),
            7 if self.faults.restarts => self.restart_source(machine),
            8 if self.faults.pauses => self.clock.pass(Duration::from_secs(self.random.between(10, 40))),
            9 if self.faults.slow => self.slow_device(),
            10 if self.faults.rots && self.random.one_in(4) => self.rot(machine),
            11 if self.faults.doubts => self.doubt(machine),
            _ if self.faults.ghosts => self.ghost_calls(),
            _ => {}
        }
        Ok(())
    }

    fn cut_line(&mut self) {
        let mut random = Random::new(self.random.next());
        if let Some((_, line)) = self.network.pick(&mut self.random) {
            line.cut(&mut random);
            self.rig.sights.add(Sight::CutInsideASession);
        }
    }

    fn half_open(&mut self) {
        let both = self.random.one_in(2);
        if let Some((_, line)) = self.network.pick(&mut self.random) {
            line.home.is_deaf = true;
            line.away.is_deaf = both;
            self.rig.sights.add(Sight::HalfOpen);
        }
    }

    fn send_twice(&mut self) {
        let mut talking = self.network.all().filter(|line| matches!(line.end, End::Talking(_)));
        if talking.any(|line| line.home.duplicate()) {
            self.rig.sights.add(Sight::FrameTwice);
        }
    }

    fn set_clock(&mut self) {
        let forward = self.random.one_in(2);
        self.clock.jump(forward);
        self.rig.sights.add(if forward { Sight::ClockSetForward } else { Sight::ClockSetBack });
    }

    /// Power goes, or the process, at one of the next changes.
    fn plan_outage(&mut self) {
        let step = self.rig.steps() + self.random.between(1, 60);
        self.rig.cut(step);
    }

    fn break_device(&mut self) {
        let (kind, nth) = (self.random.pick(&KINDS), self.random.between(1, 20));
        let hangs = self.random.one_in(2);
        self.rig.world.plant(if hangs { Fault::Hang { kind, nth } } else { Fault::Fail { kind, nth } });
        self.rig.may_fail = true;
    }

    /// A granule of a target disk rots, and a scrub finds it: the source is asked for it again.
    fn rot(&mut self, machine: usize) {
        let is_at_work = self.rig.oracles[machine].stance == Stance::Following
            && self.rig.lifecycle(machine) == Lifecycle::Protected
            && !self.rig.world.has_crashed();
        if !is_at_work || self.rig.oracles[machine].rot.len() >= 3 {
            return;
        }
        let span = self.some_granule(machine);
        let (disk, start) = (usize::from(span.disk.0), span.start.0 as usize);
        let at = ByteOffset(span.start.0 + self.random.below(span.len.0));
        self.rig.world.flip_bit(&disk_name(machine, disk), at, self.random.below(8) as u8);
        // What a view reads of it is another test's.
        self.rig.views.close_of(machine);
        self.rig.oracles[machine].rot.push(Rot { disk, start, good_from: None });
        self.rig.shared[machine].request_resend(&[span]);
        self.rig.sights.add(Sight::TargetRotted);
    }

    /// A scrub doubts a part of a disk that is as it should be.
    fn doubt(&mut self, machine: usize) {
        if self.rig.lifecycle(machine) == Lifecycle::Protected {
            let span = self.some_granule(machine);
            self.rig.shared[machine].request_resend(&[span]);
        }
    }

    fn some_granule(&mut self, machine: usize) -> Span {
        let lens = &self.rig.shape.machines[machine];
        let disk = self.random.below(lens.len() as u64);
        let len = lens[disk as usize];
        let start = self.random.below(len.div_ceil(GRANULE_LEN)) * GRANULE_LEN;
        Span {
            disk: DiskIndex(disk as u16),
            start: ByteOffset(start),
            len: ByteLen(GRANULE_LEN.min(len - start)),
        }
    }

    /// Notes what the source has sent again; and asks for the rest once more when the target has forgotten what it asked for.
    pub(crate) fn look_for_repairs(&mut self, machine: usize, has_forgotten: bool) {
        let state = self.rig.shared[machine].lock();
        let pending: Vec<Span> = state.resends.pending().copied().collect();
        let good = state.timeline.latest(Consistency::Crash).map(|point| point.sequence.0);
        drop(state);
        for rot in self.rig.oracles[machine].rot.iter_mut().filter(|rot| rot.good_from.is_none()) {
            let len = self.rig.shape.machines[machine][rot.disk] - rot.start as u64;
            let (disk, start) = (DiskIndex(rot.disk as u16), ByteOffset(rot.start as u64));
            let span = Span { disk, start, len: ByteLen(GRANULE_LEN.min(len)) };
            if has_forgotten {
                self.rig.shared[machine].request_resend(&[span]);
            } else if !pending.contains(&span) {
                rot.good_from = Some(good.expect("a consistent point vouches for what was sent again"));
                self.rig.sights.add(Sight::RotRepaired);
            }
        }
    }

    fn slow_device(&mut self) {
        let (kind, nth) = (self.random.pick(&KINDS), self.random.between(1, 20));
        let takes = Duration::from_millis(self.random.between(100, 30_000));
        self.rig.world.plant(Fault::Slow { kind, nth, takes });
    }
}
