//! What happens on the disk in a round: files added, rewritten and removed, a database in the middle of transactions.

use std::path::Path;

use anyhow::Result;
use landfall_tests::database;
use landfall_tests::filesystem::{Change, Content, FileSystem};
use landfall_tests::material::{Choice, Noise};
use units::ByteLen;

/// Rounds of change after the seed.
pub(crate) const ROUNDS: u64 = 6;
/// Where the database is on the disk.
pub(crate) const DATABASE: &str = "srv/ledger";

const ADDED: u64 = 24;
/// Each added file is this part of the disk, so that the rounds together stay within a twentieth of it.
const ADDED_PART: u64 = 4096;
const REWRITTEN: u64 = 24;
const REMOVED: u64 = 48;
/// Files are rewritten up to this length.
const REWRITE_LEN_MAX: u64 = 256 << 10;

/// What a round changes.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) changes: Vec<Change>,
    pub(crate) written: u64,
}

/// Plans the file changes of a round. A heavy one adds an eighth of the disk's size on top, so that its middle lasts.
pub(crate) fn plan(round: u64, choice: &Choice, disk: ByteLen, heavy: bool) -> Plan {
    let mut plan = Plan::default();
    let mut noise = Noise::new(round);
    for number in 0..ADDED {
        plan.put(format!("home/round-{round}/file-{number}"), round * 1000 + number, disk.0 / ADDED_PART);
    }
    for number in 0..REWRITTEN {
        let path = &choice.paths[noise.below(choice.paths.len() as u64) as usize];
        if path.is_file() && !path.is_symlink() {
            let len = path.metadata().map_or(0, |metadata| metadata.len()).min(REWRITE_LEN_MAX);
            plan.put(on_disk(path), round * 1000 + 500 + number, len);
        }
    }
    for _ in 0..REMOVED {
        let path = &choice.paths[noise.below(choice.paths.len() as u64) as usize];
        plan.changes.push(Change::Remove { path: on_disk(path) });
    }
    if heavy {
        // Over and over the same file: the disk must have room for the next heavy round.
        plan.put("home/large".to_owned(), round, disk.0 / 8);
    }
    plan
}

/// Makes the changes and leaves the database in the middle of a transaction.
pub(crate) fn make(filesystem: &FileSystem<'_>, plan: &Plan, round: u64, scratch: &Path) -> Result<()> {
    filesystem.change(&plan.changes)?;
    if let Some(mount) = filesystem.mount()? {
        database::interrupt(&mount.path().join(DATABASE), round)?;
        return mount.unmount();
    }
    let directory = scratch.join("ledger");
    database::interrupt(&directory, round)?;
    let put = |name: &str| Change::Put {
        path: format!("{DATABASE}/{name}"),
        content: Content::File(directory.join(name)),
    };
    filesystem.change(&[put(database::FILE), put(database::JOURNAL)])
}

impl Plan {
    fn put(&mut self, path: String, seed: u64, len: u64) {
        self.written += len;
        self.changes.push(Change::Put { path, content: Content::Noise { seed, len } });
    }
}

fn on_disk(path: &Path) -> String {
    path.strip_prefix("/").unwrap_or(path).to_string_lossy().into_owned()
}
