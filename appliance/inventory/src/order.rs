//! Orders to servers: what is to be done elsewhere, and what became of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use units::{Rfc3339, Timestamp, as_text};
use wire::Identity;
use wire::heartbeat::{CommandId, Instruction, Verdict};

use crate::Record;

/// Orders of one server that are kept after they ended.
pub const ENDED_KEPT: usize = 32;

/// An order to one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Who is to carry it out.
    #[serde(with = "as_text")]
    pub server: Identity,
    /// Its place in the order of this server's commands.
    pub sequence: u64,
    /// Which command it is.
    #[serde(with = "as_text")]
    pub id: CommandId,
    /// When it was given.
    pub issued: Rfc3339,
    /// From when on it is not begun any more.
    pub expires: Rfc3339,
    /// Who asked for it.
    pub by: String,
    /// What is to be done.
    pub instruction: Box<Instruction>,
    /// How far it is.
    pub state: OrderState,
}

/// How far an order is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// It is to be sent, or was, and nothing came back.
    Given,
    /// The server has it, and waits for somebody there; it is done at this time without anybody.
    Waiting {
        /// When.
        until: Rfc3339,
    },
    /// It has ended.
    Ended {
        /// How.
        verdict: Box<Verdict>,
        /// The reply in JSON; left out where it was long.
        #[serde(default)]
        reply: String,
    },
}

impl Record for Order {
    const KIND: &'static str = "order";

    fn name(&self) -> String {
        format!("{}{:020}", Self::names_of(&self.server), self.sequence)
    }
}

impl Order {
    /// Returns what the names of a server's orders begin with; they sort by sequence.
    pub fn names_of(server: &Identity) -> String {
        format!("{}/{}/", server.role, server.name)
    }

    /// Tells whether nothing more comes of it.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, OrderState::Ended { .. })
    }

    /// Ends it if it expired before the server took it, and tells whether it did. What the server has, it ends itself.
    pub fn expire(&mut self, now: Timestamp, taken: u64) -> bool {
        let expired = self.state == OrderState::Given && self.sequence > taken && self.expires.0 <= now;
        if expired {
            self.end(Verdict::Expired, String::new());
        }
        expired
    }

    /// Takes what the server says of it. What has ended stays as it is.
    pub fn settle(&mut self, verdict: Verdict, reply: String) {
        match (&self.state, verdict) {
            (OrderState::Ended { .. }, _) => {}
            (_, Verdict::Waiting { until }) => self.state = OrderState::Waiting { until: until.into() },
            (_, verdict) => self.end(verdict, reply),
        }
    }

    fn end(&mut self, verdict: Verdict, reply: String) {
        self.state = OrderState::Ended { verdict: Box::new(verdict), reply };
    }
}

/// Returns the sequence of a server's next order: above those it was given, and those it says it has taken.
pub fn next_sequence<'a>(orders: impl IntoIterator<Item = &'a Order>, taken: u64) -> u64 {
    let given = orders.into_iter().map(|order| order.sequence).max().unwrap_or(0);
    given.max(taken).checked_add(1).expect("nobody gives 2^64 orders")
}

/// Returns the sequences of the ended orders that need not be kept any more, oldest first.
pub fn forgettable(orders: &[Order]) -> Vec<u64> {
    let mut ended: Vec<u64> =
        orders.iter().filter(|order| order.has_ended()).map(|order| order.sequence).collect();
    ended.sort_unstable();
    ended.truncate(ended.len().saturating_sub(ENDED_KEPT));
    ended
}

/// For how long an order may wait to be begun, if nothing else is said.
pub const EXPIRES_AFTER: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use wire::heartbeat::{Answer, SourceOrder};

    fn order(sequence: u64) -> Order {
        let at = |seconds: u64| Rfc3339(Timestamp(seconds * 1_000_000));
        Order {
            server: "landfall:source:web-01".parse().unwrap(),
            sequence,
            id: CommandId([7; 16]),
            issued: at(1000),
            expires: at(1060),
            by: "operator ada".to_owned(),
            instruction: Box::new(Instruction::Source(SourceOrder::Pause)),
            state: OrderState::Given,
        }
    }

    #[test]
    fn orders_of_a_server_sort_by_sequence_and_read_back() {
        let (second, tenth) = (order(2).key(), order(10).key());
        assert!(second < tenth);
        assert_eq!(second.as_str(), "order/source/web-01/00000000000000000002");
        let text = order(2).encode();
        assert!(text.contains(r#""id":"07070707070707070707070707070707""#), "{text}");
        assert_eq!(Order::decode(&second, &text).unwrap(), order(2));
    }

    #[test]
    fn a_sequence_is_above_everything_given_and_taken() {
        assert_eq!(next_sequence([], 0), 1);
        assert_eq!(next_sequence(&[order(4), order(2)], 3), 5);
        assert_eq!(next_sequence(&[order(4)], 9), 10, "a catalog restored from a backup goes on above");
    }

    #[test]
    fn only_what_the_server_does_not_have_expires_here() {
        let late = Timestamp(1_060_000_000);
        let mut unsent = order(5);
        assert!(!unsent.clone().expire(Timestamp(1_059_999_999), 4));
        assert!(!unsent.clone().expire(late, 5));
        assert!(unsent.expire(late, 4));
        assert!(unsent.has_ended());
    }

    #[test]
    fn what_has_ended_stays_as_it_is() {
        let mut order = order(1);
        order.settle(Verdict::Waiting { until: Timestamp(5) }, String::new());
        assert_eq!(order.state, OrderState::Waiting { until: Rfc3339(Timestamp(5)) });
        order.settle(Verdict::Done(Answer::Nothing), String::new());
        let ended = order.clone();
        order.settle(Verdict::Interrupted, String::new());
        assert_eq!(order, ended);
    }

    #[test]
    fn the_newest_ended_orders_are_kept_and_every_open_one() {
        let mut orders: Vec<Order> = (1..=40).map(order).collect();
        orders[1..].iter_mut().for_each(|order| order.settle(Verdict::Expired, String::new()));
        assert_eq!(forgettable(&orders), (2..=8).collect::<Vec<_>>());
    }
}
