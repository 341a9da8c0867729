//! The protected disks: opened for reading, never made, and watched for being written.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use blockdev::{
    Access, ActivityStamp, Engine, EngineChoice, Expect, FilePolicy, HostEngine, OpenDevice, PagePool,
};
use units::{ByteLen, SECTOR_LEN};

use crate::config::Config;
use crate::error::SourceError;
use crate::exchange::QUEUE_MAX;
use crate::scan::{CHUNK_LEN, DEPTH, Disk, Reader};

/// The clock that stamps files may stand still for this long (a tick of the slowest kernel we know, doubled).
const TICK: Duration = Duration::from_millis(20);

/// Tells whether the disks were written between two moments.
#[derive(Debug)]
pub(crate) struct Activity {
    watched: Vec<OpenDevice>,
}

impl Activity {
    /// Returns one stamp per disk; equal stamps mean that nobody wrote in between. A file that was written this very moment is
    /// looked at again after a tick of the clock that stamps it, since a later write within the tick could not be told from it.
    /// Errors: a disk has vanished.
    pub(crate) fn stamps(&self) -> Result<Vec<ActivityStamp>, SourceError> {
        let stamps = self.look()?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let ticking = (now.saturating_sub(TICK)).as_nanos();
        let fresh = |stamp: &ActivityStamp| match stamp {
            ActivityStamp::Times { changed_ns, .. } => {
                u128::try_from(*changed_ns).is_ok_and(|at| at >= ticking)
            }
            ActivityStamp::Counters { .. } => false,
        };
        if !stamps.iter().any(fresh) {
            return Ok(stamps);
        }
        std::thread::sleep(TICK);
        self.look()
    }

    fn look(&self) -> Result<Vec<ActivityStamp>, SourceError> {
        let stamp = |disk: &OpenDevice| {
            disk.activity().map_err(|source| SourceError::Read { path: disk.path().to_owned(), source })
        };
        self.watched.iter().map(stamp).collect()
    }
}

/// The opened disks and the buffers they are read into.
pub(crate) struct Opened {
    /// Reads them.
    pub(crate) reader: Reader<HostEngine>,
    /// Watches them.
    pub(crate) activity: Activity,
    /// Buffers of a frame's payload, for what does not travel in the buffer it was read into.
    pub(crate) buffers: PagePool,
}

/// Opens disks, or snapshots of them, for reading. Errors: one that is missing, of the wrong kind or size; no queue for reads.
pub(crate) fn open(config: &Config, paths: &[PathBuf]) -> Result<Opened, SourceError> {
    let lanes = usize::from(config.connections);
    // What can be under way: a full queue and one frame in the hand on each connection, and some being made.
    let sending = lanes * (QUEUE_MAX + 1) + 2;
    let (pool, buffers) = (PagePool::new(DEPTH + sending, CHUNK_LEN), PagePool::new(sending, CHUNK_LEN));
    let mut engine = blockdev::open_engine(DEPTH, EngineChoice::Best).map_err(SourceError::Engine)?;
    engine.register_pool(&pool);
    let files = if config.files_allowed { FilePolicy::Allow } else { FilePolicy::Refuse };
    let mut disks = Vec::new();
    let mut watched = Vec::new();
    for path in paths {
        let device = open_one(path, files)?;
        let failed = |source| SourceError::Device { path: path.clone(), source };
        watched.push(device.reader().map_err(failed)?);
        let len = device.geometry().len;
        let slot = engine.attach(device).map_err(SourceError::Engine)?;
        disks.push(Disk { path: path.clone(), slot, len });
    }
    Ok(Opened { reader: Reader::new(engine, disks, pool), activity: Activity { watched }, buffers })
}

fn open_one(path: &Path, files: FilePolicy) -> Result<OpenDevice, SourceError> {
    let expect = Expect { identity: None, len_min: ByteLen(SECTOR_LEN), files, access: Access::ReadOnly };
    blockdev::open_device(path, &expect)
        .map_err(|source| SourceError::Device { path: path.to_owned(), source })
}
