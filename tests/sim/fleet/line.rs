//! One connection: frames as bytes in both directions, in order, that come late, twice or not at all.

use std::collections::VecDeque;
use std::time::Duration;

use target::Conversation;
use wire::Message;

use crate::sim::random::Random;

/// After so long without a byte a peer is given up.
pub(crate) const SILENCE: Duration = Duration::from_secs(15);
/// After so long without a frame of one's own one says that one is there.
pub(crate) const PING_AFTER: Duration = Duration::from_secs(5);

/// What comes out of a pipe.
pub(crate) enum Arrived {
    Frame(Message, Vec<u8>),
    /// The end, in order or inside a frame.
    Ended,
    Nothing,
}

/// One direction of a connection.
#[derive(Default)]
pub(crate) struct Pipe {
    frames: VecDeque<Vec<u8>>,
    is_closed: bool,
    /// Half-open: what is sent vanishes, and nobody is told.
    pub is_deaf: bool,
    /// When something was last put in, and when something last came out.
    pub put_at: Duration,
    pub heard_at: Duration,
}

impl Pipe {
    fn new(now: Duration) -> Self {
        Self { put_at: now, heard_at: now, ..Self::default() }
    }

    /// Encodes a frame and sends it.
    pub(crate) fn put(&mut self, message: &Message, payload: &[u8], now: Duration) {
        self.put_at = now;
        if self.is_closed || self.is_deaf {
            return;
        }
        let mut bytes = Vec::new();
        wire::encode(message, payload.len(), &mut bytes);
        bytes.extend_from_slice(payload);
        self.frames.push_back(bytes);
    }

    /// Ends the direction in order, behind what is on its way.
    pub(crate) fn close(&mut self) {
        self.is_closed = true;
    }

    /// Takes what comes next.
    pub(crate) fn take(&mut self, now: Duration) -> Arrived {
        let Some(bytes) = self.frames.pop_front() else {
            return if self.is_closed && !self.is_deaf { Arrived::Ended } else { Arrived::Nothing };
        };
        self.heard_at = now;
        match decode(&bytes) {
            Some((message, payload)) => Arrived::Frame(message, payload),
            None => {
                assert!(self.is_closed && self.frames.is_empty(), "only a cut leaves part of a frame");
                Arrived::Ended
            }
        }
    }

    /// Sends the frame that comes next a second time, if it is an item of the stream.
    pub(crate) fn duplicate(&mut self) -> bool {
        let item =
            |bytes: &&Vec<u8>| matches!(decode(bytes), Some((Message::Batch(_) | Message::Marker(_), _)));
        let Some(bytes) = self.frames.front().filter(item).cloned() else { return false };
        self.frames.push_front(bytes);
        true
    }

    /// Loses all but the first frames, and perhaps cuts through one.
    fn cut(&mut self, random: &mut Random) {
        let kept = random.below(self.frames.len() as u64 + 1) as usize;
        let next = self.frames.get(kept).cloned();
        self.frames.truncate(kept);
        if let Some(mut bytes) = next.filter(|_| random.one_in(2)) {
            bytes.truncate(random.below(bytes.len() as u64) as usize);
            self.frames.push_back(bytes);
        }
        self.is_closed = true;
    }
}

fn decode(bytes: &[u8]) -> Option<(Message, Vec<u8>)> {
    let header = wire::decode_header::<Message>(bytes.get(..wire::HEADER_LEN)?)
        .expect("a whole header is as it was sent");
    let end = wire::HEADER_LEN + header.body_len;
    let body = bytes.get(wire::HEADER_LEN..end)?;
    let message = wire::decode_body(&header, body).expect("a whole body is as it was sent");
    let payload = bytes.get(end..end + header.payload_len)?;
    Some((message, payload.to_vec()))
}

/// The target's end of a connection.
#[expect(clippy::large_enum_variant, reason = "there are few connections, and most of them talk")]
pub(crate) enum End {
    /// No hello came yet.
    Fresh,
    Talking(Conversation),
    Over,
}

/// A connection.
pub(crate) struct Line {
    pub machine: usize,
    /// An older generation calls: it must never be let in.
    pub is_fenced: bool,
    pub home: Pipe,
    pub away: Pipe,
    pub end: End,
    /// Payload bytes the target took, and those it had allowed.
    pub taken: u64,
    pub credited: u64,
}

impl Line {
    pub(crate) fn new(machine: usize, now: Duration) -> Self {
        Self {
            machine,
            is_fenced: false,
            home: Pipe::new(now),
            away: Pipe::new(now),
            end: End::Fresh,
            taken: 0,
            credited: 0,
        }
    }

    /// Loses the connection, inside a frame or between two.
    pub(crate) fn cut(&mut self, random: &mut Random) {
        self.home.cut(random);
        self.away.cut(random);
    }
}
