//! Join tokens as the configuration server knows them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use units::{CertificateId, Rfc3339, Timestamp, as_text};
use wire::{Identity, TokenId};

use crate::Record;

/// How long a token may be used.
pub const TOKEN_LIFE: Duration = Duration::from_secs(3600);
/// Wrong proofs after which it can't be used any more.
pub const TOKEN_FAILURES_MAX: u8 = 5;

/// A join token. Its secret is not here: it is made of the authority's key when it is needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its number, which is no secret.
    #[serde(with = "as_text")]
    pub id: TokenId,
    /// Who its holder becomes.
    pub identity: Identity,
    /// Until when it may be used.
    pub expires: Rfc3339,
    /// What became of it.
    #[serde(default)]
    pub state: TokenState,
}

/// What became of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenState {
    /// It may be used.
    Open {
        /// Wrong proofs so far.
        failures: u8,
    },
    /// It was used.
    Used {
        /// The SHA-256 of the key that it was used for, as hexadecimal digits.
        key: String,
        /// The first certificate it gave.
        certificate: CertificateId,
    },
    /// Too many wrong proofs came for it.
    Burnt,
}

impl Default for TokenState {
    fn default() -> Self {
        Self::Open { failures: 0 }
    }
}

/// Why a token does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefused {
    /// Its time is over.
    #[error("its time is over")]
    Expired,
    /// Another key was enrolled with it.
    #[error("it was used for another key")]
    Used,
    /// It is burnt.
    #[error("it is burnt: {TOKEN_FAILURES_MAX} wrong proofs came for it")]
    Burnt,
}

impl Record for Token {
    const KIND: &'static str = "token";

    fn name(&self) -> String {
        self.id.to_string()
    }
}

impl Token {
    /// Returns a new token.
    pub fn new(id: TokenId, identity: Identity, now: Timestamp) -> Self {
        Self { id, identity, expires: now.after(TOKEN_LIFE).into(), state: TokenState::default() }
    }

    /// Tells whether it may be used for a key: once, but for the same key again, for an answer that was lost on its way.
    ///
    /// # Errors
    /// It may not.
    pub fn check(&self, now: Timestamp, key: &str) -> Result<(), TokenRefused> {
        match &self.state {
            TokenState::Burnt => Err(TokenRefused::Burnt),
            TokenState::Used { key: used, .. } if used != key => Err(TokenRefused::Used),
            _ if now > self.expires.0 => Err(TokenRefused::Expired),
            _ => Ok(()),
        }
    }

    /// Returns the token as it is once it has given this certificate to a key.
    #[must_use]
    pub fn used(&self, key: &str, certificate: CertificateId) -> Self {
        let state = match &self.state {
            TokenState::Used { .. } => self.state.clone(),
            _ => TokenState::Used { key: key.to_owned(), certificate },
        };
        Self { state, ..self.clone() }
    }

    /// Returns the token as it is after one more wrong proof.
    #[must_use]
    pub fn failed(&self) -> Self {
        let state = match &self.state {
            TokenState::Open { failures } if failures + 1 >= TOKEN_FAILURES_MAX => TokenState::Burnt,
            TokenState::Open { failures } => TokenState::Open { failures: failures + 1 },
            over => over.clone(),
        };
        Self { state, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_796_000_000_000_000);

    fn token() -> Token {
        let identity = "landfall:source:web-01".parse().expect("an identity");
        Token::new(TokenId([7; 16]), identity, NOW)
    }

    #[test]
    fn a_token_is_used_once_within_its_hour() {
        let id = CertificateId::new(NOW, [0; 8]);
        let (token, last) = (token(), NOW.after(TOKEN_LIFE));
        assert_eq!(token.check(last, "a"), Ok(()));
        assert_eq!(token.check(last.after(Duration::from_micros(1)), "a"), Err(TokenRefused::Expired));
        let used = token.used("a", id);
        assert_eq!(used.check(NOW, "a"), Ok(()), "the answer may have been lost");
        assert_eq!(used.check(NOW, "b"), Err(TokenRefused::Used));
        assert_eq!(used.used("a", CertificateId::new(last, [0; 8])), used);
    }

    #[test]
    fn five_wrong_proofs_burn_a_token_and_never_one_that_was_used() {
        let mut burning = token();
        for _ in 0..4 {
            burning = burning.failed();
            assert_eq!(burning.check(NOW, "a"), Ok(()));
        }
        assert_eq!(burning.failed().check(NOW, "a"), Err(TokenRefused::Burnt));
        let used = token().used("a", CertificateId::new(NOW, [0; 8]));
        assert_eq!((0..9).fold(used.clone(), |token, _| token.failed()), used);
    }

    #[test]
    fn a_token_is_kept_as_text_that_shows_no_secret() {
        let text = token().encode();
        let expected = r#"{"id":"07070707070707070707070707070707","identity":"landfall:source:web-01","expires":"2026-11-30T01:53:20Z","state":{"open":{"failures":0}}}"#;
        assert_eq!(text, expected);
        assert_eq!(Token::decode(&token().key(), &text).expect("read"), token());
    }
}
