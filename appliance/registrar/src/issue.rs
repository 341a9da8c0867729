//! Certificates are given out: written down first, with whatever else changes by it.

use catalog::{Change, Expect};
use inventory::{Holder, Issued};
use pki::{CertificateFacts, Joining, SigningRequest, Validity, new_number};
use units::{CertificateId, Timestamp};
use wire::Identity;

use crate::{Registrar, RegistrarError};

/// Attempts to give out a certificate while others change the same records.
const ATTEMPTS_MAX: usize = 16;

/// A certificate that was signed and is on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) certificate: Vec<u8>,
}

impl Registrar {
    /// Signs for a holder, and records that together with what else changes by it. `with` is told the number, and may refuse.
    pub(crate) fn issue(
        &self,
        identity: &Identity,
        request: &SigningRequest,
        now: Timestamp,
        with: impl Fn(CertificateId) -> Result<Vec<Change>, RegistrarError>,
    ) -> Result<Signed, RegistrarError> {
        for attempt in 1.. {
            let row = self.holders.get(&Holder::name_of(identity))?;
            let expect = row.as_ref().map_or(Expect::Absent, |row| Expect::At(row.revision));
            let holder = row.map_or_else(|| Holder::new(identity.clone(), now), |row| row.record);
            let number = new_number(holder.issue_time(now))?;
            let validity = Validity::of(now, self.terms.life);
            // 1. Signed. 2. On record. 3. Given out, by the caller.
            let certificate = self.authority.sign(request.key(), identity, validity, number)?;
            let key = hexadecimal(&request.key_hash());
            let issued = Issued { id: number, key, expires: validity.not_after.into() };
            let holder = holder.issued(issued, now);
            let mut changes = with(number)?;
            changes.push(Change::put(&holder, expect));
            match self.catalog.commit(&changes) {
                Ok(_) => {
                    self.know(&holder);
                    return Ok(Signed { certificate });
                }
                Err(error) if error.is_conflict() && attempt < ATTEMPTS_MAX => {}
                Err(error) => return Err(error.into()),
            }
        }
        unreachable!("the attempts have an end")
    }

    /// Renews a certificate for the key it has, given as its SHA-256; returns the next one in DER.
    ///
    /// # Errors
    /// The holder is not enrolled, was revoked, or asks for another key; or the catalog can't be written.
    pub fn renew(
        &self,
        identity: &Identity,
        shown: CertificateId,
        key: [u8; 32],
        request: &[u8],
        now: Timestamp,
    ) -> Result<Vec<u8>, RegistrarError> {
        let request = SigningRequest::read(request)?;
        if request.key_hash() != key {
            return Err(RegistrarError::OtherKey);
        }
        let unrevoked = |_| {
            let row = self.holders.get(&Holder::name_of(identity))?;
            let row = row.ok_or_else(|| RegistrarError::Unknown { identity: identity.clone() })?;
            if row.record.is_revoked(shown) {
                return Err(RegistrarError::Revoked { identity: identity.clone() });
            }
            Ok(Vec::new())
        };
        let signed = self.issue(identity, &request, now, unrevoked)?;
        tracing::info!(%identity, "certificate renewed");
        Ok(signed.certificate)
    }

    /// Enrols a role of this very server, if it is not yet, in its place; renews it if half its life is over. Tells whether anything
    /// changed.
    ///
    /// # Errors
    /// The place or the catalog can't be written.
    pub fn enrol_own(
        &self,
        identity: &Identity,
        place: &std::path::Path,
        now: Timestamp,
    ) -> Result<bool, RegistrarError> {
        let none = |_| Ok(Vec::new());
        match CertificateFacts::read(place) {
            Ok(own) if own.identity == *identity => {
                // A catalog made anew of the disks knows nobody, not even this server.
                let on_record = self.holders.get(&Holder::name_of(identity))?.is_some();
                if on_record && now < own.half_life() {
                    return Ok(false);
                }
                let request = SigningRequest::read(&pki::renewal_request(place)?)?;
                let signed = self.issue(identity, &request, now, none)?;
                pki::renew(place, &signed.certificate, self.authority())?;
            }
            _ => {
                let joining = Joining::begin(place)?;
                let signed = self.issue(identity, &SigningRequest::read(joining.request())?, now, none)?;
                joining.finish(identity, &signed.certificate, self.authority(), &[])?;
            }
        }
        tracing::info!(%identity, "own certificate made");
        Ok(true)
    }
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
