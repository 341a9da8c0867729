//! Who has certificates of this installation, and whose no longer count.

use serde::{Deserialize, Serialize};
use units::{CertificateId, Rfc3339, Timestamp};
use wire::Identity;

use crate::Record;

/// Certificates of one holder that are remembered.
const CERTIFICATES_MAX: usize = 16;

/// A holder of certificates: whoever was enrolled under a role and name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Role and name.
    pub identity: Identity,
    /// When it was enrolled first.
    pub enrolled: Rfc3339,
    /// Its certificates that may still be good, newest last.
    #[serde(default)]
    pub certificates: Vec<Issued>,
    /// Whether its certificates were revoked.
    #[serde(default)]
    pub revoked: Option<Revocation>,
}

/// A certificate that was given out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// Its number.
    pub id: CertificateId,
    /// The SHA-256 of its key, as hexadecimal digits.
    pub key: String,
    /// The last moment it is good.
    pub expires: Rfc3339,
}

/// All certificates of a holder up to one no longer count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// The last of them: the greatest number that could have been given out then.
    pub upto: CertificateId,
    /// When it was revoked.
    pub at: Rfc3339,
    /// Why, for people.
    #[serde(default)]
    pub reason: String,
}

impl Record for Holder {
    const KIND: &'static str = "certificate";

    fn name(&self) -> String {
        Self::name_of(&self.identity)
    }
}

impl Holder {
    /// Returns the name under which a holder is kept.
    pub fn name_of(identity: &Identity) -> String {
        format!("{}/{}", identity.role, identity.name)
    }

    /// Returns a holder that is enrolled now and has no certificate yet.
    pub fn new(identity: Identity, now: Timestamp) -> Self {
        Self { identity, enrolled: now.into(), certificates: Vec::new(), revoked: None }
    }

    /// Tells whether this certificate of the holder was revoked.
    pub fn is_revoked(&self, certificate: CertificateId) -> bool {
        self.revoked.as_ref().is_some_and(|revoked| certificate <= revoked.upto)
    }

    /// Returns the time that a certificate given out now says it was issued: later than all that were revoked, whatever the clock says.
    pub fn issue_time(&self, now: Timestamp) -> Timestamp {
        self.revoked.as_ref().map_or(now, |revoked| now.max(Timestamp(revoked.upto.issued().0 + 1)))
    }

    /// Returns the holder with one more certificate; those that are over are forgotten.
    #[must_use]
    pub fn issued(mut self, certificate: Issued, now: Timestamp) -> Self {
        let upto = self.revoked.as_ref().map(|revoked| revoked.upto);
        let counts = |issued: &Issued| upto.is_none_or(|upto| issued.id > upto);
        self.certificates.retain(|issued| issued.expires.0 >= now && counts(issued));
        let surplus = (self.certificates.len() + 1).saturating_sub(CERTIFICATES_MAX);
        self.certificates.drain(..surplus);
        self.certificates.push(certificate);
        self
    }

    /// Returns the holder with all its certificates up to now revoked.
    #[must_use]
    pub fn revoke(self, now: Timestamp, reason: String) -> Self {
        let newest = self.certificates.last().map_or(now, |issued| issued.id.issued());
        let before = self.revoked.as_ref().map_or(Timestamp(0), |revoked| revoked.upto.issued());
        let upto = CertificateId::new(now.max(newest).max(before), [0xff; 8]);
        Self { revoked: Some(Revocation { upto, at: now.into(), reason }), ..self }
    }

    /// Returns the newest certificate that still counts.
    pub fn current(&self) -> Option<&Issued> {
        self.certificates.last().filter(|issued| !self.is_revoked(issued.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const NOW: Timestamp = Timestamp(1_796_000_000_000_000);
    const DAY: Duration = Duration::from_secs(86_400);

    fn holder() -> Holder {
        Holder::new("landfall:source:web-01".parse().expect("an identity"), NOW)
    }

    fn certificate(at: Timestamp) -> Issued {
        let id = CertificateId::new(at, [1; 8]);
        Issued { id, key: "00".to_owned(), expires: at.after(DAY * 7).into() }
    }

    #[test]
    fn a_revocation_takes_everything_before_and_nothing_after() {
        let before = holder().issued(certificate(NOW), NOW);
        let revoked = before.revoke(NOW, "stolen".to_owned());
        assert!(revoked.is_revoked(certificate(NOW).id) && revoked.current().is_none());
        // The clock went back: the next certificate counts all the same.
        let past = NOW.before(DAY * 365);
        let time = revoked.issue_time(past);
        let again = revoked.clone().issued(certificate(time), past);
        assert!(!again.is_revoked(again.current().expect("one counts").id));
        assert!(again.is_revoked(certificate(NOW).id), "the old one stays revoked");
        let twice = again.revoke(past, String::new());
        assert!(twice.is_revoked(certificate(time).id), "revoked by a clock that is behind");
    }

    #[test]
    fn certificates_that_are_over_are_forgotten() {
        let many = (0..100).fold(holder(), |holder, _| holder.issued(certificate(NOW), NOW));
        assert_eq!(many.certificates.len(), CERTIFICATES_MAX);
        let later = NOW.after(DAY * 8);
        assert_eq!(many.issued(certificate(later), later).certificates, [certificate(later)]);
    }

    #[test]
    fn a_holder_is_kept_as_text() {
        let holder = holder().issued(certificate(NOW), NOW);
        let text = holder.encode();
        assert!(
            text.starts_with(r#"{"identity":"landfall:source:web-01","enrolled":"2026-11-30T00:53:20Z","#),
            "{text}"
        );
        assert_eq!(Holder::decode(&holder.key(), &text).expect("read"), holder);
        assert_eq!(holder.key().as_str(), "certificate/source/web-01");
    }
}
