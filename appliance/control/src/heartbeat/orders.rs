//! Orders to servers: given, kept in the catalog, sent by whoever holds the server's heartbeat, and waited for.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use catalog::{Catalog, CatalogError, Changes, Expect, Row, Table};
use inventory::{Order, OrderState, Record as _, forgettable, next_sequence};
use units::Timestamp;
use wire::Identity;
use wire::heartbeat::{CommandId, Instruction};

use crate::clock::now;
use crate::heartbeat::gathering::Settled;

/// Bytes of a reply that is kept in the catalog; a longer one goes only to who waits for it.
const REPLY_KEPT_MAX: usize = 256 << 10;
/// Attempts to give an order while others give orders to the same server.
const GIVE_ATTEMPTS_MAX: usize = 64;

/// What is ordered.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Which command it is: random, or the same as before to ask for the same thing once.
    pub id: CommandId,
    /// Who asks.
    pub by: String,
    /// What is to be done.
    pub instruction: Instruction,
    /// For how long it may wait to be begun.
    pub expires_after: Duration,
}

/// Orders to servers. Clones are the same.
#[derive(Clone)]
pub struct Orders {
    catalog: Arc<dyn Catalog>,
    table: Table<Order>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    /// The highest sequence each server says it has taken.
    taken: HashMap<Identity, u64>,
    /// Who waits for what becomes of a command, by ticket.
    waiting: HashMap<CommandId, Vec<(u64, SyncSender<Order>)>>,
    /// Tickets that were given out.
    tickets: u64,
}

/// An order that was given; its end can be waited for here.
pub struct Ticket {
    order: Order,
    number: u64,
    changes: Receiver<Order>,
    orders: Orders,
}

impl Orders {
    /// Keeps orders in this catalog.
    pub fn new(catalog: Arc<dyn Catalog>) -> Self {
        let table = Table::new(Arc::clone(&catalog));
        Self { catalog, table, shared: Arc::default() }
    }

    /// Gives an order; durable on return. It is sent as soon as the server's heartbeat is there. The id of an order that was given
    /// to this server before gets that one.
    ///
    /// # Errors
    /// The catalog failed; the order may have been given or not.
    pub fn give(&self, server: &Identity, wanted: Wanted) -> Result<Ticket, CatalogError> {
        let (number, changes) = self.await_changes(wanted.id);
        let order = self.keep(server, &wanted).inspect_err(|_| self.lock().leave(wanted.id, number))?;
        Ok(Ticket { order, number, changes, orders: self.clone() })
    }

    /// Waits for what becomes of a command from now on.
    fn await_changes(&self, id: CommandId) -> (u64, Receiver<Order>) {
        let (sender, changes) = sync_channel(4);
        let mut shared = self.lock();
        shared.tickets += 1;
        let number = shared.tickets;
        shared.waiting.entry(id).or_default().push((number, sender));
        (number, changes)
    }

    fn keep(&self, server: &Identity, wanted: &Wanted) -> Result<Order, CatalogError> {
        for attempt in 1.. {
            let known = self.of(server)?;
            if let Some(before) = known.iter().find(|order| order.id == wanted.id) {
                return Ok(before.clone());
            }
            let order = self.draft(server, wanted, &known);
            match self.table.insert(&order) {
                Err(error) if error.is_conflict() && attempt < GIVE_ATTEMPTS_MAX => {}
                Err(error) => return Err(error),
                Ok(_) => {
                    self.forget_old(&known)?;
                    return Ok(order);
                }
            }
        }
        unreachable!("the attempts have an end")
    }

    fn draft(&self, server: &Identity, wanted: &Wanted, known: &[Order]) -> Order {
        let issued = now();
        let life = u64::try_from(wanted.expires_after.as_micros()).unwrap_or(u64::MAX);
        Order {
            server: server.clone(),
            sequence: next_sequence(known, self.taken(server)),
            id: wanted.id,
            issued: issued.into(),
            expires: Timestamp(issued.0.saturating_add(life)).into(),
            by: wanted.by.clone(),
            instruction: Box::new(wanted.instruction.clone()),
            state: OrderState::Given,
        }
    }

    fn forget_old(&self, known: &[Order]) -> Result<(), CatalogError> {
        let old = forgettable(known);
        let mut old = known.iter().filter(|order| old.contains(&order.sequence));
        old.try_for_each(|order| self.table.remove(&order.name(), Expect::Any).map(drop))
    }

