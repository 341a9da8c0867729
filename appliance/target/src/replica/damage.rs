//! Damage that is confined: what it spoils is refused, everything else goes on.
//!
//! | what is damaged | what follows |
//! |---|---|
//! | payload in the redo or undo log of any epoch | the points that need it are refused, until they leave the window |
//! | redo payload that only the target disk has too | points before are refused until the source has sent it again |
//! | header or body of a record in a sealed epoch | nothing is lost: the index says the same; noted until the epoch leaves |
//! | index of a sealed epoch | made again from the logs |
//! | index and a record of one epoch | the machine is out at its next start: which points were written can't be told |
//! | header or body of a record in the open epoch | as in a sealed one once the epoch has ended, which it does with the next item, if its index is in memory; the machine is out at a start before |
//! | redo that was not applied | noted, and the machine is out: the source has to send anew |
//! | a target disk | the points that need it are refused; the source is asked for the range again, and points after that are good |
//! | head, scrub record | of four copies one is enough |
//! | table of leaf hashes | the next pass makes a new one, and compares with the source's roots alone |
//!
//! Whoever meets damage first has it noted: a scrub, a rewind, a proof, a view, destaging.
//!
//! *Invariant:* damage is durable in the head before anyone is told; it is forgotten only when nothing it spoilt can be asked for.

use blockdev::{Engine, Volume};
use retention::{
    DAMAGE_MAX, Damage, DamagedPlace, EpochIndex, IndexEntry, Log, Piece, is_newest, oldest_point,
    spoilt_by_redo, spoilt_by_undo,
};
use units::{ByteLen, ByteOffset, DiskIndex, EpochNumber, Sequence, Timestamp};
use wire::Span;

use super::apply::Applier;
use super::error::ReplicaError;
use super::fetch::log_path;
use super::shared::State;

/// Changes what is known to be damaged.
pub type DamageChange = Box<dyn FnOnce(&mut Vec<Damage>) + Send>;

impl<V> Applier<V> {
    /// Changes what is known to be damaged, forgets what is of no concern any more, and shows it; durable on return.
    pub(crate) fn change_damage<E: Engine>(
        &mut self,
        engine: &mut E,
        change: DamageChange,
    ) -> Result<(), ReplicaError> {
        let head = self.head.head();
        let (base, oldest) = (head.base, head.oldest_epoch);
        let mut damage = head.damage.clone();
        change(&mut damage);
        damage.retain(|each| !each.has_left(base, oldest));
        join_until(&mut damage, DAMAGE_MAX);
        if damage != head.damage {
            self.head.update(engine, |head| head.damage.clone_from(&damage))?;
        }
        self.shared.lock().damage = damage;
        self.shared.changed();
        Ok(())
    }
}

/// Says which points an extent of a log spoils whose payload is not what it should be; and what the source must send again for its
/// sake. `at` is where its epoch lies in `indexes`.
pub(crate) fn judge_extent(
    indexes: &[EpochIndex],
    at: usize,
    entry: &IndexEntry,
    found: Timestamp,
) -> (Damage, Option<Span>) {
    let spoilt = match entry.log {
        Log::Redo => spoilt_by_redo(indexes, at, entry),
        Log::Undo => spoilt_by_undo(indexes, at, entry),
    };
    let (mut first, last) = match spoilt {
        Some(spoilt) => (spoilt.first, spoilt.last),
        None => (entry.sequence, Sequence(entry.sequence.0 - 1)),
    };
    let (span, mut resend) = (entry.span(), None);
    if entry.log == Log::Redo && is_newest(indexes, at, entry) {
        // The only good copy is on the target disk: going back would overwrite it, and nothing could bring it
        // forward again. So no point before it is given until the source has sent it once more.
        first = oldest_point(indexes);
        resend = Some(span);
    }
    let place = damaged_place(entry.log, indexes[at].epoch, entry.payload_at);
    let (disk, start, len, last) = (span.disk, span.start, span.len, Some(last));
    (Damage { disk, start, len, place, first, last, found }, resend)
}

/// Returns the place of something in a log.
pub(crate) fn damaged_place(log: Log, epoch: EpochNumber, position: ByteOffset) -> DamagedPlace {
    match log {
        Log::Redo => DamagedPlace::Redo { epoch, position },
        Log::Undo => DamagedPlace::Undo { epoch, position },
    }
}

/// Adds damage to what is known; what is known already stays as it was found, but for what it spoils.
pub(crate) fn add_damage(known: &mut Vec<Damage>, found: Damage) {
    match known.iter_mut().find(|each| is_same(each, &found)) {
        Some(each) => *each = Damage { found: each.found, ..found },
        None => known.push(found),
    }
}

/// Tells whether two are about the same bytes.
pub(crate) fn is_same(one: &Damage, other: &Damage) -> bool {
    let of = |damage: &Damage| (damage.place, damage.disk, damage.start, damage.len, damage.last.is_none());
    of(one) == of(other)
}

impl<V: Volume> Applier<V> {
    /// Notes damage that was met in an extent of a log; durable on return. Errors: it could not be noted.
    pub(crate) fn note_extent<E: Engine<Device = V::Device>>(
        &mut self,
        engine: &mut E,
        epoch: EpochNumber,
        entry: &IndexEntry,
    ) -> Result<(), ReplicaError> {
        let place = damaged_place(entry.log, epoch, entry.payload_at);
        if self.head.head().damage.iter().any(|known| known.place == place) {
            return Ok(());
        }
        let indexes = self.indexes(engine)?;
        let Some(at) = indexes.iter().position(|index| index.epoch == epoch) else { return Ok(()) };
        let (damage, resend) = judge_extent(&indexes, at, entry, self.stepped);
        tracing::error!(place = ?damage.place, disk = %damage.disk, start = %damage.start, len = %damage.len, "damage met");
        self.change_damage(engine, Box::new(move |known| add_damage(known, damage)))?;
        if let Some(span) = resend {
            self.shared.request_resend(&[span]);
        }
        Ok(())
    }

