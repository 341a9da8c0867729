//! Bytes that came from the socket and are not decrypted yet.

use std::ops::Range;

/// Bytes held during a handshake: the largest record and some.
pub(crate) const HANDSHAKE_LEN: usize = 32 << 10;
/// Bytes read at once.
pub(crate) const READ_LEN: usize = 256 << 10;
/// Bytes held while the peer does not take what we send: two whole frames and what lies between.
const HELD_LEN_MAX: usize = 2 * (wire::PAYLOAD_LEN_MAX + wire::BODY_LEN_MAX) + READ_LEN;
/// A record with its header is shorter than this; less room at the end makes the rest move to the front.
const RECORD_ROOM: usize = 17 << 10;

/// A buffer that is filled at its end and emptied at its front.
#[derive(Debug)]
pub(crate) struct Inbound {
    bytes: Vec<u8>,
    held: Range<usize>,
    /// How many of the held bytes the TLS session has looked at and found incomplete.
    seen: usize,
}

impl Inbound {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; HANDSHAKE_LEN], held: 0..0, seen: 0 }
    }

    /// Makes room for whole reads, once the handshake is over.
    pub(crate) fn enlarge(&mut self) {
        if self.bytes.len() < READ_LEN {
            self.bytes.resize(READ_LEN, 0);
        }
    }

    /// The bytes to decrypt.
    pub(crate) fn held(&mut self) -> &mut [u8] {
        &mut self.bytes[self.held.clone()]
    }

    /// The bytes the session has looked at: it can be asked for other things with these, and finds nothing new.
    pub(crate) fn seen(&mut self) -> &mut [u8] {
        let end = self.held.start + self.seen;
        &mut self.bytes[self.held.start..end]
    }

    /// Takes bytes off the front. `complete` tells whether what is left may hold another record.
    pub(crate) fn discard(&mut self, len: usize, rest: Rest) {
        assert!(len <= self.held.len(), "no more is discarded than is held");
        self.held.start += len;
        self.seen = match rest {
            Rest::Unknown => self.seen.saturating_sub(len),
            Rest::Unseen => 0,
            Rest::Incomplete => self.held.len(),
        };
        if self.held.is_empty() {
            self.held = 0..0;
            self.release();
        }
    }

    /// Tells whether there is room to read into without growing.
    pub(crate) fn has_room(&self) -> bool {
        self.held.len() < self.bytes.len()
    }

    /// Tells whether more may be held while we wait for the peer to take what we send.
    pub(crate) fn may_grow(&self) -> bool {
        self.bytes.len() >= READ_LEN && self.held.len() < HELD_LEN_MAX
    }

    /// Returns the room to read into; grows first if there is none left and growing is allowed.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        let behind = self.bytes.len() - self.held.end;
        if self.held.start > 0 && behind < RECORD_ROOM {
            self.bytes.copy_within(self.held.clone(), 0);
            self.held = 0..self.held.len();
        }
        if !self.has_room() && self.may_grow() {
            let len = (self.bytes.len() + READ_LEN).min(HELD_LEN_MAX);
            self.bytes.resize(len, 0);
        }
        &mut self.bytes[self.held.end..]
    }

    /// Counts bytes that were read into the room.
    pub(crate) fn filled(&mut self, len: usize) {
        self.held.end += len;
        assert!(self.held.end <= self.bytes.len(), "no more is read than there is room for");
    }

    /// Gives memory back that was needed for one jam.
    fn release(&mut self) {
        if self.bytes.len() > READ_LEN {
            self.bytes.truncate(READ_LEN);
            self.bytes.shrink_to_fit();
        }
    }
}

/// What is known of the bytes behind those discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// As much as before.
    Unknown,
    /// The session has not looked at them.
    Unseen,
    /// They are not a whole record.
    Incomplete,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_in_the_order_they_went_in_whatever_the_sizes() {
        let mut inbound = Inbound::new();
        inbound.enlarge();
        let (mut written, mut read) = (0_u32, 0_u32);
        for turn in 0..2_000_usize {
            let fill = (turn * 7919) % 40_000;
            let room = inbound.room();
            let fill = fill.min(room.len());
            room[..fill].fill_with(|| {
                written += 1;
                (written % 251) as u8
            });
            inbound.filled(fill);
            let take = ((turn * 104_729) % 50_000).min(inbound.held().len());
            for &byte in &inbound.held()[..take] {
                read += 1;
                assert_eq!(byte, (read % 251) as u8);
            }
            inbound.discard(take, Rest::Unseen);
        }
        assert!(read > 1_000_000);
    }

    #[test]
    fn a_jam_is_held_up_to_the_limit_and_its_memory_given_back() {
        let mut inbound = Inbound::new();
        inbound.enlarge();
        while inbound.has_room() || inbound.may_grow() {
            let len = inbound.room().len();
            assert!(len > 0);
            inbound.filled(len);
        }
        assert_eq!(inbound.held().len(), HELD_LEN_MAX);
        inbound.discard(HELD_LEN_MAX, Rest::Unseen);
        assert_eq!(inbound.room().len(), READ_LEN);
    }
}
