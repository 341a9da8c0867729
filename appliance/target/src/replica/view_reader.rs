//! Reading a view: on an engine of its own, beside the applier.
//!
//! 1. The map is asked where the content is.
//! 2. What the target disks hold is read.
//! 3. The map is asked again: what was overwritten meanwhile is in a log now, and its bytes from step 2 don't count.
//! 4. What is in logs is read, verified against its hash, and decoded.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use blockdev::{DeviceSlot, Engine, PagePool, Volume};
use retention::{ExtentDecoder, IndexEntry, Log, Place};
use units::{ByteLen, ByteOffset, DiskIndex, EpochNumber};
use wire::{Encoding, Span};

use super::error::ReplicaError;
use super::fetch::{OpenLogs, log_path};
use super::log_reader::read_payloads;
use super::transfer::{ReadAt, TRANSFER_LEN, cut, read_each};
use super::view::LiveView;

/// Logs that stay open between two reads.
const LOGS_MAX: usize = 32;
/// Decoded extents that are kept, of at most 64 KiB each.
const DECODED_MAX: usize = 64;

/// Reads one view. Several may read the same; each has an engine of its own.
pub struct ViewReader<E: Engine, V> {
    view: Arc<LiveView>,
    engine: E,
    volume: V,
    pool: PagePool,
    disks: Vec<DeviceSlot>,
    logs: OpenLogs,
    decoder: ExtentDecoder,
    decoded: Decoded,
}

/// The extents decoded last.
#[derive(Default)]
struct Decoded {
    contents: HashMap<Key, Vec<u8>>,
    order: VecDeque<Key>,
}

/// An extent of a log: its epoch, log and position.
type Key = (EpochNumber, Log, ByteOffset);

/// A part of a span that is in a log.
type LogPart = (Span, EpochNumber, IndexEntry);

impl<E: Engine, V: Volume<Device = E::Device>> ViewReader<E, V> {
    /// Makes a reader. `disks` are the target disks, opened for reading, by index; `pool` lends buffers of 256 KiB, two at
    /// the least. Errors: the engine takes no more devices, no memory.
    pub fn new(
        view: Arc<LiveView>,
        mut engine: E,
        volume: V,
        pool: PagePool,
        disks: Vec<E::Device>,
    ) -> Result<Self, ReplicaError> {
        assert_eq!(disks.len(), view.lens().len(), "each disk is opened");
        let disks = disks.into_iter().map(|disk| engine.attach(disk)).collect::<Result<_, _>>()?;
        let decoder = ExtentDecoder::new().map_err(|_| ReplicaError::NoMemory)?;
        let (logs, decoded) = (OpenLogs::default(), Decoded::default());
        Ok(Self { view, engine, volume, pool, disks, logs, decoder, decoded })
    }

    /// Fills `into` with what the disk held at the point from `at`, a multiple of 4096, on. Errors: the view has ended, a device
    /// failed, what was kept of this part is damaged; then `into` is undefined.
    pub fn read(&mut self, disk: DiskIndex, at: ByteOffset, into: &mut [u8]) -> Result<(), ReplicaError> {
        let span = Span { disk, start: at, len: ByteLen(into.len() as u64) };
        assert!(at.is_multiple_of(units::GRANULE_LEN), "views are read from granules on");
        let disk_len = self.view.lens()[usize::from(disk.0)];
        assert!(at.checked_add(span.len).is_some_and(|end| end.0 <= disk_len.0), "a read stays on its disk");
        if self.logs.len() > LOGS_MAX {
            self.logs.close(&mut self.engine);
        }
        let before = self.view.parts(&span)?;
        self.read_target(&span, &before, into)?;
        let after = self.view.parts(&span)?;
        assert!(targets(&after).all(|part| targets(&before).any(|whole| contains(whole, part))));
        let place = |part: &Span| {
            let from = part.start.since(at).as_usize();
            from..from + part.len.as_usize()
        };
        let mut logged = Vec::new();
        for (part, found) in after {
            match found {
                Place::Target => {}
                Place::Zero => into[place(&part)].fill(0),
                Place::Log { epoch, entry } => logged.push((part, epoch, entry)),
            }
        }
        self.read_logs(&logged, |part, content| into[place(part)].copy_from_slice(content))
    }

