//! What holds for every engine on every kind of device.

use crate::rig::{LoopDevice, flush, one, open, read, sparse_file, write};
use landfall_blockdev::{
    DeviceError, Engine, EngineChoice, HostEngine, OpenDevice, Operation, PageBuf, PagePool, Request,
    SimDevice, SimEngine, SimWorld, open_engine,
};
use units::{ByteLen, ByteOffset};

const LEN: u64 = 4 << 20;
const DEPTH: usize = 16;

/// Runs every claim on fresh devices of one kind.
fn conforms<E: Engine>(engine: impl Fn() -> E, device: impl Fn() -> E::Device) {
    let claims = [
        what_is_written_is_read_back,
        a_full_queue_gives_the_request_back,
        zeroes_read_as_zero_and_discards_end_well,
        a_request_that_does_not_fit_touches_nothing,
        waiting_for_none_starts_what_is_queued,
        many_operations_agree_with_a_model,
        a_detached_device_keeps_its_contents,
    ];
    for claim in claims {
        claim(&mut engine(), device());
    }
}

fn what_is_written_is_read_back<E: Engine>(engine: &mut E, device: E::Device) {
    let slot = engine.attach(device).unwrap();
    assert_eq!(engine.geometry(slot).len, ByteLen(LEN));
    let pool = PagePool::new(2, 1 << 20);
    let mut from = pool.lend(1 << 20).unwrap();
    from.iter_mut().zip(0u32..).for_each(|(byte, nth)| *byte = (nth % 251) as u8);
    let expected = from.to_vec();
    let (outcome, back) =
        one(engine, Request { slot, tag: 9, operation: Operation::Write { at: ByteOffset(8192), from } });
    outcome.unwrap();
    assert_eq!(back.unwrap()[..], expected[..], "a written buffer comes back as it was");
    one(engine, flush(slot)).0.unwrap();
    let into = pool.lend(1 << 20).unwrap();
    let (outcome, back) =
        one(engine, Request { slot, tag: 9, operation: Operation::Read { at: ByteOffset(8192), into } });
    outcome.unwrap();
    assert_eq!(back.unwrap()[..], expected[..]);
    let (outcome, last) = one(engine, read(slot, LEN - 4096, 4096));
    outcome.unwrap();
    assert_eq!(last.unwrap()[..], [0; 4096]);
}

fn a_full_queue_gives_the_request_back<E: Engine>(engine: &mut E, device: E::Device) {
    let slot = engine.attach(device).unwrap();
    for nth in 0..DEPTH as u64 {
        engine.submit(write(slot, nth * 4096, 4096, 1)).expect("the queue has room");
    }
    let refused = engine.submit(write(slot, 123 * 4096, 4096, 2)).unwrap_err();
    assert_eq!(refused.tag, 123 * 4096);
    assert_eq!(refused.operation.into_buffer().unwrap()[..], [2; 4096]);
    let mut done = Vec::new();
    engine.wait(DEPTH, &mut done).unwrap();
    let mut tags: Vec<u64> = done.iter().map(|ended| ended.tag / 4096).collect();
    tags.sort_unstable();
    assert_eq!(tags, (0..DEPTH as u64).collect::<Vec<_>>());
    assert_eq!(engine.in_flight(), 0);
}

fn zeroes_read_as_zero_and_discards_end_well<E: Engine>(engine: &mut E, device: E::Device) {
    let slot = engine.attach(device).unwrap();
    one(engine, write(slot, 0, 1 << 20, 5)).0.unwrap();
    let (at, len) = (ByteOffset(8192), ByteLen(512 << 10));
    one(engine, Request { slot, tag: 0, operation: Operation::WriteZeroes { at, len } }).0.unwrap();
    let back = one(engine, read(slot, 0, 1 << 20)).1.unwrap();
    assert!(back[..8192].iter().all(|byte| *byte == 5));
    assert!(back[8192..8192 + (512 << 10)].iter().all(|byte| *byte == 0));
    assert!(back[8192 + (512 << 10)..].iter().all(|byte| *byte == 5));
    let (at, len) = (ByteOffset(0), ByteLen(8192));
    one(engine, Request { slot, tag: 0, operation: Operation::Discard { at, len } }).0.unwrap();
    one(engine, flush(slot)).0.unwrap();
}

fn a_request_that_does_not_fit_touches_nothing<E: Engine>(engine: &mut E, device: E::Device) {
    let slot = engine.attach(device).unwrap();
    let past =
        [read(slot, LEN, 4096), write(slot, LEN - 4096, 8192, 1), write(slot, u64::MAX - 4095, 4096, 1)];
    for request in past {
        assert!(matches!(one(engine, request).0, Err(DeviceError::PastEnd { end: ByteLen(LEN), .. })));
    }
    let odd = [read(slot, 100, 4096), write(slot, 0, 100, 1), write(slot, 0, 0, 1)];
    for request in odd {
        assert!(matches!(one(engine, request).0, Err(DeviceError::Misaligned { .. })));
    }
    let (at, len) = (ByteOffset(0), ByteLen(LEN + 4096));
    let zeroes = Request { slot, tag: 0, operation: Operation::WriteZeroes { at, len } };
    assert!(matches!(one(engine, zeroes).0, Err(DeviceError::PastEnd { .. })));
    one(engine, write(slot, 0, 4096, 1)).0.expect("a refusal does not stop the device");
    assert_eq!(one(engine, read(slot, LEN - 4096, 4096)).1.unwrap()[..], [0; 4096]);
}

