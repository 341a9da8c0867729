//! `landfall pki init|issue`

use std::error::Error;

use control::{ApiError, Code, ErrorReply};
use pki::{IssueRequest, PkiError};
use serde::Serialize;
use wire::Identity;

use crate::arguments::PkiCommand;
use crate::screen::{Ending, Screen};

/// What `init` made, for programs.
#[derive(Serialize)]
struct Made {
    certificate: String,
    key: String,
}

/// What `issue` made, for programs.
#[derive(Serialize)]
struct IssuedFiles {
    identity: String,
    not_before: String,
    not_after: String,
    directory: String,
}

/// Makes the authority or a certificate.
pub(super) fn run(screen: &Screen, command: PkiCommand) -> Result<Ending, ErrorReply> {
    match command {
        PkiCommand::Init { ca } => {
            let authority =
                pki::init(&ca).map_err(|error| refused("no certificate authority was made", &error))?;
            let [certificate, key] =
                [authority.certificate, authority.key].map(|path| path.display().to_string());
            screen.show(&Made { certificate, key }, |made, _| {
                format!(
                    "certificate  {}\nkey          {}\nkeep the key secret: whoever has it can make certificates\n",
                    made.certificate, made.key
                )
            })?;
        }
        PkiCommand::Issue { ca, role, name, days, out } => {
            let request = IssueRequest::for_days(&ca, Identity { role, name }, days, &out);
            let issued = request
                .and_then(|request| pki::issue(&request))
                .map_err(|error| refused("no certificate was made", &error))?;
            let files = IssuedFiles {
                identity: issued.identity.to_string(),
                not_before: issued.validity.not_before.to_string(),
                not_after: issued.validity.not_after.to_string(),
                directory: issued.directory.display().to_string(),
            };
            screen.show(&files, |files, _| {
                format!(
                    "identity   {}\ndirectory  {} (ca.pem, cert.pem, key.pem)\nuntil      {}\n",
                    files.identity, files.directory, files.not_after
                )
            })?;
        }
    }
    Ok(Ending::Done)
}

fn refused(what: &str, error: &PkiError) -> ErrorReply {
    let code = match error {
        PkiError::Exists { .. } => Code::PkiExists,
        PkiError::Days { .. } => Code::BadArgument,
        _ => Code::PkiFailed,
    };
    let mut cause = error.to_string();
    let mut source = error.source();
    while let Some(deeper) = source {
        cause = format!("{cause}: {deeper}");
        source = deeper.source();
    }
    ApiError::new(code, what).because(cause).into()
}
