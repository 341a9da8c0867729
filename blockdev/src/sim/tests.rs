//! What a simulated world promises.

use std::collections::BTreeSet;
use std::time::Duration;

use units::{ByteLen, ByteOffset};

use super::{CrashChoice, Fault, SimDevice, SimEngine, SimWorld};
use crate::{
    Completion, DeviceError, DeviceSlot, Engine, EngineError, Operation, OperationKind, PageBuf, Request,
    Volume, VolumeError,
};

const DISK_LEN: ByteLen = ByteLen::kib(64);

fn request(slot: DeviceSlot, operation: Operation) -> Request {
    Request { slot, tag: 0, operation }
}

fn write(slot: DeviceSlot, at: u64, len: usize, fill: u8) -> Request {
    let mut from = PageBuf::zeroed(len);
    from.fill(fill);
    request(slot, Operation::Write { at: ByteOffset(at), from })
}

fn one(engine: &mut SimEngine, request: Request) -> Result<(), DeviceError> {
    let mut done = engine.run([request]).unwrap();
    assert_eq!(done.len(), 1);
    done.remove(0).outcome
}

fn flush(engine: &mut SimEngine, slot: DeviceSlot) -> Result<(), DeviceError> {
    one(engine, request(slot, Operation::Flush))
}

fn world_with_disk(seed: u64) -> (SimWorld, SimEngine, DeviceSlot) {
    let world = SimWorld::new(seed);
    let mut engine = world.engine(16);
    let slot = engine.attach(world.add_disk("disk", DISK_LEN)).unwrap();
    (world, engine, slot)
}

#[test]
fn unflushed_writes_may_be_lost_and_flushed_ones_never() {
    let (world, mut engine, slot) = world_with_disk(1);
    one(&mut engine, write(slot, 0, 4096, 1)).unwrap();
    flush(&mut engine, slot).unwrap();
    one(&mut engine, write(slot, 0, 4096, 2)).unwrap();
    one(&mut engine, write(slot, 2048, 4096, 3)).unwrap();
    assert_eq!(world.contents("disk")[2047..2049], [2, 3]);
    assert_eq!(world.after_crash(CrashChoice::None).contents("disk")[..4096], [1; 4096]);
    assert_eq!(world.after_crash(CrashChoice::All).contents("disk")[..6144], world.contents("disk")[..6144]);
    for seed in 0..200 {
        let found = world.after_crash(CrashChoice::Seeded(seed)).contents("disk");
        assert!(found[..2048].iter().all(|byte| [1, 2].contains(byte)), "seed {seed}");
        assert!(found[2048..4096].iter().all(|byte| [1, 2, 3].contains(byte)), "seed {seed}");
        assert!(found[4096..6144].iter().all(|byte| [0, 3].contains(byte)), "seed {seed}");
        assert!(found[6144..].iter().all(|byte| *byte == 0), "seed {seed}");
    }
}

#[test]
fn seeded_crashes_tear_writes_at_sectors_and_find_many_images() {
    let (world, mut engine, slot) = world_with_disk(2);
    engine.run((0..4).map(|nth| write(slot, nth * 4096, 4096, 7))).unwrap();
    let mut images = BTreeSet::new();
    let mut torn = 0;
    for seed in 0..500 {
        let found = world.after_crash(CrashChoice::Seeded(seed));
        images.insert(found.fingerprint());
        let bytes = found.contents("disk");
        let whole = |part: &[u8]| part.iter().all(|byte| *byte == part[0]);
        assert!(bytes.chunks(512).all(whole), "a sector is never torn, seed {seed}");
        torn += u32::from(!bytes.chunks(4096).all(whole));
    }
    assert!(torn > 200, "{torn} of 500 images have a torn write");
    assert!(images.len() > 300, "{} distinct images of 500", images.len());
}

