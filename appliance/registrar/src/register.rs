//! What every handshake asks: who is enrolled, and whose certificates no longer count.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use inventory::Holder;
use link::{Denied, Standing};
use units::CertificateId;
use wire::Identity;

/// Who is enrolled, in memory. It follows the catalog, also where others write it.
#[derive(Debug, Default)]
pub struct Register(RwLock<HashMap<Identity, Option<CertificateId>>>);

impl Register {
    /// Returns a register of these holders, as they are.
    pub fn of(holders: &[Holder]) -> Self {
        let register = Self::default();
        register.replace(holders);
        register
    }

    /// Takes in a holder as it is now.
    pub(crate) fn put(&self, holder: &Holder) {
        let upto = holder.revoked.as_ref().map(|revoked| revoked.upto);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let entry = known.entry(holder.identity.clone()).or_default();
        // What is heard late must not undo a revocation.
        *entry = upto.max(*entry);
    }

    /// Forgets those who are not listed, and takes in all who are.
    pub(crate) fn replace(&self, holders: &[Holder]) {
        let listed: Vec<_> = holders.iter().map(|holder| &holder.identity).collect();
        self.0.write().unwrap_or_else(PoisonError::into_inner).retain(|known, _| listed.contains(&known));
        holders.iter().for_each(|holder| self.put(holder));
    }

    /// Forgets a holder.
    pub(crate) fn remove(&self, name: &str) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|identity, _| Holder::name_of(identity) != name);
    }

    /// Returns the revocations behind a holder, in the order of their texts.
    pub(crate) fn revocations(&self, after: Option<&Identity>) -> Vec<(Identity, CertificateId)> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let revoked = known.iter().filter_map(|(identity, upto)| Some((identity.clone(), (*upto)?)));
        let after = after.map(Identity::to_string);
        let behind = |identity: &Identity| after.as_ref().is_none_or(|after| identity.to_string() > *after);
        let mut revoked: Vec<_> = revoked.filter(|(identity, _)| behind(identity)).collect();
        revoked.sort_by_cached_key(|(identity, _)| identity.to_string());
        revoked
    }
}

impl Standing for Register {
    fn check(&self, holder: &Identity, certificate: CertificateId) -> Result<(), Denied> {
        match self.0.read().unwrap_or_else(PoisonError::into_inner).get(holder) {
            None => Err(Denied::Unknown),
            Some(Some(upto)) if certificate <= *upto => Err(Denied::Revoked),
            Some(_) => Ok(()),
        }
    }
}
