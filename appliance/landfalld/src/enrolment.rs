//! Enrolment on 443, answered by the registrar.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use control::{Enrolment, Peer};
use pki::CertificateFacts;
use registrar::{Registrar, RegistrarError};
use units::Timestamp;
use wire::{
    EnrolAnswer, EnrolRefused, Granted, Join, REVOCATIONS_MAX, Renew, Revoked, RevokedAsk, RevokedPage,
};

/// Answers with what the registrar gives out.
pub(crate) struct Counter(pub(crate) Arc<Registrar>);

impl Enrolment for Counter {
    fn join(&self, join: &Join, exporter: &[u8; 32], from: SocketAddr) -> EnrolAnswer {
        let joined = self.0.join(join, exporter, now());
        joined.map_or_else(|error| refused(&error, &from.to_string()), |(_, der)| self.granted(&der))
    }

    fn renew(&self, peer: &Peer, shown: &[u8], renew: &Renew) -> EnrolAnswer {
        let key = CertificateFacts::of(shown).map(|facts| facts.key_hash);
        let renewed = key
            .ok_or(RegistrarError::OtherKey)
            .and_then(|key| self.0.renew(&peer.identity, peer.certificate, key, &renew.request, now()));
        renewed.map_or_else(|error| refused(&error, &peer.identity.to_string()), |der| self.granted(&der))
    }

    fn revoked(&self, ask: &RevokedAsk) -> EnrolAnswer {
        let all = self.0.revocations(ask.after.as_ref());
        let more = all.len() > REVOCATIONS_MAX;
        let told = all.into_iter().take(REVOCATIONS_MAX).map(|(holder, upto)| Revoked { holder, upto });
        EnrolAnswer::Revoked(Box::new(RevokedPage { revoked: told.collect(), more }))
    }
}

impl Counter {
    fn granted(&self, der: &[u8]) -> EnrolAnswer {
        let fits = "certificates of our own are shorter than 2 KiB";
        let certificate = heapless::Vec::from_slice(der).expect(fits);
        let authority = heapless::Vec::from_slice(self.0.authority()).expect(fits);
        EnrolAnswer::Granted(Box::new(Granted { certificate, authority }))
    }
}

fn refused(error: &RegistrarError, who: &str) -> EnrolAnswer {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(who, %error, cause, "enrolment refused");
    EnrolAnswer::Refused(Box::new(EnrolRefused::new(error.refusal(), &error.detail())))
}

fn now() -> Timestamp {
    Timestamp::from_system(SystemTime::now())
}