#[test]
fn a_flush_covers_only_what_was_complete_when_it_was_submitted() {
    let mut overtaken = 0;
    for seed in 0..50 {
        let (world, mut engine, slot) = world_with_disk(seed);
        engine.run([write(slot, 0, 512, 1), request(slot, Operation::Flush)]).unwrap();
        overtaken += u32::from(world.after_crash(CrashChoice::None).contents("disk")[0] == 0);
    }
    assert_eq!(overtaken, 50, "a write in flight beside the flush is not covered");
}

#[test]
fn operations_in_flight_may_have_happened_when_the_world_stops() {
    let mut seen = BTreeSet::new();
    for seed in 0..50 {
        let (world, mut engine, slot) = world_with_disk(seed);
        world.crash_at(2);
        let outcome =
            engine.run([write(slot, 0, 512, 1), write(slot, 512, 512, 2), write(slot, 1024, 512, 3)]);
        assert_eq!(outcome.unwrap_err(), EngineError::Crashed { step: 2 });
        assert!(world.has_crashed() && engine.in_flight() == 0);
        let found = world.after_crash(CrashChoice::Seeded(seed)).contents("disk");
        seen.insert([found[0], found[512], found[1024]]);
        let killed = world.after_kill().contents("disk");
        assert!([killed[0], killed[512], killed[1024]] != [0, 0, 0], "one write was complete");
    }
    assert!(seen.len() >= 6, "{seen:?}");
}

#[test]
fn after_a_kill_completed_writes_are_there_but_not_durable() {
    let (world, mut engine, slot) = world_with_disk(3);
    one(&mut engine, write(slot, 0, 512, 9)).unwrap();
    let killed = world.after_kill();
    assert_eq!(killed.contents("disk")[0], 9);
    assert_eq!(killed.after_crash(CrashChoice::None).contents("disk")[0], 0);
    let mut engine = killed.engine(1);
    let slot = engine.attach(killed.open_disk("disk")).unwrap();
    flush(&mut engine, slot).unwrap();
    assert_eq!(killed.after_crash(CrashChoice::None).contents("disk")[0], 9);
    assert_eq!(world.after_crash(CrashChoice::None).contents("disk")[0], 0, "the first world is untouched");
}

#[test]
fn a_name_change_cut_by_a_crash_happened_or_did_not() {
    for (step, expected) in [(1, [0, 1]), (2, [1, 1]), (3, [1, 0])] {
        let world = SimWorld::new(4);
        world.crash_at(step);
        let volume = world.volume();
        let run = || -> Result<(), VolumeError> {
            drop(volume.create("a/b", ByteLen::kib(8))?);
            let mut engine = world.engine(1);
            let slot = engine.attach(volume.open("a/b")?).expect("one device");
            engine.grow(slot, ByteLen::kib(16)).map_err(|_| VolumeError::Crashed { step })?;
            volume.remove("a/b")
        };
        assert_eq!(run().unwrap_err(), VolumeError::Crashed { step });
        let count = |choice| world.after_crash(choice).volume().list("a").unwrap().len();
        assert_eq!([count(CrashChoice::None), count(CrashChoice::All)], expected, "step {step}");
        if step == 2 {
            assert_eq!(world.after_crash(CrashChoice::None).contents("a/b").len(), 8192);
            assert_eq!(world.after_crash(CrashChoice::All).contents("a/b").len(), 16384);
        }
    }
}

#[test]
fn a_failed_flush_puts_the_device_out_and_retrying_it_makes_nothing_durable() {
    let (world, mut engine, slot) = world_with_disk(5);
    world.plant(Fault::Fail { kind: OperationKind::Flush, nth: 1 });
    one(&mut engine, write(slot, 0, 512, 1)).unwrap();
    assert!(matches!(flush(&mut engine, slot), Err(DeviceError::Failed { kind: OperationKind::Flush, .. })));
    assert!(matches!(flush(&mut engine, slot), Err(DeviceError::FailedStop { .. })));
    let again = engine.detach(slot);
    let slot = engine.attach(again).unwrap();
    assert!(matches!(one(&mut engine, write(slot, 0, 512, 1)), Err(DeviceError::FailedStop { .. })));
    let slot = engine.attach(world.open_disk("disk")).unwrap();
    flush(&mut engine, slot).unwrap();
    assert_eq!(world.after_crash(CrashChoice::None).contents("disk")[0], 0);
}

