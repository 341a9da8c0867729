//! Where a log ends, and whether what follows is a torn tail or damage.
//!
//! A log is written in groups, each flushed before the next begins, and each record says how much of the log
//! was durable when it was written. So the first record that can't be read is the torn tail of a crash exactly
//! if nothing proves it was durable: no later record that says so, and no mark kept elsewhere. Otherwise it is
//! damage, and is never cut off.

use units::{ByteOffset, EpochNumber, Generation, Hash, MachineId};

use crate::{DecodeError, Placement, RecordHead, decode_head};

/// How a log ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tail {
    /// Everything from here on was never acked, and may be overwritten.
    At(ByteOffset),
    /// The record here was durable once and can't be read now.
    Damaged {
        /// Where.
        at: ByteOffset,
        /// What is wrong with it.
        cause: DecodeError,
    },
}

/// Walks a log from record to record.
#[derive(Clone, Debug)]
pub struct TailScan {
    machine: MachineId,
    generation: Generation,
    epoch: EpochNumber,
    next: ByteOffset,
    previous: Option<Hash>,
    durable: ByteOffset,
    #[cfg(feature = "planted-bugs")]
    place_unchecked: bool,
}

impl TailScan {
    /// Begins at the start of a log. `previous` is the checksum the first record must name, if it is known;
    /// `durable` a position up to which the log is known from elsewhere to have been durable.
    pub fn new(placement: Placement, previous: Option<Hash>, durable: ByteOffset) -> Self {
        let Placement { machine, generation, epoch, position, .. } = placement;
        Self {
            machine,
            generation,
            epoch,
            next: position,
            previous,
            durable,
            #[cfg(feature = "planted-bugs")]
            place_unchecked: false,
        }
    }

    /// Plants a mistake: records are taken wherever they lie, and whatever they follow.
    #[cfg(feature = "planted-bugs")]
    pub fn without_place_check(self) -> Self {
        Self { place_unchecked: true, ..self }
    }

    /// Returns where the next record must start.
    pub fn next(&self) -> ByteOffset {
        self.next
    }

    /// Returns the checksum the next record must name, if any record was read or it was given.
    pub fn previous(&self) -> Option<Hash> {
        self.previous
    }

    /// Returns the position up to which the log is known to have been durable.
    pub fn durable(&self) -> ByteOffset {
        self.durable
    }

    /// Takes the bytes at [`next`](Self::next), and checks that they are the header written for this place.
    /// Does not move: see [`accept`](Self::accept).
    pub fn check(&self, bytes: &[u8]) -> Result<RecordHead, DecodeError> {
        #[cfg_attr(
            not(feature = "planted-bugs"),
            expect(unused_mut, reason = "only a planted mistake changes it")
        )]
        let mut head = decode_head(bytes)?;
        #[cfg(feature = "planted-bugs")]
        if self.place_unchecked {
            head.placement.position = self.next;
            return Ok(head);
        }
        self.check_place(&head)?;
        if let Some(previous) = self.previous
            && previous != head.placement.previous
        {
            return Err(misplaced(PREDECESSOR, head.placement.previous, previous));
        }
        Ok(head)
    }

    fn check_place(&self, head: &RecordHead) -> Result<(), DecodeError> {
        let found = &head.placement;
        if found.machine != self.machine {
            return Err(misplaced("machine", found.machine, self.machine));
        }
        if found.generation != self.generation {
            return Err(misplaced("generation", found.generation, self.generation));
        }
        if found.epoch != self.epoch {
            return Err(misplaced("epoch", found.epoch, self.epoch));
        }
        if found.position != self.next {
            return Err(misplaced("position", found.position, self.next));
        }
        Ok(())
    }

    /// Moves past a record that was checked.
    pub fn accept(&mut self, head: &RecordHead) {
        assert_eq!(head.placement.position, self.next, "records are accepted in the order they lie");
        self.next = head.end();
        self.previous = Some(head.checksum);
        self.durable = self.durable.max(head.durable_len);
    }

    /// Looks, in a block behind a record that can't be read, for proof that it was durable.
    pub fn proves_damage(&self, at: ByteOffset, block: &[u8]) -> bool {
        let mut elsewhere = self.clone();
        elsewhere.next = at;
        decode_head(block)
            .is_ok_and(|head| elsewhere.check_place(&head).is_ok() && head.durable_len > self.next)
    }

    /// Decides what the record that can't be read at [`next`](Self::next) is. `proven`: a block behind it
    /// [proves damage](Self::proves_damage).
    pub fn conclude(&self, cause: DecodeError, proven: bool) -> Tail {
        // A log is begun only when the one before it is durable, and that one is never changed again: if its last
        // record is not the one this log's first names, it was damaged or lost.
        let orphaned =
            self.next == ByteOffset(0) && matches!(cause, DecodeError::Misplaced { what: PREDECESSOR, .. });
        if proven || orphaned || self.durable > self.next {
            Tail::Damaged { at: self.next, cause }
        } else {
            Tail::At(self.next)
        }
    }
}

const PREDECESSOR: &str = "predecessor";

fn misplaced(what: &'static str, found: impl ToString, expected: impl ToString) -> DecodeError {
    DecodeError::Misplaced { what, found: found.to_string(), expected: expected.to_string() }
}
