//! `landfall backup`

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use control::api::{BackupMade, BackupMake, Secret};
use control::{ApiError, Code, ErrorReply};
use serde::Serialize;
use units::ByteLen;

use super::Context;
use super::passphrase;
use crate::arguments::BackupArguments;
use crate::paint::harmless;
use crate::screen::Ending;

/// A backup that was written.
#[derive(Serialize)]
struct Written {
    path: PathBuf,
    bytes: u64,
    revision: u64,
}

/// Has a backup made, and writes it; the file is durable on return, or not there.
pub(super) fn backup(context: &Context<'_>, wanted: &BackupArguments) -> Result<Ending, ErrorReply> {
    let directory = wanted.to.is_dir();
    if !directory && wanted.to.symlink_metadata().is_ok() {
        let what = format!("{} is there already", wanted.to.display());
        return Err(ApiError::new(Code::BackupWrite, what)
            .because("a backup never takes the place of a file")
            .into());
    }
    let secret = passphrase::new(context.screen, &wanted.passphrase)?;
    let made: BackupMade = context.ask(BackupMake { passphrase: Secret::new(secret.to_string()) })?;
    let malformed =
        |error| ErrorReply::from(ApiError::new(Code::BadReply, "no backup was written").because(error));
    let file = STANDARD.decode(&made.file).map_err(malformed)?;
    // The name comes from the appliance: it is looked at like anything else that does.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let named = made.file_name.bytes().all(plain) && !made.file_name.starts_with('.');
    if directory && !named {
        return Err(ApiError::new(Code::BadReply, "no backup was written")
            .because("its name is none")
            .into());
    }
    let path = if directory { wanted.to.join(&made.file_name) } else { wanted.to.clone() };
    write(&path, &file).map_err(|error| {
        let what = format!("{} was not written", path.display());
        ErrorReply::from(ApiError::new(Code::BackupWrite, what).because(error))
    })?;
    let written = Written { path, bytes: file.len() as u64, revision: made.revision };
    context.screen.show(&written, |written, _| {
        let (path, len) = (written.path.display().to_string(), ByteLen(written.bytes));
        format!(
            "{}: {len}, the catalog at revision {}\nwithout its passphrase it is of no use\n",
            harmless(&path),
            written.revision
        )
    })?;
    Ok(Ending::Done)
}

/// Writes a file that is not there yet. 1. All of it, durable, under another name. 2. Its name. 3. The name, durable.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    // A link fails where something has taken the name meanwhile; a rename would take its place.
    let named = fs::hard_link(&new, path);
    fs::remove_file(&new)?;
    named?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}
