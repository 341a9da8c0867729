//! The journal of a machine, read against its checksums.

use std::collections::HashSet;

use blockdev::{DeviceSlot, Engine, Volume, VolumeError};
use retention::{
    Damage, DamagedPlace, EpochIndex, ExtentDecoder, IndexEntry, Log, Placement, RECORD_ALIGN, TailScan,
    encoded_len, is_newest, oldest_point, spoilt_by_redo, spoilt_by_undo,
};
use units::{ByteLen, ByteOffset, DiskIndex, Hash, Sequence};

use super::super::error::ReplicaError;
use super::super::fetch::log_path;
use super::super::log_reader::{LogReader, read_payloads};
use super::super::paths;
use super::super::shared::EpochInfo;
use super::super::transfer::{ReadAt, TRANSFER_LEN, read_each};
use super::super::work::Work;
use super::{Bench, Findings};

/// Payloads read at once.
const BATCH: usize = 64;

/// What one epoch has turned out to be.
struct Checked {
    index: Option<EpochIndex>,
    /// Extents whose payload is not what it should be.
    payloads: Vec<IndexEntry>,
    /// Records that can't be read, by log and position.
    records: Vec<(Log, ByteOffset)>,
}

impl<E: Engine, V: Volume<Device = E::Device>> Bench<'_, E, V> {
    /// Reads every epoch. Epochs that expire meanwhile are of no concern.
    pub(crate) fn scrub_journal(&mut self, found: &mut Findings) -> Result<(), ReplicaError> {
        let epochs: Vec<EpochInfo> = self.shared.lock().epochs.iter().copied().collect();
        self.pace.expect(epochs.iter().map(|info| info.redo + info.undo).sum());
        let mut bad = Vec::new();
        for info in epochs {
            match self.check_epoch(info, found) {
                Ok(checked) if checked.payloads.is_empty() && checked.records.is_empty() => {}
                Ok(checked) => bad.push((info, checked)),
                Err(_) if !self.exists(&info) => {}
                Err(error) => return Err(error),
            }
        }
        bad.retain(|(info, _)| self.exists(info));
        if !bad.is_empty() {
            self.judge(bad, found)?;
        }
        Ok(())
    }

    fn exists(&self, info: &EpochInfo) -> bool {
        let is = |each: &EpochInfo| {
            (each.epoch, each.through, each.thinned) == (info.epoch, info.through, info.thinned)
        };
        self.shared.lock().epochs.iter().any(is)
    }

    fn check_epoch(&mut self, info: EpochInfo, found: &mut Findings) -> Result<Checked, ReplicaError> {
        let mut checked = Checked { index: None, payloads: Vec::new(), records: Vec::new() };
        let mut entries = Vec::new();
        for log in [Log::Redo, Log::Undo] {
            let len = if log == Log::Redo { info.redo } else { info.undo };
            // Of an undo log that has not been opened since the start the end is not known, and a thinned epoch has no redo log.
            if len == ByteLen::ZERO || (info.thinned && log == Log::Redo) {
                continue;
            }
            let slot = self.engine.attach(self.volume.open(&log_path(self.machine, info.epoch, log))?)?;
            let walked = self.check_log(slot, log, info, len, &mut checked.records);
            let walked = walked.and_then(|walked| {
                let bad = self.check_payloads(slot, &walked)?;
                checked.payloads.extend(bad);
                entries.extend(walked);
                Ok(())
            });
            drop(self.engine.detach(slot));
            walked?;
        }
        if info.indexed {
            checked.index = self.read_index(&info)?;
            if checked.index.is_none() && self.exists(&info) {
                tracing::warn!(machine = %self.machine, epoch = %info.epoch, "an index is damaged; it is made again");
                found.mended += 1;
                let epoch = info.epoch;
                self.ask(|then| Work::MendIndex { epoch, then })?;
                checked.index = self.read_index(&info)?;
            }
        }
        // What a record that can't be read said is in the index.
        if let Some(index) = checked.index.as_ref().filter(|_| !checked.records.is_empty()) {
            let known: HashSet<_> = entries.iter().map(|entry| (entry.log, entry.payload_at)).collect();
            let of = |log| {
                let unseen =
                    |entry: &&IndexEntry| entry.log == log && !known.contains(&(log, entry.payload_at));
                index.entries.iter().filter(unseen).cloned().collect::<Vec<_>>()
            };
            for (log, unseen) in [(Log::Redo, of(Log::Redo)), (Log::Undo, of(Log::Undo))] {
                if unseen.is_empty() || (info.thinned && log == Log::Redo) {
                    continue;
                }
                let slot =
                    self.engine.attach(self.volume.open(&log_path(self.machine, info.epoch, log))?)?;
                let bad = self.check_payloads(slot, &unseen);
                drop(self.engine.detach(slot));
                checked.payloads.extend(bad?);
            }
        }
        Ok(checked)
    }

    /// Walks a log up to `len` and returns the extents of every record that can be read; notes where one can't.
    fn check_log(
        &mut self,
        slot: DeviceSlot,
        log: Log,
        info: EpochInfo,
        len: ByteLen,
        records: &mut Vec<(Log, ByteOffset)>,
    ) -> Result<Vec<IndexEntry>, ReplicaError> {
        let generation = self.shared.lock().generation;
        let (machine, epoch, position) = (self.machine, info.epoch, ByteOffset(0));
        let placement = Placement { machine, generation, epoch, position, previous: Hash::default() };
        let scan_at =
            |position, previous| TailScan::new(Placement { position, ..placement }, previous, ByteOffset(0));
        let mut scan = scan_at(position, (log == Log::Undo).then(Hash::default));
        let mut index = EpochIndex::empty(machine, generation, epoch, info.first);
        let mut reader = LogReader::new(self.engine, self.pool, slot, log);
        let mut lost = false;
        while scan.next().0 < len.0 {
            match reader.record_at(&scan)? {
                Ok((head, body)) => {
                    lost = false;
                    index.add(log, &head.place(), &body);
                    scan.accept(&head);
                    self.pace.count(head.record_len as u64)?;
                }
                Err(cause) => {
                    let at = scan.next();
                    if !lost {
                        tracing::error!(%machine, %epoch, ?log, %at, %cause, "a record can't be read");
                        records.push((log, at));
                    }
                    lost = true;
                    scan = scan_at(ByteOffset(at.0 + RECORD_ALIGN as u64), None);
                }
            }
        }
        Ok(index.entries)
    }

    fn check_payloads(
        &mut self,
        slot: DeviceSlot,
        entries: &[IndexEntry],
    ) -> Result<Vec<IndexEntry>, ReplicaError> {
        let mut bad = Vec::new();
        let file_len = self.engine.geometry(slot).len.0;
        for batch in entries.chunks(BATCH) {
            let inside =
                |entry: &&IndexEntry| entry.payload_at.0 + encoded_len(&entry.extent) as u64 <= file_len;
            bad.extend(batch.iter().filter(|entry| !inside(entry)).cloned());
            let whole: Vec<&IndexEntry> = batch.iter().filter(inside).collect();
            let sources: Vec<_> = whole.iter().map(|entry| (slot, entry.payload_at, &entry.extent)).collect();
            read_payloads(self.engine, self.pool, &sources, |index, payload| {
                if ExtentDecoder::verify(&whole[index].extent, payload).is_err() {
                    bad.push(whole[index].clone());
                }
                Ok(())
            })?;
        }
        Ok(bad)
    }

    fn read_index(&mut self, info: &EpochInfo) -> Result<Option<EpochIndex>, ReplicaError> {
        let device = match self.volume.open(&paths::index(self.machine, info.epoch, info.through)) {
            Err(VolumeError::Missing { .. }) => return Ok(None),
            device => device?,
        };
        let slot = self.engine.attach(device)?;
        let len = self.engine.geometry(slot).len.as_usize();
        let read = |at: usize| ReadAt { slot, at: ByteOffset(at as u64), len: TRANSFER_LEN.min(len - at) };
        let reads: Vec<_> = (0..len).step_by(TRANSFER_LEN).map(read).collect();
        let mut bytes = vec![0; len];
        let done = read_each(self.engine, self.pool, &reads, |index, buffer| {
            bytes[index * TRANSFER_LEN..][..buffer.len()].copy_from_slice(&buffer);
            Ok(())
        });
        drop(self.engine.detach(slot));
        done?;
        self.pace.count(len as u64)?;
        let of_epoch = |index: &EpochIndex| index.machine == self.machine && index.epoch == info.epoch;
        let thin = |mut index: EpochIndex| {
            if info.thinned {
                index.thin();
            }
            index
        };
        Ok(EpochIndex::decode(&bytes).ok().filter(of_epoch).map(thin))
    }

    /// Says which points what was found spoils.
    fn judge(&mut self, bad: Vec<(EpochInfo, Checked)>, found: &mut Findings) -> Result<(), ReplicaError> {
        let blind = |checked: &Checked| checked.index.is_none() && !checked.records.is_empty();
        if bad.iter().any(|(_, checked)| blind(checked)) {
            let blind = bad.iter().filter(|(_, checked)| blind(checked));
            blind.for_each(|(info, checked)| self.judge_blind(*info, checked, found));
            return Ok(());
        }
        let indexes = self.ask(|then| Work::Indexes { then })?;
        for (info, checked) in bad {
            let Some(at) = indexes.iter().position(|index| index.epoch == info.epoch) else { continue };
            for (log, position) in checked.records {
                let (place, first) = (place(log, info, position), indexes[at].first);
                let (disk, start, len) = (DiskIndex(0), ByteOffset(0), ByteLen::ZERO);
                let last = Some(Sequence(first.0 - 1));
                found.damage.push(Damage { disk, start, len, place, first, last, found: self.now });
            }
            for entry in checked.payloads {
                let spoilt = match entry.log {
                    Log::Redo => spoilt_by_redo(&indexes, at, &entry),
                    Log::Undo => spoilt_by_undo(&indexes, at, &entry),
                };
                let (mut first, last) = match spoilt {
                    Some(spoilt) => (spoilt.first, spoilt.last),
                    None => (entry.sequence, Sequence(entry.sequence.0 - 1)),
                };
                if entry.log == Log::Redo && is_newest(&indexes, at, &entry) {
                    // The only good copy is on the target disk: going back would overwrite it, and nothing could bring it
                    // forward again. So no point before it is given until the source has sent it once more.
                    first = oldest_point(&indexes);
                    found.resend.push(entry.span());
                }
                let span = entry.span();
                let place = place(entry.log, info, entry.payload_at);
                let (disk, start, len, last) = (span.disk, span.start, span.len, Some(last));
                found.damage.push(Damage { disk, start, len, place, first, last, found: self.now });
            }
        }
        Ok(())
    }

    /// What a record said that neither can be read nor is in an index is not known: every point may need it.
    fn judge_blind(&self, info: EpochInfo, checked: &Checked, found: &mut Findings) {
        found.blind = true;
        let state = self.shared.lock();
        let (disk, start, len) =
            (DiskIndex(0), ByteOffset(0), state.lens.first().copied().unwrap_or_default());
        for (log, position) in &checked.records {
            let (place, first, last) = (place(*log, info, *position), state.base, None);
            found.damage.push(Damage { disk, start, len, place, first, last, found: self.now });
        }
    }
}

fn place(log: Log, info: EpochInfo, position: ByteOffset) -> DamagedPlace {
    let epoch = info.epoch;
    match log {
        Log::Redo => DamagedPlace::Redo { epoch, position },
        Log::Undo => DamagedPlace::Undo { epoch, position },
    }
}
