//! An export made writable: what is written is kept beside it, within bounds, and thrown away at the end.
//!
//! Written granules lie in a file without a name, each where it lies on the image, so that nothing but the sets of
//! granules is kept in memory. Granules made zero take no room.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use retention::GranuleSet;
use rustix::fs::{FallocateFlags, fallocate};
use units::{ByteLen, ByteOffset, DiskIndex, GRANULE_LEN};

use crate::{Allocation, Export, ExportError, Span};

#[cfg(test)]
mod tests;

/// The bound of what is written, for all disks of a machine together.
#[derive(Debug)]
pub struct ScratchRoom {
    limit: ByteLen,
    used: AtomicU64,
}

/// An export made writable.
///
/// *Invariant:* a granule is in at most one of the two sets, and one that is `kept` is wholly in the file.
pub struct Scratch {
    below: Arc<dyn Export>,
    room: Arc<ScratchRoom>,
    file: File,
    granules: RwLock<Granules>,
    /// Whoever changes something holds it; whoever reads doesn't.
    change: Mutex<()>,
}

/// What was written.
struct Granules {
    /// Lies in the file.
    kept: GranuleSet,
    /// Is zero.
    zero: GranuleSet,
}

impl ScratchRoom {
    /// Makes room for `limit` bytes of written granules.
    pub fn new(limit: ByteLen) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicU64::new(0) })
    }

    /// Returns how much is taken.
    pub fn used(&self) -> ByteLen {
        ByteLen(self.used.load(Ordering::Acquire))
    }

    fn take(&self, len: ByteLen) -> Result<(), ExportError> {
        let more = |used: u64| used.checked_add(len.0).filter(|used| *used <= self.limit.0);
        let taken = self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        taken.map(drop).map_err(|_| ExportError::Full { limit: self.limit })
    }

    fn give_back(&self, len: ByteLen) {
        let before = self.used.fetch_sub(len.0, Ordering::AcqRel);
        assert!(before >= len.0, "no room is given back that was not taken");
    }
}

impl Scratch {
    /// Lays a scratch over an export. Its file is made in `directory` and has no name: it goes with this value.
    ///
    /// # Errors
    /// The file can't be made.
    pub fn over(below: Arc<dyn Export>, directory: &Path, room: Arc<ScratchRoom>) -> io::Result<Self> {
        let file = unnamed_file(directory)?;
        file.set_len(below.len().0)?;
        let granules = RwLock::new(Granules { kept: GranuleSet::new(1), zero: GranuleSet::new(1) });
        Ok(Self { below, room, file, granules, change: Mutex::new(()) })
    }

    fn granules(&self) -> RwLockReadGuard<'_, Granules> {
        // Sets are changed in steps that don't panic.
        self.granules.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change_granules(&self, change: impl FnOnce(&mut Granules)) {
        change(&mut self.granules.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn begin_change(&self) -> MutexGuard<'_, ()> {
        self.change.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cuts a stretch into parts, in order, with where each is to be read.
    fn parts(&self, at: ByteOffset, len: ByteLen) -> Vec<Part> {
        let span = span(at, len);
        let granules = self.granules();
        let place = |spans: Vec<wire::Span>, place: Place| {
            spans.into_iter().map(move |span| Part { at: span.start, len: span.len, place })
        };
        let written = place(granules.kept.present(&span), Place::File);
        let mut parts: Vec<Part> =
            written.chain(place(granules.zero.present(&span), Place::Nowhere)).collect();
        drop(granules);
        parts.sort_unstable_by_key(|part| part.at);
        fill_gaps(at, len, &parts)
    }
}

/// A part of a stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    at: ByteOffset,
    len: ByteLen,
    place: Place,
}

/// Where a part lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Below,
    File,
    Nowhere,
}

impl Export for Scratch {
    fn len(&self) -> ByteLen {
        self.below.len()
    }

