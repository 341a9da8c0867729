//! `landfall restore`: authority, keys and catalog from a backup, before landfalld starts.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use backup::{Contents, Holding, Passphrase};
use control::{ApiError, Code, ErrorReply};
use serde::Serialize;
use units::Rfc3339;

use super::{now, passphrase};
use crate::arguments::RestoreArguments;
use crate::paint::harmless;
use crate::prompt::device_again;
use crate::screen::{Ending, Screen};

/// Where everything is put together.
const WORKSHOP: &str = "restoring";
/// What a state directory holds, in the order in which restored parts get their names. The authority comes last: without it nothing starts.
const PARTS: [&str; 4] = ["identity", "server", "catalog.restore", "ca"];
/// What is put aside besides.
const CATALOG: [&str; 4] = ["catalog.db", "catalog.db-wal", "catalog.db-shm", "catalog.mark"];
/// Bytes of the longest backup.
const FILE_LEN_MAX: u64 = 1 << 30;

/// What was restored.
#[derive(Serialize)]
struct Restored {
    name: String,
    created: Rfc3339,
    software: String,
    state: PathBuf,
    authority_only: bool,
    aside: Option<PathBuf>,
}

/// What of a backup is restored.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The appliance it is of.
    Everything,
    /// The authority, for another configuration server beside that.
    Authority,
}

/// Restores a state directory.
pub(super) fn restore(screen: &Screen, wanted: &RestoreArguments) -> Result<Ending, ErrorReply> {
    let what = || format!("{} was not restored", wanted.state.display());
    let failed =
        |error: io::Error| ErrorReply::from(ApiError::new(Code::RestoreFailed, what()).because(error));
    let occupied =
        PARTS.iter().chain(&CATALOG).any(|part| wanted.state.join(part).symlink_metadata().is_ok());
    if occupied && !wanted.replace {
        let error = ApiError::new(Code::RestoreOccupied, what());
        return Err(error.because(format!("{} holds an appliance", wanted.state.display())).into());
    }
    let _idle = idle(&wanted.state).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => ErrorReply::from(ApiError::new(Code::RestoreRunning, what())),
        _ => failed(error),
    })?;
    let contents = open(screen, wanted, &what())?;
    let part = if wanted.authority_only { Part::Authority } else { Part::Everything };
    let becomes = match part {
        Part::Everything => format!("becomes {}, as it was at {}", contents.name, Rfc3339(contents.created)),
        Part::Authority => format!("gets the authority of {}", contents.name),
    };
    let aside = if occupied { "; what is there is put aside" } else { "" };
    let question = format!("{} {becomes}{aside}.", wanted.state.display());
    device_again(screen, contents.name.as_str(), wanted.yes, &question)?;
    let aside = put(&wanted.state, &contents, part, occupied).map_err(failed)?;
    let restored = Restored {
        name: contents.name.to_string(),
        created: Rfc3339(contents.created),
        software: contents.software.clone(),
        state: wanted.state.clone(),
        authority_only: wanted.authority_only,
        aside,
    };
    screen.show(&restored, |restored, _| {
        let aside = restored.aside.as_ref();
        let aside = aside.map_or_else(String::new, |aside| format!("what was there: {}\n", aside.display()));
        if restored.authority_only {
            let state = restored.state.display();
            let next = "next: start landfalld with --name and with the --catalog of the others";
            return format!("{state}: the authority of {}\n{aside}{next}\n", restored.name);
        }
        format!(
            "{}: {} as it was at {}, by {}\n{aside}next: start landfalld; sources that reached it under another address need the new one\n",
            restored.state.display(),
            restored.name,
            restored.created,
            harmless(&restored.software)
        )
    })?;
    Ok(Ending::Done)
}

/// Reads and opens the backup.
fn open(screen: &Screen, wanted: &RestoreArguments, what: &str) -> Result<Contents, ErrorReply> {
    let refused = |error: backup::BackupError| {
        ErrorReply::from(ApiError::new(Code::BackupRefused, what).because(error))
    };
    let unreadable = |error: io::Error| {
        let error = format!("{}: {error}", wanted.file.display());
        ErrorReply::from(ApiError::new(Code::BackupRefused, what).because(error))
    };
    if fs::metadata(&wanted.file).map_err(unreadable)?.len() > FILE_LEN_MAX {
        return Err(refused(backup::BackupError::Kind));
    }
    let file = fs::read(&wanted.file).map_err(unreadable)?;
    backup::Header::read(&file).map_err(refused)?;
    let secret = passphrase::known(screen, &wanted.passphrase)?;
    let secret = Passphrase::new(&secret).map_err(refused)?;
    backup::open(&file, &secret).map_err(refused)
}

/// Makes sure that no landfalld has the state directory, until the result is dropped. Errors: one has it (`WouldBlock`).
fn idle(state: &Path) -> io::Result<Option<File>> {
    let mark = match File::open(state.join("catalog.mark")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    match mark.try_lock() {
        Ok(()) => Ok(Some(mark)),
        Err(fs::TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Puts everything into its place, and returns where what was there is now.
///
/// 1. All of it is durable, in a workshop. 2. What was there is put aside. 3. The parts get their names, the authority last.
/// 4. The names are durable. After a crash in between landfalld does not start, and this is done again with `--replace`.
fn put(state: &Path, contents: &Contents, part: Part, occupied: bool) -> io::Result<Option<PathBuf>> {
    let workshop = state.join(WORKSHOP);
    DirBuilder::new().recursive(true).mode(0o700).create(state)?;
    match fs::remove_dir_all(&workshop) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    directory(&workshop)?;
    let authority = contents.authority.certificate.as_str();
    place(&workshop.join("ca"), &contents.authority, ["ca.pem", "ca.key"], None)?;
    if part == Part::Everything {
        place(&workshop.join("server"), &contents.server, ["cert.pem", "key.pem"], Some(authority))?;
        place(&workshop.join("identity"), &contents.identity, ["cert.pem", "key.pem"], Some(authority))?;
        write(&workshop.join("catalog.restore"), &contents.catalog, 0o600)?;
    }
    sync(&workshop)?;
    let aside = occupied.then(|| state.join(format!("aside-{}", now().0 / 1_000_000)));
    if let Some(aside) = &aside {
        directory(aside)?;
        for part in PARTS.iter().rev().chain(&CATALOG) {
            match fs::rename(state.join(part), aside.join(part)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        sync(aside)?;
    }
    let made: Vec<_> = PARTS.iter().filter(|part| workshop.join(part).exists()).collect();
    made.into_iter().try_for_each(|part| fs::rename(workshop.join(part), state.join(part)))?;
    fs::remove_dir(&workshop)?;
    sync(state)?;
    Ok(aside)
}

fn place(at: &Path, holding: &Holding, [certificate, key]: [&str; 2], above: Option<&str>) -> io::Result<()> {
    directory(at)?;
    write(&at.join(key), &holding.key, 0o600)?;
    write(&at.join(certificate), &holding.certificate, 0o644)?;
    above.map_or(Ok(()), |above| write(&at.join("ca.pem"), above, 0o644))?;
    sync(at)
}

fn directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
