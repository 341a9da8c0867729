//! Passphrases: from a terminal, a file, or a descriptor; never from the command line.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use control::{ApiError, Code, ErrorReply};
use zeroize::Zeroizing;

use crate::arguments::PassphraseArguments;
use crate::prompt;
use crate::screen::Screen;

/// Bytes of the longest passphrase file.
const LEN_MAX: u64 = 4096;

/// Returns the passphrase of something that is there.
pub(super) fn known(screen: &Screen, wanted: &PassphraseArguments) -> Result<Zeroizing<String>, ErrorReply> {
    match &wanted.passphrase_file {
        Some(path) => read(path),
        None => prompt::hidden(screen, "Passphrase: ").map(Zeroizing::new),
    }
}

/// Returns the passphrase of something that is to be made; where it is typed, it is typed twice.
pub(super) fn new(screen: &Screen, wanted: &PassphraseArguments) -> Result<Zeroizing<String>, ErrorReply> {
    let first = known(screen, wanted)?;
    if wanted.passphrase_file.is_none() && *prompt::hidden(screen, "Again: ").map(Zeroizing::new)? != *first {
        return Err(ApiError::new(Code::Passphrase, "nothing was done").because("the two differ").into());
    }
    Ok(first)
}

fn read(path: &Path) -> Result<Zeroizing<String>, ErrorReply> {
    let failed = |error| {
        let what = format!("the passphrase can't be read from {}", path.display());
        ErrorReply::from(ApiError::new(Code::Passphrase, what).because(error))
    };
    let mut text = Zeroizing::new(String::new());
    if path == Path::new("-") {
        std::io::stdin().take(LEN_MAX).read_to_string(&mut text).map_err(failed)?;
    } else {
        File::open(path).map_err(failed)?.take(LEN_MAX).read_to_string(&mut text).map_err(failed)?;
    }
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    Ok(text)
}
