//! Views while everything else goes on: opened at any point, read between and inside the steps of the applier.
//!
//! A reader waits for its devices, and so does the applier: whichever waits, the other goes on there, as threads would.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use blockdev::PagePool;
use target::replica::{LiveView, ReplicaError, ViewReader, Work, chain};
use units::{ByteOffset, DiskIndex, Sequence};

use super::drive::{commit_once, step_once};
use super::ops::{self, Op};
use super::oracle::Image;
use super::random::Random;
use super::rig::{Rig, Shape, disk_name};
use super::seeding::protect;
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
    view: Arc<LiveView>,
    image: Image,
    reader: RefCell<ViewReader<WitnessEngine, WitnessVolume>>,
}

type Views = Rc<RefCell<Vec<Watched>>>;

/// Runs one seed.
pub(crate) fn run(seed: u64, adjust: impl Fn(&mut Shape)) -> Tally {
    let mut random = Random::new(seed ^ 0x71e3);
    let mut shape = shapes::random(&mut random);
    shape.machines.truncate(1);
    adjust(&mut shape);
    let mut rig = Rig::create(seed, &shape).expect("nothing stops the world");
    protect(&mut rig, 0).expect("nothing stops the world");
    let (views, tally) = (Views::default(), Rc::new(RefCell::new(Tally::default())));
    for _ in 0..random.between(10, 40) {
        if random.one_in(2) && views.borrow().len() < OPEN_MAX {
            open(&mut rig, &mut random, &views, &tally);
        }
        if random.one_in(8) && !views.borrow().is_empty() {
            views.borrow_mut().remove(0);
        }
        let (inside, counted) = (views.clone(), tally.clone());
        let between = move || check(&inside, &counted, |tally| &mut tally.inside);
        rig.apply.borrow_mut().engine.between = Some(Rc::new(between));
        random.pick(&OPS).perform(&mut rig, 0).expect("nothing stops the world");
        rig.apply.borrow_mut().engine.between = None;
        check(&views, &tally, |tally| &mut tally.reads);
        let gone = |watched: &Watched| watched.view.ended().is_some();
        let ended = views.borrow().iter().filter(|watched| gone(watched)).count() as u64;
        assert!(ended == 0 || shape.capacity.is_some(), "a view ends only to make room");
        tally.borrow_mut().ended += ended;
        views.borrow_mut().retain(|watched| !gone(watched));
    }
    *tally.borrow()
}

/// Opens a view of any sequence that was applied, or is about to be.
fn open(rig: &mut Rig, random: &mut Random, views: &Views, tally: &Rc<RefCell<Tally>>) {
    let (base, newest) = ops::window(rig, 0);
    let to = random.between(base, newest);
    let answer = rig.ask(0, |then| Work::View { to: Sequence(to), then }).expect("nothing stops the world");
    let view = match answer {
        Some(Ok(view)) => view,
        // Making room may take the point away meanwhile, or there is none to apply it.
        Some(Err(error)) => {
            let expired = to < ops::window(rig, 0).0;
            return assert!(expired, "a view of {to} is refused: {}", chain(&error));
        }
        None => return assert!(rig.shared[0].lock().full.is_some(), "liveness: no answer about a view"),
    };
    let disks = (0..view.lens().len()).map(|disk| rig.world.open_disk(&disk_name(0, disk))).collect();
    let (apply, commit, volume, now) = (rig.apply.clone(), rig.commit.clone(), rig.volume.clone(), rig.now);
    let counted = tally.clone();
    let between: Between = Rc::new(move || {
        commit_once(&commit, &volume, now);
        if apply.try_borrow_mut().is_ok() && step_once(&apply, 0, now) == target::replica::Step::Worked {
            counted.borrow_mut().overtaken += 1;
        }
    });
    let mut engine = WitnessEngine::new(rig.world.engine(rig.shape.depth), Cuts::default());
    engine.between = Some(between);
    // Of its own: everybody waits inside somebody else's transfer here.
    let pool = PagePool::new(2, 256 << 10);
    let reader = ViewReader::new(view.clone(), engine, rig.volume.clone(), pool, disks);
    let image = rig.oracles[0].image(to).clone();
    let reader = RefCell::new(reader.expect("an engine takes the disks"));
    views.borrow_mut().push(Watched { view, image, reader });
    tally.borrow_mut().opened += 1;
}

/// Reads every view whole, and in granules, unless it is being read already.
fn check(views: &Views, tally: &Rc<RefCell<Tally>>, count: impl Fn(&mut Tally) -> &mut u64) {
    let views = views.borrow();
    for watched in views.iter() {
        let Ok(mut reader) = watched.reader.try_borrow_mut() else { continue };
        for (disk, expected) in watched.image.iter().enumerate() {
            for len in [expected.len(), 8192] {
                for start in (0..expected.len()).step_by(len) {
                    let end = (start + len).min(expected.len());
                    let mut found = vec![0xee; end - start];
                    let (index, at) = (DiskIndex(disk as u16), ByteOffset(start as u64));
                    match reader.read(index, at, &mut found) {
                        Ok(()) => assert!(
                            found == expected[start..end],
                            "I4: a view of {} shows something else on disk {disk} from {start}",
                            watched.view.to()
                        ),
                        Err(ReplicaError::ViewEnded { .. }) => return,
                        Err(error) => panic!("I4: a view can't be read: {}", chain(&error)),
                    }
                }
            }
            *count(&mut tally.borrow_mut()) += 1;
        }
    }
}
