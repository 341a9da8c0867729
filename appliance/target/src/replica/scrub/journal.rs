//! The journal of a machine, read against its checksums.

use std::collections::HashSet;

use blockdev::{DeviceSlot, Engine, Volume, VolumeError};
use retention::{
    BLOCK_LEN, Damage, EpochIndex, ExtentDecoder, IndexEntry, Log, Placement, RECORD_ALIGN, TailScan,
    encoded_len,
};
use units::{ByteLen, ByteOffset, DiskIndex, EpochNumber, Hash, Sequence};

use super::super::damage::{damaged_place, judge_extent};
use super::super::error::ReplicaError;
use super::super::fetch::log_path;
use super::super::kept_index::KeptIndex;
use super::super::log_reader::{LogReader, read_payloads};
use super::super::paths;
use super::super::shared::{EpochInfo, chain};
use super::super::transfer::{ReadAt, TRANSFER_LEN, read_each};
use super::super::work::Work;
use super::{Bench, Findings, Mark, Progressed};

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
    /// Reads every epoch from `from` on, and tells `mark` of each that was read. Epochs that expire meanwhile are of no concern.
    pub(crate) fn scrub_journal(
        &mut self,
        from: EpochNumber,
        found: &mut Findings,
        mark: &mut Mark<'_, E>,
    ) -> Result<(), ReplicaError> {
        let unread = |info: &&EpochInfo| info.through >= from;
        let epochs: Vec<EpochInfo> = self.shared.lock().epochs.iter().filter(unread).copied().collect();
        self.pace.expect(epochs.iter().map(|info| info.redo + info.undo).sum());
        for info in epochs {
            match self.check_epoch(info, found) {
                Ok(checked) if checked.payloads.is_empty() && checked.records.is_empty() => {}
                Ok(checked) if self.exists(&info) => self.judge(vec![(info, checked)], found)?,
                Ok(_) => {}
                Err(_) if !self.exists(&info) => {}
                Err(error) => return Err(error),
            }
            mark(self.engine, found, Progressed::Journal(info.through.next()))?;
        }
        Ok(())
    }

    fn exists(&self, info: &EpochInfo) -> bool {
        let is = |each: &EpochInfo| {
            (each.epoch, each.through, each.thinned) == (info.epoch, info.through, info.thinned)
        };
        self.shared.lock().epochs.iter().any(is)
    }

    /// Tells whether the whole index of an epoch that is not sealed is in memory.
    fn is_kept(&self, info: &EpochInfo) -> bool {
        self.shared.lock().indexes.get(&info.epoch).is_some_and(KeptIndex::is_whole)
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
                // It may be one that can't even be read: what is of no use is not read again.
                self.volume.remove(&paths::index(self.machine, epoch, info.through))?;
                self.ask(|then| Work::MendIndex { epoch, then })?;
                checked.index = self.read_index(&info)?;
            }
        }
        if !info.indexed && !checked.records.is_empty() && self.is_kept(&info) {
            // Only memory knows what the record said: the epoch ends with the next item, and its index is written.
            self.shared.lock().ends = Some(info.epoch);
            let indexes = self.ask(|then| Work::Indexes { then })?;
            checked.index = indexes.into_iter().find(|index| index.epoch == info.epoch);
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
            let (read, step) = match reader.record_at(&scan) {
                Err(error) if error.is_unreadable() => (Err(chain(&error)), BLOCK_LEN),
                read => (read?.map_err(|cause| cause.to_string()), RECORD_ALIGN),
            };
            match read {
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
                    scan = scan_at(ByteOffset((at.0 + 1).next_multiple_of(step as u64)), None);
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
            let mut rotten = Vec::new();
            let read = read_payloads(self.engine, self.pool, &sources, |index, payload| {
                if ExtentDecoder::verify(&whole[index].extent, payload).is_err() {
                    rotten.push(whole[index].clone());
                }
                Ok(())
            });
            match read {
                Err(error) if error.is_unreadable() && batch.len() > 1 => {
                    rotten.clear();
                    for entry in whole {
                        rotten.extend(self.check_payloads(slot, std::slice::from_ref(entry))?);
                    }
                }
                Err(error) if error.is_unreadable() => rotten = batch.to_vec(),
                read => read?,
            }
            bad.extend(rotten);
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
        match done {
            Err(error) if error.is_unreadable() => return Ok(None),
            done => done?,
        }
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
                let (place, first) = (damaged_place(log, info.epoch, position), indexes[at].first);
                let (disk, start, len) = (DiskIndex(0), ByteOffset(0), ByteLen::ZERO);
                let last = Some(Sequence(first.0 - 1));
                found.damage.push(Damage { disk, start, len, place, first, last, found: self.now });
            }
            for entry in checked.payloads {
                let (damage, resend) = judge_extent(&indexes, at, &entry, self.now);
                found.damage.push(damage);
                found.resend.extend(resend);
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
            let (place, first, last) = (damaged_place(*log, info.epoch, *position), state.base, None);
            found.damage.push(Damage { disk, start, len, place, first, last, found: self.now });
        }
    }
}
