//! Joining cut at every step, in many ways: what is found afterwards gives every point it lists, to the byte.

use std::sync::Arc;

use blockdev::{CrashChoice, PagePool, SimEngine, SimVolume, SimWorld};
use retention::{Afterwards, BatchBody, Body, ExtentEncoder, Head, HeadDisk, Loss, WhenFull};
use units::{DiskIndex, Generation, MachineId, Sequence};
use wire::{Consistency, Marker};

use super::super::append::commit_all;
use super::super::apply::Step;
use super::super::budget::ResidentBudget;
use super::super::limits::ReplicaLimits;
use super::super::progress::Progress;
use super::super::recover::{Replica, Setup};
use super::super::shared::{Bell, Received};
use super::super::work::Work;
use super::*;

const MACHINE: MachineId = MachineId([7; 16]);
const GRANULES: u64 = 24;
const LEN: u64 = GRANULES * 4096;
const NOW: Timestamp = Timestamp(5_000_000);

/// A replica in a simulated world, and what its disk held at each sequence.
struct Bench {
    world: SimWorld,
    engine: SimEngine,
    replica: Replica<SimVolume>,
    images: Vec<Vec<u8>>,
}

fn limits(budget: ByteLen) -> ReplicaLimits {
    let mut limits =
        ReplicaLimits { log_chunk: ByteLen(4096), epoch_len: ByteLen(1), ..ReplicaLimits::default() };
    limits.retention.when_full = WhenFull::Thin;
    limits.retention.budget = budget;
    limits
}

fn setup(world: &SimWorld, budget: ByteLen) -> Setup<SimVolume> {
    Setup {
        volume: world.volume(),
        limits: limits(budget),
        pool: PagePool::new(8, 256 << 10),
        budget: ResidentBudget::new(ByteLen::mib(1)),
        committer: Bell::default(),
        worker: Bell::default(),
    }
}

impl Bench {
    fn new() -> Self {
        let world = SimWorld::new(3);
        let disk = world.add_disk("disk", ByteLen(LEN));
        let identity = world.identity("disk").expect("it was just added").to_string();
        let (path, file) = ("disk".to_owned(), false);
        let disks = vec![HeadDisk { path, identity, file, device_len: ByteLen(LEN), len: ByteLen::ZERO }];
        let name = "web-01".parse().unwrap_or_else(|_| unreachable!("a name"));
        let head = Head::new(MACHINE, name, Generation(1), disks);
        let mut engine = world.engine(4);
        let setup = setup(&world, ByteLen::gib(1));
        let replica = Replica::create(&mut engine, setup, head, vec![disk]).expect("the world is new");
        let mut bench = Self { world, engine, replica, images: vec![vec![0; LEN as usize]] };
        bench.work(|then| Work::Begin { lens: vec![ByteLen(LEN)], then });
        bench.work(|then| Work::EndSeeding { then });
        bench
    }

    fn work(&mut self, work: impl FnOnce(super::super::work::Then<()>) -> Work) {
        self.replica.applier.shared().give(work(Box::new(|result| result.expect("nothing stops the world"))));
        self.idle().expect("nothing stops the world");
    }

    /// Finds the replica in another world, with this budget.
    fn recover(world: SimWorld, images: Vec<Vec<u8>>, budget: ByteLen) -> Result<Self, ReplicaError> {
        let mut engine = world.engine(4);
        let open = |disk: &HeadDisk| Ok(world.open_disk(&disk.path));
        let replica = Replica::recover(&mut engine, setup(&world, budget), MACHINE, open);
        let replica = replica.map_err(|unrecovered| unrecovered.error)?;
        Ok(Self { world, engine, replica, images })
    }

    /// Works until there is nothing to do.
    fn idle(&mut self) -> Result<(), ReplicaError> {
        let mut now = NOW;
        loop {
            let appenders = &mut [&mut self.replica.appender];
            let (pool, volume) = (PagePool::new(8, 256 << 10), self.world.volume());
            let committed = commit_all(&mut self.engine, &pool, &volume, appenders, now)?;
            // A machine that is out is the caller's to see.
            now = Timestamp(now.0 + 2_000_000);
            if self.replica.applier.step(&mut self.engine, now)? == Step::Idle && !committed {
                return Ok(());
            }
        }
    }

    fn receive(&mut self, body: Body, payload: Vec<u8>) {
        let sequence = Sequence(self.images.len() as u64);
        let item = Received { sequence, time: NOW, body, payload };
        self.replica.applier.shared().take(item).expect("it is taken");
    }

    /// Writes some granules, and marks a point: an epoch.
    fn epoch(&mut self, granules: &[u64], fill: u8) {
        let mut image = self.images.last().expect("there is one").clone();
        let (mut extents, mut payload) = (Vec::new(), Vec::new());
        let mut encoder = ExtentEncoder::new(-5).expect("there is memory");
        for granule in granules {
            let content: Vec<u8> =
                (0..4096_u32).map(|at| fill ^ (at.wrapping_mul(u32::from(fill)) >> 3) as u8).collect();
            let start = ByteOffset(granule * 4096);
            extents.push(encoder.encode(Effort::Compress, DiskIndex(0), start, &content, &mut payload));
            image[start.0 as usize..][..4096].copy_from_slice(&content);
        }
        let sequence = Sequence(self.images.len() as u64);
        self.receive(Body::Batch(BatchBody { sequence, time: NOW, extents }), payload);
        self.images.push(image.clone());
        let sequence = sequence.next();
        let (label, roots, group) = (heapless::String::new(), heapless::Vec::new(), None);
        let consistency = Consistency::Crash;
        let marker = Marker { sequence, time: NOW, consistency, label, roots, group };
        self.receive(Body::Marker(Box::new(marker)), Vec::new());
        self.images.push(image);
        self.idle().expect("nothing stops the world");
    }

