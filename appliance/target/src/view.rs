//! Views on this host: a live view, and the engines that read it. All of them share one background reader, so that no
//! reading of views waits in the queues of the applier, nor the applier in theirs.

use std::path::Path;
use std::sync::{Arc, Mutex};

use blockdev::{
    Access, BackgroundEngine, BackgroundReader, DirVolume, Expect, FilePolicy, OpenDevice, PagePool,
    open_device,
};
use retention::{HeadDisk, Lifecycle};
use units::{ByteLen, ByteOffset, DiskIndex, MachineName, Sequence};
use wire::Span;

use crate::error::TargetError;
use crate::machine::lock;
use crate::node::MasterTarget;
use crate::operations::wrong_phase;
use crate::replica::{LiveView, ReplicaError, ViewReader, Work};

/// Operations one reader keeps in flight, and its buffers of 256 KiB.
const READER_DEPTH: usize = 8;
/// Readers that stay when nobody reads.
const READERS_IDLE: usize = 4;

/// The disks of a machine as they were at one point. Dropping it closes it. Any number of threads read it at once.
pub struct View {
    machine: MachineName,
    live: Arc<LiveView>,
    volume: DirVolume,
    background: Arc<dyn BackgroundReader>,
    /// The target disks, opened for reading.
    disks: Vec<OpenDevice>,
    idle: Mutex<Vec<ViewReader<BackgroundEngine, DirVolume>>>,
}

impl MasterTarget {
    /// Opens a view of a sequence, as soon as that was applied. Errors: the machine is in no phase for it, a job is under way,
    /// the point is not in the history.
    pub fn open_view(&self, name: &MachineName, to: Sequence) -> Result<View, TargetError> {
        let machine = self.in_service(name)?;
        self.refuse_if_busy(name)?;
        let lifecycle = machine.shared.lock().lifecycle.clone();
        if !matches!(
            lifecycle,
            Lifecycle::Protected | Lifecycle::Rewinding { .. } | Lifecycle::Rewound { .. }
        ) {
            return Err(wrong_phase(name, &lifecycle, "protected or rewound"));
        }
        let disks = machine.disks.iter().map(open_reader).collect::<Result<_, _>>();
        let live = self.ask(&machine, |then| Work::View { to, then })?;
        Ok(View {
            machine: name.clone(),
            live,
            volume: self.volume.clone(),
            background: self.background()?,
            disks: disks.map_err(TargetError::Disk)?,
            idle: Mutex::default(),
        })
    }
}

impl View {
    /// Returns the machine.
    pub fn machine(&self) -> &MachineName {
        &self.machine
    }

    /// Returns the point.
    pub fn to(&self) -> Sequence {
        self.live.to()
    }

    /// Returns the size of each disk.
    pub fn lens(&self) -> &[ByteLen] {
        self.live.lens()
    }

    /// Returns why the view has ended, if it has.
    pub fn ended(&self) -> Option<&str> {
        self.live.ended()
    }

    /// Fills `into` with what a disk held from `at`, a multiple of 4096, on. Errors: see [`ViewReader::read`].
    pub fn read(&self, disk: DiskIndex, at: ByteOffset, into: &mut [u8]) -> Result<(), ReplicaError> {
        let reader = lock(&self.idle).pop();
        let mut reader = match reader {
            Some(reader) => reader,
            None => self.reader()?,
        };
        let done = reader.read(disk, at, into);
        let fit = !matches!(done, Err(ReplicaError::Device(_) | ReplicaError::Engine(_)));
        let mut idle = lock(&self.idle);
        if fit && idle.len() < READERS_IDLE {
            idle.push(reader);
        }
        done
    }

    /// Returns what is known to be zero of a span without reading it: parts in order and without a gap, each with whether
    /// it is. Errors: the view has ended.
    pub fn zeroes(&self, span: &Span) -> Result<Vec<(Span, bool)>, ReplicaError> {
        let disk = &self.disks[usize::from(span.disk.0)];
        self.live.zeroes(span, |at| disk.stretch_at(at))
    }

    fn reader(&self) -> Result<ViewReader<BackgroundEngine, DirVolume>, ReplicaError> {
        let engine = BackgroundEngine::new(self.background.clone(), READER_DEPTH)?;
        let pool = PagePool::new(READER_DEPTH, 256 << 10);
        let disks = self.disks.iter().map(OpenDevice::reader).collect::<Result<_, _>>()?;
        ViewReader::new(self.live.clone(), engine, self.volume.clone(), pool, disks)
    }
}

/// Opens a target disk that was assigned before, to read what the applier has written.
fn open_reader(disk: &HeadDisk) -> Result<OpenDevice, blockdev::DeviceError> {
    let files = if disk.file { FilePolicy::Allow } else { FilePolicy::Refuse };
    let identity = disk.identity.parse().ok();
    let expect = Expect { identity, len_min: disk.device_len, files, access: Access::ReadOnly };
    open_device(Path::new(&disk.path), &expect)
}
