//! `landfall-source join`: a token becomes this machine's certificate.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::process::ExitCode;

use enrol::EnrolError;
use source::Outcome;
use wire::{JoinToken, Role};
use zeroize::Zeroizing;

use crate::arguments::Join;
use crate::ending::exit_code;
use crate::screen::Screen;

/// Characters of a file with a token, at most.
const TOKEN_FILE_LEN_MAX: u64 = 4096;

/// Joins, and shows who this machine is now.
pub(crate) fn join(arguments: &Join, screen: &mut Screen) -> ExitCode {
    let token = match read(&arguments.token_file) {
        Ok(token) => token,
        Err(cause) => {
            screen.fail(
                &format!("no token can be read from {}", arguments.token_file.display()),
                Some(&cause),
                "give the file with the whole line that `landfall server token` has written",
            );
            return exit_code(Outcome::Failed);
        }
    };
    let role = token.identity.role;
    if role != Role::Source {
        let fix = "have one made with `landfall server token --role source`";
        screen.fail(&format!("the token is for the role {role}, not for a source"), None, fix);
        return exit_code(Outcome::Refused);
    }
    let software = concat!("landfall-source ", env!("CARGO_PKG_VERSION"));
    match enrol::join(&arguments.at, &token, &arguments.identity, software) {
        Ok(facts) => screen.joined(&facts.identity.to_string(), &facts.not_after.to_string()),
        Err(error) => fail(&error, &arguments.at, screen),
    }
}

fn read(path: &Path) -> Result<JoinToken, String> {
    let mut text = Zeroizing::new(String::new());
    let read = if path == Path::new("-") {
        io::stdin().take(TOKEN_FILE_LEN_MAX).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(TOKEN_FILE_LEN_MAX).read_to_string(&mut text))
    };
    read.map_err(|error| error.to_string())?;
    JoinToken::read(&text).map_err(|error| error.to_string())
}

fn fail(error: &EnrolError, at: &str, screen: &mut Screen) -> ExitCode {
    let (outcome, fix) = match error {
        EnrolError::Refused { .. } | EnrolError::Stranger { .. } => (
            Outcome::NotAuthorised,
            "have another token made with `landfall server token`, and check the address",
        ),
        EnrolError::Reach(_) | EnrolError::Handshake(_) | EnrolError::Cut(_) => (
            Outcome::NotReachable,
            "see that the appliance runs and that port 443 is open, then try again: the token still counts",
        ),
        _ => (Outcome::Failed, "put that right, then try again: the token still counts"),
    };
    let cause = match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    screen.fail(&format!("this machine did not join {at}"), Some(&cause), fix);
    exit_code(outcome)
}
