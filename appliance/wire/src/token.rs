//! Join tokens: what a person carries from a configuration server to whoever is to join.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use units::MachineName;
use zeroize::{Zeroize, Zeroizing};

use crate::{Identity, Role};

/// The beginning of every token's text; it tells the version.
const PREFIX: &str = "landfall1-";
/// Characters of a token's text, at most.
const TEXT_LEN_MAX: usize = 256;

/// The number of a token: 16 random bytes, written as 32 hexadecimal digits. It is no secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TokenId(pub [u8; 16]);

/// The secret of a token. It has no `Debug` and no `Display`, and is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenSecret(pub [u8; 16]);

impl Drop for TokenSecret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// A join token: whoever has it may become who it says, once. It has no `Debug` and no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// Which one it is.
    pub id: TokenId,
    /// Proves that one has it.
    pub secret: TokenSecret,
    /// Who one becomes.
    pub identity: Identity,
    /// The SHA-256 of the public key of the authority (its SubjectPublicKeyInfo in DER): who else is there is not trusted.
    pub authority: [u8; 32],
}

/// Why a text is not a token. It holds nothing of the text, which may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not one at all.
    #[error("it is not a join token: one begins with {PREFIX}")]
    Form,
    /// Cut, or mistyped.
    #[error("the join token is damaged; copy it whole")]
    Damaged,
}

/// What a token's text holds, behind the prefix: this in postcard, then a CRC-32C of it.
#[derive(Serialize, Deserialize)]
struct Body {
    id: TokenId,
    secret: [u8; 16],
    authority: [u8; 32],
    role: u8,
    name: MachineName,
}

impl JoinToken {
    /// Returns the text that a person carries.
    pub fn text(&self) -> Zeroizing<String> {
        let role =
            Role::ALL.iter().position(|role| *role == self.identity.role).expect("all roles are listed");
        let body = Body {
            id: self.id,
            secret: self.secret.0,
            authority: self.authority,
            role: u8::try_from(role).expect("there are few roles"),
            name: self.identity.name.clone(),
        };
        let mut bytes = Zeroizing::new(postcard::to_allocvec(&body).expect("a body can be written"));
        let sum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        let mut text = Zeroizing::new(PREFIX.to_owned());
        URL_SAFE_NO_PAD.encode_string(&*bytes, &mut text);
        text
    }

    /// Reads a text; blanks around it don't count.
    ///
    /// # Errors
    /// It is no token, or a damaged one.
    pub fn read(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let coded = text.strip_prefix(PREFIX).ok_or(TokenError::Form)?;
        if text.len() > TEXT_LEN_MAX {
            return Err(TokenError::Damaged);
        }
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(coded).map_err(|_| TokenError::Damaged)?);
        let (body, sum) = bytes.split_last_chunk::<4>().ok_or(TokenError::Damaged)?;
        if crc32c::crc32c(body) != u32::from_le_bytes(*sum) {
            return Err(TokenError::Damaged);
        }
        let (body, rest) = postcard::take_from_bytes::<Body>(body).map_err(|_| TokenError::Damaged)?;
        let role = Role::ALL.get(usize::from(body.role)).filter(|_| rest.is_empty());
        let identity = Identity { role: *role.ok_or(TokenError::Damaged)?, name: body.name };
        Ok(Self { id: body.id, secret: TokenSecret(body.secret), identity, authority: body.authority })
    }
}

impl TokenSecret {
    /// Returns what proves, on the connection with this exporter value, that one has the token and asks for this request to be
    /// signed. The other end computes the same; compare as [`TokenSecret::proves`] does.
    pub fn proof(&self, exporter: &[u8; 32], request: &[u8]) -> [u8; 32] {
        *self.hash(exporter, request).as_bytes()
    }

    /// Tells whether this is the proof, in a time that says nothing of where it differs.
    pub fn proves(&self, exporter: &[u8; 32], request: &[u8], proof: [u8; 32]) -> bool {
        self.hash(exporter, request) == blake3::Hash::from_bytes(proof)
    }

    fn hash(&self, exporter: &[u8; 32], request: &[u8]) -> blake3::Hash {
        let key = Zeroizing::new(blake3::derive_key("landfall 2026 proof of a join token", &self.0));
        let mut hasher = blake3::Hasher::new_keyed(&key);
        hasher.update(exporter).update(request);
        hasher.finalize()
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl FromStr for TokenId {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let lawful = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| lawful).ok_or(TokenError::Form)?;
        Ok(Self(number.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> JoinToken {
        let identity = "landfall:source:web-01".parse().expect("an identity");
        JoinToken { id: TokenId([1; 16]), secret: TokenSecret([2; 16]), identity, authority: [3; 32] }
    }

    #[test]
    fn a_token_survives_being_carried() {
        let text = token().text();
        assert_eq!(
            &**text,
            "landfall1-AQEBAQEBAQEBAQEBAQEBAQICAgICAgICAgICAgICAgIDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwAGd2ViLTAxhlYLKw"
        );
        assert!(JoinToken::read(&format!(" {}\n", *text)).is_ok_and(|read| read == token()));
    }

    #[test]
    fn a_token_with_one_wrong_character_or_cut_is_refused() {
        let text = token().text();
        assert_eq!(JoinToken::read("").err(), Some(TokenError::Form));
        for at in 0..text.len() {
            assert!(JoinToken::read(&text[..at]).is_err(), "cut at {at}");
            let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
            let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            assert!(JoinToken::read(&changed).is_err(), "changed at {at}");
        }
        assert!(JoinToken::read(&format!("{}A", *text)).is_err());
    }

    #[test]
    fn a_proof_is_of_one_secret_one_connection_and_one_request() {
        let (secret, exporter) = (TokenSecret([2; 16]), [4; 32]);
        let proof = secret.proof(&exporter, b"request");
        assert!(secret.proves(&exporter, b"request", proof));
        assert!(!TokenSecret([3; 16]).proves(&exporter, b"request", proof));
        assert!(!secret.proves(&[5; 32], b"request", proof));
        assert!(!secret.proves(&exporter, b"requesu", proof));
    }
}
