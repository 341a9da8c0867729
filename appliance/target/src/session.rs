//! One connection of a session, on a thread of its own: frames in, acks and credits out.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use link::{Link, Received as Arrived};
use wire::{Message, RefusalCode};

use crate::clock::now;
use crate::conversation::{Admitted, Conversation};
use crate::door::Door;
use crate::refusal::SessionEnd;

/// How long a link may be idle before it is pinged.
const PING_AFTER: Duration = Duration::from_secs(5);
/// How often it is looked whether the source was revoked.
const STANDING_EVERY: Duration = Duration::from_secs(5);
/// How often a connection that is held back is looked at.
const HELD_BACK_FOR: Duration = Duration::from_millis(2);

/// A connection that was greeted, and the door it came through.
pub(crate) struct Connection<'a> {
    door: &'a Door,
    conversation: Conversation,
    last_sent: Instant,
    standing_checked: Instant,
}

impl<'a> Connection<'a> {
    pub(crate) fn new(door: &'a Door, link: &Link, admitted: Admitted) -> Self {
        let waker = link.waker();
        let wake = Arc::new(move || waker.wake());
        let conversation = Conversation::new(admitted, door.window(), door.budget.clone(), wake);
        let now = Instant::now();
        Self { door, conversation, last_sent: now, standing_checked: now }
    }

    pub(crate) fn run(mut self, link: &mut Link) -> SessionEnd {
        match self.converse(link) {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    fn converse(&mut self, link: &mut Link) -> Result<Infallible, SessionEnd> {
        let mut payload = Vec::new();
        loop {
            self.look(link)?;
            self.check_standing(link)?;
            if !self.conversation.is_ready() {
                // Nothing is read meanwhile; the peer is told of progress all the same.
                std::thread::sleep(HELD_BACK_FOR);
                link.flush()?;
                continue;
            }
            match link.receive(&mut payload, PING_AFTER)? {
                Arrived::Message(message) => self.conversation.take(message, &mut payload, now())?,
                Arrived::Closed => return Err(SessionEnd::Goodbye),
                Arrived::Woken | Arrived::TimedOut => {}
            }
        }
    }

    /// Sends what there is to be told, and a ping when there was nothing for long.
    fn look(&mut self, link: &mut Link) -> Result<(), SessionEnd> {
        let ended = self.conversation.look(Instant::now());
        while let Some((message, payload)) = self.conversation.next_outgoing() {
            self.send(link, &message, &payload)?;
        }
        ended?;
        if self.door.stopping.load(Ordering::Relaxed) {
            let detail = "the target is stopping; it will be back";
            return Err(SessionEnd::refused(RefusalCode::Stopping, detail));
        }
        if self.conversation.is_open() && self.last_sent.elapsed() >= PING_AFTER {
            self.send(link, &Message::Ping, &[])?;
        }
        Ok(())
    }

    /// Ends the session of a source whose certificate was revoked meanwhile. What was acked stays.
    fn check_standing(&mut self, link: &Link) -> Result<(), SessionEnd> {
        if self.standing_checked.elapsed() < STANDING_EVERY {
            return Ok(());
        }
        self.standing_checked = Instant::now();
        let end = |denied: link::Denied| {
            SessionEnd::refused(RefusalCode::NotAuthorised, format!("the source's certificate: {denied}"))
        };
        link.check_standing().map_err(end)
    }

    fn send(&mut self, link: &mut Link, message: &Message, payload: &[u8]) -> Result<(), SessionEnd> {
        self.last_sent = Instant::now();
        Ok(link.send(message, &[payload])?)
    }
}
