//! What operators do to an installation, and agents to themselves.

use retention::{Afterwards, Head};
use target::next_generation;
use target::replica::{Replica, ReplicaError, remove_machine};
use units::{Generation, Sequence};
use wire::{Hello, Message};

use super::Fleet;
use super::line::End;
use super::source::Source;
use crate::sim::keeping::Past;
use crate::sim::ops::{self, Op};
use crate::sim::oracle::{Oracle, Stance};
use crate::sim::rig::{ApplyHalf, Crashed, Rig, disk_name, machine_id};
use crate::sim::seen::Sight;
use crate::sim::views;
use crate::sim::witness::WitnessVolume;

const OPS: [Op; 13] = [
    Op::Settle,
    Op::Back(0),
    Op::Back(2),
    Op::Back(4),
    Op::Forward,
    Op::Forward,
    Op::Expire,
    Op::Ask,
    Op::View,
    Op::View,
    Op::Unview,
    Op::Pin,
    Op::Unpin,
];

impl Fleet {
    /// An operator asks for something.
    pub(crate) fn operate(&mut self, machine: usize) -> Result<(), Crashed> {
        if self.rig.shared[machine].lock().failure.is_some() {
            // What was asked for before may still come true when it is back.
            return Ok(());
        }
        match self.rig.oracles[machine].stance {
            Stance::Registered | Stance::Original => {
                self.resync_if_fenced(machine);
                Ok(())
            }
            Stance::Seeding => Ok(()),
            Stance::Given(_) => self.reprotect(machine),
            Stance::At(_) if self.random.one_in(6) => self.on_rig(|rig| Op::Accept.perform(rig, machine)),
            Stance::At(_) | Stance::Following => {
                let op = self.random.pick(&OPS);
                self.on_rig(|rig| op.perform(rig, machine).and_then(|()| views::look(rig)))
            }
        }
    }

    /// A machine that was protected anew needs its source to begin anew too.
    fn resync_if_fenced(&mut self, machine: usize) {
        let known = self.sources[machine].stream.generation();
        if known != Generation(0) && known != self.machines[machine].generation {
            self.with_source(machine, Source::resync);
        }
    }

    /// Ends a rewind, or protects anew what was handed over: at the end everybody follows its source.
    pub(crate) fn stand_behind(&mut self, machine: usize) {
        let stance = self.rig.oracles[machine].stance;
        match stance {
            Stance::At(_) => {
                let (_, newest) = ops::window(&self.rig, machine);
                self.on_rig(|rig| ops::rewind(rig, machine, newest, Afterwards::Replicate))
                    .expect("nothing stops the world any more");
            }
            Stance::Given(_) => self.reprotect(machine).expect("nothing stops the world any more"),
            Stance::Registered | Stance::Original | Stance::Seeding | Stance::Following => {}
        }
        self.resync_if_fenced(machine);
    }

    /// Protects a machine that was handed over in a generation of its own: on blank disks, as far as anybody knows, or on its own ones,
    /// whose content becomes the first point.
    pub(crate) fn reprotect(&mut self, machine: usize) -> Result<(), Crashed> {
        // A cut in here is another test's: half a machine is nobody's.
        self.rig.world.crash_at(u64::MAX);
        self.rig.cut_at = None;
        self.network.all().filter(|line| line.machine == machine).for_each(|line| {
            line.away.close();
            line.end = End::Over;
        });
        let newest = self.machines.iter().map(|machine| machine.generation).max().unwrap_or(Generation(0));
        self.ghosts.push((machine, self.machines[machine].generation));
        let generation = next_generation(&self.rig.volume, newest).map_err(|_| Crashed)?;
        assert!(generation > newest, "I11: generation {generation} is given after {newest}");
        let lens = self.rig.shape.machines[machine].clone();
        let contents = |rig: &Rig, disk: usize| {
            rig.world.contents(&disk_name(machine, disk))[..lens[disk] as usize].to_vec()
        };
        let found: Vec<_> = (0..lens.len()).map(|disk| contents(&self.rig, disk)).collect();
        self.rig.views.close_of(machine);
        self.durable[machine] = Past::default();
        if self.random.one_in(2) && self.begin_generation(machine, generation) {
            self.rig.oracles[machine] = Oracle::original(found, &lens);
            self.machines[machine] = self.machine(machine);
            self.rig.sights.add(Sight::ReprotectedOnOriginals);
            return Ok(());
        }
        self.let_go(machine);
        // A device that fails in here leaves half a machine, which is removed like a whole one.
        let replica = (0..64).find_map(|_| self.make_anew(machine, generation).ok());
        let replica = replica.expect("not every device fails");
        self.rig.shared[machine] = replica.applier.shared().clone();
        self.rig.commit.borrow_mut().appenders[machine] = replica.appender;
        self.rig.apply.borrow_mut().appliers[machine] = Some(replica.applier);
        self.rig.oracles[machine] = Oracle { seeded: found, ..Oracle::new(&lens) };
        self.machines[machine] = self.machine(machine);
        self.rig.sights.add(Sight::Reprotected);
        Ok(())
    }

    /// Closes everything that a machine has open.
    fn let_go(&mut self, machine: usize) {
        let mut apply = self.rig.apply.borrow_mut();
        let apply = &mut *apply;
        if let Some(applier) = apply.appliers[machine].take() {
            applier.close(&mut apply.engine);
        }
        let mut commit = self.rig.commit.borrow_mut();
        let commit = &mut *commit;
        commit.appenders[machine].close(&mut commit.engine);
    }

    /// Begins another generation on a machine's disks as they are, in the order of `MasterTarget::reprotect`. Returns whether it was
    /// begun: a device may fail meanwhile.
    fn begin_generation(&mut self, machine: usize, generation: Generation) -> bool {
        let begun = {
            let mut apply = self.rig.apply.borrow_mut();
            let ApplyHalf { engine, appliers } = &mut *apply;
            let applier = appliers[machine].as_mut().expect("the machine is there");
            applier.begin_generation(engine, generation, self.rig.now).is_ok()
        };
        begun && self.rig.open_anew(machine).is_ok()
    }

    fn make_anew(
        &mut self,
        machine: usize,
        generation: Generation,
    ) -> Result<Replica<WitnessVolume>, ReplicaError> {
        remove_machine(&self.rig.volume, machine_id(machine))?;
        let head = Head { generation, ..self.rig.first_head(machine) };
        let (setup, disks) = (self.rig.setup(), self.rig.open_disks(machine));
        Replica::create(&mut self.rig.apply.borrow_mut().engine, setup, head, disks)
    }

    /// A source of a generation that is over calls once more.
    pub(crate) fn ghost_calls(&mut self) {
        if self.ghosts.is_empty() {
            return;
        }
        let (machine, generation) = self.random.pick(&self.ghosts);
        let mut session = [0; 16];
        self.random.fill(&mut session);
        let hello = Hello {
            machine: self.sources[machine].identity.name.clone(),
            generation,
            session,
            connection: 0,
            connections: 1,
            acked: Sequence(0),
            disks: self.sources[machine].shapes().into_iter().collect(),
            software: Default::default(),
        };
        let id = self.network.open(machine, self.clock.elapsed);
        let line = self.network.line(id);
        line.is_fenced = true;
        line.home.put(&Message::Hello(Box::new(hello)), &[], self.clock.elapsed);
        line.home.close();
        self.rig.sights.add(Sight::GhostRefused);
    }

    /// An agent is killed and started anew.
    pub(crate) fn restart_source(&mut self, machine: usize) {
        self.with_source(machine, Source::restart);
    }
}
