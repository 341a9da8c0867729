//! Views while everything else goes on: opened at any point, read between and inside the steps of the applier.
//!
//! A reader waits for its devices, and so does the applier: whichever waits, the other goes on there, as threads would.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use blockdev::PagePool;
use target::replica::{LiveView, ReplicaError, Step, ViewReader, Work, chain};
use units::{ByteOffset, DiskIndex, Sequence, Timestamp};

use super::drive::{commit_once, step_once};
use super::ops::{self, Op};
use super::oracle::{Image, Stance};
use super::random::Random;
use super::rig::{Crashed, Rig, Shape, disk_name};
use super::seeding::protect;
use super::seen::Sight;
use super::shapes;
use super::witness::{Between, Cuts, WitnessEngine, WitnessVolume};

/// Views that are open at once.
const OPEN_MAX: usize = 4;

const OPS: [Op; 10] = [
    Op::Write,
    Op::Group,
    Op::Step,
    Op::Settle,
    Op::Rotate,
    Op::Weave,
    Op::Back(1),
    Op::Back(3),
    Op::Forward,
    Op::Expire,
];

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Views that were opened.
    pub opened: u64,
    /// Whole disks that were read and were right,
    pub reads: u64,
    /// of these inside a wait of the applier,
    pub inside: u64,
    /// and such that the applier worked inside of.
    pub overtaken: u64,
    /// Views that were ended because the volume was full.
    pub ended: u64,
}

/// A view and what it must show.
struct Watched {
    machine: usize,
    view: Arc<LiveView>,
    image: Image,
    reader: RefCell<ViewReader<WitnessEngine, WitnessVolume>>,
    /// A device failed under it: it can't be read any more.
    is_lost: Cell<bool>,
}

/// The views that are open in a rig; clones are the same. They end with its process.
#[derive(Clone, Default)]
pub(crate) struct Views {
    open: Rc<RefCell<Vec<Watched>>>,
    tally: Rc<RefCell<Tally>>,
    /// What time it is for whoever works while a reader waits.
    now: Rc<Cell<Timestamp>>,
}

/// Runs one seed.
pub(crate) fn run(seed: u64, adjust: impl Fn(&mut Shape)) -> Tally {
    let mut random = Random::new(seed ^ 0x71e3);
    let mut shape = shapes::random(&mut random);
    shape.machines.truncate(1);
    adjust(&mut shape);
    let mut rig = Rig::create(seed, &shape).expect("nothing stops the world");
    protect(&mut rig, 0).expect("nothing stops the world");
    for _ in 0..random.between(10, 40) {
        if random.one_in(2) {
            open(&mut rig, 0).expect("nothing stops the world");
        }
        if random.one_in(8) {
            rig.views.close_one();
        }
        let op = random.pick(&OPS);
        while_read(&mut rig, |rig| op.perform(rig, 0)).expect("nothing stops the world");
    }
    *rig.views.tally.borrow()
}

/// Does something while every view is read, inside it and afterwards.
pub(crate) fn while_read(
    rig: &mut Rig,
    run: impl FnOnce(&mut Rig) -> Result<(), Crashed>,
) -> Result<(), Crashed> {
    if rig.views.open.borrow().is_empty() {
        return run(rig);
    }
    rig.views.now.set(rig.now);
    let (views, may_fail) = (rig.views.clone(), rig.may_fail);
    let between = move || views.check(may_fail, |tally| &mut tally.inside);
    rig.apply.borrow_mut().engine.between = Some(Rc::new(between));
    let result = run(rig);
    rig.apply.borrow_mut().engine.between = None;
    rig.alive().and(result)?;
    look(rig)
}

/// Reads every view, and forgets those that have ended.
pub(crate) fn look(rig: &mut Rig) -> Result<(), Crashed> {
    if rig.views.open.borrow().is_empty() {
        return Ok(());
    }
    rig.views.now.set(rig.now);
    rig.views.check(rig.may_fail, |tally| &mut tally.reads);
    rig.alive()?;
    forget_ended(rig);
    Ok(())
}

/// Forgets the views that have ended, which they do for few reasons.
fn forget_ended(rig: &mut Rig) {
    let gone = |watched: &Watched| watched.is_lost.get() || watched.view.ended().is_some();
    for watched in rig.views.open.borrow().iter() {
        let Some(why) = watched.view.ended() else { continue };
        let oracle = &rig.oracles[watched.machine];
        let is_given =
            matches!(oracle.stance, Stance::Given(_)) || matches!(oracle.wanted, Some(Stance::Given(_)));
        let lawful = match why {
            why if why.starts_with("the retention volume is full") => rig.is_tight(),
            why if why.starts_with("the machine was committed") => is_given,
            _ => false,
        };
        assert!(lawful, "I4: a view of {} ended: {why}", watched.view.to());
        rig.views.tally.borrow_mut().ended += 1;
        rig.sights.add(Sight::ViewEndedForRoom);
    }
    rig.views.open.borrow_mut().retain(|watched| !gone(watched));
}

