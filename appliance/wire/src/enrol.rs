//! What a server, source or operator says to a configuration server to get a certificate, to renew it, and to hear whose were
//! revoked. One question, one answer; append-only: a variant or field is never reused or reordered.
//!
//! A frame is a length (u16, little-endian) and a body (postcard).

use heapless::{String, Vec};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use units::CertificateId;

use crate::{Identity, TokenId};

/// The protocol's name in the TLS handshake of those who have no certificate yet.
pub const ALPN_ENROL: &[u8] = b"landfall-enrol/1";
/// Its name in the handshake of those who have one.
pub const ALPN_RENEW: &[u8] = b"landfall-renew/1";
/// Bytes of a body, at most.
pub const ENROL_BODY_LEN_MAX: usize = (16 << 10) - 2;
/// Bytes of a request to sign, at most.
pub const REQUEST_LEN_MAX: usize = 1024;
/// Bytes of a certificate, at most.
pub const CERTIFICATE_LEN_MAX: usize = 2048;
/// Revocations in one answer.
pub const REVOCATIONS_MAX: usize = 100;
/// The label of the TLS exporter that binds a proof to its connection.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-landfall-enrol-1";

/// What is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum EnrolAsk {
    /// Without a certificate: a first one, for a token.
    Join(Box<Join>),
    /// With one: the next one, for the same key.
    Renew(Box<Renew>),
    /// With one: whose certificates no longer count.
    Revoked(RevokedAsk),
}

/// Asks for a first certificate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Join {
    /// Which token; it says the role and name.
    pub token: TokenId,
    /// The request to sign, PKCS #10 in DER. Only its key counts.
    pub request: Vec<u8, REQUEST_LEN_MAX>,
    /// Proves that the asker has the token and is the other end of this very connection.
    pub proof: [u8; 32],
    /// The asker's name and version, for people.
    pub software: String<32>,
}

/// Asks for the next certificate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Renew {
    /// The request to sign, PKCS #10 in DER, with the key of the certificate that is shown.
    pub request: Vec<u8, REQUEST_LEN_MAX>,
}

/// Asks whose certificates no longer count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RevokedAsk {
    /// The last holder of the answer before, to go on behind it.
    pub after: Option<Identity>,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum EnrolAnswer {
    /// The certificate.
    Granted(Box<Granted>),
    /// Whose certificates no longer count.
    Revoked(Box<RevokedPage>),
    /// Nothing was changed, but that a failure may have been counted.
    Refused(Box<EnrolRefused>),
}

/// A certificate that was signed, and is on record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Granted {
    /// It, in DER.
    pub certificate: Vec<u8, CERTIFICATE_LEN_MAX>,
    /// The authority's own, in DER.
    pub authority: Vec<u8, CERTIFICATE_LEN_MAX>,
}

/// Whose certificates no longer count, by holder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RevokedPage {
    /// The holders, in the order of their texts.
    pub revoked: Vec<Revoked, REVOCATIONS_MAX>,
    /// There are more behind the last one.
    pub more: bool,
}

/// The certificates of one holder that no longer count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Revoked {
    /// The holder.
    pub holder: Identity,
    /// All its certificates up to this one, which may not exist itself.
    pub upto: CertificateId,
}

/// Why nothing is granted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnrolRefused {
    /// For programs.
    pub code: EnrolRefusal,
    /// For people.
    pub detail: String<256>,
}

impl EnrolRefused {
    /// Returns a refusal; of the words, what is too long is left out.
    pub fn new(code: EnrolRefusal, words: &str) -> Self {
        let mut detail = String::new();
        // It is full, or all is in it.
        words.chars().all(|letter| detail.push(letter).is_ok());
        Self { code, detail }
    }
}

/// Why nothing is granted, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EnrolRefusal {
    /// The token does not count here: unknown, used, over, burnt, or the proof is wrong. Which of them is not told.
    Token,
    /// The request can't be signed.
    Request,
    /// The certificate was revoked, or its holder is not enrolled.
    Holder,
    /// It can't be asked here.
    Unexpected,
    /// Something failed on the other end; ask again.
    Failed,
}

/// Why bytes are not a question or an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnrolError {
    /// Longer than any.
    #[error("a body of {found} bytes, at most {ENROL_BODY_LEN_MAX} are allowed")]
    TooLong {
        /// The length found.
        found: usize,
    },
    /// Not the encoding of one.
    #[error("the body is not lawful: {reason}")]
    Body {
        /// What the decoder said.
        reason: postcard::Error,
    },
    /// Bytes behind it.
    #[error("{found} bytes behind the end of the body")]
    Rest {
        /// How many.
        found: usize,
    },
}

/// Returns a question as a whole frame.
pub fn encode_ask(ask: &EnrolAsk) -> std::vec::Vec<u8> {
    encode(ask)
}

/// Returns an answer as a whole frame.
pub fn encode_answer(answer: &EnrolAnswer) -> std::vec::Vec<u8> {
    encode(answer)
}

/// Checks the length in front of a body.
///
/// # Errors
/// [`EnrolError::TooLong`].
pub fn enrol_body_len(prefix: [u8; 2]) -> Result<usize, EnrolError> {
    let found = usize::from(u16::from_le_bytes(prefix));
    if found <= ENROL_BODY_LEN_MAX { Ok(found) } else { Err(EnrolError::TooLong { found }) }
}

/// Reads the body of a question.
///
/// # Errors
/// It is none.
pub fn decode_ask(body: &[u8]) -> Result<EnrolAsk, EnrolError> {
    decode(body)
}

/// Reads the body of an answer.
///
/// # Errors
/// It is none.
pub fn decode_answer(body: &[u8]) -> Result<EnrolAnswer, EnrolError> {
    decode(body)
}

fn encode(message: &impl Serialize) -> std::vec::Vec<u8> {
    let body = postcard::to_allocvec(message).expect("a message of bounded fields can be written");
    assert!(body.len() <= ENROL_BODY_LEN_MAX, "every question and answer fits a frame");
    let len = u16::try_from(body.len()).expect("16 KiB fit");
    [&len.to_le_bytes()[..], &body].concat()
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, EnrolError> {
    if body.len() > ENROL_BODY_LEN_MAX {
        return Err(EnrolError::TooLong { found: body.len() });
    }
    let (message, rest) = postcard::take_from_bytes(body).map_err(|reason| EnrolError::Body { reason })?;
    if rest.is_empty() { Ok(message) } else { Err(EnrolError::Rest { found: rest.len() }) }
}
