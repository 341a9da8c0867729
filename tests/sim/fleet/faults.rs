//! What goes wrong in an installation: each seed has some of it.

use std::time::Duration;

use blockdev::{Fault, OperationKind};

use super::Fleet;
use super::line::End;
use crate::sim::random::Random;
use crate::sim::rig::Crashed;
use crate::sim::seen::Sight;

/// The faults a seed has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    cuts: bool,
    half_open: bool,
    twice: bool,
    jumps: bool,
    outages: bool,
    devices: bool,
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
            restarts: one(),
            pauses: one(),
            ghosts: one(),
        }
    }
}

impl Fleet {
    /// Something goes wrong, if this seed has it.
    pub(crate) fn fault(&mut self, machine: usize) -> Result<(), Crashed> {
        match self.random.below(9) {
            0 if self.faults.cuts => self.cut_line(),
            1 if self.faults.half_open => self.half_open(),
            2 | 3 if self.faults.twice => self.send_twice(),
            4 if self.faults.jumps => self.set_clock(),
            5 if self.faults.outages => self.plan_outage(),
            6 if self.faults.devices && self.random.one_in(3) => self.break_device(),
            7 if self.faults.restarts => self.restart_source(machine),
            8 if self.faults.pauses => self.clock.pass(Duration::from_secs(self.random.between(10, 40))),
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
        let kind = self.random.pick(&[OperationKind::Write, OperationKind::Flush, OperationKind::Read]);
        self.rig.world.plant(Fault::Fail { kind, nth: self.random.between(1, 20) });
        self.rig.may_fail = true;
    }
}
