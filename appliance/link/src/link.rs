//! The connection: frames in, frames out.

use std::fmt;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use units::CertificateId;
use wire::{Framed, Message};

use crate::assembly::Assembly;
use crate::channel::Channel;
use crate::session::{Progress, RECORD_LEN};
use crate::standing::{Denied, Holder};
use crate::{Limits, LinkError, Peer, Waker};

#[cfg(test)]
mod tests;

/// Encrypted bytes that may wait for the socket after a `send`.
const QUEUED_LEN_MAX: usize = 256 << 10;
/// Plaintext encrypted at once: what is written next is still in the processor's cache.
const ENCRYPT_LEN: usize = 128 << 10;

/// One connection of a protocol, replication if nothing else is said. Dropping it says goodbye without waiting; [`Link::close`] waits.
pub struct Link<M: Framed = Message> {
    channel: Channel,
    assembly: Assembly<M>,
    holder: Holder,
    waker: Waker,
    limits: Limits,
    /// Plaintext of less than a record, to be encrypted with what follows it.
    staged: Vec<u8>,
}

/// What a wait for the next frame has brought.
#[derive(Debug, PartialEq)]
pub enum Received<M = Message> {
    /// A frame; its payload is in the caller's buffer.
    Message(M),
    /// The waker was used.
    Woken,
    /// The time is over.
    TimedOut,
    /// The peer closed the connection between two frames. Nothing follows.
    Closed,
}

impl<M: Framed> Link<M> {
    pub(crate) fn new(
        mut channel: Channel,
        holder: Holder,
        early: Vec<u8>,
        limits: Limits,
    ) -> Result<Self, LinkError> {
        channel.enlarge();
        let (assembly, waker) = (Assembly::new(early), Waker::new()?);
        Ok(Self { channel, assembly, holder, waker, limits, staged: Vec::with_capacity(RECORD_LEN) })
    }

    /// Returns the role and name in the peer's certificate.
    pub fn peer(&self) -> &Peer {
        &self.holder.identity
    }

    /// Returns the number of the peer's certificate.
    pub fn certificate(&self) -> CertificateId {
        self.holder.certificate
    }

    /// Tells whether the peer may still be here. Answers at once.
    ///
    /// # Errors
    /// Its certificate no longer counts.
    pub fn check_standing(&self) -> Result<(), Denied> {
        self.holder.check()
    }

