//! Why the controller can't be reached: the step of connecting that failed, found by taking the steps one after the other.

use std::error::Error;
use std::io::ErrorKind;
use std::time::Duration;

use link::{HandshakeCause, LinkError};
use wire::heartbeat::{Cause, Refusal, Refused};

/// Clocks further apart than this make certificates fail that are good.
const CLOCK_SLACK: Duration = Duration::from_secs(300);

/// Why the controller can't be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// The step that failed.
    pub cause: Cause,
    /// What was tried and what came of it, for people.
    pub detail: String,
}

impl Diagnosis {
    /// Reads it from the failure of a connection. `clock_distance` is how far our clock is from the controller's, if that was heard.
    pub(crate) fn of_link(error: &LinkError, clock_distance: Option<Duration>) -> Self {
        let cause = match error {
            LinkError::Address { .. } => Cause::Name,
            LinkError::Connect { source, .. } if source.kind() == ErrorKind::ConnectionRefused => Cause::Tcp,
            LinkError::Connect { .. } | LinkError::Silent { .. } | LinkError::WriteStall { .. } => {
                Cause::Route
            }
            // The kernel took the connection, and nobody answers.
            LinkError::HandshakeTimeout { .. } => Cause::Process,
            LinkError::Handshake { cause } => of_handshake(cause, clock_distance),
            LinkError::CredentialsRead { .. }
            | LinkError::CredentialsContent { .. }
            | LinkError::KeyExposed { .. }
            | LinkError::OwnIdentity { .. }
            | LinkError::OtherIdentity { .. }
            | LinkError::Credentials { .. } => Cause::Certificate,
            LinkError::Lost | LinkError::CutInFrame | LinkError::Socket(_) | LinkError::Over => {
                Cause::Process
            }
            LinkError::Frame(_) | LinkError::Tls(_) => Cause::Tls,
        };
        Self { cause, detail: with_sources(error) }
    }

    /// Reads it from what the controller said when it ended a session.
    pub(crate) fn of_refusal(refused: &Refused) -> Self {
        let cause = match refused.refusal {
            Refusal::Version => Cause::Version,
            Refusal::NotAuthorised => Cause::Certificate,
            Refusal::Silent => Cause::Route,
            Refusal::Malformed => Cause::Tls,
            Refusal::Replaced | Refusal::Stopping | Refusal::Full => Cause::Process,
        };
        Self { cause, detail: refused.detail.as_str().to_owned() }
    }

    /// The controller said goodbye, or vanished without a word.
    pub(crate) fn ended(detail: &str) -> Self {
        Self { cause: Cause::Process, detail: detail.to_owned() }
    }
}

fn of_handshake(cause: &HandshakeCause, clock_distance: Option<Duration>) -> Cause {
    let apart = clock_distance.is_some_and(|distance| distance > CLOCK_SLACK);
    match cause {
        HandshakeCause::NotYetValid => Cause::Clock,
        HandshakeCause::Expired | HandshakeCause::RefusedByPeer { .. } if apart => Cause::Clock,
        HandshakeCause::WrongProtocol | HandshakeCause::OldTls | HandshakeCause::NotTls { .. } => Cause::Tls,
        HandshakeCause::Closed => Cause::Tls,
        HandshakeCause::RefusedByPeer { alert } if is_about_protocol(*alert) => Cause::Tls,
        _ => Cause::Certificate,
    }
}

fn is_about_protocol(alert: link::Alert) -> bool {
    matches!(alert, link::Alert::NoApplicationProtocol | link::Alert::ProtocolVersion)
}

/// Writes an error and what is behind it, one line.
pub(crate) fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    fn cause(error: LinkError, apart: Option<u64>) -> Cause {
        Diagnosis::of_link(&error, apart.map(Duration::from_secs)).cause
    }

    fn connect(kind: ErrorKind) -> LinkError {
        LinkError::Connect { address: "home:443".to_owned(), source: io::Error::from(kind) }
    }

    #[test]
    fn each_step_of_connecting_is_told_from_the_others() {
        let handshake = |cause| LinkError::Handshake { cause };
        let name = LinkError::Address { address: "x".to_owned(), source: ErrorKind::NotFound.into() };
        assert_eq!(cause(name, None), Cause::Name);
        assert_eq!(cause(connect(ErrorKind::TimedOut), None), Cause::Route);
        assert_eq!(cause(connect(ErrorKind::HostUnreachable), None), Cause::Route);
        assert_eq!(cause(connect(ErrorKind::ConnectionRefused), None), Cause::Tcp);
        let late = LinkError::HandshakeTimeout { peer: String::new(), after: Duration::from_secs(5) };
        assert_eq!(cause(late, None), Cause::Process);
        assert_eq!(cause(handshake(HandshakeCause::OldTls), None), Cause::Tls);
        assert_eq!(cause(handshake(HandshakeCause::UnknownAuthority), None), Cause::Certificate);
        assert_eq!(cause(handshake(HandshakeCause::NotYetValid), None), Cause::Clock);
    }

    #[test]
    fn an_expired_certificate_is_the_clocks_fault_only_where_the_clocks_differ() {
        let expired = || LinkError::Handshake { cause: HandshakeCause::Expired };
        assert_eq!(cause(expired(), None), Cause::Certificate);
        assert_eq!(cause(expired(), Some(20)), Cause::Certificate);
        assert_eq!(cause(expired(), Some(7200)), Cause::Clock);
    }

    #[test]
    fn the_words_name_what_is_behind_the_failure() {
        let found = Diagnosis::of_link(&connect(ErrorKind::ConnectionRefused), None);
        assert_eq!(found.detail, "can't connect to home:443: connection refused");
    }
}
