//! A SQLite database that is caught in the middle of a transaction.
//!
//! Every committed transaction adds entries whose amounts sum to zero. The one that is interrupted does not, and has
//! already spilled into the file, so that only its rollback journal, found on the same disk, can put things right.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::command::{command, run};
use crate::filesystem::extract;

/// The database's file.
pub const FILE: &str = "ledger.db";
/// Its rollback journal.
pub const JOURNAL: &str = "ledger.db-journal";
/// Entries a committed transaction adds.
const ENTRIES: u64 = 2000;

/// Runs a transaction that commits and one that is killed half way, on the database in `directory` (made if missing).
/// `number` counts the calls from 1. Errors: `sqlite3` fails, or no journal was left behind.
pub fn interrupt(directory: &Path, number: u64) -> Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
    let mut child = command("sqlite3")
        .args(["-batch", "-bail"])
        .arg(directory.join(FILE))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting sqlite3")?;
    let (input, output) = (child.stdin.take(), child.stdout.take());
    let reached = write_until_open(input.context("a pipe")?, output.context("a pipe")?, number);
    child.kill().context("killing sqlite3")?;
    child.wait().context("waiting for sqlite3")?;
    // The pipe to sqlite3 stays open until here: its end would make sqlite3 end the transaction itself.
    drop(reached.context("sqlite3 gave up before its transaction was half way")?);
    let journal = directory.join(JOURNAL);
    let len = fs::metadata(&journal).with_context(|| format!("reading {}", journal.display()))?.len();
    ensure!(len > 0, "{} is empty: the transaction was not in its middle", journal.display());
    Ok(())
}

fn write_until_open(mut input: ChildStdin, output: ChildStdout, number: u64) -> Result<ChildStdin> {
    let series = |count: u64| {
        format!("WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM n WHERE i < {count})")
    };
    writeln!(
        input,
        "PRAGMA cache_size=16;
        CREATE TABLE IF NOT EXISTS entry(id INTEGER PRIMARY KEY, number INT, amount INT, note BLOB);
        BEGIN; {} INSERT INTO entry(number, amount, note) SELECT {number}, (i%2*2-1)*((i+1)/2), randomblob(200) FROM n; COMMIT;
        BEGIN; UPDATE entry SET amount = amount + 1, note = randomblob(200);
        {} INSERT INTO entry(number, amount, note) SELECT {number}, i, randomblob(400) FROM n;
        SELECT 'open';",
        series(ENTRIES),
        series(8000),
    )?;
    input.flush()?;
    let mut lines = BufReader::new(output).lines();
    let open = lines.any(|line| line.is_ok_and(|line| line == "open"));
    ensure!(open, "sqlite3 ended");
    Ok(input)
}

/// What was found in a database taken off a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Entries of committed transactions.
    pub entries: u64,
    /// A journal was there to roll back.
    pub journal: bool,
}

/// Takes the database (and its journal) off a device or image and opens it, as after a power cut: SQLite rolls back what was not
/// committed. `directory` is on the disk, `scratch` here. Errors: the database is missing, not sound, or its sums are wrong.
pub fn check(disk: &Path, directory: &str, scratch: &Path) -> Result<Found> {
    fs::create_dir_all(scratch).with_context(|| format!("making {}", scratch.display()))?;
    let file = scratch.join(FILE);
    ensure!(
        extract(disk, &format!("{directory}/{FILE}"), &file)?,
        "{directory}/{FILE} is not on {}",
        disk.display()
    );
    let journal = extract(disk, &format!("{directory}/{JOURNAL}"), &scratch.join(JOURNAL))?;
    let query = "PRAGMA integrity_check; SELECT count(*) || '|' || coalesce(sum(amount), 0) FROM entry;";
    let answer = run(command("sqlite3").arg("-batch").arg(&file).arg(query));
    let answer = answer.with_context(|| format!("opening the database of {}", disk.display()))?;
    let (sound, sums) = answer.trim().split_once('\n').context("two answers of sqlite3")?;
    ensure!(sound == "ok", "integrity check: {sound}");
    let (entries, sum) = sums.split_once('|').context("a count and a sum")?;
    ensure!(sum == "0", "the amounts sum to {sum}, not 0: a transaction is there by half");
    remove(&[file, scratch.join(JOURNAL)]);
    Ok(Found { entries: entries.parse().context("a count")?, journal })
}

/// Returns how many entries are there after `number` calls of [`interrupt`].
pub fn entries_after(number: u64) -> u64 {
    number * ENTRIES
}

fn remove(paths: &[PathBuf]) {
    paths.iter().for_each(|path| drop(fs::remove_file(path)));
}

#[cfg(test)]
mod tests {
    use units::ByteLen;

    use super::*;
    use crate::disk::{Disk, Kind};
    use crate::filesystem::{Change, Content, FileSystem};
    use crate::lab::Lab;
    use crate::material::Choice;

    fn disk_with_database(lab: &Lab, with_journal: bool) -> Disk {
        let disk = Disk::create(&lab.file("disk"), ByteLen(32 << 20), Kind::File).unwrap();
        let directory = lab.directory("database").unwrap();
        interrupt(&directory, 1).unwrap();
        interrupt(&directory, 2).unwrap();
        let put =
            |name: &str| Change::Put { path: name.into(), content: Content::File(directory.join(name)) };
        let changes = if with_journal { vec![put(FILE), put(JOURNAL)] } else { vec![put(FILE)] };
        FileSystem::make(&disk, lab, &Choice::default()).unwrap().change(&changes).unwrap();
        disk
    }

    #[test]
    fn an_interrupted_transaction_is_rolled_back() {
        let lab = Lab::new(None).unwrap();
        let disk = disk_with_database(&lab, true);
        let found = check(disk.path(), "", &lab.file("check")).unwrap();
        assert_eq!(found, Found { entries: entries_after(2), journal: true });
    }

    #[test]
    fn a_lost_journal_is_noticed() {
        let lab = Lab::new(None).unwrap();
        let disk = disk_with_database(&lab, false);
        assert!(check(disk.path(), "", &lab.file("check")).is_err());
    }
}
