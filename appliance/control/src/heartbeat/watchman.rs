//! Lets time pass for the servers, looks for causes, and sends orders as they are given.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use catalog::CatalogError;
use inventory::{Liveness, OrderState, PulseEffect, PulseEvent};
use link::Credentials;
use wire::Identity;

use crate::heartbeat::orders::Orders;
use crate::heartbeat::probe::probe;
use crate::heartbeat::servers::{Outgoing, Servers, Wanting};

/// Between two looks at the servers.
const TICK: Duration = Duration::from_secs(1);
/// How long a wait for orders lasts before the watchman looks whether it is to stop.
const ORDERS_WAIT: Duration = Duration::from_millis(500);
/// Probes at once; the others wait for the next look.
const PROBES_MAX: usize = 16;

/// Is told when a server's liveness is another.
pub trait LivenessWitness: Send + Sync {
    /// Takes the news. Called from a thread that has time.
    fn changed(&self, server: &Identity, liveness: &Liveness);
}

/// Two threads, until it is dropped.
pub struct Watchman {
    stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// What the threads work with.
#[derive(Clone)]
struct Beat {
    servers: Servers,
    orders: Orders,
    credentials: Credentials,
    witness: Arc<dyn LivenessWitness>,
    stopping: Arc<AtomicBool>,
    probes: Arc<AtomicUsize>,
}

impl Watchman {
    /// Starts. Probes show the certificate of `credentials`.
    ///
    /// # Errors
    /// The system starts no thread.
    pub fn start(
        servers: Servers,
        orders: Orders,
        credentials: Credentials,
        witness: Arc<dyn LivenessWitness>,
    ) -> std::io::Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let probes = Arc::new(AtomicUsize::new(0));
        let beat = Beat { servers, orders, credentials, witness, stopping: Arc::clone(&stopping), probes };
        let mut watchman = Self { stopping, threads: Vec::new() };
        watchman.spawn("liveness", beat.clone(), Beat::watch_servers)?;
        watchman.spawn("orders", beat, Beat::watch_orders)?;
        Ok(watchman)
    }

    fn spawn(&mut self, name: &str, beat: Beat, work: fn(&Beat)) -> std::io::Result<()> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || work(&beat))?;
        self.threads.push(thread);
        Ok(())
    }
}

impl Drop for Watchman {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            // A panic there was printed where it happened.
            drop(thread.join());
        }
    }
}

impl Beat {
    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    fn watch_servers(&self) {
        while !self.is_stopping() {
            std::thread::park_timeout(TICK);
            for Wanting { identity, effect } in self.servers.tick() {
                match effect {
                    PulseEffect::Probe => self.probe(identity),
                    PulseEffect::Changed => self.tell(&identity),
                }
            }
        }
    }

    fn tell(&self, identity: &Identity) {
        let Some(server) = self.servers.show(identity) else { return };
        match &server.liveness {
            Liveness::Alive => tracing::info!(server = %identity, "server is alive"),
            Liveness::Suspect => tracing::warn!(server = %identity, "server is suspect"),
            Liveness::Lost(finding) => {
                tracing::error!(server = %identity, cause = %finding.cause, detail = finding.detail, "server is lost");
            }
        }
        self.witness.changed(identity, &server.liveness);
    }

    /// Looks for the cause on a thread of its own.
    fn probe(&self, identity: Identity) {
        let Some(server) = self.servers.show(&identity) else { return };
        if self.probes.fetch_add(1, Ordering::AcqRel) >= PROBES_MAX {
            self.probes.fetch_sub(1, Ordering::AcqRel);
            return;
        }
        let beat = self.clone();
        let work = move || {
            let finding = probe(&server, &beat.credentials);
            beat.servers.note(&identity, PulseEvent::Probed(finding));
            beat.probes.fetch_sub(1, Ordering::AcqRel);
        };
        if let Err(error) = std::thread::Builder::new().name("probe".to_owned()).spawn(work) {
            self.probes.fetch_sub(1, Ordering::AcqRel);
            tracing::warn!(%error, "no probe started");
        }
    }

    /// Sends orders as they are given, and tells who waits as they end; begins anew when the catalog has lost the thread.
    fn watch_orders(&self) {
        while !self.is_stopping() {
            if let Err(error) = self.follow_orders() {
                tracing::warn!(%error, "orders not watched");
                std::thread::park_timeout(TICK);
            }
        }
    }

    fn follow_orders(&self) -> Result<(), CatalogError> {
        let mut changes = self.orders.watch()?;
        while !self.is_stopping() {
            for changed in changes.next(ORDERS_WAIT)? {
                let Some(row) = changed.row else { continue };
                if row.record.state == OrderState::Given {
                    let server = row.record.server.clone();
                    self.servers.send(&server, Outgoing::Order(Box::new(row.record)));
                } else {
                    self.orders.changed(row);
                }
            }
        }
        Ok(())
    }
}
