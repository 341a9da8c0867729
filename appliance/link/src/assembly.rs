//! Frames put together from plaintext, in whatever pieces it comes.

use wire::{FrameError, Framed, HEADER_LEN, Header, decode_body, decode_header};

/// The frame that is being received.
#[derive(Debug)]
pub(crate) struct Assembly<M> {
    part: Part<M>,
    /// The header or body so far.
    gathered: Vec<u8>,
    payload: Vec<u8>,
    /// Plaintext behind a whole frame that was not taken yet.
    rest: Vec<u8>,
    rest_used: usize,
    /// What was wrong with a frame: no other can be found behind it.
    failure: Option<FrameError>,
}

#[derive(Debug)]
enum Part<M> {
    Header,
    Body(Header),
    /// The message is here until its payload is.
    Payload {
        message: Option<M>,
        len: usize,
    },
    Whole(M),
}

impl<M: Framed> Assembly<M> {
    /// Starts at a frame boundary, with plaintext that came early.
    pub(crate) fn new(rest: Vec<u8>) -> Self {
        Self {
            part: Part::Header,
            gathered: Vec::new(),
            payload: Vec::new(),
            rest,
            rest_used: 0,
            failure: None,
        }
    }

    /// Takes plaintext: as much as the frame needs, and keeps the rest.
    pub(crate) fn feed(&mut self, plain: &[u8]) -> Result<(), FrameError> {
        let used = if self.rest.is_empty() { self.fill(plain)? } else { 0 };
        self.rest.extend_from_slice(&plain[used..]);
        Ok(())
    }

    /// Returns the frame if it is whole and puts its payload in `payload`, whose memory is used for a later one.
    pub(crate) fn take(&mut self, payload: &mut Vec<u8>) -> Result<Option<M>, FrameError> {
        self.fill_from_rest()?;
        match std::mem::replace(&mut self.part, Part::Header) {
            Part::Whole(message) => {
                std::mem::swap(payload, &mut self.payload);
                self.payload.clear();
                Ok(Some(message))
            }
            part => {
                self.part = part;
                Ok(None)
            }
        }
    }

    /// Tells whether nothing of a frame has come.
    pub(crate) fn is_at_boundary(&self) -> bool {
        matches!(self.part, Part::Header) && self.gathered.is_empty() && self.rest.is_empty()
    }

    fn fill_from_rest(&mut self) -> Result<(), FrameError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        if self.rest.is_empty() {
            return Ok(());
        }
        let rest = std::mem::take(&mut self.rest);
        self.rest_used += self.fill(&rest[self.rest_used..])?;
        self.rest = rest;
        if self.rest_used == self.rest.len() {
            self.rest.clear();
            self.rest_used = 0;
        }
        Ok(())
    }

    /// Moves the frame on; returns how many bytes it took. It takes none once it is whole. An error is kept.
    fn fill(&mut self, plain: &[u8]) -> Result<usize, FrameError> {
        match &self.failure {
            Some(failure) => Err(failure.clone()),
            None => self.advance(plain).inspect_err(|failure| self.failure = Some(failure.clone())),
        }
    }

    fn advance(&mut self, plain: &[u8]) -> Result<usize, FrameError> {
        let mut left = plain;
        loop {
            match &mut self.part {
                Part::Header => {
                    if !gather(&mut self.gathered, &mut left, HEADER_LEN) {
                        break;
                    }
                    self.part = Part::Body(decode_header::<M>(&self.gathered)?);
                    self.gathered.clear();
                }
                Part::Body(header) => {
                    if !gather(&mut self.gathered, &mut left, header.body_len) {
                        break;
                    }
                    let (message, len) = (decode_body(header, &self.gathered)?, header.payload_len);
                    self.gathered.clear();
                    self.payload.reserve_exact(len);
                    self.part = Part::Payload { message: Some(message), len };
                }
                Part::Payload { message, len } => {
                    if !gather(&mut self.payload, &mut left, *len) {
                        break;
                    }
                    self.part = Part::Whole(message.take().expect("it is here until its payload is"));
                }
                Part::Whole(_) => break,
            }
        }
        Ok(plain.len() - left.len())
    }
}

/// Moves bytes from `left` until `gathered` has `wanted`; tells whether it has.
fn gather(gathered: &mut Vec<u8>, left: &mut &[u8], wanted: usize) -> bool {
    let missing = wanted - gathered.len();
    let (taken, behind) = left.split_at(missing.min(left.len()));
    gathered.extend_from_slice(taken);
    *left = behind;
    gathered.len() == wanted
}

#[cfg(test)]
mod tests {
    use super::*;
    use units::{DiskIndex, LeafIndex};
    use wire::{HashQuery, Message, encode};

    fn frames() -> (Vec<u8>, Vec<Message>) {
        let hashes = Message::Hashes(HashQuery { disk: DiskIndex(0), first: LeafIndex(0), count: 3 });
        let messages = vec![Message::Ping, hashes.clone(), hashes, Message::Goodbye];
        let mut bytes = Vec::new();
        for message in &messages {
            let payload_len = if matches!(message, Message::Hashes(_)) { 96 } else { 0 };
            encode(message, payload_len, &mut bytes);
            bytes.extend((0..payload_len).map(|at| at as u8));
        }
        (bytes, messages)
    }

    #[test]
    fn frames_come_out_whole_however_they_are_cut() {
        let (bytes, messages) = frames();
        for piece in 1..=bytes.len() {
            let mut assembly = Assembly::<Message>::new(Vec::new());
            let (mut found, mut payload) = (Vec::new(), Vec::new());
            for part in bytes.chunks(piece) {
                assembly.feed(part).expect("the frames are lawful");
                while let Some(message) = assembly.take(&mut payload).expect("the frames are lawful") {
                    let expected = if matches!(message, Message::Hashes(_)) { 96 } else { 0 };
                    assert!(payload.iter().copied().eq(0..expected));
                    found.push(message);
                }
            }
            assert_eq!(found, messages, "in pieces of {piece}");
            assert!(assembly.is_at_boundary());
        }
    }

    #[test]
    fn a_frame_that_has_begun_is_no_boundary() {
        let (bytes, _) = frames();
        let mut assembly = Assembly::<Message>::new(bytes[..1].to_vec());
        assert_eq!(assembly.take(&mut Vec::new()), Ok(None));
        assert!(!assembly.is_at_boundary());
    }

    #[test]
    fn what_is_no_frame_is_refused_at_its_header() {
        let mut assembly = Assembly::<Message>::new(Vec::new());
        let request = b"GET / HTTP/1.1\r\nHost: appliance\r\n\r\n";
        assert!(matches!(assembly.feed(request), Err(FrameError::Magic { .. })));
        assert!(matches!(assembly.take(&mut Vec::new()), Err(FrameError::Magic { .. })));
    }
}
