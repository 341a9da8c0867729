//! What happens when a real device fails.

use crate::rig::{LoopDevice, Mounted, flush, one, open, read, sparse_file, write};
use landfall_blockdev::{DeviceError, Engine, EngineChoice, Operation, Request, open_engine};
use units::{ByteLen, ByteOffset};

/// Runs `claim` with a loop device whose backing file cannot take what is written to it.
fn on_a_device_that_fails(claim: impl Fn(&mut landfall_blockdev::HostEngine, landfall_blockdev::DeviceSlot)) {
    for choice in [EngineChoice::Best, EngineChoice::Plain] {
        let directory = tempfile::tempdir().unwrap();
        let Some(full) = Mounted::mount(&["-t", "tmpfs", "-o", "size=1M", "landfall-test"], directory.path())
        else {
            return;
        };
        let file = sparse_file(&full.place, "disk", 8 << 20);
        let Some(device) = LoopDevice::attach(&file, 512) else { return };
        let mut engine = open_engine(16, choice).unwrap();
        let slot = engine.attach(open(&device.path)).unwrap();
        claim(&mut engine, slot);
        drop(engine);
        drop(device);
    }
}

#[test]
fn after_a_failed_write_everything_is_refused_and_the_first_failure_named() {
    on_a_device_that_fails(|engine, slot| {
        one(engine, write(slot, 0, 65536, 1)).0.expect("there is space for this");
        let error = one(engine, write(slot, 1 << 20, 2 << 20, 1)).0.expect_err("the backing file is full");
        assert!(matches!(error, DeviceError::Failed { .. } | DeviceError::Short { .. }), "{error}");
        let later = [write(slot, 0, 4096, 1), read(slot, 0, 4096), flush(slot)];
        for request in later {
            let refusal = one(engine, request).0.expect_err("the device is out");
            let DeviceError::FailedStop { first, .. } = &refusal else { panic!("{refusal}") };
            assert!(first.contains("write of 2 MiB at byte 1048576"), "{first}");
        }
        let device = engine.detach(slot);
        let slot = engine.attach(device).unwrap();
        assert!(matches!(one(engine, flush(slot)).0, Err(DeviceError::FailedStop { .. })), "it stays out");
    });
}

#[test]
fn operations_in_flight_beside_a_failed_write_all_end() {
    on_a_device_that_fails(|engine, slot| {
        let requests = (0..64).map(|nth| write(slot, nth * 65536, 65536, 1));
        let done = engine.run(requests).unwrap();
        assert_eq!(done.len(), 64);
        let stopped =
            |outcome: &Result<(), DeviceError>| matches!(outcome, Err(DeviceError::FailedStop { .. }));
        let failed = done.iter().position(|ended| ended.outcome.is_err()).expect("the backing file is full");
        assert!(!stopped(&done[failed].outcome), "the first failure says what it is");
        assert!(
            done[failed..].iter().all(|ended| ended.outcome.is_err()),
            "nothing ends well after a failure"
        );
        assert!(done.iter().all(|ended| matches!(ended.operation, Operation::Write { .. })));
    });
}

#[test]
fn a_file_system_without_ranges_of_zeroes_gets_them_written() {
    for choice in [EngineChoice::Best, EngineChoice::Plain] {
        let directory = tempfile::tempdir().unwrap();
        let Some(memory) =
            Mounted::mount(&["-t", "tmpfs", "-o", "size=8M", "landfall-test"], directory.path())
        else {
            return;
        };
        let file = sparse_file(&memory.place, "disk", 4 << 20);
        let mut engine = open_engine(4, choice).unwrap();
        let slot = engine.attach(open(&file)).unwrap();
        one(&mut engine, write(slot, 0, 2 << 20, 9)).0.unwrap();
        let (at, len) = (ByteOffset(4096), ByteLen(1 << 20));
        one(&mut engine, Request { slot, tag: 0, operation: Operation::WriteZeroes { at, len } }).0.unwrap();
        let back = one(&mut engine, read(slot, 0, 2 << 20)).1.unwrap();
        assert!(back[4096..4096 + (1 << 20)].iter().all(|byte| *byte == 0));
        assert!(back[..4096].iter().chain(&back[4096 + (1 << 20)..]).all(|byte| *byte == 9));
        drop(engine);
    }
}
