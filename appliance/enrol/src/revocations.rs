//! Whose certificates no longer count, as heard from the configuration server.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use link::{Credentials, Denied, Standing};
use units::CertificateId;
use wire::{EnrolAnswer, EnrolAsk, Identity, RevokedAsk};

use crate::EnrolError;
use crate::ask::Line;
use crate::renew::peer_config;

/// Answers of one round, at most.
const PAGES_MAX: usize = 1000;

/// What was heard last. Until something is heard, everybody whom the authority has signed may come.
#[derive(Debug, Default)]
pub struct Revocations(RwLock<HashMap<Identity, CertificateId>>);

impl Revocations {
    /// Asks for all of them, and goes by them from then on.
    ///
    /// # Errors
    /// The server can't be asked: what was heard before stays.
    pub fn refresh(&self, address: &str, credentials: &Credentials) -> Result<(), EnrolError> {
        let mut line = Line::open(address, peer_config(credentials)?)?;
        let (mut heard, mut after) = (HashMap::new(), None);
        for _ in 0..PAGES_MAX {
            let answer = line.ask(&EnrolAsk::Revoked(RevokedAsk { after: after.take() }))?;
            let EnrolAnswer::Revoked(page) = answer else { return Err(EnrolError::Misfit) };
            after = page.revoked.last().map(|revoked| revoked.holder.clone()).filter(|_| page.more);
            heard.extend(page.revoked.into_iter().map(|revoked| (revoked.holder, revoked.upto)));
            if after.is_none() {
                break;
            }
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = heard;
        Ok(())
    }
}

impl Standing for Revocations {
    fn check(&self, holder: &Identity, certificate: CertificateId) -> Result<(), Denied> {
        match self.0.read().unwrap_or_else(PoisonError::into_inner).get(holder) {
            Some(upto) if certificate <= *upto => Err(Denied::Revoked),
            _ => Ok(()),
        }
    }
}
