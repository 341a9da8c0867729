//! Why the other side can't be reached, for people.

use std::io;
use std::time::Duration;

use rustls::Error as TlsError;

use crate::code::Code;
use crate::error::{ApiError, ErrorReply};

/// Where a connection broke.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The name is not known, or nobody listens.
    Tcp(io::Error),
    /// One side does not trust the other.
    Tls(io::Error),
    /// Later.
    Http(hyper::Error),
    /// The other side closed it before it had told the end.
    Ended,
    /// Nothing was heard for so long.
    Silent(Duration),
}

/// Says that `address` can't be reached, why, and what to do.
pub(crate) fn unreachable(address: &str, broken: Broken) -> ErrorReply {
    let what = format!("{address} can't be reached");
    let failed = |code, cause: String| ApiError::new(code, what.clone()).because(cause);
    let error = match broken {
        Broken::Tcp(error) => failed(Code::NotReachable, error.to_string())
            .fixed_by("look at the name, the route and whether landfalld runs there"),
        Broken::Tls(error) => match tls_error(&error) {
            Some(TlsError::AlertReceived(_)) => not_let_in(&what, &error),
            _ => failed(Code::NotReachable, error.to_string())
                .fixed_by("is it the host you logged in to? if it was set up anew: `landfall login` again"),
        },
        Broken::Http(error) => match refusal(&error) {
            Some(alert) => not_let_in(&what, alert),
            None => failed(Code::Disconnected, error.to_string()),
        },
        Broken::Ended => failed(Code::Disconnected, "it closed the connection before it answered".to_owned()),
        Broken::Silent(wait) => {
            failed(Code::Disconnected, format!("it said nothing for {} s", wait.as_secs()))
        }
    };
    error.into()
}

fn not_let_in(what: &str, cause: &io::Error) -> ApiError {
    ApiError::new(Code::NotAuthorised, what)
        .because(format!("it does not accept our certificate: {cause}"))
        .fixed_by("`landfall login` again with a new token")
}

/// With TLS 1.3 a client hears only after its own handshake that it is not let in.
fn refusal(error: &hyper::Error) -> Option<&io::Error> {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(found) = error.downcast_ref::<io::Error>() {
            return matches!(tls_error(found), Some(TlsError::AlertReceived(_))).then_some(found);
        }
        source = error.source();
    }
    None
}

fn tls_error(error: &io::Error) -> Option<&TlsError> {
    error.get_ref()?.downcast_ref()
}
