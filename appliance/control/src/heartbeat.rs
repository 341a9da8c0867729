//! The heartbeat on 443, on the side of the configuration server: who is alive and why not, and orders to whoever is.
//!
//! Each server holds one connection, which [`Heartbeat`] serves behind the gate. [`Servers`] knows what they said last; a
//! [`Watchman`] lets time pass for them and looks for the cause where one is silent. [`Orders`] are kept in the catalog and
//! sent by whichever configuration server holds the connection.
//!
//! *Invariants:* an order is durable before it is sent, and its outcome before the server is told that it may forget it; what a server says of itself
//! changes nothing but what is shown of it.

mod frames;
mod gathering;
mod orders;
mod probe;
mod servers;
mod session;
mod watchman;

use std::fmt::Display;
use std::net::SocketAddr;

use catalog::CatalogError;
use inventory::Order;
use link::Credentials;
use tokio::io::{AsyncRead, AsyncWrite};
use wire::Identity;

/// What a server has told of itself.
pub use gathering::ServerReport;
/// Orders to servers.
pub use orders::{Orders, Ticket, Wanted};
/// The servers that report.
pub use servers::{ServerView, Servers, Speaks};
/// Lets time pass.
pub use watchman::{LivenessWitness, Watchman};

use crate::gate::{Peer, Protocol, Serving, Stream};
use crate::heartbeat::gathering::Settled;

/// Serves heartbeats.
#[derive(Clone)]
pub struct Heartbeat {
    context: Context,
    credentials: Credentials,
}

/// Who has connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// Role and name, from its certificate.
    pub identity: Identity,
    /// Where it comes from.
    pub address: SocketAddr,
}

/// What connections work with.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) servers: Servers,
    pub(crate) orders: Orders,
    pub(crate) software: &'static str,
}

impl Heartbeat {
    /// Serves heartbeats as the server of these credentials, those the gate uses.
    pub fn new(servers: Servers, orders: Orders, credentials: Credentials, software: &'static str) -> Self {
        Self { context: Context { servers, orders, software }, credentials }
    }

    /// Serves one connection that is through its handshake, until it ends. May be dropped at any moment.
    pub async fn serve<S>(&self, guest: Guest, stream: S)
    where
        S: AsyncRead + AsyncWrite + Send,
    {
        session::serve(self.context.clone(), guest, self.credentials.seal(), stream).await;
    }
}

impl Protocol for Heartbeat {
    fn serve(&self, peer: Peer, stream: Stream) -> Serving {
        let (heartbeat, guest) = (self.clone(), Guest { identity: peer.identity, address: peer.address });
        Box::pin(async move { heartbeat.serve(guest, stream).await })
    }
}

impl Context {
    /// Returns the orders a server is to be sent that has connected. Errors: why not, for people.
    async fn connected(&self, server: Identity, taken: u64) -> Result<Vec<Order>, String> {
        let orders = self.orders.clone();
        beside(move || orders.connected(&server, taken)).await
    }

    /// Keeps what became of a command. Errors: why not, for people.
    async fn settle(&self, server: Identity, settled: Settled) -> Result<(), String> {
        let orders = self.orders.clone();
        beside(move || orders.settle(&server, settled)).await
    }
}

/// Asks the catalog on a thread that may block.
async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CatalogError> + Send + 'static,
) -> Result<T, String> {
    let words = |error: &dyn Display| format!("the catalog can't be used now: {error}");
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(words(&error)),
        Err(panicked) => Err(words(&panicked)),
    }
}