    /// What is written meanwhile may be seen or not; both are lawful.
    fn read(&self, at: ByteOffset, into: &mut [u8]) -> Result<(), ExportError> {
        let mut rest = into;
        for part in self.parts(at, ByteLen(rest.len() as u64)) {
            let (piece, others) = rest.split_at_mut(part.len.as_usize());
            rest = others;
            match part.place {
                Place::Below => self.below.read(part.at, piece)?,
                Place::File => self.file.read_exact_at(piece, part.at.0).map_err(failed("read", part.at))?,
                Place::Nowhere => piece.fill(0),
            }
        }
        Ok(())
    }

    fn status(&self, at: ByteOffset, len: ByteLen) -> Result<Vec<Span>, ExportError> {
        let mut told = Vec::new();
        for part in self.parts(at, len) {
            let allocation = match part.place {
                Place::Below => {
                    let below = self.below.status(part.at, part.len)?;
                    let len: ByteLen = below.iter().map(|span| span.len).sum();
                    told.extend(below);
                    if len < part.len {
                        break;
                    }
                    continue;
                }
                Place::File => Allocation::Data,
                Place::Nowhere => Allocation::Zero,
            };
            told.push(Span { len: part.len, allocation });
        }
        Ok(told)
    }

    fn is_writable(&self) -> bool {
        true
    }

    /// In order: 1. room for the granules that are new; 2. the bytes; 3. the sets, so that nobody reads granules of the file
    /// that are not there yet.
    fn write(&self, at: ByteOffset, bytes: &[u8]) -> Result<(), ExportError> {
        let span = span(at, ByteLen(bytes.len() as u64));
        let _change = self.begin_change();
        let new = total(&self.granules().kept.missing(&span));
        self.room.take(new)?;
        if let Err(error) = self.file.write_all_at(bytes, at.0) {
            self.room.give_back(new);
            return Err(failed("written", at)(error));
        }
        self.change_granules(|granules| {
            granules.kept.insert(&span);
            granules.zero.remove(&span);
        });
        Ok(())
    }

    /// In order: 1. the sets; 2. the file's blocks, which nobody reads any more; 3. the room.
    fn zero(&self, at: ByteOffset, len: ByteLen) -> Result<(), ExportError> {
        let span = span(at, len);
        let _change = self.begin_change();
        let old = self.granules().kept.present(&span);
        self.change_granules(|granules| {
            granules.kept.remove(&span);
            granules.zero.insert(&span);
        });
        for part in &old {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            // Where holes can't be made the blocks stay until the end.
            let _ = fallocate(&self.file, flags, part.start.0, part.len.0);
        }
        self.room.give_back(total(&old));
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let all = span(ByteOffset(0), self.len());
        let kept = self.granules().kept.present(&all);
        self.room.give_back(total(&kept));
    }
}

/// Fills what lies between parts, and around them, with what lies below.
fn fill_gaps(at: ByteOffset, len: ByteLen, written: &[Part]) -> Vec<Part> {
    let (mut parts, mut reached) = (Vec::with_capacity(2 * written.len() + 1), at.0);
    let below = |from: u64, to: u64| {
        let (at, len) = (ByteOffset(from), ByteLen(to - from));
        (from < to).then_some(Part { at, len, place: Place::Below })
    };
    for part in written {
        assert!(part.at.0 >= reached, "a granule is in one set only");
        parts.extend(below(reached, part.at.0));
        parts.push(*part);
        reached = part.at.0 + part.len.0;
    }
    parts.extend(below(reached, at.0 + len.0));
    parts
}

fn total(spans: &[wire::Span]) -> ByteLen {
    spans.iter().map(|span| span.len).sum()
}

fn span(start: ByteOffset, len: ByteLen) -> wire::Span {
    assert!(start.is_multiple_of(GRANULE_LEN), "exports work in granules");
    wire::Span { disk: DiskIndex(0), start, len }
}

fn failed(operation: &'static str, at: ByteOffset) -> impl FnOnce(io::Error) -> ExportError {
    move |error| ExportError::Failed { operation, at, source: error.into() }
}

/// Makes a file that is nowhere to be found: made under a name nobody else uses, which is removed at once.
fn unnamed_file(directory: &Path) -> io::Result<File> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = directory.join(format!(".landfall-scratch-{}-{number}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}
