//! Whole installations: protected machines with their sources, a network that does what networks do, clocks that people
//! set, and one target with one retention volume for all of them.
//!
//! One seed decides everything: sizes, which faults there are, and whose turn it is. The target's half is the product's
//! own from the frame to the disk; of a source everything is that decides what is sent (see [`source`]).

pub(crate) mod clock;
pub(crate) mod faults;
pub(crate) mod guest;
pub(crate) mod house;
pub(crate) mod line;
pub(crate) mod network;
pub(crate) mod operator;
pub(crate) mod source;
pub(crate) mod working;

use std::sync::Arc;
use std::time::Duration;

use ::source::Compression;
use blockdev::PagePool;
use retention::Lifecycle;
use target::Machine;
use units::Generation;

use self::clock::Clock;
use self::faults::Faults;
use self::guest::Guest;
use self::network::Network;
use self::source::{Around, Source};
use super::keeping::Past;
use super::oracle::Stance;
use super::random::Random;
use super::rig::{Crashed, Rig, Shape};
use super::runs::Outcome;
use super::seen::Sight;
use super::{check, judge, outage, shapes};

/// Turns after which a healed installation must be up to date.
const HEALED_WITHIN: u64 = 60_000;

/// See the module.
pub(crate) struct Fleet {
    pub rig: Rig,
    pub machines: Vec<Arc<Machine>>,
    pub sources: Vec<Source>,
    pub guests: Vec<Guest>,
    pub network: Network,
    pub clock: Clock,
    pub random: Random,
    pub faults: Faults,
    /// Payload bytes each connection may have under way.
    pub window: u64,
    /// By machine: what was durable when.
    pub durable: Vec<Past>,
    /// Generations that are over.
    pub ghosts: Vec<(usize, Generation)>,
    pub crashes: u64,
}

thread_local! {
    static BUFFERS: PagePool = PagePool::new(8, 256 << 10);
}

/// Returns the buffers sources pack into.
pub(crate) fn buffers() -> PagePool {
    BUFFERS.with(Clone::clone)
}

/// Tells whether a single seed is being looked at.
pub(crate) fn is_told() -> bool {
    std::env::var_os("LANDFALL_SIM_SEED").is_some()
}

/// Runs one seed.
pub(crate) fn run(seed: u64, depth: u64, adjust: impl Fn(&mut Shape)) -> Outcome {
    let mut random = Random::new(seed ^ 0xf1ee7);
    let mut shape = shapes::installation(&mut random);
    adjust(&mut shape);
    let mut fleet = Fleet::new(seed, &shape, random);
    for _ in 0..fleet.random.between(500, 3000) * depth {
        fleet.turn();
    }
    fleet.heal();
    fleet.crash();
    let Fleet { rig, clock, crashes, .. } = fleet;
    Outcome { trace: rig.trace, crashes, images: rig.images, time: clock.elapsed, sights: rig.sights }
}

impl Fleet {
    fn new(seed: u64, shape: &Shape, mut random: Random) -> Self {
        let clock = Clock::new();
        let mut rig = Rig::create(seed, shape).expect("nothing stops the world yet");
        rig.now = clock.steady();
        let mut sources = Vec::new();
        let mut guests = Vec::new();
        for (machine, lens) in shape.machines.iter().enumerate() {
            let compression = random.pick(&[Compression::None, Compression::Fast, Compression::Zstd1]);
            sources.push(Source::new(machine, lens, compression));
            guests.push(Guest::new(lens, &mut random));
        }
        let window = random.pick(&[64 << 10, 96 << 10, 256 << 10]);
        let faults = Faults::some(&mut random);
        let (machines, network, ghosts) = (Vec::new(), Network::default(), Vec::new());
        let durable = vec![Past::default(); shape.machines.len()];
        let mut fleet = Self {
            rig,
            machines,
            sources,
            guests,
            network,
            clock,
            random,
            faults,
            window,
            durable,
            ghosts,
            crashes: 0,
        };
        fleet.open_house();
        fleet
    }

    /// Somebody's turn.
    fn turn(&mut self) {
        self.pass();
        let machine = self.random.below(self.sources.len() as u64) as usize;
        let stopped = match self.random.below(100) {
            0..45 => {
                self.source_turn(machine);
                Ok(())
            }
            45..75 => {
                self.target_turn();
                Ok(())
            }
            75..83 => self.on_rig(Rig::commit),
            // Where the disks are slow a lot waits for them.
            83..94 if self.faults.lags && !self.random.one_in(12) => Ok(()),
            83..94 => self.on_rig(|rig| rig.step(machine).map(|_| ())),
            94..97 => {
                self.guests[machine].write(&mut self.random);
                Ok(())
            }
            97 => self.operate(machine),
            _ => self.fault(machine),
        };
        self.follow(machine);
        let is_out = self.rig.shared.iter().any(|shared| shared.lock().failure.is_some());
        if stopped == Err(Crashed) || self.rig.world.has_crashed() || is_out && self.random.one_in(200) {
            self.crash();
        }
    }

    /// A little time passes, sometimes more.
    fn pass(&mut self) {
        let time = match self.random.below(1000) {
            0 => Duration::from_secs(self.random.between(4, 20)),
            1..100 => Duration::from_millis(self.random.below(100)),
            _ => Duration::from_micros(self.random.below(2000)),
        };
        self.clock.pass(time);
    }

