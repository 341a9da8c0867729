//! What holds for the ring alone; what holds for every engine is in `tests/real/engines.rs`.

use std::io::Write;
use std::os::fd::AsFd;

use rustix::fs::{FlockOperation, flock};
use units::{ByteLen, ByteOffset};

use super::RingEngine;
use crate::{
    Access, Engine, EngineError, Expect, FilePolicy, OpenDevice, Operation, PageBuf, PagePool, Request,
    open_device,
};

const LEN: u64 = 4 << 20;

fn device(file: &tempfile::NamedTempFile) -> OpenDevice {
    let expect =
        Expect { identity: None, len_min: ByteLen(LEN), files: FilePolicy::Allow, access: Access::Exclusive };
    open_device(file.path(), &expect).unwrap()
}

/// Returns an engine and a file full of sevens, or nothing where there is no io_uring.
fn engine_and_file(depth: usize) -> Option<(RingEngine, tempfile::NamedTempFile)> {
    let engine = match RingEngine::new(depth) {
        Ok(engine) => engine,
        Err(error) => {
            println!("skipped: {error}");
            return None;
        }
    };
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&vec![7; LEN as usize]).unwrap();
    file.as_file().sync_all().unwrap();
    Some((engine, file))
}

fn read(slot: crate::DeviceSlot, nth: u64, into: PageBuf) -> Request {
    Request { slot, tag: nth, operation: Operation::Read { at: ByteOffset(nth * 65536), into } }
}

#[test]
fn a_dropped_engine_gives_back_every_buffer_and_only_when_the_kernel_is_done_with_it() {
    for started in [false, true] {
        let Some((mut engine, file)) = engine_and_file(32) else { return };
        let pool = PagePool::new(32, 65536);
        engine.register_pool(&pool).expect("root may register buffers");
        let slot = engine.attach(device(&file)).unwrap();
        for nth in 0..32 {
            engine.submit(read(slot, nth, pool.lend(65536).unwrap())).expect("the queue has room");
        }
        if started {
            engine.wait(0, &mut Vec::new()).unwrap();
        }
        drop(engine);
        assert_eq!(pool.available(), 32);
        let buffers: Vec<PageBuf> = std::iter::from_fn(|| pool.lend(65536)).collect();
        let filled = buffers.iter().filter(|buffer| buffer.iter().all(|byte| *byte == 7)).count();
        assert_eq!(filled, 32, "every read was whole before its buffer came back");
    }
}

#[test]
fn registered_and_foreign_buffers_go_through_one_ring() {
    let Some((mut engine, file)) = engine_and_file(8) else { return };
    let (ours, other) = (PagePool::new(4, 65536), PagePool::new(4, 65536));
    engine.register_pool(&ours).expect("root may register buffers");
    assert!(engine.is_restricted(), "this kernel restricts rings");
    let slot = engine.attach(device(&file)).unwrap();
    let buffers = [ours.lend(65536).unwrap(), other.lend(4096).unwrap(), PageBuf::zeroed(8192)];
    let requests = buffers.into_iter().zip(0..).map(|(buffer, nth)| read(slot, nth, buffer));
    for ended in engine.run(requests).unwrap() {
        ended.outcome.unwrap();
        let buffer = ended.operation.into_buffer().expect("a read brings its buffer back");
        assert!(buffer.iter().all(|byte| *byte == 7));
    }
}

#[test]
fn a_detached_or_dropped_device_is_free_at_once() {
    let Some((mut engine, file)) = engine_and_file(8) else { return };
    for _ in 0..20 {
        let slot = engine.attach(device(&file)).unwrap();
        engine.run((0..8).map(|nth| read(slot, nth, PageBuf::zeroed(65536)))).unwrap();
        drop(engine.detach(slot));
        let again = std::fs::File::open(file.path()).unwrap();
        flock(again.as_fd(), FlockOperation::NonBlockingLockExclusive)
            .expect("the detached file is unlocked");
    }
    engine.attach(device(&file)).unwrap();
    drop(engine);
    let again = std::fs::File::open(file.path()).unwrap();
    flock(again.as_fd(), FlockOperation::NonBlockingLockExclusive)
        .expect("the file of a dropped engine is unlocked");
}

#[test]
fn an_engine_moves_to_the_thread_that_uses_it() {
    let Some((mut engine, file)) = engine_and_file(4) else { return };
    let slot = engine.attach(device(&file)).unwrap();
    let worker = std::thread::spawn(move || {
        let ended = engine.run([read(slot, 1, PageBuf::zeroed(4096))]).unwrap();
        ended[0].outcome.clone().unwrap();
        engine
    });
    let engine = worker.join().unwrap();
    assert_eq!(engine.in_flight(), 0);
}

/// Returns a device whose reads end when somebody writes to the other end: a pipe.
fn pipe_device(alignment: u32) -> (OpenDevice, std::io::PipeWriter) {
    let (reader, writer) = std::io::pipe().unwrap();
    let geometry = crate::Geometry { len: ByteLen(1 << 20), alignment };
    let device = OpenDevice {
        file: reader.into(),
        path: "pipe".into(),
        name: "pipe".into(),
        kind: crate::FileKind::BlockDevice,
        geometry,
        direct: false,
        writable: true,
        identity: None,
        failure: None,
    };
    (device, writer)
}

