//! Rot, lost writes and older copies: a catalog opens at its last commit, or says what is wrong.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use catalog::{Catalog, CatalogError, Change, Expect, Listing, Sqlite};

use crate::contract::group;

/// Leaves catalogs of the same commits behind: `killed` while they are in its log, `closed` when they are in its file, and
/// `older` as it was some commits before.
fn left_behind(directory: &Path) -> Listing {
    let catalog = Sqlite::open(&directory.join("live.db")).unwrap();
    for number in 0..40 {
        catalog.commit(&[Change::put(&group(&format!("g{number}"), number), Expect::Absent)]).unwrap();
        if number == 20 {
            copy(directory, "live", "older");
        }
    }
    copy(directory, "live", "killed");
    let listing = catalog.list("").unwrap();
    drop(catalog);
    copy(directory, "live", "closed");
    listing
}

/// Copies a catalog, its log and its mark.
fn copy(directory: &Path, from: &str, to: &str) {
    for end in ["db", "db-wal", "mark"] {
        let (from, to) = (directory.join(format!("{from}.{end}")), directory.join(format!("{to}.{end}")));
        let _ = fs::remove_file(&to);
        if from.exists() {
            fs::copy(from, to).unwrap();
        }
    }
    let _ = fs::remove_file(directory.join(format!("{to}.db-shm")));
}

fn open(directory: &Path, name: &str) -> Result<Listing, CatalogError> {
    let catalog: Arc<dyn Catalog> = Arc::new(Sqlite::open(&directory.join(format!("{name}.db")))?);
    catalog.list("")
}

/// Opens the catalog with one bit of every so many bytes of a file flipped. Returns how many were found.
fn flip(directory: &Path, name: &str, end: &str, step: usize, expected: &Listing) -> usize {
    let path = directory.join(format!("flipped.{end}"));
    let len = fs::metadata(directory.join(format!("{name}.{end}"))).unwrap().len() as usize;
    let mut found = 0;
    for at in (0..len).step_by(step) {
        copy(directory, name, "flipped");
        let mut bytes = fs::read(&path).unwrap();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&path, bytes).unwrap();
        match open(directory, "flipped") {
            Ok(listing) => assert_eq!(&listing, expected, "{end}, byte {at}"),
            Err(error) => {
                let told = error.is_damage() || matches!(error, CatalogError::Newer { .. });
                assert!(told, "{end}, byte {at}: {error:?}");
                found += 1;
            }
        }
    }
    found
}

#[test]
fn a_flipped_bit_of_the_log_is_found_or_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let expected = left_behind(directory.path());
    assert!(flip(directory.path(), "killed", "db-wal", 997, &expected) > 0);
    flip(directory.path(), "killed", "db", 131, &expected);
}

#[test]
fn a_flipped_bit_of_the_file_is_found_or_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let expected = left_behind(directory.path());
    assert!(flip(directory.path(), "closed", "db", 61, &expected) > 0);
}

#[test]
fn a_damaged_mark_does_no_harm() {
    let directory = tempfile::tempdir().unwrap();
    let expected = left_behind(directory.path());
    assert_eq!(flip(directory.path(), "closed", "mark", 1, &expected), 0);
}

#[test]
fn an_older_copy_is_known_by_the_mark() {
    let directory = tempfile::tempdir().unwrap();
    left_behind(directory.path());
    let mark = |name: &str| directory.path().join(format!("{name}.mark"));
    fs::copy(mark("killed"), mark("older")).unwrap();
    let refused = open(directory.path(), "older").unwrap_err();
    assert!(matches!(refused, CatalogError::Older { .. }), "{refused}");
}

#[test]
fn pages_of_an_older_copy_are_found() {
    let directory = tempfile::tempdir().unwrap();
    left_behind(directory.path());
    let older = directory.path().join("older.db");
    // Opened and closed, its log is in its file.
    drop(Sqlite::open(&older).unwrap());
    let (old, new) = (fs::read(older).unwrap(), fs::read(directory.path().join("closed.db")).unwrap());
    let mut found = 0;
    for page in 0..old.len() / 4096 {
        copy(directory.path(), "closed", "mixed");
        let (span, mut bytes) = (page * 4096..(page + 1) * 4096, new.clone());
        bytes[span.clone()].copy_from_slice(&old[span.clone()]);
        if bytes == new {
            continue;
        }
        fs::write(directory.path().join("mixed.db"), bytes).unwrap();
        let refused = open(directory.path(), "mixed").unwrap_err();
        assert!(refused.is_damage(), "page {page}: {refused}");
        found += 1;
    }
    assert!(found > 0, "some page was changed by the later commits");
}

#[test]
fn a_file_that_is_gone_or_empty_is_not_taken_for_a_new_one() {
    let directory = tempfile::tempdir().unwrap();
    left_behind(directory.path());
    for harm in [|path: &Path| fs::write(path, b"").unwrap(), |path: &Path| fs::remove_file(path).unwrap()] {
        copy(directory.path(), "closed", "lost");
        harm(&directory.path().join("lost.db"));
        let refused = open(directory.path(), "lost").unwrap_err();
        assert!(matches!(refused, CatalogError::Older { .. }), "{refused}");
    }
}

#[test]
fn a_file_of_something_else_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("other.db");
    fs::write(&path, "nothing of ours".repeat(1000)).unwrap();
    let before = fs::read(&path).unwrap();
    let refused = Sqlite::open(&path).unwrap_err();
    assert!(refused.is_damage(), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), before);
}