    /// Does something to the target, at its own time.
    fn on_rig(&mut self, run: impl FnOnce(&mut Rig) -> Result<(), Crashed>) -> Result<(), Crashed> {
        let now = self.clock.steady();
        (self.rig.now, self.rig.wall_ahead) = (now, self.clock.ahead());
        let result = run(&mut self.rig);
        self.clock.pass(self.rig.now.since(now));
        self.rig.note_world();
        (0..self.sources.len()).for_each(|machine| {
            self.look_back(machine);
            self.look_for_repairs(machine, false);
        });
        result
    }

    /// Compares the history with what policy keeps. A clock that is set may cost an hour of it.
    fn look_back(&mut self, machine: usize) {
        let (base, durable) = {
            let state = self.rig.shared[machine].lock();
            (state.base, state.durable)
        };
        let now = self.clock.elapsed;
        self.durable[machine].see(now, durable);
        let window = self.rig.shape.limits.retention.window();
        let Some(begins) = now.checked_sub(window) else { return };
        let begins = begins + Duration::from_secs(3600) * self.clock.jumps;
        let then = self.durable[machine].at(begins);
        if !self.rig.is_tight() {
            judge::i3_kept(machine, base, then);
        }
    }

    fn source_turn(&mut self, machine: usize) {
        self.with_source(machine, Source::turn);
        let sessions = self.sources.iter().filter_map(|source| source.session.as_ref());
        let in_use: Vec<u64> = sessions.flat_map(|session| session.lines.iter().copied()).collect();
        self.network.sweep(&in_use);
    }

    /// Lets a source do something to what is around it.
    fn with_source(&mut self, machine: usize, run: impl FnOnce(&mut Source, &mut Around<'_>)) {
        let received = self.rig.shared[machine].lock().received;
        let Self { rig, network, random, clock, guests, sources, faults, .. } = self;
        let mut around = Around {
            network,
            oracle: &mut rig.oracles[machine],
            random,
            sights: &mut rig.sights,
            guest: &guests[machine],
            received,
            elapsed: clock.elapsed,
            wall: clock.wall.saturating_add_signed(sources[machine].ahead),
            is_set: faults.jumps,
        };
        run(&mut sources[machine], &mut around);
    }

    /// What a lifecycle shows is what everybody was told.
    fn follow(&mut self, machine: usize) {
        let lifecycle = self.rig.lifecycle(machine);
        let oracle = &mut self.rig.oracles[machine];
        match (oracle.stance, lifecycle) {
            (Stance::Registered, Lifecycle::Seeding { .. }) => oracle.stance = Stance::Seeding,
            (Stance::Seeding | Stance::Original, Lifecycle::Protected) => oracle.stance = Stance::Following,
            _ => return,
        }
        oracle.wanted = None;
        self.rig.note(machine as u64);
    }

    /// Loses the target, perhaps more than once; what is found goes on.
    pub(crate) fn crash(&mut self) {
        self.close_house();
        self.clock.restart_target();
        let before = self.clock.steady();
        (self.rig.now, self.rig.wall_ahead) = (before, 0);
        self.crashes += outage::crash(&mut self.rig, &mut self.random);
        self.rig.may_fail = false;
        self.clock.pass(self.rig.now.since(before));
        self.open_house();
        (0..self.sources.len()).for_each(|machine| self.look_for_repairs(machine, true));
        self.rig.note_world();
    }

    /// Everything that is broken is mended: then every source gets a recovery point of its disks as they are (liveness).
    fn heal(&mut self) {
        self.faults = Faults::default();
        self.rig.world.crash_at(u64::MAX);
        self.rig.cut_at = None;
        self.crash();
        self.rig.world.set_capacity(units::ByteLen::gib(1));
        let wanted: Vec<u64> = self.sources.iter().map(|source| source.points + 2).collect();
        for machine in 0..self.sources.len() {
            self.stand_behind(machine);
        }
        for _ in 0..HEALED_WITHIN {
            if self.is_whole()
                && self.sources.iter().zip(&wanted).all(|(source, wanted)| source.points >= *wanted)
            {
                return self.compare();
            }
            self.pass();
            let machine = self.random.below(self.sources.len() as u64) as usize;
            let result = match self.random.below(10) {
                0..5 => {
                    self.source_turn(machine);
                    Ok(())
                }
                5..8 => {
                    self.target_turn();
                    Ok(())
                }
                8 => self.on_rig(Rig::commit),
                _ => self.on_rig(|rig| rig.step(machine).map(|_| ())),
            };
            result.expect("nothing stops the world any more");
            self.follow(machine);
        }
        assert!(self.is_whole(), "I5: what rotted is sent again");
        let late = self.sources.iter().zip(wanted).find(|(source, wanted)| source.points < *wanted);
        let (source, wanted) = late.expect("somebody is late");
        let state = self.rig.shared[source.machine].lock();
        panic!(
            "liveness: machine {} gets no recovery point (has {}, should have {wanted}): its last session ended with {:?}, {}; {state:?}",
            source.machine,
            source.points,
            source.ended,
            source.at_work()
        );
    }

    /// Tells whether everything that rotted was sent again. How many rounds of the source that takes is nobody's promise.
    fn is_whole(&self) -> bool {
        self.rig.oracles.iter().all(|oracle| !oracle.is_rotten())
    }

    /// Every machine is exactly what its source has.
    fn compare(&mut self) {
        for machine in 0..self.sources.len() {
            self.on_rig(|rig| rig.settle(machine)).expect("nothing stops the world any more");
            let newest = self.rig.shared[machine].lock().durable.0;
            let image = self.rig.oracles[machine].image(newest).clone();
            assert!(*image == self.guests[machine].disks, "I2: machine {machine} is not the protected one");
            check::disks_are(&self.rig, machine, newest, "I2: a healed installation");
        }
        self.rig.sights.add(Sight::QuietPoint);
    }
}
