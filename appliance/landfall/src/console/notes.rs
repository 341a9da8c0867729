//! What the console remembers, and what it tells the rest of the appliance. Whatever is written is durable on return.

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use memory::{ANSWERED, FINGERPRINT, Memory, MemoryError, REFUSED, SEED};
use seed::{PasswordHash, Retention, Seed};
use serde::{Deserialize, Serialize};
use units::MachineName;

use crate::arguments::ConsoleArguments;

/// Held by the line at which first boot's questions are answered.
const LINE: &str = "console";
/// How long another line may take to look whether it is free.
const CLAIM_WAIT: Duration = Duration::from_millis(100);
const CLAIM_PAUSE: Duration = Duration::from_millis(10);

/// Which questions are answered that nothing else tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Marks {
    pub(super) servers: bool,
    pub(super) all: bool,
}

/// Where it is remembered.
pub(super) struct Notes {
    memory: Memory,
    line: File,
    /// Whether this line has the questions.
    claimed: Mutex<bool>,
    /// Where the retention volume is mounted.
    pub(super) retention: PathBuf,
}

impl Notes {
    /// Opens the memory, making what is missing. Errors: it can't be made.
    pub(super) fn open(arguments: &ConsoleArguments) -> Result<Self, MemoryError> {
        let memory = Memory::at(&arguments.memory);
        let line = memory.lock_named(LINE)?;
        Ok(Self { memory, line, claimed: Mutex::default(), retention: arguments.retention.clone() })
    }

    /// Tells whether another line has the questions.
    pub(super) fn is_elsewhere(&self) -> bool {
        let claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        if *claimed {
            return false;
        }
        let free = self.line.try_lock().is_ok();
        if free {
            // To look is not to take. What is not given back now is at the end of this process.
            let _ = self.line.unlock();
        }
        !free
    }

    /// Takes the questions for this line, for as long as it is served: somebody types here. Returns whether it has them.
    pub(super) fn claim(&self) -> bool {
        let mut claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = Instant::now();
        // Another line may just be looking.
        while !*claimed && begun.elapsed() < CLAIM_WAIT {
            *claimed = self.line.try_lock().is_ok();
            if !*claimed {
                std::thread::sleep(CLAIM_PAUSE);
            }
        }
        *claimed
    }

    /// Returns what was told or answered. What can't be read was not.
    pub(super) fn seed(&self) -> Seed {
        self.memory.read(SEED).ok().flatten().unwrap_or_default()
    }

    /// Returns what was told and is not used.
    pub(super) fn refused(&self) -> Option<String> {
        self.memory.read(REFUSED).ok().flatten()
    }

    /// Returns which questions are answered. What can't be read was not.
    pub(super) fn marks(&self) -> Marks {
        self.memory.read(ANSWERED).ok().flatten().unwrap_or_default()
    }

    /// Notes an answer.
    pub(super) fn mark(&self, change: impl FnOnce(&mut Marks)) -> Result<(), MemoryError> {
        self.memory.change(ANSWERED, change)
    }

    /// Takes the hash of a password.
    pub(super) fn set_password(&self, hash: PasswordHash) -> Result<(), MemoryError> {
        self.memory.change(SEED, |seed: &mut Seed| seed.password = Some(hash))
    }

    /// Returns the fingerprint of the authority, once it is known.
    pub(super) fn fingerprint(&self) -> Option<String> {
        self.memory.read(FINGERPRINT).ok().flatten()
    }

    /// Takes the fingerprint.
    pub(super) fn set_fingerprint(&self, fingerprint: &str) -> Result<(), MemoryError> {
        self.memory.write(FINGERPRINT, &fingerprint)
    }

    /// Tells the appliance its name, for every boot from now on.
    pub(super) fn tell_host_name(&self, name: MachineName) -> Result<(), MemoryError> {
        self.memory.change(SEED, |seed: &mut Seed| seed.hostname = Some(name))
    }

    /// Tells the appliance which disk becomes the retention volume, by its identity or its path.
    pub(super) fn tell_retention(&self, disk: String) -> Result<(), MemoryError> {
        self.memory.change(SEED, |seed: &mut Seed| seed.retention = Some(Retention::Disk(disk)))
    }
}