    /// Returns the orders of a server, by sequence.
    ///
    /// # Errors
    /// The catalog failed.
    pub fn of(&self, server: &Identity) -> Result<Vec<Order>, CatalogError> {
        let listing = self.catalog.list(&format!("{}/{}", Order::KIND, Order::names_of(server)))?;
        let decode = |entry: catalog::Entry| Ok(Order::decode(&entry.key, &entry.value)?);
        listing.entries.into_iter().map(decode).collect()
    }

    /// Takes what a server says that has connected, and returns the orders it is to be sent.
    pub(crate) fn connected(&self, server: &Identity, taken: u64) -> Result<Vec<Order>, CatalogError> {
        self.lock().taken.insert(server.clone(), taken);
        let mut open = Vec::new();
        for order in self.of(server)?.into_iter().filter(|order| !order.has_ended()) {
            let expired = self.table.update(&order.name(), |found| {
                let expired = found.cloned().map(|mut order| (order.expire(now(), taken), order));
                Ok::<_, CatalogError>(expired.and_then(|(expired, order)| expired.then_some(order)))
            })?;
            open.extend(expired.filter(|order| !order.has_ended()));
        }
        Ok(open)
    }

    /// Keeps what became of a command; durable on return. Whoever waits here is told.
    pub(crate) fn settle(&self, server: &Identity, settled: Settled) -> Result<(), CatalogError> {
        let Settled { sequence, id, verdict, reply } = settled;
        let reply = String::from_utf8(reply).unwrap_or_default();
        let kept = if reply.len() <= REPLY_KEPT_MAX { reply.clone() } else { String::new() };
        let name = format!("{}{sequence:020}", Order::names_of(server));
        let found = self.table.update(&name, |found| {
            let Some(order) = found.filter(|order| order.id == id) else {
                return Ok::<_, CatalogError>(None);
            };
            let mut settled = order.clone();
            settled.settle(verdict.clone(), kept.clone());
            Ok((settled != *order).then_some(settled))
        })?;
        if let Some(mut order) = found.filter(|order| order.id == id) {
            if let OrderState::Ended { reply: short, .. } = &mut order.state {
                *short = reply;
            }
            self.tell(order);
        }
        Ok(())
    }

    /// Begins to watch orders as they are given and change, wherever.
    pub(crate) fn watch(&self) -> Result<Changes<Order>, CatalogError> {
        self.table.watch(self.table.list()?.revision)
    }

    /// Takes a change that was watched: tells who waits, unless a longer reply has come here.
    pub(crate) fn changed(&self, row: Row<Order>) {
        let mut shared = self.lock();
        let taken = shared.taken.entry(row.record.server.clone()).or_default();
        if row.record.state != OrderState::Given {
            *taken = (*taken).max(row.record.sequence);
        }
        drop(shared);
        self.tell(row.record);
    }

    fn tell(&self, order: Order) {
        if order.state == OrderState::Given {
            return;
        }
        let mut shared = self.lock();
        for (_, waiter) in shared.waiting.get(&order.id).into_iter().flatten() {
            // A waiter that is slow has what matters already, or asks the catalog.
            drop(waiter.try_send(order.clone()));
        }
        if order.has_ended() {
            shared.waiting.remove(&order.id);
        }
    }

    fn taken(&self, server: &Identity) -> u64 {
        self.lock().taken.get(server).copied().unwrap_or(0)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// Returns the order as it was last seen.
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// Waits until the order has ended, or waits for somebody at the server, or the time is over; returns it as it is then.
    pub fn wait(&mut self, limit: Duration) -> &Order {
        let deadline = Instant::now() + limit;
        while self.order.state == OrderState::Given {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.changes.recv_timeout(left) {
                Ok(order) => self.order = order,
                Err(_) => break,
            }
        }
        &self.order
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.orders.lock().leave(self.order.id, self.number);
    }
}

impl Shared {
    /// Ends one wait; others for the same command go on.
    fn leave(&mut self, id: CommandId, number: u64) {
        if let Some(waiting) = self.waiting.get_mut(&id) {
            waiting.retain(|(waiter, _)| *waiter != number);
            if waiting.is_empty() {
                self.waiting.remove(&id);
            }
        }
    }
}
