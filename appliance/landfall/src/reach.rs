//! How the appliance is reached: over its control socket, or from elsewhere with an operator's certificate.

use std::path::PathBuf;

use control::http::Remote;
use control::{ApiError, Client, Code, ErrorReply};
use link::{Credentials, LinkError};
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
                let config = credentials(address)?.client_config(&[Role::ConfigurationServer]);
                let config = config.map_err(|error| not_logged_in(address, &error))?;
                Ok(Client::by(Remote::connect(address, config)?))
            }
        }
    }
}

fn credentials(address: &str) -> Result<Credentials, ErrorReply> {
    Credentials::read(&profile(address)?).map_err(|error| not_logged_in(address, &error))
}

fn not_logged_in(address: &str, error: &LinkError) -> ErrorReply {
    let source = std::error::Error::source(error).map_or_else(String::new, |source| format!(": {source}"));
    ApiError::new(Code::NotAuthorised, format!("there is no certificate for {address}"))
        .because(format!("{error}{source}"))
        .fixed_by(format!(
            "`landfall login --at {address}` with a token of `landfall server token --role operator`"
        ))
        .into()
}
