//! Making a ring that can do what we need, and nothing else.

use std::io;

use io_uring::register::{Probe, Restriction};
use io_uring::{Builder, IoUring, opcode};
use rustix::io::Errno;

use crate::EngineError;

/// Registrations the kernel still takes once the ring runs, by their numbers in `linux/io_uring.h`: buffers in, buffers out, a
/// change of the file table.
const REGISTRATIONS: [u8; 3] = [0, 1, 6];
/// The operations we use, with the words for them.
const OPERATIONS: [(u8, &str); 6] = [
    (opcode::Read::CODE, "read"),
    (opcode::Write::CODE, "write"),
    (opcode::ReadFixed::CODE, "read into registered buffers"),
    (opcode::WriteFixed::CODE, "write from registered buffers"),
    (opcode::Fsync::CODE, "fsync"),
    (opcode::Fallocate::CODE, "fallocate"),
];
/// The flag of a submission that names a registered file (`IOSQE_FIXED_FILE`).
const FIXED_FILE: u8 = 1;

/// A ring that takes nothing yet: [`enable`] starts it, on the thread that is to use it.
pub(super) struct NewRing {
    pub(super) ring: IoUring,
    /// Whether it takes only our operations on registered files.
    pub(super) restricted: bool,
}

/// Makes a ring for `entries` operations and `files` registered files.
pub(super) fn make(entries: u32, files: u32) -> Result<NewRing, EngineError> {
    let ring = build(entries)?;
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).map_err(|error| setup("list its operations", &error))?;
    if let Some((_, missing)) = OPERATIONS.iter().find(|(code, _)| !probe.is_supported(*code)) {
        return Err(EngineError::Unsupported { missing });
    }
    ring.submitter()
        .register_files_sparse(files)
        .map_err(|error| setup("register a table of files", &error))?;
    let restricted = restrict(&ring);
    Ok(NewRing { ring, restricted })
}

/// Starts a ring; only the thread that calls this may use it from now on.
pub(super) fn enable(ring: &IoUring) -> Result<(), EngineError> {
    ring.submitter().register_enable_rings().map_err(|error| setup("start a ring", &error))
}

/// Tries the quickest kind of ring first; an older kernel refuses flags it does not know with EINVAL.
fn build(entries: u32) -> Result<IoUring, EngineError> {
    let mut common = IoUring::builder();
    common.setup_r_disabled().setup_cqsize(entries * 2).dontfork();
    let mut single: Builder = common.clone();
    single.setup_single_issuer();
    let mut deferred = single.clone();
    deferred.setup_defer_taskrun().setup_taskrun_flag();
    let mut last = io::Error::from(io::ErrorKind::Unsupported);
    for (kind, builder) in [("deferred", &deferred), ("single issuer", &single), ("basic", &common)] {
        match builder.build(entries) {
            Ok(ring) => {
                tracing::debug!(kind, entries, "ring made");
                return Ok(ring);
            }
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => last = error,
            Err(error) => return Err(setup("make a ring", &error)),
        }
    }
    Err(setup("make a ring", &last))
}

/// Restricts a ring to our operations on registered files; tells whether the kernel did so.
fn restrict(ring: &IoUring) -> bool {
    let operations = OPERATIONS.iter().map(|(code, _)| Restriction::sqe_op(*code));
    let registrations = REGISTRATIONS.iter().map(|code| Restriction::register_op(*code));
    let flags = [Restriction::sqe_flags_allowed(FIXED_FILE), Restriction::sqe_flags_required(FIXED_FILE)];
    let mut all: Vec<Restriction> = operations.chain(registrations).chain(flags).collect();
    match ring.submitter().register_restrictions(&mut all) {
        Ok(()) => true,
        Err(error) => {
            tracing::info!(%error, "ring not restricted");
            false
        }
    }
}

pub(super) fn setup(step: &'static str, error: &io::Error) -> EngineError {
    EngineError::Setup { step, source: errno(error) }
}

/// Returns the number of an error from the kernel.
pub(super) fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_refuses_operations_and_files_it_was_not_made_for() {
        let Ok(NewRing { mut ring, restricted }) = make(4, 4) else {
            println!("skipped: no io_uring here");
            return;
        };
        assert!(restricted, "this kernel restricts rings");
        enable(&ring).unwrap();
        let foreign = opcode::Nop::new().build();
        let unregistered = opcode::Fsync::new(io_uring::types::Fd(0)).build();
        for entry in [foreign, unregistered] {
            // SAFETY: neither operation has a buffer or anything else that has to outlive it.
            unsafe { ring.submission().push(&entry) }.expect("the queue has room");
            ring.submit_and_wait(1).unwrap();
            let result = ring.completion().next().expect("one operation ended").result();
            assert_eq!(result, -Errno::ACCESS.raw_os_error());
        }
        let late = ring.submitter().register_restrictions(&mut [Restriction::sqe_op(0)]);
        assert!(late.is_err(), "a restriction cannot be lifted");
    }
}
