//! The retention volume: mounted at every boot, made at the first.
//!
//! The order: 1. Its id is remembered, durable: from now on only this volume is ours. 2. It is made, in the steps of [`volume::make`].
//! 3. That it is made is remembered, durable. After a power cut at any step the next boot goes on from what it finds.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow};
use blockdev::list_devices;
use memory::{Memory, RETENTION, SEED};
use seed::Seed;
use units::{Timestamp, VolumeId};
use volume::{FileSystem, Making, State, examine, make, mount_existing};

use crate::choice::{Candidate, Choice, Remembered, choose};

/// How often it looks again for a disk it waits for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long it waits before it says what it waits for: disks may still be coming.
const PATIENCE: u32 = 5;

/// Mounts the volume, and makes it where that is to be done; waits for a disk as long as there is none. Errors: a step fails.
pub(crate) fn mount(memory: &Memory, directory: &Path, owner: &str) -> Result<()> {
    let (mut said, mut looks) = (String::new(), 0);
    loop {
        let told = memory.read::<Seed>(SEED)?.and_then(|seed| seed.retention);
        let remembered: Option<Remembered> = memory.read(RETENTION)?;
        match choose(told.as_ref(), remembered.as_ref(), &candidates(directory)) {
            Choice::Mount(device) => {
                mount_existing(&device, directory).map_err(|error| anyhow!("{error}"))?;
                return give(directory, owner);
            }
            Choice::Make(device, state) => {
                made(memory, remembered, device.as_path(), state, directory)?;
                return give(directory, owner);
            }
            Choice::Wait(why) => {
                looks += 1;
                if looks > PATIENCE && said != why {
                    eprintln!("landfall-boot: waiting: {why}");
                    said = why;
                }
                std::thread::sleep(LOOK_EVERY);
            }
        }
    }
}

fn made(
    memory: &Memory,
    remembered: Option<Remembered>,
    device: &Path,
    state: State,
    directory: &Path,
) -> Result<()> {
    let volume = match &remembered {
        Some(begun) => {
            volume_of(&begun.volume).with_context(|| format!("{} is no volume's id", begun.volume))?
        }
        None => random_volume()?,
    };
    memory.write(RETENTION, &Remembered { volume: volume.to_string(), made: false })?;
    let making = Making {
        device: device.to_owned(),
        directory: directory.to_owned(),
        file_system: FileSystem::Xfs,
        volume,
        now: Timestamp::from_system(SystemTime::now()),
    };
    let made = make(&making, state, &mut |_| Ok(())).map_err(|error| anyhow!("{error}"))?;
    assert_eq!(made.volume, volume, "what was made is what was remembered");
    memory.write(RETENTION, &Remembered { volume: volume.to_string(), made: true })?;
    eprintln!("landfall-boot: {} is the retention volume {volume}", device.display());
    Ok(())
}

fn candidates(directory: &Path) -> Vec<Candidate> {
    let disks = list_devices().into_iter().filter_map(|listing| {
        let state = examine(&listing.path, directory).ok()?;
        let names = listing.identity.iter().map(ToString::to_string).collect();
        Some(Candidate { path: listing.path, names, state })
    });
    disks.collect()
}

fn volume_of(digits: &str) -> Option<VolumeId> {
    let number = u128::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 32)?;
    Some(VolumeId(number.to_be_bytes()))
}

fn random_volume() -> Result<VolumeId> {
    let mut bytes = [0; 16];
    let mut random = fs::File::open("/dev/urandom").context("no random bytes can be had")?;
    std::io::Read::read_exact(&mut random, &mut bytes).context("no random bytes can be had")?;
    Ok(VolumeId(bytes))
}

/// Gives everything on the volume to the agent's user, where it is somebody else's: a volume may come from another appliance.
fn give(directory: &Path, owner: &str) -> Result<()> {
    let users = fs::read_to_string("/etc/passwd").context("/etc/passwd can't be read")?;
    let user = users.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        (fields.first() == Some(&owner))
            .then(|| Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?)))?
    });
    let (user, group) = user.with_context(|| format!("there is no user {owner}"))?;
    give_tree(directory, user, group)
        .with_context(|| format!("{} can't be given to {owner}", directory.display()))
}

fn give_tree(path: &Path, user: u32, group: u32) -> std::io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_dir() {
        fs::read_dir(path)?.try_for_each(|entry| give_tree(&entry?.path(), user, group))?;
    }
    // The directory comes last: while it is not ours, nothing in it counts as given.
    if (metadata.uid(), metadata.gid()) != (user, group) {
        chown(path, Some(user), Some(group))
    } else {
        Ok(())
    }
}
