//! What is not well with those who joined: silence, certificates that end, clocks that differ.

use std::time::Duration;

use control::api::{Concern, Health};
use control::heartbeat::ServerView;
use inventory::{AlarmKind, Holder, Liveness, Severity, expiring};
use units::Timestamp;
use wire::{Identity, Role};

use crate::servers::Servers;

/// How far a clock may be off before it is told, and before a person must act: beyond it, no job begins.
const SKEW_LOW: Duration = Duration::from_secs(5);
const SKEW_MOST: Duration = Duration::from_secs(900);

/// Lists what is not well with everybody who joined.
pub(crate) fn concerns(servers: &Servers, now: Timestamp) -> Vec<Concern> {
    let holders = match servers.registrar.holders() {
        Ok(holders) => holders,
        Err(error) => {
            return vec![Concern::of_appliance(AlarmKind::Catalog, Health::Failed, error.to_string())];
        }
    };
    let views = servers.heartbeats.list();
    let certificates = holders.iter().filter_map(|holder| certificate(holder, now));
    certificates.chain(views.iter().flat_map(heartbeat)).collect()
}

/// Says that a certificate is late to be renewed. Operators have theirs renewed when they use them.
fn certificate(holder: &Holder, now: Timestamp) -> Option<Concern> {
    let issued = holder.current().filter(|_| holder.identity.role != Role::Operator)?;
    let expires = issued.expires.0;
    let health = match expiring(issued.id.issued(), expires, now)? {
        Severity::Failed => Health::Failed,
        Severity::Degraded => Health::Degraded,
    };
    let what = if expires < now {
        format!("its certificate ended at {expires}; it joins again with a new token")
    } else {
        format!("its certificate ends at {expires} and was not renewed at half its life")
    };
    Some(Concern::of_server(AlarmKind::Certificate, health, subject(&holder.identity), what))
}

fn heartbeat(view: &ServerView) -> Vec<Concern> {
    let about = |kind, health, what: String| Concern::of_server(kind, health, subject(&view.identity), what);
    let lost = match &view.liveness {
        // A source is missed by its machine, too; a server by all of its machines.
        Liveness::Lost(finding) if view.identity.role == Role::Source => Some(about(
            AlarmKind::Server,
            Health::Degraded,
            format!("it does not report: {}", finding.detail),
        )),
        Liveness::Lost(finding) => {
            Some(about(AlarmKind::Server, Health::Failed, format!("it does not report: {}", finding.detail)))
        }
        Liveness::Alive | Liveness::Suspect => None,
    };
    let clock = view.report.as_ref().and_then(|(_, report)| report.head.clock);
    let skew = clock.and_then(|clock| {
        let off = Duration::from_micros(clock.ahead_micros.unsigned_abs());
        let health = match off {
            off if off > SKEW_MOST => Health::Failed,
            off if off > SKEW_LOW => Health::Degraded,
            _ => return None,
        };
        let side = if clock.ahead_micros < 0 { "behind" } else { "ahead" };
        Some(about(AlarmKind::Clock, health, format!("its clock is {} s {side}", off.as_secs())))
    });
    lost.into_iter().chain(skew).collect()
}

fn subject(identity: &Identity) -> String {
    format!("{}/{}", identity.role, identity.name)
}
