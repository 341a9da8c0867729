//! Reads in the background.

use std::sync::Arc;
use std::sync::mpsc::channel;

use landfall_blockdev::{
    Access, BackgroundDone, BackgroundEngine, BackgroundRead, BackgroundReader, DeviceError, Engine,
    EngineChoice, PagePool, open_device, open_engine, start_background_reader,
};
use units::ByteOffset;

use crate::rig::{any, one, open, read, sparse_file, write};

const LEN: u64 = 4 << 20;
const PART: usize = 65536;

#[test]
fn background_reads_give_what_the_main_engine_wrote() {
    let directory = tempfile::tempdir().unwrap();
    for choice in [EngineChoice::Best, EngineChoice::Plain] {
        let path = sparse_file(directory.path(), &format!("{choice:?}"), LEN);
        let writer = open(&path);
        let reader = start_background_reader(8, choice).unwrap();
        let slot = reader.attach(writer.reader().unwrap());
        let mut engine = open_engine(4, EngineChoice::Best).unwrap();
        let disk = engine.attach(writer).unwrap();
        for nth in 0..LEN / PART as u64 {
            one(&mut engine, write(disk, nth * PART as u64, PART, nth as u8 + 1)).0.unwrap();
        }
        let pool = PagePool::new(8, PART);
        let (reply, answers) = channel();
        let mut ended = 0;
        for nth in 0..LEN / PART as u64 {
            let at = ByteOffset(nth * PART as u64);
            let into = pool.lend(PART).unwrap_or_else(|| {
                ended += 1;
                check(answers.recv().unwrap())
            });
            reader.read(BackgroundRead { slot, tag: nth, at, into }, &reply).expect("the queue has room");
        }
        while ended < LEN / PART as u64 {
            drop(check(answers.recv().unwrap()));
            ended += 1;
        }
        drop(reader);
        assert_eq!(pool.available(), 8);
    }
}

fn check(done: BackgroundDone) -> landfall_blockdev::PageBuf {
    done.outcome.expect("the file can be read");
    assert!(done.buffer.iter().all(|byte| u64::from(*byte) == done.tag + 1), "part {}", done.tag);
    done.buffer
}

#[test]
fn a_read_that_cannot_be_served_comes_back_with_its_reason() {
    let directory = tempfile::tempdir().unwrap();
    for choice in [EngineChoice::Best, EngineChoice::Plain] {
        let path = sparse_file(directory.path(), &format!("{choice:?}"), LEN);
        let reader = start_background_reader(2, choice).unwrap();
        let slot = reader.attach(open_device(&path, &any(Access::ReadOnly)).unwrap());
        let pool = PagePool::new(2, PART);
        let (reply, answers) = channel();
        let outcome = |at: u64, len: usize| {
            let read = BackgroundRead { slot, tag: 1, at: ByteOffset(at), into: pool.lend(len).unwrap() };
            reader.read(read, &reply).expect("the queue has room");
            answers.recv().unwrap().outcome
        };
        assert!(matches!(outcome(LEN, 4096), Err(DeviceError::PastEnd { .. })));
        assert!(matches!(outcome(0, 100), Err(DeviceError::Misaligned { .. })));
        // The file is cut behind our back: the end of the read is missing.
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(LEN - 4096).unwrap();
        assert!(matches!(outcome(LEN - 8192, 8192), Err(DeviceError::Short { done, .. }) if done.0 == 4096));
        assert!(matches!(outcome(0, 4096), Ok(())));
        reader.detach(slot);
        assert!(matches!(outcome(0, 4096), Err(DeviceError::Failed { .. })));
        assert_eq!(pool.available(), 2);
    }
}

#[test]
fn a_full_background_queue_gives_the_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = sparse_file(directory.path(), "disk", 64 << 20);
    let reader = start_background_reader(1, EngineChoice::Best).unwrap();
    let slot = reader.attach(open_device(&path, &any(Access::ReadOnly)).unwrap());
    let pool = PagePool::new(2, 16 << 20);
    let (reply, answers) = channel();
    let read = |tag| BackgroundRead { slot, tag, at: ByteOffset(0), into: pool.lend(16 << 20).unwrap() };
    // One read at a time is let in; how quickly it ends is not ours to say, so that a refusal may take some tries.
    let refused = (0..1000).find_map(|_| {
        reader.read(read(1), &reply).expect("the queue is empty");
        let refused = reader.read(read(2), &reply).err();
        let accepted = if refused.is_some() { 1 } else { 2 };
        answers.iter().take(accepted).for_each(|done| done.outcome.unwrap());
        refused
    });
    let refused = refused.expect("a reader of one place refuses a second read");
    assert_eq!((refused.tag, refused.into.len()), (2, 16 << 20));
    drop(refused);
    drop(reader);
    assert_eq!(pool.available(), 2, "after the reader has gone every buffer is home");
}

#[test]
fn engines_on_many_threads_share_one_reader_and_only_read() {
    let directory = tempfile::tempdir().unwrap();
    for choice in [EngineChoice::Best, EngineChoice::Plain] {
        let path = sparse_file(directory.path(), &format!("{choice:?}"), LEN);
        let mut main = open_engine(4, EngineChoice::Best).unwrap();
        let disk = main.attach(open(&path)).unwrap();
        for nth in 0..LEN / PART as u64 {
            one(&mut main, write(disk, nth * PART as u64, PART, nth as u8 + 1)).0.unwrap();
        }
        // More engines than the reader has places: each gets its turn.
        let reader: Arc<dyn BackgroundReader> = start_background_reader(2, choice).unwrap().into();
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| read_all(BackgroundEngine::new(reader.clone(), 4).unwrap(), &path));
            }
        });
    }
}

fn read_all(mut engine: BackgroundEngine, path: &std::path::Path) {
    let disk = engine.attach(open_device(path, &any(Access::ReadOnly)).unwrap()).unwrap();
    let reads = (0..LEN / PART as u64).map(|nth| {
        let mut request = read(disk, nth * PART as u64, PART);
        request.tag = nth;
        request
    });
    for done in engine.run(reads).unwrap() {
        done.outcome.unwrap();
        let buffer = done.operation.into_buffer().unwrap();
        assert!(buffer.iter().all(|byte| u64::from(*byte) == done.tag + 1), "part {}", done.tag);
    }
    assert!(matches!(one(&mut engine, write(disk, 0, PART, 9)).0, Err(DeviceError::ReadOnly { .. })));
    assert!(matches!(one(&mut engine, read(disk, LEN, PART)).0, Err(DeviceError::PastEnd { .. })));
    assert_eq!(engine.in_flight(), 0);
    engine.detach(disk);
}