fn waiting_for_none_starts_what_is_queued<E: Engine>(engine: &mut E, device: E::Device) {
    let slot = engine.attach(device).unwrap();
    engine.wait(5, &mut Vec::new()).expect("with nothing in flight there is nothing to wait for");
    engine.submit(write(slot, 0, 65536, 3)).expect("the queue has room");
    let mut done = Vec::new();
    let mut polls = 0;
    while done.is_empty() {
        engine.wait(0, &mut done).unwrap();
        polls += 1;
        assert!(polls < 1_000_000, "a started write ends");
        std::thread::yield_now();
    }
    done[0].outcome.clone().unwrap();
}

fn many_operations_agree_with_a_model<E: Engine>(engine: &mut E, device: E::Device) {
    let slot = engine.attach(device).unwrap();
    let mut model = vec![0u8; LEN as usize];
    let mut state = 0x1234_5678_u64;
    let mut next = |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    for round in 0..30 {
        // Operations in flight together must not overlap: each has a stripe of its own.
        let stripe = LEN / 32;
        let mut requests = Vec::new();
        for nth in 0..32 {
            let at = nth * stripe + next(16) * 4096;
            let len = (1 + next(16)) * 4096;
            let range = at as usize..(at + len) as usize;
            let fill = (next(255) + 1) as u8;
            if next(4) == 0 {
                model[range].fill(0);
                let operation = Operation::WriteZeroes { at: ByteOffset(at), len: ByteLen(len) };
                requests.push(Request { slot, tag: nth, operation });
            } else {
                model[range].fill(fill);
                requests.push(write(slot, at, len as usize, fill));
            }
        }
        let done = engine.run(requests).unwrap();
        assert!(done.len() == 32 && done.iter().all(|ended| ended.outcome.is_ok()), "round {round}");
    }
    let reads = (0..LEN / 65536).map(|nth| read(slot, nth * 65536, 65536));
    for ended in engine.run(reads).unwrap() {
        let at = ended.tag as usize;
        let buffer: PageBuf = ended.operation.into_buffer().unwrap();
        assert!(buffer[..] == model[at..at + 65536], "contents differ near byte {at}");
    }
}

fn a_detached_device_keeps_its_contents<E: Engine>(engine: &mut E, device: E::Device) {
    let slot = engine.attach(device).unwrap();
    one(engine, write(slot, 4096, 4096, 8)).0.unwrap();
    let device = engine.detach(slot);
    let again = engine.attach(device).unwrap();
    assert_eq!(again, slot, "the lowest free slot is used");
    assert_eq!(one(engine, read(again, 4096, 4096)).1.unwrap()[..], [8; 4096]);
}

/// Runs the claims with one host engine on files and on loop devices of both sector sizes.
fn host_conforms(choice: EngineChoice) {
    let engine = || -> HostEngine { open_engine(DEPTH, choice).unwrap() };
    let directory = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    let fresh = || {
        count.set(count.get() + 1);
        sparse_file(directory.path(), &format!("disk{}", count.get()), LEN)
    };
    conforms(engine, || -> OpenDevice { open(&fresh()) });
    for sector in [512, 4096] {
        let attached = std::cell::RefCell::new(Vec::new());
        let Some(probe) = LoopDevice::attach(&fresh(), sector) else { return };
        let device = open(&probe.path);
        assert_eq!(device.geometry().alignment, sector);
        assert!(device.is_direct());
        drop(device);
        conforms(engine, || {
            let device = LoopDevice::attach(&fresh(), sector).expect("there was a loop device before");
            let opened = open(&device.path);
            attached.borrow_mut().push(device);
            opened
        });
    }
}

#[test]
fn the_simulated_engine_conforms() {
    for seed in 0..20 {
        let world = SimWorld::new(seed);
        let count = std::cell::Cell::new(0);
        conforms(
            || -> SimEngine { world.engine(DEPTH) },
            || -> SimDevice {
                count.set(count.get() + 1);
                world.add_disk(&format!("disk{}", count.get()), ByteLen(LEN))
            },
        );
    }
}

#[test]
fn the_ring_engine_conforms() {
    if let Err(error) = open_engine(DEPTH, EngineChoice::Ring) {
        println!("skipped: {error}");
        return;
    }
    host_conforms(EngineChoice::Ring);
}

#[test]
fn the_plain_engine_conforms() {
    host_conforms(EngineChoice::Plain);
}

#[test]
fn a_file_whose_end_is_no_whole_sector_of_the_disk_below_is_read_to_its_end() {
    let directory = tempfile::tempdir().unwrap();
    for choice in [EngineChoice::Best, EngineChoice::Plain] {
        let path = sparse_file(directory.path(), &format!("{choice:?}"), 4096 + 512);
        let mut engine = open_engine(4, choice).unwrap();
        let slot = engine.attach(open(&path)).unwrap();
        assert_eq!(engine.geometry(slot).alignment, 512);
        one(&mut engine, write(slot, 4096, 512, 7)).0.unwrap();
        assert_eq!(one(&mut engine, read(slot, 4096, 512)).1.unwrap()[..], [7; 512]);
    }
}