    /// The budget that makes the next thing go.
    fn next_budget(&self) -> ByteLen {
        ByteLen(self.replica.applier.shared().lock().journal_len().0 - 1)
    }

    fn next_loss(&mut self) -> Option<Loss> {
        let policy = limits(self.next_budget()).retention;
        self.replica.applier.expiry_plan(NOW, Some(policy), false).steps.first().map(|step| step.loss)
    }

    /// Goes to every point that is listed, and back.
    fn check(&mut self, what: &str) {
        let points: Vec<Sequence> = {
            let state = self.replica.applier.shared().lock();
            state.timeline.points().map(|point| point.sequence).chain([state.base]).collect()
        };
        assert!(points.contains(&Sequence(self.images.len() as u64 - 1)), "{what}: the newest is listed");
        let newest = Sequence(self.images.len() as u64 - 1);
        for to in points.into_iter().chain([newest]) {
            let afterwards = if to == newest { Afterwards::Replicate } else { Afterwards::Stand };
            let progress = Arc::new(Progress::default());
            self.replica.applier.shared().give(Work::Rewind { to, afterwards, progress });
            self.idle().unwrap_or_else(|error| panic!("{what}: to {to}: {error:?}"));
            assert!(self.world.contents("disk") == self.images[to.0 as usize], "{what}: the image at {to}");
        }
    }
}

/// Six epochs that share some granules, of which the first three lost their redo: the next thing that goes is an end.
fn thinned() -> Bench {
    let mut bench = Bench::new();
    for (number, fill) in [11_u8, 13, 17, 19, 23, 29].into_iter().enumerate() {
        let own = 10 + 2 * number as u64;
        bench.epoch(&[1, 2, own, own + 1], fill);
    }
    let mut lost = Vec::new();
    while let Some(Loss::Redo) = bench.next_loss() {
        let (world, budget) = (bench.world.after_kill(), bench.next_budget());
        bench = Bench::recover(world, bench.images, budget).expect("nothing stops the world");
        bench.idle().expect("nothing stops the world");
        lost.push(Loss::Redo);
    }
    assert_eq!(lost.len(), 2, "two lost their redo, and may become one");
    assert_eq!(bench.next_loss(), Some(Loss::End));
    bench
}

#[test]
fn a_joining_cut_anywhere_leaves_every_point_that_is_listed() {
    let before = thinned();
    let budget = { before.next_budget() };
    let listed = |bench: &Bench| bench.replica.applier.shared().lock().timeline.points().count();
    let points = listed(&before);
    let (mut step, mut joined, mut cut, mut images) = (0, false, 0, BTreeSet::new());
    while !joined {
        step += 1;
        let world = before.world.after_kill();
        let mut bench =
            Bench::recover(world, before.images.clone(), budget).expect("nothing stops the world");
        bench.world.crash_at(bench.world.steps() + step);
        joined = bench.idle().is_ok() && !bench.world.has_crashed();
        for choice in [CrashChoice::None, CrashChoice::All].into_iter().chain((1..4).map(CrashChoice::Seeded))
        {
            let what = format!("step {step}, {choice:?}");
            let world = bench.world.after_crash(choice);
            if !images.insert(world.fingerprint()) {
                continue;
            }
            let mut found = Bench::recover(world, before.images.clone(), ByteLen::gib(1))
                .unwrap_or_else(|error| panic!("{what}: {error:?}"));
            let left = listed(&found);
            assert!(left == points || left == points - 1, "{what}: {left} of {points} points");
            cut += usize::from(left < points);
            found.check(&what);
        }
    }
    println!("cut at {step} steps, {} distinct images, {cut} of them joined", images.len());
    assert!(step > 8 && cut > 1 && cut < images.len(), "cut at {step} steps; {cut} images were joined");
}

#[test]
fn a_joined_epoch_is_found_again_with_its_index_lost_and_expires_as_one() {
    let before = thinned();
    let (world, budget) = (before.world.after_kill(), before.next_budget());
    let mut bench = Bench::recover(world, before.images.clone(), budget).expect("nothing stops the world");
    bench.idle().expect("nothing stops the world");
    let epochs = |bench: &Bench| -> Vec<(u64, u64)> {
        let state = bench.replica.applier.shared().lock();
        state.epochs.iter().map(|info| (info.epoch.0, info.through.0)).collect()
    };
    let first = epochs(&bench)[0];
    assert_eq!(first, (1, 2));
    bench.world.flip_bit(&paths::index(MACHINE, EpochNumber(1), EpochNumber(2)), ByteOffset(70), 0);
    let world = bench.world.after_kill();
    let mut bench = Bench::recover(world, bench.images, ByteLen::gib(1)).expect("the index is made again");
    assert_eq!(epochs(&bench)[0], first);
    bench.check("after the index was lost");
    // Shrinking lets it go as a whole.
    let mut policy = limits(bench.next_budget()).retention;
    policy.when_full = WhenFull::Shrink;
    bench.work(|then| Work::SetPolicy { policy: Some(policy), then });
    bench.idle().expect("nothing stops the world");
    assert_eq!(epochs(&bench)[0].0, 3);
    let world = bench.world.after_kill();
    let mut bench = Bench::recover(world, bench.images, ByteLen::gib(1)).expect("what is left is found");
    bench.check("after it expired");
}
