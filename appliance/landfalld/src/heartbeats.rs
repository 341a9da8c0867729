//! Heartbeats of the servers and sources that joined here.

use std::sync::Arc;

use anyhow::{Context, Result};
use control::Gate;
use control::api::{HeartbeatState, ServerHeartbeat};
use control::heartbeat::{Heartbeat, LivenessWitness, Orders, ServerView, Servers, Watchman};
use inventory::Liveness;
use registrar::Registrar;
use wire::heartbeat::Message;
use wire::{Framed as _, Identity, Role};

use crate::house::Office;

const SOFTWARE: &str = concat!("landfalld ", env!("CARGO_PKG_VERSION"));
/// Whose heartbeats are heard.
const REPORTING: [Role; 3] = [Role::Source, Role::ProcessServer, Role::MasterTarget];

/// Hears heartbeats until it is dropped.
pub(crate) struct Heartbeats {
    /// Who is heard.
    pub(crate) servers: Servers,
    /// What they are told to do.
    pub(crate) orders: Orders,
    _watchman: Watchman,
}

/// Tells the log.
struct Teller;

impl Heartbeats {
    /// Hears heartbeats at the gate, and expects those of everybody who joined.
    pub(crate) fn begin(gate: Gate, office: &Office) -> Result<(Gate, Self)> {
        let (servers, orders) = (Servers::default(), Orders::new(office.catalog.clone()));
        let credentials = office.credentials.clone();
        let heartbeat = Heartbeat::new(servers.clone(), orders.clone(), credentials.clone(), SOFTWARE);
        let gate = gate.with(Message::ALPN, &REPORTING, Arc::new(heartbeat));
        let gate = gate.context("heartbeats can't be served")?;
        let watchman = Watchman::start(servers.clone(), orders.clone(), credentials, Arc::new(Teller));
        let _watchman = watchman.context("heartbeats can't be watched")?;
        let heartbeats = Self { servers, orders, _watchman };
        heartbeats.expect(&office.registrar);
        Ok((gate, heartbeats))
    }

    /// Expects the sources that have joined; this server's own master target needs no heartbeat to be heard.
    fn expect(&self, registrar: &Registrar) {
        let holders = registrar.holders().unwrap_or_default();
        let reports = |holder: &&inventory::Holder| {
            holder.current().is_some() && matches!(holder.identity.role, Role::Source | Role::ProcessServer)
        };
        self.servers.expect(holders.iter().filter(reports).map(|holder| holder.identity.clone()));
    }

    /// Returns what is known of a server; nothing of one that was never heard and is not expected.
    pub(crate) fn of(&self, identity: &Identity) -> Option<ServerHeartbeat> {
        self.servers.show(identity).map(|view| describe(&view))
    }

    /// Returns what is known of everybody who is expected.
    pub(crate) fn list(&self) -> Vec<ServerView> {
        self.servers.list()
    }

    /// Expects nothing more of a server whose certificates were revoked.
    pub(crate) fn forget(&self, identity: &Identity) {
        self.servers.forget(identity);
    }
}

impl LivenessWitness for Teller {
    fn changed(&self, server: &Identity, liveness: &Liveness) {
        match liveness {
            Liveness::Alive => tracing::info!(%server, "server is heard"),
            Liveness::Suspect => tracing::warn!(%server, "server is not heard"),
            Liveness::Lost(finding) => {
                tracing::warn!(%server, cause = ?finding.cause, detail = %finding.detail, "server is lost");
            }
        }
    }
}

fn describe(view: &ServerView) -> ServerHeartbeat {
    let (state, cause) = match &view.liveness {
        Liveness::Alive => (HeartbeatState::Alive, None),
        Liveness::Suspect => (HeartbeatState::Suspect, None),
        Liveness::Lost(finding) => (HeartbeatState::Lost, Some(finding.detail.clone())),
    };
    ServerHeartbeat {
        state,
        silent_seconds: view.silence.as_secs(),
        cause,
        address: view.address.map(|address| address.to_string()),
        software: view.speaks.as_ref().map(|speaks| speaks.software.clone()),
    }
}
