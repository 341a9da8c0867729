//! Bytes that are encrypted and not yet taken by the socket.

use std::ops::Range;

/// A buffer that is filled at its end and emptied at its front. Its memory is zeroed once, not for each record.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    bytes: Vec<u8>,
    held: Range<usize>,
}

impl Outbound {
    /// Returns room for at least `len` bytes behind what is held.
    pub(crate) fn room(&mut self, len: usize) -> &mut [u8] {
        if self.bytes.len() - self.held.end < len {
            // Moved only if at least as much was written since: no byte is moved more often than written.
            if self.held.start >= self.held.len() {
                self.bytes.copy_within(self.held.clone(), 0);
                self.held = 0..self.held.len();
            }
            let needed = self.held.end + len;
            if self.bytes.len() < needed {
                self.bytes.resize(needed, 0);
            }
        }
        &mut self.bytes[self.held.end..]
    }

    /// Counts bytes that were put in the room.
    pub(crate) fn filled(&mut self, len: usize) {
        self.held.end += len;
        assert!(self.held.end <= self.bytes.len(), "no more is queued than there is room for");
    }

    /// The bytes to write next.
    pub(crate) fn unwritten(&self) -> &[u8] {
        &self.bytes[self.held.clone()]
    }

    /// Counts bytes the socket took.
    pub(crate) fn wrote(&mut self, len: usize) {
        assert!(len <= self.held.len(), "no more is written than was queued");
        self.held.start += len;
        if self.held.is_empty() {
            self.held = 0..0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_in_the_order_they_went_in_and_room_is_used_again() {
        let mut outbound = Outbound::default();
        let (mut queued, mut written) = (0_u32, 0_u32);
        for turn in 0..1000_usize {
            let len = turn * 7919 % 5000;
            for byte in &mut outbound.room(len)[..len] {
                *byte = (queued % 251) as u8;
                queued += 1;
            }
            outbound.filled(len);
            let len = outbound.unwritten().len().min(turn * 104_729 % 6000);
            for &byte in &outbound.unwritten()[..len] {
                assert_eq!(byte, (written % 251) as u8);
                written += 1;
            }
            outbound.wrote(len);
        }
        assert!(written > 1_000_000 && outbound.bytes.len() < 100_000, "{written} {}", outbound.bytes.len());
    }
}