/// Opens a view of any sequence that was applied, or is about to be. Of a machine that is out, or was handed over, there is none.
pub(crate) fn open(rig: &mut Rig, machine: usize) -> Result<(), Crashed> {
    let is_known = !rig.oracles[machine].images.is_empty();
    let is_given = matches!(rig.oracles[machine].stance, Stance::Given(_) | Stance::Original);
    if rig.views.open.borrow().len() >= OPEN_MAX || !is_known || is_given {
        return Ok(());
    }
    let (base, newest) = ops::window(rig, machine);
    let to = rig.material.random.between(base, newest);
    if rig.oracles[machine].is_spoilt(to) {
        return Ok(());
    }
    let replays = rig.shared[machine].lock().written.0 < newest;
    let answer = rig.ask(machine, |then| Work::View { to: Sequence(to), then })?;
    let view = match answer {
        Some(Ok(view)) => view,
        // Making room may take the point away meanwhile, or there is none to apply it.
        Some(Err(error)) => {
            let lawful = rig.may_fail || ops::is_given_up(rig, machine, to);
            assert!(lawful, "I3: a view of {to} is refused: {}", chain(&error));
            return Ok(());
        }
        None => {
            let lawful = rig.may_fail || rig.shared[machine].lock().full.is_some();
            assert!(lawful, "liveness: no answer about a view");
            return Ok(());
        }
    };
    rig.sights.add(if replays { Sight::ViewWaitedForReplay } else { Sight::ViewOpened });
    let disks = (0..view.lens().len()).map(|disk| rig.world.open_disk(&disk_name(machine, disk))).collect();
    let mut engine = WitnessEngine::new(rig.world.engine(rig.shape.depth), Cuts::default());
    engine.between = Some(beside_a_reader(rig, machine));
    // Of its own: everybody waits inside somebody else's transfer here.
    let pool = PagePool::new(2, 256 << 10);
    let reader = ViewReader::new(view.clone(), engine, rig.volume.clone(), pool, disks);
    let image = rig.oracles[machine].image(to).clone();
    let reader = RefCell::new(reader.expect("an engine takes the disks"));
    rig.views.open.borrow_mut().push(Watched { machine, view, image, reader, is_lost: Cell::new(false) });
    rig.views.tally.borrow_mut().opened += 1;
    Ok(())
}

/// Returns what others do while a reader waits.
fn beside_a_reader(rig: &Rig, machine: usize) -> Between {
    let (apply, commit, volume) = (rig.apply.clone(), rig.commit.clone(), rig.volume.clone());
    let (counted, now) = (rig.views.tally.clone(), rig.views.now.clone());
    Rc::new(move || {
        commit_once(&commit, &volume, now.get());
        if apply.try_borrow_mut().is_ok() && step_once(&apply, machine, now.get()) == Step::Worked {
            counted.borrow_mut().overtaken += 1;
        }
    })
}

impl Views {
    /// Closes the view that was opened first.
    pub(crate) fn close_one(&self) {
        if !self.open.borrow().is_empty() {
            drop(self.open.borrow_mut().remove(0));
        }
    }

    /// Closes the views of a machine.
    pub(crate) fn close_of(&self, machine: usize) {
        self.open.borrow_mut().retain(|watched| watched.machine != machine);
    }

    /// Tells whether any was read so far, and whether the applier worked while one was.
    pub(crate) fn sights(&self) -> impl Iterator<Item = Sight> {
        let tally = *self.tally.borrow();
        let met = [
            (tally.reads > 0, Sight::ViewRead),
            (tally.inside > 0, Sight::ViewReadInsideAStep),
            (tally.overtaken > 0, Sight::ViewOvertaken),
        ];
        met.into_iter().filter_map(|(met, sight)| met.then_some(sight))
    }

    /// Reads every view whole, and in granules, unless it is being read already.
    fn check(&self, may_fail: bool, count: impl Fn(&mut Tally) -> &mut u64) {
        for watched in self.open.borrow().iter() {
            let Ok(mut reader) = watched.reader.try_borrow_mut() else { continue };
            for (disk, expected) in watched.image.iter().enumerate() {
                match watched.read_disk(&mut reader, disk, expected) {
                    Ok(()) => *count(&mut self.tally.borrow_mut()) += 1,
                    Err(ReplicaError::ViewEnded { .. }) => break,
                    Err(error) => {
                        // The world has stopped, or a device failed.
                        let lawful = may_fail || chain(&error).contains("crashed at step");
                        assert!(lawful, "I4: a view can't be read: {}", chain(&error));
                        watched.is_lost.set(true);
                        break;
                    }
                }
            }
        }
    }
}

impl Watched {
    fn read_disk(
        &self,
        reader: &mut ViewReader<WitnessEngine, WitnessVolume>,
        disk: usize,
        expected: &[u8],
    ) -> Result<(), ReplicaError> {
        for len in [expected.len(), 8192] {
            for start in (0..expected.len()).step_by(len) {
                let end = (start + len).min(expected.len());
                let mut found = vec![0xee; end - start];
                reader.read(DiskIndex(disk as u16), ByteOffset(start as u64), &mut found)?;
                assert!(
                    found == expected[start..end],
                    "I4: a view of {} shows something else on disk {disk} from {start}",
                    self.view.to()
                );
            }
        }
        Ok(())
    }
}
