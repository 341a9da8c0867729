//! What the console remembers, and what it tells the rest of the appliance.
//!
//! ```text
//! STATE/console/answered.json  which questions of first boot are answered
//! STATE/console/password       the hash of the password
//! STATE/console/fingerprint    of the authority
//! STATE/console/lock           held by the line that asks first boot's questions
//! MEMORY/seed.json             host name and retention disk, as the appliance reads them at each boot
//! ```
//! Each is replaced whole: 1. a draft, fsynced; 2. renamed; 3. the directory fsynced. A power cut leaves the old or the new.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::arguments::ConsoleArguments;

/// Which questions are answered that nothing else tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Marks {
    pub(super) host_name: bool,
    pub(super) servers: bool,
    pub(super) all: bool,
}

/// Where it is remembered.
pub(super) struct Memory {
    own: PathBuf,
    seed: PathBuf,
    pub(super) retention: PathBuf,
    lock: File,
}

impl Memory {
    /// Opens the directories, making what is missing. Errors: they can't be made.
    pub(super) fn open(arguments: &ConsoleArguments) -> io::Result<Self> {
        let own = arguments.state.join("console");
        DirBuilder::new().recursive(true).mode(0o700).create(&own)?;
        fs::create_dir_all(&arguments.memory)?;
        let lock =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(own.join("lock"))?;
        let (seed, retention) = (arguments.memory.join("seed.json"), arguments.retention.clone());
        Ok(Self { own, seed, retention, lock })
    }

    /// Tells whether this line may ask: it has the lock, or gets it now.
    pub(super) fn is_ours(&self) -> bool {
        self.lock.try_lock().is_ok()
    }

    /// Returns which questions are answered. What can't be read was not.
    pub(super) fn marks(&self) -> Marks {
        let text = fs::read(self.own.join("answered.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Notes an answer; durable on return.
    pub(super) fn mark(&self, change: impl FnOnce(&mut Marks)) -> io::Result<()> {
        let mut marks = self.marks();
        change(&mut marks);
        replace(&self.own.join("answered.json"), &serde_json::to_vec(&marks)?)
    }

    /// Returns the hash of the password, if there is one.
    pub(super) fn password(&self) -> Option<String> {
        fs::read_to_string(self.own.join("password")).ok().map(|text| text.trim().to_owned())
    }

    /// Takes the hash of a password; durable on return.
    pub(super) fn set_password(&self, hash: &str) -> io::Result<()> {
        replace(&self.own.join("password"), hash.as_bytes())
    }

    /// Returns the fingerprint of the authority, once it is known.
    pub(super) fn fingerprint(&self) -> Option<String> {
        fs::read_to_string(self.own.join("fingerprint")).ok()
    }

    /// Takes the fingerprint; durable on return.
    pub(super) fn set_fingerprint(&self, fingerprint: &str) -> io::Result<()> {
        replace(&self.own.join("fingerprint"), fingerprint.as_bytes())
    }

    /// Tells the appliance its name, for every boot from now on; durable on return.
    pub(super) fn tell_host_name(&self, name: &str) -> io::Result<()> {
        self.tell("hostname", json!(name))
    }

    /// Tells the appliance which disk becomes the retention volume; durable on return.
    pub(super) fn tell_retention(&self, disk: &str) -> io::Result<()> {
        self.tell("retention", json!({ "disk": disk }))
    }

    fn tell(&self, key: &str, value: Value) -> io::Result<()> {
        let found = fs::read(&self.seed).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let mut seed = match found {
            Some(Value::Object(seed)) => seed,
            _ => [("hostname".to_owned(), Value::Null), ("retention".to_owned(), json!("automatic"))]
                .into_iter()
                .collect(),
        };
        seed.insert(key.to_owned(), value);
        replace(&self.seed, &serde_json::to_vec_pretty(&seed)?)
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}
