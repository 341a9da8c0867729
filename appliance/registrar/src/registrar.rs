//! The registrar: tokens, revocations, and what there is to see.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use catalog::{Catalog, CatalogError, Table};
use inventory::{Holder, Revision, Token};
use pki::Authority;
use units::{CertificateId, Timestamp};
use wire::{Identity, JoinToken, TokenId};

use crate::{Register, RegistrarError};

/// Between two looks whether the registrar is still needed.
const WATCH_WAIT: Duration = Duration::from_secs(2);
/// After a catalog that could not be watched.
const WATCH_PAUSE: Duration = Duration::from_secs(1);

/// On what terms certificates are given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long a certificate is good.
    pub life: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self { life: Duration::from_secs(7 * 86_400) }
    }
}

/// Gives out certificates, and takes them back. Its calls block on the catalog.
#[derive(Debug)]
pub struct Registrar {
    pub(crate) authority: Authority,
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) holders: Table<Holder>,
    pub(crate) tokens: Table<Token>,
    pub(crate) terms: Terms,
    register: Arc<Register>,
}

impl Registrar {
    /// Reads who is enrolled, and follows the catalog from then on.
    ///
    /// # Errors
    /// The catalog can't be read.
    pub fn open(
        authority: Authority,
        catalog: Arc<dyn Catalog>,
        terms: Terms,
    ) -> Result<Arc<Self>, RegistrarError> {
        let (holders, tokens) = (Table::new(catalog.clone()), Table::new(catalog.clone()));
        let register = Arc::new(Register::default());
        let read = refill(&register, &holders)?;
        let (followed, watched) = (Arc::downgrade(&register), holders.clone());
        std::thread::Builder::new()
            .name("register".to_owned())
            .spawn(move || follow(&followed, &watched, read))
            .map_err(|_| RegistrarError::Random)?;
        Ok(Arc::new(Self { authority, catalog, holders, tokens, terms, register }))
    }

    /// Returns who knows who may come.
    pub fn register(&self) -> Arc<Register> {
        Arc::clone(&self.register)
    }

    /// Returns the authority's certificate in DER.
    pub fn authority(&self) -> &[u8] {
        self.authority.certificate()
    }

    /// Makes a join token for somebody; it is on record when the call returns. Tokens that are over are forgotten.
    ///
    /// # Errors
    /// The catalog can't be written.
    pub fn token(&self, identity: &Identity, now: Timestamp) -> Result<JoinToken, RegistrarError> {
        self.forget_tokens(now)?;
        let mut id = TokenId([0; 16]);
        SystemRandom::new().fill(&mut id.0).map_err(|_| RegistrarError::Random)?;
        self.tokens.insert(&Token::new(id, identity.clone(), now))?;
        tracing::info!(%id, %identity, "join token made");
        Ok(self.authority.token(id, identity))
    }

    /// Revokes all certificates of a holder, and ends its tokens; on record when the call returns, and in force on this server at
    /// once. Whoever joins under its role and name later is let in.
    ///
    /// # Errors
    /// Nobody of this role and name is enrolled, or the catalog can't be written.
    pub fn revoke(
        &self,
        identity: &Identity,
        reason: &str,
        now: Timestamp,
    ) -> Result<Holder, RegistrarError> {
        for row in self.tokens.list()?.rows.iter().filter(|row| row.record.identity == *identity) {
            self.tokens.remove(&row.record.id.to_string(), catalog::Expect::Any)?;
        }
        let name = Holder::name_of(identity);
        let unknown = || RegistrarError::Unknown { identity: identity.clone() };
        let revoked = self.holders.update(&name, |found| {
            let holder = found.ok_or_else(unknown)?.clone();
            Ok::<_, RegistrarError>(Some(holder.revoke(now, reason.to_owned())))
        })?;
        let holder = revoked.ok_or_else(unknown)?;
        self.register.put(&holder);
        tracing::warn!(%identity, reason, "certificates revoked");
        Ok(holder)
    }

    /// Returns everybody who is or was enrolled, by role and name.
    ///
    /// # Errors
    /// The catalog can't be read.
    pub fn holders(&self) -> Result<Vec<Holder>, RegistrarError> {
        Ok(self.holders.list()?.rows.into_iter().map(|row| row.record).collect())
    }

    /// Returns the revocations behind a holder, in the order of their texts.
    pub fn revocations(&self, after: Option<&Identity>) -> Vec<(Identity, CertificateId)> {
        self.register.revocations(after)
    }

    /// Takes in a holder that was changed here.
    pub(crate) fn know(&self, holder: &Holder) {
        self.register.put(holder);
    }

    fn forget_tokens(&self, now: Timestamp) -> Result<(), CatalogError> {
        let over = |token: &Token| now.since(token.expires.0) > inventory::TOKEN_LIFE;
        for row in self.tokens.list()?.rows.iter().filter(|row| over(&row.record)) {
            self.tokens.remove(&row.record.id.to_string(), catalog::Expect::Any)?;
        }
        Ok(())
    }
}

fn refill(register: &Register, holders: &Table<Holder>) -> Result<Revision, CatalogError> {
    let rows = holders.list()?;
    let listed: Vec<_> = rows.rows.into_iter().map(|row| row.record).collect();
    register.replace(&listed);
    Ok(rows.revision)
}

/// Keeps a register as the catalog is, for as long as anybody uses it.
fn follow(register: &std::sync::Weak<Register>, holders: &Table<Holder>, mut read: Revision) {
    while let Some(known) = register.upgrade() {
        drop(known);
        if let Err(error) = follow_from(register, holders, read) {
            tracing::warn!(%error, "the register does not follow the catalog; reading it anew");
            std::thread::sleep(WATCH_PAUSE);
            if let Some(known) = register.upgrade() {
                // If this fails too, the watch fails next, and it is tried again.
                read = refill(&known, holders).unwrap_or(read);
            }
        }
    }
}

fn follow_from(
    register: &std::sync::Weak<Register>,
    holders: &Table<Holder>,
    read: Revision,
) -> Result<(), CatalogError> {
    let mut changes = holders.watch(read)?;
    while let Some(known) = register.upgrade() {
        for change in changes.next(WATCH_WAIT)? {
            match change.row {
                Some(row) => known.put(&row.record),
                None => known.remove(change.key.name()),
            }
        }
    }
    Ok(())
}
