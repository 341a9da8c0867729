//! `landfall login`

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use control::{ApiError, Code, ErrorReply};
use enrol::EnrolError;
use serde::Serialize;
use wire::{JoinToken, Role};
use zeroize::Zeroizing;

use crate::arguments::server::LoginArguments;
use crate::prompt;
use crate::screen::{Ending, Screen};

/// Characters of a file with a token, at most.
const TOKEN_FILE_LEN_MAX: u64 = 4096;

/// Who one is now, for programs.
#[derive(Serialize)]
struct LoggedIn {
    identity: String,
    until: String,
    directory: String,
}

/// Turns a token into an operator's certificate.
pub(super) fn login(
    screen: &Screen,
    at: Option<&str>,
    wanted: &LoginArguments,
) -> Result<Ending, ErrorReply> {
    let nowhere = || {
        ApiError::new(Code::BadArgument, "nobody was logged in")
            .because("it is not said where")
            .fixed_by("add --at HOST")
    };
    let at = at.ok_or_else(|| ErrorReply::from(nowhere()))?;
    let token = read_token(screen, wanted.token_file.as_deref())?;
    if token.identity.role != Role::Operator {
        let what = format!("the token is for the role {}, not for an operator", token.identity.role);
        return Err(ApiError::new(Code::BadArgument, what).into());
    }
    let place = profile(at)?;
    let software = concat!("landfall ", env!("CARGO_PKG_VERSION"));
    let facts = enrol::join(at, &token, &place, software).map_err(|error| refused(&error))?;
    let done = LoggedIn {
        identity: facts.identity.to_string(),
        until: facts.not_after.to_string(),
        directory: place.display().to_string(),
    };
    screen.show(&done, |done, _| {
        format!(
            "identity   {}\ndirectory  {} (ca.pem, cert.pem, key.pem)\nuntil      {}\n",
            done.identity, done.directory, done.until
        )
    })?;
    Ok(Ending::Done)
}

/// Returns where the certificate for an appliance lies. Errors: there is no home directory.
pub(crate) fn profile(at: &str) -> Result<PathBuf, ErrorReply> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = set("LANDFALL_CONFIG")
        .or_else(|| set("XDG_CONFIG_HOME").map(|path| path.join("landfall")))
        .or_else(|| set("HOME").map(|path| path.join(".config/landfall")));
    let none =
        || ApiError::new(Code::BadArgument, "there is no home directory").fixed_by("set LANDFALL_CONFIG");
    // An address can name no other directory: of what it holds only this is kept as it is.
    let kept = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.');
    let name: String = at.chars().map(|letter| if kept(letter) { letter } else { '_' }).collect();
    Ok(home.ok_or_else(none)?.join(format!("at-{name}")))
}

fn read_token(screen: &Screen, file: Option<&Path>) -> Result<JoinToken, ErrorReply> {
    let mut text = Zeroizing::new(String::new());
    let failed = |error: io::Error| {
        ErrorReply::from(ApiError::new(Code::BadArgument, "the token can't be read").because(error))
    };
    match file {
        Some(path) if path == Path::new("-") => {
            io::stdin().take(TOKEN_FILE_LEN_MAX).read_to_string(&mut text).map_err(failed)?;
        }
        Some(path) => {
            let file = File::open(path).map_err(failed)?;
            file.take(TOKEN_FILE_LEN_MAX).read_to_string(&mut text).map_err(failed)?;
        }
        None => *text = prompt::secret(screen, "Join token: ")?,
    }
    let malformed =
        |error| ErrorReply::from(ApiError::new(Code::TokenMalformed, "nobody was logged in").because(error));
    JoinToken::read(&text).map_err(malformed)
}

fn refused(error: &EnrolError) -> ErrorReply {
    let code = match error {
        EnrolError::Refused { .. } | EnrolError::Stranger { .. } => Code::JoinRefused,
        _ => Code::JoinFailed,
    };
    let cause = match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    ApiError::new(code, "nobody was logged in").because(cause).into()
}
