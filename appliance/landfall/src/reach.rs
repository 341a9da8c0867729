//! How the appliance is reached: over its control socket, or from elsewhere with an operator's certificate.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use control::http::Remote;
use control::{ApiError, Client, Code, ErrorReply};
use link::{Credentials, LinkError};
use pki::CertificateFacts;
use units::Timestamp;
use wire::Role;

use crate::commands::profile;

/// A way to the appliance, as it was typed.
#[derive(Clone, Debug)]
pub(crate) enum Reach {
    /// The control socket.
    Socket(PathBuf),
    /// `HOST:PORT`, with the certificate that `landfall login` got there.
    At(String),
}

impl Reach {
    /// Connects. Errors: nobody answers, not allowed.
    pub(crate) fn connect(&self) -> Result<Client, ErrorReply> {
        match self {
            Self::Socket(path) => Client::connect(path),
            Self::At(address) => {
                let place = profile(address)?;
                let credentials = Credentials::read(&place);
                let credentials = credentials.map_err(|error| not_logged_in(address, &error))?;
                let kept = keep_good(address, &credentials, &place);
                let config = credentials.client_config(&[Role::ConfigurationServer]);
                let config = config.map_err(|error| not_logged_in(address, &error))?;
                let client = Client::by(Remote::connect(address, config)?);
                // Who can't be reached at all is told so once.
                if let Err(cause) = kept {
                    eprintln!("warning: the certificate for {address} is to be renewed and was not: {cause}");
                }
                Ok(client)
            }
        }
    }
}

/// Renews a certificate whose life is half over, as servers do theirs: whoever is at work every few days need not join again. Errors: why
/// not, for people; the certificate stays as it is.
fn keep_good(address: &str, credentials: &Credentials, place: &Path) -> Result<(), String> {
    let own = CertificateFacts::read(place).map_err(|error| chain(&error))?;
    if Timestamp::from_system(SystemTime::now()) < own.half_life() {
        return Ok(());
    }
    enrol::renew(address, credentials, place).map_err(|error| chain(&error))
}

/// An error and what is behind it.
fn chain(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {}", chain(source)))
}

fn not_logged_in(address: &str, error: &LinkError) -> ErrorReply {
    ApiError::new(Code::NotAuthorised, format!("there is no certificate for {address}"))
        .because(chain(error))
        .fixed_by(format!(
            "`landfall login --at {address}` with a token of `landfall server token --role operator`"
        ))
        .into()
}
