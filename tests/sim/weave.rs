//! One half of a replica inside the waits of the other, as two threads may meet.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use target::replica::{Received, Step};
use units::Sequence;

use super::drive::{commit_once, step_once};
use super::material::Item;
use super::oracle::Image;
use super::rig::{Crashed, Rig};
use super::seen::Sight;

impl Rig {
    /// Runs a commit whose waits let the applier of `machine` step.
    pub(crate) fn commit_woven(&mut self, machine: usize) -> Result<(), Crashed> {
        let (apply, now, woven) = (self.apply.clone(), self.now, self.woven.clone());
        let between = move || {
            if step_once(&apply, machine, now) == Step::Worked {
                woven.set(woven.get() + 1);
            }
        };
        self.woven.set(0);
        self.commit.borrow_mut().engine.between = Some(Rc::new(between));
        let result = self.commit();
        self.commit.borrow_mut().engine.between = None;
        if self.woven.get() > 0 {
            self.sights.add(Sight::AppliedInsideACommit);
        }
        result
    }

    /// Does a step whose waits let `items` be committed, one at a time.
    pub(crate) fn step_woven(&mut self, machine: usize, items: usize) -> Result<(), Crashed> {
        let (commit, volume, now) = (self.commit.clone(), self.volume.clone(), self.now);
        let (shared, woven) = (self.shared[machine].clone(), self.woven.clone());
        let mut made: Vec<Item> = Vec::new();
        let received = shared.lock().received.0;
        if self.oracles[machine].images.is_empty() {
            return Ok(());
        }
        self.oracles[machine].forget_after(received);
        let mut image = self.oracles[machine].newest().clone();
        for nth in 0..items as u64 {
            let item = self.material.batch(received + 1 + nth, now, &image);
            image = item.image.clone();
            made.push(item);
        }
        let waiting = Rc::new(RefCell::new(made.into_iter().collect::<VecDeque<_>>()));
        let taken: Rc<RefCell<Vec<Image>>> = Rc::default();
        let (queue, told) = (waiting, taken.clone());
        let between = move || {
            let Some(Item { body, payload, image }) = queue.borrow_mut().pop_front() else { return };
            let sequence = Sequence(shared.lock().received.0 + 1);
            if shared.take(Received { sequence, time: now, body, payload }).is_ok() {
                told.borrow_mut().push(image);
                woven.set(woven.get() + 1);
            } else {
                queue.borrow_mut().clear();
            }
            commit_once(&commit, &volume, now);
        };
        self.woven.set(0);
        self.apply.borrow_mut().engine.between = Some(Rc::new(between));
        step_once(&self.apply, machine, self.now);
        self.apply.borrow_mut().engine.between = None;
        self.pass_waited();
        let received = self.shared[machine].lock().received;
        let oracle = &mut self.oracles[machine];
        oracle.images.extend(taken.borrow().iter().cloned());
        oracle.past.see(Duration::from_micros(now.0), received);
        if self.woven.get() > 0 {
            self.sights.add(Sight::CommittedInsideAStep);
        }
        self.alive()?;
        self.ack();
        self.check_failures();
        Ok(())
    }
}