    fn read_target(
        &mut self,
        span: &Span,
        parts: &[(Span, Place)],
        into: &mut [u8],
    ) -> Result<(), ReplicaError> {
        let slot = self.disks[usize::from(span.disk.0)];
        let geometry = self.engine.geometry(slot);
        let unit = u64::from(geometry.alignment);
        let parts: Vec<Span> = targets(parts).flat_map(|part| cut(part, TRANSFER_LEN)).collect();
        // The end of a disk may lie inside a unit of its device.
        let whole = |part: &Span| part.len.round_up(unit).as_usize();
        let reads: Vec<_> =
            parts.iter().map(|part| ReadAt { slot, at: part.start, len: whole(part) }).collect();
        read_each(&mut self.engine, &self.pool, &reads, |index, buffer| {
            let (from, len) = (parts[index].start.since(span.start).as_usize(), parts[index].len.as_usize());
            into[from..from + len].copy_from_slice(&buffer[..len]);
            Ok(())
        })
    }

    /// Reads, verifies and decodes the parts that are in logs; neighbours of one extent are read once.
    fn read_logs(
        &mut self,
        parts: &[LogPart],
        mut put: impl FnMut(&Span, &[u8]),
    ) -> Result<(), ReplicaError> {
        let mut firsts: Vec<(&LogPart, Vec<&Span>)> = Vec::new();
        for part in parts {
            match firsts.last_mut() {
                Some((first, spans)) if (first.1, &first.2) == (part.1, &part.2) => spans.push(&part.0),
                _ => firsts.push((part, vec![&part.0])),
            }
        }
        let mut put_all = |entry: &IndexEntry, spans: &[&Span], content: &[u8]| {
            for span in spans {
                let from = span.start.since(entry.extent.start).as_usize();
                put(span, &content[from..from + span.len.as_usize()]);
            }
        };
        firsts.retain(|((_, epoch, entry), spans)| {
            let known = self.decoded.contents.get(&(*epoch, entry.log, entry.payload_at));
            known.inspect(|content| put_all(entry, spans, content)).is_none()
        });
        let machine = self.view.machine();
        for ((_, epoch, entry), _) in &firsts {
            self.logs.cover(&mut self.engine, &self.volume, machine, *epoch, entry)?;
        }
        let mut sources = Vec::with_capacity(firsts.len());
        for ((_, epoch, entry), _) in &firsts {
            let slot = self.logs.slot(&mut self.engine, &self.volume, machine, *epoch, entry.log)?;
            sources.push((slot, entry.payload_at, &entry.extent));
        }
        let (decoder, decoded) = (&mut self.decoder, &mut self.decoded);
        let read = read_payloads(&mut self.engine, &self.pool, &sources, |index, payload| {
            let ((_, epoch, entry), spans) = &firsts[index];
            let damaged = |cause| ReplicaError::Damaged {
                file: log_path(machine, *epoch, entry.log),
                at: entry.payload_at,
                cause,
            };
            ExtentDecoder::verify(&entry.extent, payload).map_err(damaged)?;
            if matches!(entry.extent.encoding, Encoding::Raw { .. }) {
                put_all(entry, spans, payload);
                return Ok(());
            }
            let content = decoded.room((*epoch, entry.log, entry.payload_at), entry.extent.len.as_usize());
            let done = decoder.decode(&entry.extent, payload, content).map_err(damaged);
            put_all(entry, spans, content);
            done.inspect_err(|_| decoded.forget())
        });
        if let Err(ReplicaError::Damaged { file, at, .. }) = &read {
            let is = |epoch, entry: &IndexEntry| {
                entry.payload_at == *at && log_path(machine, epoch, entry.log) == *file
            };
            let met = firsts.iter().find(|((_, epoch, entry), _)| is(*epoch, entry));
            met.into_iter().for_each(|((_, epoch, entry), _)| self.view.meet(*epoch, entry));
        }
        read
    }
}

impl Decoded {
    /// Makes room for an extent's content, which the caller fills.
    fn room(&mut self, key: Key, len: usize) -> &mut Vec<u8> {
        let mut content = Vec::new();
        if self.order.len() >= DECODED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            content = self.contents.remove(&oldest).unwrap_or_default();
        }
        content.resize(len, 0);
        self.order.push_back(key);
        let room = self.contents.entry(key).or_default();
        *room = content;
        room
    }

    /// Forgets the extent that was added last: it could not be decoded.
    fn forget(&mut self) {
        if let Some(key) = self.order.pop_back() {
            self.contents.remove(&key);
        }
    }
}

fn targets(parts: &[(Span, Place)]) -> impl Iterator<Item = &Span> {
    parts.iter().filter(|(_, place)| *place == Place::Target).map(|(part, _)| part)
}

fn contains(whole: &Span, part: &Span) -> bool {
    whole.start <= part.start && part.start.0 + part.len.0 <= whole.start.0 + whole.len.0
}
