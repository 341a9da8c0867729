//! Bytes that are encrypted and not yet taken by the socket.

/// A queue of bytes; what was written is dropped at its front.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    bytes: Vec<u8>,
    written: usize,
}

impl Outbound {
    /// Where encrypted bytes are appended.
    pub(crate) fn queue(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// The bytes to write next.
    pub(crate) fn unwritten(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    /// Counts bytes the socket took.
    pub(crate) fn wrote(&mut self, len: usize) {
        self.written += len;
        assert!(self.written <= self.bytes.len(), "no more is written than was queued");
        if self.written == self.bytes.len() {
            self.bytes.clear();
            self.written = 0;
        } else if self.written > self.bytes.len() / 2 {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
    }
}
