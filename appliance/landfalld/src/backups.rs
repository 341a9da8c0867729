//! Backups: made on demand, and by the clock where a directory is given for them.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use backup::{Contents, Cost, FORM, Holding, Passphrase, Seeds, seal};
use catalog::{Catalog, Snapshot};
use units::{MachineName, Timestamp};

use crate::house::IDENTITY;
use crate::random::random_bytes;

/// What the names of backups end with.
const END: &str = ".backup";
/// Bytes of the longest file that is read.
const FILE_LEN_MAX: u64 = 64 << 10;

/// When and where backups are made by themselves.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    /// The directory they go to.
    pub(crate) directory: PathBuf,
    /// How long after one the next is made.
    pub(crate) every: Duration,
    /// How many are kept.
    pub(crate) keep: usize,
    /// The file with the passphrase they are sealed under.
    pub(crate) passphrase: PathBuf,
}

/// Makes backups of one appliance.
pub(crate) struct Backups {
    catalog: Arc<dyn Catalog>,
    /// The state directory.
    state: PathBuf,
    name: MachineName,
    schedule: Option<Schedule>,
    /// What went wrong with the last one that was due.
    problem: Mutex<Option<String>>,
}

impl Backups {
    pub(crate) fn new(
        catalog: Arc<dyn Catalog>,
        state: &Path,
        name: &MachineName,
        schedule: Option<Schedule>,
    ) -> Self {
        Self { catalog, state: state.to_owned(), name: name.clone(), schedule, problem: Mutex::default() }
    }

    /// Returns a backup as it is now, and the revision of the catalog in it.
    pub(crate) fn make(&self, passphrase: &Passphrase, now: Timestamp) -> Result<(u64, Vec<u8>)> {
        let snapshot = Snapshot::of(self.catalog.list("").context("the catalog can't be read")?);
        let place = |directory: &str, certificate: &str, key: &str| -> Result<Holding> {
            let directory = self.state.join(directory);
            Ok(Holding { certificate: read(&directory.join(certificate))?, key: read(&directory.join(key))? })
        };
        let contents = Contents {
            form: FORM,
            name: self.name.clone(),
            created: now,
            software: concat!("landfalld ", env!("CARGO_PKG_VERSION")).to_owned(),
            authority: place("ca", "ca.pem", "ca.key")?,
            server: place("server", "cert.pem", "key.pem")?,
            identity: place(IDENTITY, "cert.pem", "key.pem")?,
            catalog: snapshot.encode(),
        };
        let random = || random_bytes().context("no random bytes can be had");
        let (salt, nonce): ([u8; 16], [u8; 16]) = (random()?, random()?);
        let nonce = *nonce.first_chunk().expect("12 bytes are fewer than 16");
        let file = seal(&contents, passphrase, Cost::default(), Seeds { salt, nonce })?;
        Ok((snapshot.revision().0, file))
    }

    /// Returns what a backup of then is called.
    pub(crate) fn file_name(&self, now: Timestamp) -> String {
        file_name(&self.name, now)
    }

    /// Makes the backup that is due, if one is, and removes those that are too many.
    pub(crate) fn look_after(&self, now: Timestamp) {
        let Some(schedule) = &self.schedule else { return };
        let problem = self.keep_to(schedule, now).err().map(|error| format!("{error:#}"));
        let mut told = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(problem) = problem.as_ref().filter(|problem| told.as_ref() != Some(problem)) {
            tracing::error!(%problem, "no backup was made");
        }
        *told = problem;
    }

    /// Says why there is no backup that should be there.
    pub(crate) fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep_to(&self, schedule: &Schedule, now: Timestamp) -> Result<()> {
        let directory = &schedule.directory;
        let known = || known(directory, &self.name);
        let there = known().with_context(|| format!("{} can't be read", directory.display()))?;
        // One that says it is of the future was made by a clock that was wrong, and is no reason to make none.
        let newest = there.last().map(|(time, _)| *time).filter(|time| *time <= now);
        if newest.is_some_and(|newest| now.since(newest) < schedule.every) {
            return Ok(());
        }
        let text = read(&schedule.passphrase)?;
        let (_, file) = self.make(&Passphrase::new(&text)?, now)?;
        let path = directory.join(file_name(&self.name, now));
        write(directory, &path, &file).with_context(|| format!("{} can't be written", path.display()))?;
        tracing::info!(path = %path.display(), bytes = file.len(), "backup made");
        let there = known()?;
        for (_, path) in there.iter().take(there.len().saturating_sub(schedule.keep)) {
            fs::remove_file(path).with_context(|| format!("{} can't be removed", path.display()))?;
        }
        Ok(())
    }
}

/// Returns the name of a backup.
fn file_name(name: &MachineName, now: Timestamp) -> String {
    let time: String = now.to_string().chars().take_while(|letter| *letter != '.').collect();
    let digits: String = time.chars().filter(|letter| letter.is_ascii_digit() || *letter == 'T').collect();
    format!("landfall-{name}-{digits}{END}")
}

/// Returns the backups of an appliance in a directory, oldest first.
fn known(directory: &Path, name: &MachineName) -> io::Result<Vec<(Timestamp, PathBuf)>> {
    let begin = format!("landfall-{name}-");
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let file = entry.file_name();
        let time = file.to_str().and_then(|file| file.strip_prefix(&begin)?.strip_suffix(END));
        found.extend(time.and_then(time_of).map(|time| (time, entry.path())));
    }
    found.sort();
    Ok(found)
}

/// Reads the time of a name, as in `20261120T140307`.
fn time_of(text: &str) -> Option<Timestamp> {
    let plain = text.len() == 15 && text.is_ascii() && text.as_bytes()[8] == b'T';
    let part = |from: usize, to: usize| plain.then(|| &text[from..to]);
    let (date, time) =
        ([part(0, 4)?, part(4, 6)?, part(6, 8)?], [part(9, 11)?, part(11, 13)?, part(13, 15)?]);
    format!("{}T{}Z", date.join("-"), time.join(":")).parse().ok()
}

/// Writes a file; after a crash it is there whole, or not at all.
fn write(directory: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    // 1. All of it, durable, under another name. 2. Its name. 3. The name, durable.
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(directory)?.sync_all()
}

fn read(path: &Path) -> Result<String> {
    let what = || format!("{} can't be read", path.display());
    let len = fs::metadata(path).with_context(what)?.len();
    ensure!(len <= FILE_LEN_MAX, "{} is too long for what it should be", path.display());
    fs::read_to_string(path).with_context(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_time_it_was_made() {
        let (name, time) = ("home".parse().unwrap(), "2026-11-20T14:03:07.25Z".parse().unwrap());
        let file = file_name(&name, time);
        assert_eq!(file, "landfall-home-20261120T140307.backup");
        let directory = tempfile::tempdir().unwrap();
        for other in
            [file.as_str(), "landfall-home-20261120T140306.backup", "landfall-home-x.backup", "notes"]
        {
            fs::write(directory.path().join(other), "").unwrap();
        }
        fs::write(directory.path().join("landfall-home-2-20261120T140306.backup"), "").unwrap();
        let times: Vec<_> =
            known(directory.path(), &name).unwrap().into_iter().map(|(time, _)| time).collect();
        let expected = ["2026-11-20T14:03:06Z", "2026-11-20T14:03:07Z"].map(|time| time.parse().unwrap());
        assert_eq!(times, expected);
    }
}
