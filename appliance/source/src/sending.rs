//! What the agent's session brings to the stream: the first footing, batches, recovery points.

use units::{Hash, Sequence};
use wire::RefusalCode;

use crate::agent::Agent;
use crate::error::SourceError;
use crate::exchange::ChangedAnswer;
use crate::parcel::Parcel;
use crate::resume::Footing;
use crate::session::Session;
use crate::stream::PointWords;

impl Agent<'_> {
    /// Brings the table to what it may say in this session, asking the target where that is needed. Errors: lost history, the
    /// session.
    pub(crate) fn adopt(&mut self, session: &Session) -> Result<(), SourceError> {
        let changed = match self.stream.footing(&session.welcome) {
            Footing::Exact | Footing::Nothing => ChangedAnswer::Pending,
            Footing::ChangedSince(since) => session.changed_since(since)?,
            Footing::LostHistory => {
                let (acked, durable) = (self.stream.acked(), session.welcome.durable);
                let detail = format!("it acked sequence {acked} and now has {durable}");
                let (target, code) = (self.config.target.clone(), RefusalCode::LostHistory);
                return Err(SourceError::Refused { target, code, detail });
            }
        };
        self.stream.adopt(&session.welcome, &changed);
        Ok(())
    }

    /// Sends a parcel as the next batch. Errors: the session.
    pub(crate) fn send_item(&mut self, session: &Session, parcel: Parcel) -> Result<(), SourceError> {
        self.stream.settle(session.durable()?);
        while self.stream.is_full() {
            self.stream.settle(session.wait_durable(self.stream.acked().next())?);
        }
        self.throttle.wait(self.config.orders.rate(), parcel.payload_len() as u64, self.stop)?;
        let time = self.now();
        let message = self.stream.next_batch(&parcel, time);
        session.send(None, message, Some(parcel))
    }

    /// Says that a resync begins. Errors: the session.
    pub(crate) fn send_resync(&mut self, session: &Session) -> Result<(), SourceError> {
        let time = self.now();
        let message = self.stream.next_resync(time);
        session.send(None, message, None)
    }

    /// Sends a recovery point and waits until it is durable; returns its sequence and roots. Errors: the session.
    pub(crate) fn send_point(
        &mut self,
        session: &Session,
        words: PointWords,
    ) -> Result<(Sequence, Vec<Hash>), SourceError> {
        let (message, sequence, roots) = self.stream.next_point(words);
        session.send(None, message, None)?;
        self.stream.settle(session.wait_durable(sequence)?);
        assert_eq!(self.stream.acked(), sequence, "a recovery point is the last item of its round");
        Ok((sequence, roots))
    }
}
