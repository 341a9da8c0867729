//! What a rig does, one step at a time.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use retention::Body;
use target::replica::{
    Appender, FailureKind, NotTaken, Progress, Received, ReplicaError, Step, Work, commit_all,
};
use units::{ByteLen, Sequence, Timestamp};

use super::material::{Item, Material};
use super::oracle::Image;
use super::rig::{ApplyHalf, CommitHalf, Crashed, POOL, Rig};
use super::seen::Sight;
use super::witness::WitnessVolume;
use super::{check, judge, keeping};

impl Rig {
    /// Sends one item. Returns why it was not taken.
    pub(crate) fn take(
        &mut self,
        machine: usize,
        make: impl FnOnce(&mut Material, u64, Timestamp, &Image) -> Item,
    ) -> Result<(), NotTaken> {
        self.now.0 += 7;
        let received = self.shared[machine].lock().received.0;
        let oracle = &mut self.oracles[machine];
        if oracle.images.is_empty() {
            return Err(NotTaken::Closed);
        }
        oracle.forget_after(received);
        let sequence = received + 1;
        let Item { body, payload, image } = make(&mut self.material, sequence, self.now, oracle.newest());
        let item = Received { sequence: Sequence(sequence), time: self.now, body, payload };
        let marker = match &item.body {
            Body::Marker(marker) => Some((sequence, marker.consistency)),
            _ => None,
        };
        let taken = self.shared[machine].take(item);
        match taken {
            Ok(()) => {
                let oracle = &mut self.oracles[machine];
                oracle.images.push(image);
                oracle.markers.extend(marker);
                oracle.past.see(Duration::from_micros(self.now.0), Sequence(sequence));
            }
            Err(_) => self.sights.add(Sight::RefusedWhileClosed),
        }
        self.note(u64::from(taken.is_ok()));
        taken
    }

    /// Commits what all machines have received, in one round, and acks what that made durable.
    pub(crate) fn commit(&mut self) -> Result<(), Crashed> {
        let waiting = self.shared.iter().filter(|shared| {
            let state = shared.lock();
            state.received > state.durable
        });
        if waiting.count() > 1 {
            self.sights.add(Sight::TwoMachinesInOneRound);
        }
        commit_once(&self.commit, &self.volume, self.wall());
        self.pass_waited();
        self.alive()?;
        self.ack();
        self.check_failures();
        Ok(())
    }

    /// Takes note of what everybody is now told.
    pub(crate) fn ack(&mut self) {
        for machine in 0..self.shared.len() {
            let state = self.shared[machine].lock();
            if state.full.is_some() {
                self.sights.add(Sight::VolumeFull);
            }
            let oracle = &mut self.oracles[machine];
            oracle.acked = oracle.acked.max(state.durable.0);
        }
    }

    /// What slow devices took has passed.
    pub(crate) fn pass_waited(&mut self) {
        let waited = self.world.take_waited();
        if !waited.is_zero() {
            let hangs = waited >= blockdev::DEADLINE;
            self.sights.add(if hangs { Sight::DeviceHung } else { Sight::DeviceSlow });
            self.quiet(waited);
        }
    }

    /// Does one step of one machine's applier.
    pub(crate) fn step(&mut self, machine: usize) -> Result<Step, Crashed> {
        let before = {
            let state = self.shared[machine].lock();
            (state.full.is_some(), state.base, state.written)
        };
        let step = step_once(&self.apply, machine, self.now);
        self.pass_waited();
        self.alive()?;
        {
            let state = self.shared[machine].lock();
            if self.shape.resident == ByteLen::ZERO && state.written > before.2 {
                self.sights.add(Sight::ReadBackFromRedo);
            }
            if state.base > before.1 {
                self.sights.add(Sight::EpochExpired);
                if before.0 && state.full.is_none() {
                    self.sights.add(Sight::RoomMade);
                }
            }
        }
        self.ack();
        self.check_failures();
        if self.shared[machine].lock().failure.is_none() {
            judge::i2_listed(machine, &self.shared[machine].lock(), &self.oracles[machine]);
            keeping::held(self, machine);
            keeping::good_before_resync(self, machine);
            keeping::paused_or_kept(self, machine);
        }
        Ok(step)
    }

