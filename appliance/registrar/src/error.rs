//! Why nothing was given out.

use catalog::CatalogError;
use pki::{PkiError, RequestError};
use wire::{EnrolRefusal, Identity};

/// Why nothing was given out. Nothing was changed, but that a wrong proof was counted.
#[derive(Debug, thiserror::Error)]
pub enum RegistrarError {
    /// The token does not count.
    #[error("the token does not count: {why}")]
    Token {
        /// Why, for those who run the server.
        why: String,
    },
    /// The request can't be signed.
    #[error("the request can't be signed")]
    Request(#[from] RequestError),
    /// A renewal is for another key than the certificate that was shown.
    #[error("a renewal is for the key of the certificate that is shown; to get another key, join again")]
    OtherKey,
    /// Nobody of this role and name is enrolled.
    #[error("{identity} is not enrolled")]
    Unknown {
        /// Role and name.
        identity: Identity,
    },
    /// The certificate was revoked.
    #[error("the certificates of {identity} were revoked")]
    Revoked {
        /// Role and name.
        identity: Identity,
    },
    /// The catalog can't be read or written.
    #[error("the catalog can't be used")]
    Catalog(#[from] CatalogError),
    /// No certificate could be made.
    #[error("no certificate could be made")]
    Pki(#[from] PkiError),
    /// The system gives no random bytes.
    #[error("no random bytes can be had")]
    Random,
}

impl RegistrarError {
    /// Returns what whoever asked is told.
    pub fn refusal(&self) -> EnrolRefusal {
        match self {
            Self::Token { .. } => EnrolRefusal::Token,
            Self::Request(_) | Self::OtherKey => EnrolRefusal::Request,
            Self::Unknown { .. } | Self::Revoked { .. } => EnrolRefusal::Holder,
            Self::Catalog(_) | Self::Pki(_) | Self::Random => EnrolRefusal::Failed,
        }
    }

    /// Returns the words for whoever asked. Of a token it is not told what is wrong with it: who has it knows, and who has not shall
    /// not learn it.
    pub fn detail(&self) -> String {
        match self {
            Self::Token { .. } => {
                "the token is unknown here, was used, is over an hour old or was tried with wrong proofs"
                    .to_owned()
            }
            Self::Catalog(_) | Self::Pki(_) | Self::Random => "the server could not do it".to_owned(),
            said => said.to_string(),
        }
    }
}
