//! What the configuration server hears of this source, and what it orders: replication goes on without it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use agent::{AgentConfig, AgentError, Done, Executor, Facts, HeartbeatAgent, Reporter};
use enrol::controller_of;
use serde_json::json;
use source::{Carried, Config, Event, Label, Order, OrderError, Orders, Report, Schedule};
use units::{ByteLen, Generation, MachineName, Sequence, Timestamp};
use wire::GroupMark;
use wire::heartbeat::{
    Answer, GroupPoint, Instruction, MachinePhase, MachineReport, PointTaken, SourceOrder, Statement, Wish,
};

/// How long a round that was ordered may take before whoever ordered it is told that it is late.
const ROUND_WITHIN: Duration = Duration::from_secs(24 * 3600);
/// How long anything else may take.
const ORDER_WITHIN: Duration = Duration::from_secs(300);

/// What is known of the machine, told as it changes.
pub(crate) struct Told {
    machine: MachineName,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    generation: Generation,
    durable: Sequence,
    newest: Option<Timestamp>,
    remaining: ByteLen,
    rate: ByteLen,
}

/// Passes events on, and keeps what the configuration server is told.
pub(crate) struct Listening<'a> {
    /// Where they go.
    pub(crate) screen: &'a mut dyn Report,
    /// What is kept.
    pub(crate) told: Arc<Told>,
}

/// Has the agent carry orders out.
struct Orderly {
    orders: Orders,
}