/// Long enough for a file, short enough to wait for.
const DEADLINE: std::time::Duration = std::time::Duration::from_millis(300);

#[test]
fn a_device_that_hangs_is_out_at_its_deadline_and_no_other() {
    let Some((mut engine, file)) = engine_and_file(4) else { return };
    engine.set_deadline(DEADLINE);
    let pool = PagePool::new(4, 65536);
    engine.register_pool(&pool).expect("root may register buffers");
    let (pipe, mut writer) = pipe_device(512);
    let (good, hung) = (engine.attach(device(&file)).unwrap(), engine.attach(pipe).unwrap());
    let requests = [
        read(hung, 0, pool.lend(512).unwrap()),
        read(good, 1, pool.lend(65536).unwrap()),
        read(hung, 2, pool.lend(512).unwrap()),
    ];
    let ended = engine.run(requests).unwrap();
    let timed_out = |nth| {
        let one = ended.iter().find(|one| one.tag == nth).expect("each ends once");
        matches!(one.outcome, Err(crate::DeviceError::TimedOut { .. }))
    };
    assert!(timed_out(0) && !timed_out(1) && timed_out(2));
    drop(ended);
    // Two are lost, two stand in for them; and the other device goes on with all four.
    assert_eq!(pool.available(), 4);
    let all: Vec<PageBuf> = std::iter::from_fn(|| pool.lend(65536)).collect();
    for one in engine.run((0..).zip(all).map(|(nth, buffer)| read(good, nth, buffer))).unwrap() {
        one.outcome.unwrap();
        assert!(one.operation.into_buffer().unwrap().iter().all(|byte| *byte == 7));
    }
    let refused = engine.run([read(hung, 5, PageBuf::zeroed(512))]).unwrap();
    assert!(matches!(refused[0].outcome, Err(crate::DeviceError::FailedStop { .. })), "it is out");
    drop(engine.detach(hung));
    // Late ends bring the buffers home, and are nobody's else: not even of a device that has their slot by now.
    let other = tempfile::NamedTempFile::new().unwrap();
    other.as_file().set_len(LEN).unwrap();
    let again = engine.attach(device(&other)).unwrap();
    assert_eq!(again, hung, "the slot is used again");
    writer.write_all(&[1; 1024]).unwrap();
    std::thread::sleep(DEADLINE / 3);
    let ended = engine.run([read(again, 6, PageBuf::zeroed(4096))]).unwrap();
    assert!(ended[0].outcome.is_ok());
    assert_eq!(pool.available(), 4);
    let own: Vec<PageBuf> = std::iter::from_fn(|| pool.lend(1)).collect();
    assert!(own.iter().all(|buffer| buffer.index_in(&pool).is_some()), "all four are its own again");
}

#[test]
fn an_engine_with_something_hung_in_it_ends_and_leaves_the_buffer_to_the_kernel() {
    let Some((mut engine, _file)) = engine_and_file(4) else { return };
    engine.set_deadline(DEADLINE);
    let pool = PagePool::new(1, 4096);
    let (pipe, mut writer) = pipe_device(512);
    let slot = engine.attach(pipe).unwrap();
    engine.submit(read(slot, 0, pool.lend(512).unwrap())).expect("the queue has room");
    engine.wait(0, &mut Vec::new()).unwrap();
    drop(engine);
    let stand_in = pool.lend(4096).expect("another was made for it");
    assert!(stand_in.iter().all(|byte| *byte == 0));
    // Nobody reads any more, or the kernel still does: either way no memory of ours is written to.
    let _ = writer.write_all(&[9; 512]);
    assert!(stand_in.iter().all(|byte| *byte == 0));
}

#[test]
fn an_engine_full_of_what_hangs_says_so() {
    let Some((mut engine, file)) = engine_and_file(1) else { return };
    engine.set_deadline(std::time::Duration::from_millis(20));
    let mut writers = Vec::new();
    for nth in 0..2 {
        let (pipe, writer) = pipe_device(512);
        writers.push(writer);
        let slot = engine.attach(pipe).unwrap();
        let ended = engine.run([read(slot, nth, PageBuf::zeroed(512))]).unwrap();
        assert!(matches!(ended[0].outcome, Err(crate::DeviceError::TimedOut { .. })));
    }
    let slot = engine.attach(device(&file)).unwrap();
    let full = engine.run([read(slot, 3, PageBuf::zeroed(512))]);
    assert_eq!(full.err(), Some(EngineError::Hung { operations: 2 }));
}

#[test]
fn a_depth_outside_the_limits_is_refused() {
    for depth in [0, crate::DEPTH_MAX + 1] {
        assert!(matches!(RingEngine::new(depth), Err(EngineError::Limit { found, .. }) if found == depth));
    }
}