    /// Notes the damage that a plan has met, if the error is that. What can't be noted now is found by the next scrub.
    pub(crate) fn note_met<E: Engine<Device = V::Device>>(
        &mut self,
        engine: &mut E,
        pieces: &[Piece],
        error: &ReplicaError,
    ) {
        let ReplicaError::Damaged { file, at, .. } = error else { return };
        let machine = self.machine();
        let is = |piece: &&Piece| {
            piece.entry.payload_at == *at && log_path(machine, piece.epoch, piece.entry.log) == *file
        };
        let Some(piece) = pieces.iter().find(is) else { return };
        if let Err(error) = self.note_extent(engine, piece.epoch, &piece.entry) {
            tracing::warn!(%error, "damage was met, and could not be noted");
        }
    }

    /// Notes the damage that views have met since the last look.
    pub(crate) fn note_met_by_views<E: Engine<Device = V::Device>>(
        &mut self,
        engine: &mut E,
    ) -> Result<(), ReplicaError> {
        let met: Vec<_> = self.each_view().flat_map(|view| view.take_met()).collect();
        met.iter().try_for_each(|(epoch, entry)| self.note_extent(engine, *epoch, entry))
    }

    /// Notes that an item can't be destaged: its redo is damaged, and it is on no disk yet. The machine is out with it.
    pub(crate) fn note_undestaged<E: Engine<Device = V::Device>>(
        &mut self,
        engine: &mut E,
        error: &ReplicaError,
    ) {
        let (ReplicaError::Damaged { file, at, .. }, Some(open)) = (error, &self.open) else { return };
        if *file != log_path(self.machine(), open.epoch, Log::Redo) {
            return;
        }
        let (place, first) = (damaged_place(Log::Redo, open.epoch, *at), self.shared.lock().written.next());
        let (disk, start, len, found) = (DiskIndex(0), ByteOffset(0), ByteLen::ZERO, self.stepped);
        let damage = Damage { disk, start, len, place, first, last: None, found };
        if let Err(error) = self.change_damage(engine, Box::new(move |known| add_damage(known, damage))) {
            tracing::warn!(%error, "damage was met, and could not be noted");
        }
    }
}

impl State {
    /// Returns the damage that spoils a point, if any does.
    pub fn spoils(&self, point: Sequence) -> Option<&Damage> {
        self.damage.iter().find(|damage| damage.spoils(point))
    }

    /// Returns the nearest recovery points before and after `point` that nothing spoils.
    pub fn good_around(&self, point: Sequence) -> (Option<Sequence>, Option<Sequence>) {
        let good = || self.timeline.points().filter(|each| self.spoils(each.sequence).is_none());
        let before = good().rfind(|each| each.sequence < point).map(|each| each.sequence);
        (before, good().find(|each| each.sequence > point).map(|each| each.sequence))
    }

    /// Tells whether some of the damage could be forgotten.
    pub(crate) fn damage_has_left(&self) -> bool {
        let oldest = self.epochs.front().map_or(EpochNumber(0), |info| info.epoch);
        self.damage.iter().any(|damage| damage.has_left(self.base, oldest))
    }
}

/// Joins damage until at most `most` are told apart: two of one disk and one place become one that covers both. What is spoilt only
/// grows by that.
fn join_until(damage: &mut Vec<Damage>, most: usize) {
    while damage.len() > most {
        let last = damage.pop().expect("there is more than none");
        let same = |each: &&mut Damage| each.disk == last.disk && each.last.is_none() == last.last.is_none();
        let Some(other) = damage.iter_mut().rev().find(same) else {
            damage.insert(0, last);
            continue;
        };
        let end = (other.start.0 + other.len.0).max(last.start.0 + last.len.0);
        other.start = other.start.min(last.start);
        other.len = ByteLen(end - other.start.0);
        other.first = other.first.min(last.first);
        other.last = other.last.max(last.last);
    }
}

#[cfg(test)]
mod tests {
    use retention::DamagedPlace;
    use units::{ByteLen, ByteOffset, DiskIndex, Timestamp};

    use super::*;

    #[test]
    fn damage_that_is_too_much_to_tell_apart_is_joined_and_never_dropped() {
        let each = |at: u64, last: Option<u64>| Damage {
            disk: DiskIndex((at % 2) as u16),
            start: ByteOffset(at * 4096),
            len: ByteLen(4096),
            place: DamagedPlace::Target,
            first: Sequence(at),
            last: last.map(Sequence),
            found: Timestamp(1),
        };
        let all: Vec<_> = (0..20).map(|at| each(at, (at % 3 > 0).then_some(at + 5))).collect();
        let mut joined = all.clone();
        join_until(&mut joined, 6);
        assert!(joined.len() <= 6);
        for damage in &all {
            let covers = |other: &Damage| {
                other.disk == damage.disk
                    && other.start <= damage.start
                    && other.start.0 + other.len.0 >= damage.start.0 + damage.len.0
                    && other.first <= damage.first
                    && (other.last.is_none() || damage.last.is_some() && other.last >= damage.last)
            };
            assert!(joined.iter().any(covers), "{damage:?} of {joined:?}");
        }
    }
}
