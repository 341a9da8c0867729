//! Why the next round is made: it is due, the target's policy wants a point, or the configuration server orders one.

use std::time::{Duration, Instant};

use wire::{Consistency, GroupMark};

use crate::agent::Agent;
use crate::config::Label;
use crate::error::SourceError;
use crate::orders::{Carried, CarriedPoint, Given, Order, OrderError};
use crate::pace::Pace;
use crate::progress::Point;
use crate::session::Session;
use crate::still::Held;

/// A round to be made.
#[derive(Default)]
pub(crate) struct Occasion {
    /// Ask the applications to be consistent.
    quiesce: bool,
    label: Label,
    held: Option<Held>,
    given: Option<Given>,
}

impl Agent<'_> {
    /// Waits until there is a reason for a round, and carries out the orders that need none. Errors: the session, the operator wants to stop.
    pub(crate) fn next_occasion(&mut self, session: &Session) -> Result<Occasion, SourceError> {
        loop {
            // Dropping what is held lets writes go on.
            self.held.take_if(|held| Instant::now() >= held.until);
            let waits = self.paused || self.held.is_some();
            session.idle(if waits { None } else { Some(self.due) }, &self.config.orders)?;
            if let Some(given) = self.config.orders.take() {
                if let Some(occasion) = self.carry_out(given)? {
                    return Ok(occasion);
                }
            } else if !waits {
                let wanted = session.take_wanted()?;
                let quiesce = wanted == Some(Consistency::Application) && self.config.hook.is_some();
                if quiesce || Instant::now() >= self.due || session.is_asked_again()? {
                    return Ok(Occasion { quiesce, label: self.config.label.clone(), ..Occasion::default() });
                }
            }
        }
    }

    /// Carries out an order, or returns the round it takes. Errors: a disk can't be looked at.
    fn carry_out(&mut self, given: Given) -> Result<Option<Occasion>, SourceError> {
        let nothing = Ok(Carried::default());
        match given.order.clone() {
            Order::Point { application, label } => {
                if application && self.config.hook.is_none() && !self.config.application_consistent {
                    given.done(Err(no_hook()));
                    return Ok(None);
                }
                let label = if label.is_empty() { self.config.label.clone() } else { label };
                return Ok(Some(Occasion { quiesce: application, label, held: None, given: Some(given) }));
            }
            Order::Hold(mark, limit) => given.done(self.hold(mark, limit)?),
            Order::Take(mark) => match self.held.take_if(|held| held.mark == mark) {
                Some(held) => {
                    let (label, held, given) = (self.config.label.clone(), Some(held), Some(given));
                    return Ok(Some(Occasion { quiesce: false, label, held, given }));
                }
                None => {
                    given.done(Err(OrderError::Refused("its writes are not held for this point".to_owned())))
                }
            },
            Order::Release(mark) => {
                drop(self.held.take_if(|held| held.mark == mark));
                given.done(nothing);
            }
            Order::Resync => {
                self.stream.distrust();
                let label = self.config.label.clone();
                return Ok(Some(Occasion { quiesce: false, label, held: None, given: Some(given) }));
            }
            Order::Pause | Order::Resume => {
                self.paused = given.order == Order::Pause;
                given.done(nothing);
            }
        }
        Ok(None)
    }

    /// Holds writes for a point of a group; a machine without a hook notes its disks' activity, and is exact if nobody writes.
    fn hold(&mut self, mark: GroupMark, limit: Duration) -> Result<Result<Carried, OrderError>, SourceError> {
        // An earlier point that was not taken comes to nothing.
        self.held = None;
        let quiesce = self.config.hook.as_ref().map(|_| limit);
        let still = self.still(quiesce)?;
        if quiesce.is_some() && !still.is_frozen() {
            return Ok(Err(OrderError::Refused("the hook could not hold the writes".to_owned())));
        }
        self.held = Some(Held { mark, until: Instant::now() + limit, still });
        Ok(Ok(Carried::default()))
    }

    /// Makes the round, and tells whoever ordered it what came of it. Errors: the session, the disks.
    pub(crate) fn make_point(
        &mut self,
        session: &Session,
        pace: &mut Pace,
        occasion: Occasion,
    ) -> Result<Point, SourceError> {
        let Occasion { quiesce, label, held, given } = occasion;
        let (group, mut still) = match held {
            Some(Held { mark, still, .. }) => (Some(mark), still),
            None => {
                let patience = self.config.hook.as_ref().map(|hook| hook.patience).filter(|_| quiesce);
                (None, self.still(patience)?)
            }
        };
        self.read_snapshots(&mut still)?;
        let let_go = group.is_some() && still.was_let_go();
        let point = self.round(session, pace, still, label, group.filter(|_| !let_go))?;
        if let Some(given) = given {
            if let_go {
                let why =
                    "its writes went on before the snapshots were taken: they were held as long as allowed";
                given.done(Err(OrderError::Refused(why.to_owned())));
                return Ok(point);
            }
            let Point { sequence, time, consistency, .. } = point;
            given.done(Ok(Carried { point: Some(CarriedPoint { sequence, time, consistency }) }));
        }
        Ok(point)
    }
}

fn no_hook() -> OrderError {
    OrderError::Refused(
        "this source has no hook that asks its applications to be consistent: start it with --hook PROGRAM"
            .to_owned(),
    )
}
