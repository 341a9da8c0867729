//! Joining: a token becomes a certificate.

use catalog::{Change, Expect};
use inventory::{Token, TokenState};
use pki::SigningRequest;
use units::Timestamp;
use wire::{Identity, Join, TokenId};

use crate::issue::hexadecimal;
use crate::{Registrar, RegistrarError};

impl Registrar {
    /// Signs for whoever proves, on the connection with this exporter value, to have a token; returns who that is now, and the
    /// certificate in DER. Of the token's use and the certificate both are on record when the call returns, or neither.
    ///
    /// # Errors
    /// The token does not count (a wrong proof is on record then), or the request can't be signed.
    pub fn join(
        &self,
        join: &Join,
        exporter: &[u8; 32],
        now: Timestamp,
    ) -> Result<(Identity, Vec<u8>), RegistrarError> {
        let known = self.tokens.get(&join.token.to_string())?;
        let token = known.ok_or_else(|| refused("it is not known"))?.record;
        // Nothing that a stranger has sent is looked into before this.
        if !self.authority.token_secret(join.token, &token.identity).proves(
            exporter,
            &join.request,
            join.proof,
        ) {
            self.count_failure(join.token)?;
            return Err(refused("the proof is wrong"));
        }
        let request = SigningRequest::read(&join.request)?;
        let key = hexadecimal(&request.key_hash());
        let signed = self.issue(&token.identity, &request, now, |number| {
            // Read again with each attempt: another connection may use it at the same time.
            let row = self.tokens.get(&join.token.to_string())?.ok_or_else(|| refused("it was withdrawn"))?;
            row.record.check(now, &key).map_err(|why| refused(&why.to_string()))?;
            Ok(vec![Change::put(&row.record.used(&key, number), Expect::At(row.revision))])
        })?;
        tracing::info!(id = %join.token, identity = %token.identity, software = %join.software, "joined");
        Ok((token.identity, signed.certificate))
    }

    fn count_failure(&self, id: TokenId) -> Result<(), RegistrarError> {
        let counted =
            self.tokens.update(&id.to_string(), |found| Ok::<_, RegistrarError>(found.map(Token::failed)))?;
        if counted.is_some_and(|token| token.state == TokenState::Burnt) {
            tracing::error!(%id, "join token burnt: wrong proofs came for it; make another");
        }
        Ok(())
    }
}

fn refused(why: &str) -> RegistrarError {
    RegistrarError::Token { why: why.to_owned() }
}