#[test]
fn planted_faults_do_what_they_say() {
    let (world, mut engine, slot) = world_with_disk(6);
    world.plant(Fault::LoseWrite { nth: 1 });
    world.plant(Fault::MisdirectWrite { nth: 2, to: ByteOffset(8192) });
    world.plant(Fault::Fail { kind: OperationKind::Read, nth: 1 });
    one(&mut engine, write(slot, 0, 512, 1)).unwrap();
    one(&mut engine, write(slot, 0, 512, 2)).unwrap();
    let contents = world.contents("disk");
    assert_eq!((contents[0], contents[8192]), (0, 2));
    let read = || request(slot, Operation::Read { at: ByteOffset(0), into: PageBuf::zeroed(512) });
    assert!(matches!(one(&mut engine, read()), Err(DeviceError::Failed { .. })));
    one(&mut engine, read()).expect("a failed read does not stop the device");
    world.flip_bit("disk", ByteOffset(8200), 3);
    assert_eq!(world.contents("disk")[8200], 2 ^ 8);
    world.plant(Fault::IgnoreFlush);
    one(&mut engine, write(slot, 512, 512, 3)).unwrap();
    flush(&mut engine, slot).unwrap();
    assert_eq!(world.after_crash(CrashChoice::None).contents("disk")[512], 0);
}

#[test]
fn what_is_slow_ends_after_what_is_beside_it_and_well_and_takes_its_time() {
    let (world, mut engine, slot) = world_with_disk(13);
    let takes = Duration::from_secs(7);
    world.plant(Fault::Slow { kind: OperationKind::Write, nth: 1, takes });
    let requests = (0..4u8)
        .map(|nth| Request { tag: u64::from(nth), ..write(slot, u64::from(nth) * 512, 512, nth + 1) });
    requests.for_each(|request| assert!(engine.submit(request).is_ok(), "there is room"));
    let mut done = Vec::new();
    engine.wait(3, &mut done).unwrap();
    assert_eq!((done.len(), engine.in_flight(), engine.holds()), (3, 1, true));
    assert_eq!(world.take_waited(), Duration::ZERO, "nobody waited for it");
    engine.wait(1, &mut done).unwrap();
    assert!(done.iter().all(|each| each.outcome.is_ok()));
    assert_eq!((world.take_waited(), world.take_waited()), (takes, Duration::ZERO));
    assert_eq!([0, 512, 1024, 1536].map(|at| world.contents("disk")[at]), [1, 2, 3, 4]);
}

#[test]
fn what_hangs_puts_its_device_out_and_may_be_done_at_any_later_moment() {
    let mut moments = BTreeSet::new();
    for seed in 0..40 {
        let (world, mut engine, slot) = world_with_disk(seed);
        let other = engine.attach(world.add_disk("other", DISK_LEN)).unwrap();
        world.plant(Fault::Hang { kind: OperationKind::Write, nth: 1 });
        let outcome = one(&mut engine, write(slot, 0, 512, 1));
        assert!(matches!(outcome, Err(DeviceError::TimedOut { .. })), "{outcome:?}");
        assert_eq!(world.take_waited(), crate::DEADLINE);
        assert!(matches!(flush(&mut engine, slot), Err(DeviceError::FailedStop { .. })));
        let late = (0..20).find(|_| {
            one(&mut engine, write(other, 0, 512, 2)).expect("the other goes on");
            world.contents("disk")[0] == 1
        });
        moments.insert(late);
        let found =
            [CrashChoice::None, CrashChoice::All].map(|choice| world.after_crash(choice).contents("disk")[0]);
        assert_eq!(found, [0, 1], "until then a crash decides");
    }
    assert!(moments.len() > 5, "{moments:?}");
}

