//! Why there is no link, or none any more.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError};
use wire::{FrameError, Identity, IdentityError, Role};

/// Why there is no link, or none any more. After an error a link is of no use, but what the peer sent before can still
/// be received: a `Refused` may explain a connection that was lost while sending.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// A file of the credentials can't be read.
    #[error("can't read {path}")]
    CredentialsRead {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the credentials does not hold what it should.
    #[error("{path} does not hold {expected}")]
    CredentialsContent {
        /// The file.
        path: PathBuf,
        /// What was expected.
        expected: &'static str,
    },
    /// Others than its owner may use the key.
    #[error("{path} has mode {mode:o} and may be read by everyone; use mode 600")]
    KeyExposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The identity in our own certificate is missing or of another form.
    #[error("the certificate in {path} has no identity of ours")]
    OwnIdentity {
        /// The file.
        path: PathBuf,
        /// What it has.
        source: HandshakeCause,
    },
    /// The certificate that should replace ours is of somebody else.
    #[error("the new certificate is of {found}, not of {expected}")]
    OtherIdentity {
        /// Who we are.
        expected: Identity,
        /// Whom it speaks for.
        found: Identity,
    },
    /// The credentials don't fit together.
    #[error("the certificate, its key and the authority can't be used together")]
    Credentials {
        /// What the TLS library said.
        source: rustls::Error,
    },
    /// The address is not host:port, or its name is not known.
    #[error("can't find {address}")]
    Address {
        /// The address given.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody took the connection.
    #[error("can't connect to {address}")]
    Connect {
        /// The address given.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The handshake did not end in time.
    #[error("no handshake with {peer} within {after:?}")]
    HandshakeTimeout {
        /// The address of the peer.
        peer: String,
        /// The budget.
        after: Duration,
    },
    /// One of the two ends refused the other.
    #[error("the TLS handshake failed: {cause}")]
    Handshake {
        /// Which end and why.
        cause: HandshakeCause,
    },
    /// Nothing was heard of the peer for too long.
    #[error("nothing was heard of the peer for {after:?}")]
    Silent {
        /// The limit.
        after: Duration,
    },
    /// The peer did not take what was sent.
    #[error("the peer took nothing for {after:?} with {queued} bytes to send")]
    WriteStall {
        /// The limit.
        after: Duration,
        /// Bytes not taken.
        queued: usize,
    },
    /// The connection ended between two frames without the peer closing it.
    #[error("the connection was cut without a goodbye")]
    Lost,
    /// The connection ended inside a frame.
    #[error("the connection ended inside a frame")]
    CutInFrame,
    /// The peer sent what is not a frame.
    #[error("the peer sent a malformed frame")]
    Frame(#[from] FrameError),
    /// The socket failed.
    #[error("the socket failed")]
    Socket(#[source] io::Error),
    /// The link has failed before; that error said why.
    #[error("the link is over")]
    Over,
    /// The peer broke the rules of TLS after the handshake.
    #[error("the peer broke the rules of TLS")]
    Tls(#[source] rustls::Error),
}

impl LinkError {
    /// Tells whether connecting again can help without anyone changing anything.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Address { .. }
            | Self::HandshakeTimeout { .. }
            | Self::Silent { .. }
            | Self::WriteStall { .. }
            | Self::Lost
            | Self::CutInFrame
            | Self::Socket(_)
            | Self::Over
            | Self::Tls(_) => true,
            Self::CredentialsRead { .. }
            | Self::CredentialsContent { .. }
            | Self::KeyExposed { .. }
            | Self::OwnIdentity { .. }
            | Self::OtherIdentity { .. }
            | Self::Credentials { .. }
            | Self::Handshake { .. }
            | Self::Frame(_) => false,
        }
    }

    /// Sorts an error of the TLS library: a refusal by either end, or a broken rule.
    pub(crate) fn from_tls(error: rustls::Error) -> Self {
        match HandshakeCause::from_tls(&error) {
            Some(cause) => Self::Handshake { cause },
            None => Self::Tls(error),
        }
    }
}

/// Why one end refused the other in the handshake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeCause {
    /// Its certificate is of another authority.
    #[error("the peer's certificate was not issued by our certificate authority")]
    UnknownAuthority,
    /// Its certificate is too old.
    #[error("the peer's certificate has expired")]
    Expired,
    /// Its certificate is too new, or a clock is wrong.
    #[error("the peer's certificate is not valid yet; compare the clocks of both machines")]
    NotYetValid,
    /// It has no certificate.
    #[error("the peer sent no certificate")]
    NoCertificate,
    /// Its certificate is unusable for another reason.
    #[error("the peer's certificate is not acceptable: {reason}")]
    BadCertificate {
        /// What the TLS library said.
        reason: String,
    },
    /// Its certificate does not say who it is.
    #[error("the peer's certificate has {found} landfall identities, expected one")]
    IdentityCount {
        /// How many it has.
        found: usize,
    },
    /// Its certificate says who it is in a form we don't know.
    #[error("the peer's certificate has no valid identity: {0}")]
    Identity(#[from] IdentityError),
    /// It may not be at the other end of this connection.
    #[error("the peer's certificate is of role {found}, expected {}", listed(expected))]
    WrongRole {
        /// The role it has.
        found: Role,
        /// The roles wanted.
        expected: Vec<Role>,
    },
    /// Its certificate was revoked.
    #[error("the peer's certificate was revoked")]
    Revoked,
    /// Its certificate is ours, but nobody knows it.
    #[error("{holder} is not enrolled here")]
    NotEnrolled {
        /// Who it says it is.
        holder: Identity,
    },
    /// It speaks another protocol, or does not say which.
    #[error("the peer does not offer the protocol of this connection")]
    WrongProtocol,
    /// It speaks an older TLS.
    #[error("the peer does not offer TLS 1.3 with our cipher suites")]
    OldTls,
    /// What it sent is not TLS.
    #[error("the peer does not speak TLS: {reason}")]
    NotTls {
        /// What the TLS library said.
        reason: String,
    },
    /// It closed the connection before the handshake was complete.
    #[error("the peer closed the connection during the handshake")]
    Closed,
    /// It refused us.
    #[error("the peer refused us: {}", alert_words(*alert))]
    RefusedByPeer {
        /// The alert it sent.
        alert: AlertDescription,
    },
}

impl HandshakeCause {
    /// Returns what kind of refusal an error of the TLS library is, or `None` if it is none.
    fn from_tls(error: &rustls::Error) -> Option<Self> {
        use rustls::Error as E;
        let reason = || error.to_string();
        Some(match error {
            E::InvalidCertificate(certificate) => Self::from_certificate_error(certificate),
            E::NoCertificatesPresented => Self::NoCertificate,
            E::NoApplicationProtocol => Self::WrongProtocol,
            E::PeerIncompatible(_) => Self::OldTls,
            E::InvalidMessage(_)
            | E::InappropriateMessage { .. }
            | E::InappropriateHandshakeMessage { .. } => Self::NotTls { reason: reason() },
            E::AlertReceived(alert) => Self::RefusedByPeer { alert: *alert },
            _ => return None,
        })
    }

    fn from_certificate_error(error: &CertificateError) -> Self {
        use CertificateError as C;
        match error {
            C::UnknownIssuer | C::BadSignature => Self::UnknownAuthority,
            C::Expired | C::ExpiredContext { .. } => Self::Expired,
            C::NotValidYet | C::NotValidYetContext { .. } => Self::NotYetValid,
            C::Revoked => Self::Revoked,
            C::Other(other) => match other.0.downcast_ref::<Self>() {
                Some(cause) => cause.clone(),
                None => Self::BadCertificate { reason: error.to_string() },
            },
            _ => Self::BadCertificate { reason: error.to_string() },
        }
    }
}

fn listed(roles: &[Role]) -> String {
    roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" or ")
}

/// Says what an alert of the peer means for us.
fn alert_words(alert: AlertDescription) -> String {
    let words = match alert {
        AlertDescription::UnknownCA => "our certificate is of another certificate authority",
        AlertDescription::CertificateExpired => "our certificate has expired or is not valid yet",
        AlertDescription::CertificateRequired => "it demands a certificate",
        AlertDescription::CertificateUnknown | AlertDescription::AccessDenied => {
            "the role or name in our certificate is not allowed there"
        }
        AlertDescription::CertificateRevoked => "our certificate was revoked",
        AlertDescription::DecryptError => {
            "the signature of our certificate is wrong for its certificate authority"
        }
        AlertDescription::NoApplicationProtocol => "it does not speak the protocol of this connection",
        AlertDescription::ProtocolVersion => "it does not speak TLS 1.3",
        other => return format!("alert {other:?}"),
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_peer_alerts_is_said_in_words() {
        let error = LinkError::from_tls(rustls::Error::AlertReceived(AlertDescription::CertificateExpired));
        let words =
            "the TLS handshake failed: the peer refused us: our certificate has expired or is not valid yet";
        assert_eq!(error.to_string(), words);
        assert!(!error.is_temporary());
    }
}
