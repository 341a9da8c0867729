//! What operators do to an installation, and agents to themselves.

use retention::{Afterwards, Head};
use target::next_generation;
use target::replica::{Replica, ReplicaError, remove_machine};
use units::{Generation, Sequence};
use wire::{Hello, Message};

use super::Fleet;
use super::line::End;
use super::source::Source;
use crate::sim::ops::{self, Op};
use crate::sim::oracle::{Oracle, Stance};
use crate::sim::rig::{Crashed, machine_id};
use crate::sim::seen::Sight;
use crate::sim::witness::WitnessVolume;

const OPS: [Op; 8] =
    [Op::Settle, Op::Back(0), Op::Back(2), Op::Back(4), Op::Forward, Op::Forward, Op::Expire, Op::Ask];

impl Fleet {
    /// An operator asks for something.
    pub(crate) fn operate(&mut self, machine: usize) -> Result<(), Crashed> {
        if self.rig.shared[machine].lock().failure.is_some() {
            // What was asked for before may still come true when it is back.
            return Ok(());
        }
        match self.rig.oracles[machine].stance {
            Stance::Registered => {
                self.resync_if_fenced(machine);
                Ok(())
            }
            Stance::Seeding => Ok(()),
            Stance::Given(_) => self.reprotect(machine),
            Stance::At(_) if self.random.one_in(6) => self.on_rig(|rig| Op::Accept.perform(rig, machine)),
            Stance::At(_) | Stance::Following => {
                let op = self.random.pick(&OPS);
                self.on_rig(|rig| op.perform(rig, machine))
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
            Stance::Registered | Stance::Seeding | Stance::Following => {}
        }
        self.resync_if_fenced(machine);
    }

    /// Removes a machine that was handed over and adds it anew, in a generation of its own.
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
        {
            let mut apply = self.rig.apply.borrow_mut();
            let apply = &mut *apply;
            let applier = apply.appliers[machine].take().expect("the machine is there");
            applier.close(&mut apply.engine);
            let mut commit = self.rig.commit.borrow_mut();
            let commit = &mut *commit;
            commit.appenders[machine].close(&mut commit.engine);
        }
        let generation = next_generation(&self.rig.volume, newest).map_err(|_| Crashed)?;
        assert!(generation > newest, "I11: generation {generation} is given after {newest}");
        // A device that fails in here leaves half a machine, which is removed like a whole one.
        let replica = (0..64).find_map(|_| self.make_anew(machine, generation).ok());
        let replica = replica.expect("not every device fails");
        self.rig.shared[machine] = replica.applier.shared().clone();
        self.rig.commit.borrow_mut().appenders[machine] = replica.appender;
        self.rig.apply.borrow_mut().appliers[machine] = Some(replica.applier);
        let lens = self.rig.shape.machines[machine].clone();
        let mut oracle = Oracle::new(&lens);
        for (disk, len) in lens.iter().enumerate() {
            let found = self.rig.world.contents(&crate::sim::rig::disk_name(machine, disk));
            oracle.seeded[disk].copy_from_slice(&found[..*len as usize]);
        }
        self.rig.oracles[machine] = oracle;
        self.machines[machine] = self.machine(machine);
        self.durable[machine].clear();
        self.rig.sights.add(Sight::Reprotected);
        Ok(())
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