#[test]
fn the_same_seed_gives_the_same_world() {
    let trace = |seed| {
        let (world, mut engine, slot) = world_with_disk(seed);
        let requests = (0..12u8)
            .map(|nth| Request { tag: u64::from(nth), ..write(slot, u64::from(nth) * 1024, 4096, nth) });
        let order: Vec<u64> =
            engine.run(requests).unwrap().iter().map(|Completion { tag, .. }| *tag).collect();
        (order, world.fingerprint(), world.after_crash(CrashChoice::Seeded(seed)).fingerprint())
    };
    assert_eq!(trace(7), trace(7));
    assert_ne!(trace(7).0, trace(8).0);
}

#[test]
fn equal_contents_have_equal_fingerprints() {
    let (ours, mut engine, slot) = world_with_disk(9);
    let blank = ours.fingerprint();
    one(&mut engine, write(slot, 4096, 4096, 5)).unwrap();
    let written = ours.fingerprint();
    flush(&mut engine, slot).unwrap();
    assert_eq!(ours.fingerprint(), written);
    assert_eq!(ours.after_crash(CrashChoice::Seeded(1)).fingerprint(), written);
    let zeroes = Operation::WriteZeroes { at: ByteOffset(4096), len: ByteLen(4096) };
    one(&mut engine, request(slot, zeroes)).unwrap();
    assert_eq!(ours.fingerprint(), blank);
    one(&mut engine, write(slot, 0, 512, 0)).unwrap();
    flush(&mut engine, slot).unwrap();
    assert_eq!(ours.fingerprint(), blank);
}

#[test]
fn a_full_volume_refuses_and_stays_usable() {
    let world = SimWorld::new(10);
    world.set_capacity(ByteLen::kib(16));
    let volume = world.volume();
    let mut engine = world.engine(1);
    let slot = engine.attach(volume.create("log", ByteLen::kib(8)).unwrap()).unwrap();
    assert!(matches!(volume.create("more", ByteLen::kib(12)), Err(VolumeError::NoSpace { .. })));
    assert!(matches!(engine.grow(slot, ByteLen::kib(20)), Err(DeviceError::NoSpace { .. })));
    engine.grow(slot, ByteLen::kib(16)).unwrap();
    one(&mut engine, write(slot, 8192, 8192, 1)).unwrap();
    assert_eq!(volume.usage().unwrap().free, ByteLen::ZERO);
}

#[test]
fn a_removed_file_stays_readable_while_it_is_open() {
    let world = SimWorld::new(11);
    let volume = world.volume();
    let device: SimDevice = volume.create("old", ByteLen::kib(8)).unwrap();
    volume.remove("old").unwrap();
    volume.remove("old").expect("a file that is missing already is no error");
    drop(volume.create("new", ByteLen::kib(8)).unwrap());
    let mut engine = world.engine(1);
    let slot = engine.attach(device).unwrap();
    one(&mut engine, write(slot, 0, 512, 1)).unwrap();
    assert_eq!(volume.list("").unwrap(), ["new"]);
}

#[test]
fn ten_thousand_crash_images_take_little_time() {
    let (world, mut engine, slot) = world_with_disk(12);
    for round in 0..8 {
        engine.run((0..8).map(|nth| write(slot, nth * 8192, 8192, round + 1))).unwrap();
        flush(&mut engine, slot).unwrap();
    }
    engine.run((0..8).map(|nth| write(slot, nth * 4096, 4096, 99))).unwrap();
    let start = std::time::Instant::now();
    let images: BTreeSet<u64> =
        (0..10_000).map(|seed| world.after_crash(CrashChoice::Seeded(seed)).fingerprint()).collect();
    println!("{} distinct images in {:?}", images.len(), start.elapsed());
    assert!(images.len() > 5_000);
    assert!(start.elapsed().as_secs() < 20);
}