    /// Returns the peer's certificate, in DER, which the handshake has checked.
    pub fn peer_certificate(&self) -> &CertificateDer<'static> {
        let certificates = self.channel.session().peer_certificates();
        certificates.and_then(<[_]>::first).expect("the handshake demanded one")
    }

    /// Returns a waker for this link.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Returns when any byte of the peer was last read.
    pub fn last_heard(&self) -> Instant {
        self.channel.last_heard()
    }

    /// Queues one frame; the payload is the slices, one after the other. Blocks while more than 256 KiB wait for the
    /// socket, and goes on reading meanwhile. The rest is written by [`Link::flush`] or [`Link::receive`].
    /// Panics if the payload is longer than a frame may have it or the message has none: a bug of ours.
    ///
    /// # Errors
    /// The link is of no use afterwards; a last `receive` may tell what the peer had against us.
    pub fn send(&mut self, message: &M, payload: &[&[u8]]) -> Result<(), LinkError> {
        let payload_len = payload.iter().map(|part| part.len()).sum();
        wire::encode(message, payload_len, &mut self.staged);
        if self.staged.len() >= RECORD_LEN {
            self.encrypt_staged()?;
        }
        payload.iter().try_for_each(|part| self.stage(part))
    }

    /// Writes everything queued to the socket.
    ///
    /// # Errors
    /// As [`Link::send`].
    pub fn flush(&mut self) -> Result<(), LinkError> {
        self.encrypt_staged()?;
        self.channel.write_down_to(0, self.limits.write_stall)
    }

    /// Returns the next frame, or why there is none within `timeout`. Writes what is queued meanwhile. The payload is
    /// put in `payload`, which must not be looked at otherwise; its memory is used again for a later frame.
    ///
    /// # Errors
    /// The link is of no use afterwards. [`LinkError::Silent`] if nothing at all was heard for [`Limits::silence`].
    pub fn receive(&mut self, payload: &mut Vec<u8>, timeout: Duration) -> Result<Received<M>, LinkError> {
        if self.take_wake() {
            return Ok(Received::Woken);
        }
        payload.clear();
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(message) = self.assembly.take(payload)? {
                return Ok(Received::Message(message));
            }
            match self.decrypt()? {
                Progress::Plain | Progress::Stepped => continue,
                Progress::Closed if self.assembly.is_at_boundary() => return Ok(Received::Closed),
                Progress::Closed => return Err(LinkError::CutInFrame),
                Progress::Starved => {}
            }
            if self.read()? > 0 {
                continue;
            }
            if let Some(received) = self.wait(deadline)? {
                return Ok(received);
            }
        }
    }

    /// Says goodbye, writes what is queued, and waits at most `linger` for the peer to close its end, so that what was
    /// sent last is not lost to it.
    pub fn close(mut self, linger: Duration) {
        if self.encrypt_staged().is_ok() {
            self.channel.wind_up(linger);
        }
    }

    /// Puts plaintext behind what is staged and encrypts whole records of it.
    fn stage(&mut self, part: &[u8]) -> Result<(), LinkError> {
        let mut part = part;
        if !self.staged.is_empty() {
            let missing = self.staged.len().next_multiple_of(RECORD_LEN) - self.staged.len();
            let (front, behind) = part.split_at(missing.min(part.len()));
            self.staged.extend_from_slice(front);
            part = behind;
            if self.staged.len().is_multiple_of(RECORD_LEN) {
                self.encrypt_staged()?;
            }
        }
        let (whole, behind) = part.split_at(part.len() - part.len() % RECORD_LEN);
        for piece in whole.chunks(ENCRYPT_LEN) {
            self.encrypt(piece)?;
        }
        self.staged.extend_from_slice(behind);
        Ok(())
    }

    fn encrypt_staged(&mut self) -> Result<(), LinkError> {
        if self.staged.is_empty() {
            return Ok(());
        }
        let staged = std::mem::take(&mut self.staged);
        let encrypted = self.encrypt(&staged);
        self.staged = staged;
        self.staged.clear();
        encrypted
    }

    /// Encrypts plaintext, and lets the socket have what it takes.
    fn encrypt(&mut self, plain: &[u8]) -> Result<(), LinkError> {
        self.channel.encrypt(plain)?;
        if self.channel.queued_len() >= ENCRYPT_LEN {
            self.channel.write_down_to(QUEUED_LEN_MAX, self.limits.write_stall)?;
        }
        Ok(())
    }

    /// Decrypts one record at most, into the frame.
    fn decrypt(&mut self) -> Result<Progress, LinkError> {
        let (assembly, mut fed) = (&mut self.assembly, Ok(()));
        let progress = self.channel.step(&mut |plain| {
            if fed.is_ok() {
                fed = assembly.feed(plain);
            }
        })?;
        fed?;
        Ok(progress)
    }

    /// Reads what is there; the end of the connection inside a frame is another error than between two.
    fn read(&mut self) -> Result<usize, LinkError> {
        match self.channel.read() {
            Err(LinkError::Lost) if !self.assembly.is_at_boundary() || self.channel.holds_bytes() => {
                Err(LinkError::CutInFrame)
            }
            outcome => outcome,
        }
    }

    /// Writes what is queued and waits for more to read; returns what ends the wait for a frame, if anything.
    fn wait(&mut self, deadline: Instant) -> Result<Option<Received<M>>, LinkError> {
        self.encrypt_staged()?;
        self.channel.write()?;
        let silent_at = self.channel.last_heard() + self.limits.silence;
        let ready = self.channel.wait(Some(&self.waker), deadline.min(silent_at))?;
        if ready.woken {
            self.waker.take();
            return Ok(Some(Received::Woken));
        }
        let now = Instant::now();
        if ready.read || (now < deadline && now < silent_at) {
            return Ok(None);
        }
        if now >= silent_at {
            return Err(LinkError::Silent { after: self.limits.silence });
        }
        Ok(Some(Received::TimedOut))
    }

    fn take_wake(&mut self) -> bool {
        let pending = self.waker.is_pending();
        if pending {
            self.waker.take();
        }
        pending
    }
}

impl<M: Framed> Drop for Link<M> {
    fn drop(&mut self) {
        self.channel.abandon();
    }
}

impl<M: Framed> fmt::Debug for Link<M> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Link").field("peer", &self.holder.identity).finish_non_exhaustive()
    }
}