    /// Steps until there is nothing to do; with time for the quiet checkpoint.
    pub(crate) fn drain(&mut self, machine: usize) -> Result<(), Crashed> {
        for _ in 0..2 {
            let mut steps = 0;
            while self.step(machine)? == Step::Worked {
                steps += 1;
                assert!(steps < 10_000, "liveness: an applier with nothing new to do comes to rest");
            }
            self.now.0 += 600_000;
        }
        Ok(())
    }

    /// Commits and steps until everything that was sent is on the disks, or nothing moves.
    pub(crate) fn settle(&mut self, machine: usize) -> Result<(), Crashed> {
        for _ in 0..20 {
            self.commit()?;
            self.drain(machine)?;
            let state = self.shared[machine].lock();
            if state.received == state.written && state.applied == state.written {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Gives work that answers through `then`, and steps until the answer is there.
    pub(crate) fn ask<T: Send + 'static>(
        &mut self,
        machine: usize,
        make: impl FnOnce(Box<dyn FnOnce(Result<T, ReplicaError>) + Send>) -> Work,
    ) -> Result<Option<Result<T, ReplicaError>>, Crashed> {
        let answer: Arc<Mutex<Option<Result<T, ReplicaError>>>> = Arc::default();
        let slot = answer.clone();
        self.shared[machine].give(make(Box::new(move |result| *slot.lock().unwrap() = Some(result))));
        for _ in 0..200 {
            if answer.lock().unwrap().is_some() {
                break;
            }
            self.commit()?;
            self.step(machine)?;
        }
        let answer = answer.lock().unwrap().take();
        Ok(answer)
    }

    /// Computes the roots at a sequence.
    pub(crate) fn roots(
        &mut self,
        machine: usize,
        to: u64,
    ) -> Result<Option<Result<Vec<units::Hash>, ReplicaError>>, Crashed> {
        let (to, progress) = (Sequence(to), Arc::new(Progress::default()));
        self.ask(machine, |then| Work::Verify { to, progress, then })
    }

    pub(crate) fn check_failures(&mut self) {
        if self.shape.retries_hangs {
            self.retry_hangs();
        }
        for (machine, shared) in self.shared.iter().enumerate() {
            if let Some((kind, what)) = &shared.lock().failure
                && !self.may_fail
            {
                panic!("containment: machine {machine} is out ({kind:?}) though nothing was broken: {what}");
            }
        }
    }
}

/// Mistakes are made here.
impl Rig {
    fn retry_hangs(&mut self) {
        for machine in 0..self.shared.len() {
            let failure = self.shared[machine].lock().failure.clone();
            let hangs = failure.is_some_and(|(_, what)| what.contains("has not ended within"));
            if hangs && self.open_anew(machine).is_ok() {
                check::found(self, machine);
            }
        }
    }
}

/// What `landfalld`'s committing thread does in one turn.
pub(crate) fn commit_once(half: &Rc<RefCell<CommitHalf>>, volume: &WitnessVolume, now: Timestamp) {
    let Ok(mut half) = half.try_borrow_mut() else { return };
    let CommitHalf { engine, appenders } = &mut *half;
    let mut all: Vec<&mut Appender> = appenders.iter_mut().collect();
    let pool = POOL.with(Clone::clone);
    if let Err(error) = commit_all(engine, &pool, volume, &mut all, now) {
        all.iter().for_each(|appender| appender.shared().fail(&error));
    }
}

/// What `landfalld`'s applying thread does in one turn for one machine.
pub(crate) fn step_once(half: &Rc<RefCell<ApplyHalf>>, machine: usize, now: Timestamp) -> Step {
    let Ok(mut half) = half.try_borrow_mut() else { return Step::Idle };
    let ApplyHalf { engine, appliers } = &mut *half;
    let Some(applier) = &mut appliers[machine] else { return Step::Idle };
    let shared = applier.shared().clone();
    match applier.step(engine, now) {
        Ok(step) => step,
        Err(ReplicaError::Full { what }) => {
            shared.lock().full.replace(what);
            Step::Idle
        }
        Err(error) if error.kind() == FailureKind::Refused => Step::Worked,
        Err(error) => {
            shared.fail(&error);
            Step::Idle
        }
    }
}
