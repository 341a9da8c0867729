//! What is not well with those who joined: silence, certificates that end, clocks that differ.

use std::path::Path;
use std::time::Duration;

use control::api::{Concern, Health};
use control::heartbeat::ServerView;
use inventory::{AlarmKind, Holder, Liveness, Severity, expiring};
use pki::{CertificateFacts, Validity};
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
    let authority = Validity::read(servers.registrar.authority()).and_then(|span| authority(span, now));
    authority.into_iter().chain(certificates).chain(views.iter().flat_map(heartbeat)).collect()
}

/// Says that the authority ends soon: nobody's certificate counts longer than it does.
fn authority(span: Validity, now: Timestamp) -> Option<Concern> {
    let health = health(expiring(span.not_before, span.not_after, now)?);
    let ends = if span.not_after < now { "ended" } else { "ends" };
    let what = format!("the authority {ends} at {}, and with it everybody's certificate", span.not_after);
    Some(Concern::of_appliance(AlarmKind::Certificate, health, what))
}

/// Says that this server's own certificate, which another one gives out, is late to be renewed.
pub(crate) fn own_certificate(place: &Path, now: Timestamp) -> Option<Concern> {
    let own = match CertificateFacts::read(place) {
        Ok(own) => own,
        Err(error) => {
            let what = format!("its own certificate can't be read: {error}");
            return Some(Concern::of_appliance(AlarmKind::Certificate, Health::Failed, what));
        }
    };
    let health = health(expiring(own.number.issued(), own.not_after, now)?);
    Some(Concern::of_appliance(AlarmKind::Certificate, health, late(own.not_after, now)))
}

fn health(severity: Severity) -> Health {
    match severity {
        Severity::Failed => Health::Failed,
        Severity::Degraded => Health::Degraded,
    }
}

fn late(expires: Timestamp, now: Timestamp) -> String {
    if expires < now {
        format!("its certificate ended at {expires}; it joins again with a new token")
    } else {
        format!("its certificate ends at {expires} and was not renewed at half its life")
    }
}

/// Says that a certificate is late to be renewed. Operators have theirs renewed when they use them.
fn certificate(holder: &Holder, now: Timestamp) -> Option<Concern> {
    let issued = holder.current().filter(|_| holder.identity.role != Role::Operator)?;
    let expires = issued.expires.0;
    let health = health(expiring(issued.id.issued(), expires, now)?);
    let what = late(expires, now);
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

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);
    const BEGIN: Timestamp = Timestamp(1_796_000_000_000_000);

    #[test]
    fn an_authority_is_told_of_in_its_last_two_months() {
        let span = Validity { not_before: BEGIN, not_after: BEGIN.after(DAY * 3650) };
        let judge = |days| authority(span, BEGIN.after(DAY * days)).map(|concern| concern.health);
        let (low, least) = (Some(Health::Degraded), Some(Health::Failed));
        assert_eq!([3589, 3590, 3619, 3620, 3651].map(judge), [None, low, low, least, least]);
        let what = authority(span, BEGIN.after(DAY * 3651)).expect("it is over").what;
        assert!(what.contains("ended at"), "{what}");
    }

    #[test]
    fn an_own_certificate_that_can_t_be_read_is_told_of() {
        let nowhere = own_certificate(Path::new("/nowhere"), BEGIN).expect("a concern");
        assert_eq!((nowhere.health, nowhere.kind), (Health::Failed, AlarmKind::Certificate));
    }
}