impl Told {
    /// Begins with a machine of which nothing was sent yet.
    pub(crate) fn new(machine: MachineName) -> Arc<Self> {
        Arc::new(Self { machine, state: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts reporting, if the identity came by joining and rounds go on and on. Errors: the ledger of orders can't be used.
pub(crate) fn start(config: &Config, told: &Arc<Told>) -> Result<Option<HeartbeatAgent>, AgentError> {
    let (Ok(controller), Schedule::Every(_)) = (controller_of(&config.identity), config.schedule) else {
        return Ok(None);
    };
    let agent = AgentConfig {
        controller,
        identity: config.identity.clone(),
        state: config.state.join("agent"),
        software: concat!("landfall-source ", env!("CARGO_PKG_VERSION")).to_owned(),
    };
    let orderly = Arc::new(Orderly { orders: config.orders.clone() });
    HeartbeatAgent::start(agent, told.clone(), orderly).map(Some)
}

impl Report for Listening<'_> {
    fn event(&mut self, event: Event) {
        let mut state = self.told.lock();
        match &event {
            Event::Connected { generation, durable, .. } => {
                (state.generation, state.durable) = (*generation, *durable);
            }
            Event::Progress(progress) => {
                state.remaining = ByteLen(progress.total.0.saturating_sub(progress.done.0));
                state.rate = ByteLen(progress.rate.max(0.0) as u64);
            }
            Event::Point(point) => {
                (state.durable, state.newest) = (point.sequence, Some(point.time));
                state.remaining = ByteLen::ZERO;
            }
            Event::Waiting { .. } | Event::Warning { .. } => {}
        }
        drop(state);
        self.screen.event(event);
    }
}

impl Reporter for Told {
    fn report(&self) -> Facts {
        let state = self.lock();
        let now = Timestamp::from_system(SystemTime::now());
        let seeded = state.newest.is_some();
        let machine = MachineReport {
            machine: self.machine.clone(),
            phase: if seeded { MachinePhase::Protected } else { MachinePhase::Seeding },
            generation: state.generation,
            durable: state.durable,
            applied: Sequence(0),
            rpo_seconds: state.newest.map(|newest| now.since(newest).as_secs()),
            oldest: None,
            newest: state.newest,
            lag: ByteLen::ZERO,
            remaining: state.remaining,
            rate: state.rate,
            disks: heapless::Vec::new(),
        };
        Facts { machines: vec![machine], ..Facts::default() }
    }
}

impl Executor for Orderly {
    fn destroys(&self, _: &Statement) -> Option<String> {
        // A protected disk is only ever read.
        None
    }

    fn execute(&self, statement: &Statement) -> Result<Done, Vec<u8>> {
        let Instruction::Source(order) = &statement.instruction else {
            return Err(refusal("a source takes orders, no requests of the control API"));
        };
        match order_of(order).map_err(refusal)? {
            Meant::Order(order, within) => {
                let carried = self.orders.give(order, within);
                Ok(done(&carried.map_err(|error: OrderError| refusal(&error.to_string()))?))
            }
            Meant::Rate(rate) => {
                self.orders.throttle(rate);
                Ok(Done::nothing())
            }
        }
    }
}

/// What an order means to this source.
#[derive(Debug, PartialEq, Eq)]
enum Meant {
    /// The agent carries it out between two steps, within this time.
    Order(Order, Duration),
    /// Payload bytes a second from now on, also in the middle of a round; 0 for no limit.
    Rate(u64),
}

/// Translates an order. Errors: this source has no use for it.
fn order_of(order: &SourceOrder) -> Result<Meant, &'static str> {
    let (order, within) = match order {
        SourceOrder::Mark(mark) => {
            let label = Label::try_from(mark.label.as_str()).unwrap_or_default();
            (Order::Point { application: mark.wish == Wish::Application, label }, ROUND_WITHIN)
        }
        SourceOrder::Hold(point) => {
            (Order::Hold(mark(point)?, Duration::from_millis(point.deadline_ms.into())), ORDER_WITHIN)
        }
        SourceOrder::Take(point) => (Order::Take(mark(point)?), ROUND_WITHIN),
        SourceOrder::Release(point) => (Order::Release(mark(point)?), ORDER_WITHIN),
        SourceOrder::Resync => (Order::Resync, ROUND_WITHIN),
        SourceOrder::Pause => (Order::Pause, ORDER_WITHIN),
        SourceOrder::Resume => (Order::Resume, ORDER_WITHIN),
        SourceOrder::Throttle { bytes_per_second } => return Ok(Meant::Rate(*bytes_per_second)),
        SourceOrder::Protect(_) => return Err("this source replicates to the target it was started with"),
    };
    Ok(Meant::Order(order, within))
}

fn mark(point: &GroupPoint) -> Result<GroupMark, &'static str> {
    let group = point.group.as_str().parse().map_err(|_| "the name of the group is no name")?;
    Ok(GroupMark { group, number: point.number })
}

fn done(carried: &Carried) -> Done {
    match carried.point {
        None => Done::nothing(),
        Some(point) => {
            let (sequence, time, consistency) = (point.sequence, point.time, point.consistency);
            Done { answer: Answer::Point(PointTaken { sequence, time, consistency }), reply: Vec::new() }
        }
    }
}

/// An error as the control API writes it.
fn refusal(cause: &str) -> Vec<u8> {
    let (what, fix) = ("the order was not carried out", "see the source's own messages");
    json!({"code": "LF-1000", "what": what, "cause": cause, "fix": fix, "exit": 1}).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_but_another_target_has_its_counterpart() {
        let group = "shop".try_into().expect("short enough");
        let point = GroupPoint { group, number: 7, wish: Wish::Crash, deadline_ms: 1500 };
        let mark = GroupMark { group: "shop".parse().expect("lawful"), number: 7 };
        let hold = Order::Hold(mark.clone(), Duration::from_millis(1500));
        for (told, order, within) in [
            (SourceOrder::Hold(point.clone()), hold, ORDER_WITHIN),
            (SourceOrder::Take(point.clone()), Order::Take(mark.clone()), ROUND_WITHIN),
            (SourceOrder::Release(point), Order::Release(mark), ORDER_WITHIN),
        ] {
            assert_eq!(order_of(&told), Ok(Meant::Order(order, within)), "{told:?}");
        }
        assert_eq!(order_of(&SourceOrder::Throttle { bytes_per_second: 9 }), Ok(Meant::Rate(9)));
        let bad = GroupPoint { group: heapless::String::new(), number: 1, wish: Wish::Crash, deadline_ms: 1 };
        assert!(order_of(&SourceOrder::Take(bad)).is_err());
    }

    #[test]
    fn what_is_reported_follows_the_events() {
        let told = Told::new("web-01".parse().expect("lawful"));
        assert_eq!(told.report().machines[0].phase, MachinePhase::Seeding);
        let mut nothing = |_: Event| {};
        let mut listening = Listening { screen: &mut nothing, told: told.clone() };
        let target = "home:9443".to_owned();
        listening.event(Event::Connected { target, generation: Generation(3), durable: Sequence(8) });
        let machine = &told.report().machines[0];
        assert_eq!((machine.generation, machine.durable, machine.newest), (Generation(3), Sequence(8), None));
    }
}
