//! The catalog in one file.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog::{Catalog, CatalogError, Change, Copier, Expect, Snapshot, Sqlite, Table, read_copy};
use inventory::Group;

use crate::contract::{self, group};

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("catalog.db")
    }

    fn open(&self) -> Arc<dyn Catalog> {
        Arc::new(Sqlite::open(&self.path()).unwrap())
    }
}

#[test]
fn commits_are_atomic() {
    contract::commits_are_atomic(&*Place::new().open());
}

#[test]
fn an_older_revision_is_refused() {
    contract::an_older_revision_is_refused(&*Place::new().open());
}

#[test]
fn a_listing_keeps_to_its_prefix() {
    contract::a_listing_keeps_to_its_prefix(&*Place::new().open());
}

#[test]
fn updates_of_many_threads_are_all_kept() {
    contract::updates_of_many_threads_are_all_kept(&Place::new().open());
}

#[test]
fn a_watch_misses_nothing() {
    contract::a_watch_misses_nothing(&Place::new().open());
}

#[test]
fn a_lease_ends_with_who_held_it() {
    contract::a_lease_ends_with_who_held_it(&*Place::new().open(), Duration::from_secs(1));
}

#[test]
fn a_lease_can_be_ended() {
    contract::a_lease_can_be_ended(&*Place::new().open());
}

#[test]
fn a_value_has_a_limit() {
    contract::a_value_has_a_limit(&*Place::new().open());
}

#[test]
fn a_long_value_is_kept_and_a_commit_has_a_limit() {
    contract::a_long_value_is_kept_and_a_commit_has_a_limit(&*Place::new().open());
}

#[test]
fn a_long_listing_is_of_one_moment() {
    contract::a_long_listing_is_of_one_moment(&Place::new().open());
}

#[test]
fn a_watch_tells_each_change_once_in_order() {
    contract::a_watch_tells_each_change_once_in_order(&Place::new().open());
}

#[test]
fn what_was_committed_is_there_after_a_restart() {
    let place = Place::new();
    let first = place.open();
    let at = first.commit(&[Change::put(&group("a", 3), Expect::Absent)]).unwrap();
    drop(first);
    let second = place.open();
    assert_eq!(second.commit(&[]).unwrap(), at);
    let kept = Table::<Group>::new(second).get("a").unwrap().unwrap();
    assert_eq!((kept.record, kept.revision), (group("a", 3), at));
}

#[test]
fn a_lease_that_nobody_holds_after_a_restart_ends_one_life_later() {
    let place = Place::new();
    let first = place.open();
    let lease = first.grant(Duration::from_millis(300)).unwrap();
    first.commit(&[Change::put(&group("held", 1), Expect::Absent).under(lease.id)]).unwrap();
    drop(first);
    let second = place.open();
    assert_eq!(second.list("group/").unwrap().entries.len(), 1);
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(second.list("group/").unwrap().entries, []);
}

#[test]
fn a_second_program_is_refused() {
    let place = Place::new();
    let _first = place.open();
    let refused = Sqlite::open(&place.path()).unwrap_err();
    assert!(matches!(refused, CatalogError::Taken { .. }), "{refused}");
}

#[test]
fn a_watch_that_was_left_behind_is_told_so() {
    let place = Place::new();
    let catalog = place.open();
    let start = catalog.commit(&[]).unwrap();
    let mut slow = catalog.watch("group/", start).unwrap();
    let (many, value) = (catalog::CHANGES_MAX, "{}".to_owned());
    for round in 0..70 {
        let change = |number| Change {
            key: format!("group/{round}-{number}").parse().unwrap(),
            expect: Expect::Absent,
            value: Some(value.clone()),
            lease: None,
        };
        catalog.commit(&(0..many).map(change).collect::<Vec<_>>()).unwrap();
    }
    assert!(matches!(slow.next(Duration::ZERO), Err(CatalogError::Missed { .. })));
}

#[test]
fn a_catalog_made_of_a_snapshot_holds_it_and_stands_behind_it() {
    let place = Place::new();
    let first = place.open();
    for number in 0..300 {
        first.commit(&[Change::put(&group(&format!("g{number}"), 1), Expect::Absent)]).unwrap();
    }
    let listing = first.list("").unwrap();
    let taken = Sqlite::restore(&place.path(), &Snapshot::of(listing.clone()), "damaged").unwrap_err();
    assert!(matches!(taken, CatalogError::Taken { .. }), "{taken}");
    drop(first);
    std::fs::write(place.path(), "rot").unwrap();
    Sqlite::restore(&place.path(), &Snapshot::of(listing.clone()), "damaged").unwrap();
    let second = place.open();
    let restored = second.list("").unwrap();
    assert_eq!((&restored.entries, restored.revision), (&listing.entries, listing.revision.next()));
    assert!(second.commit(&[Change::put(&group("new", 1), Expect::Absent)]).unwrap() > restored.revision);
    drop(second);
    assert_eq!(place.open().list("group/").unwrap().entries.len(), 301, "it opens again, verified");
    assert_eq!(std::fs::read(place.path().with_extension("db.damaged")).unwrap(), b"rot", "kept aside");
}

#[test]
fn a_copy_follows_its_catalog() {
    let place = Place::new();
    let directory = tempfile::tempdir().unwrap();
    let catalog: Arc<dyn Catalog> = place.open();
    catalog.commit(&[Change::put(&group("a", 1), Expect::Absent)]).unwrap();
    let copier = Copier::start(catalog.clone(), directory.path()).unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    while copier.copied().revision.is_none() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(read_copy(directory.path()).unwrap(), Some(Snapshot::of(catalog.list("").unwrap())));
    catalog.commit(&[Change::put(&group("b", 1), Expect::Absent)]).unwrap();
    drop(copier);
    assert_eq!(read_copy(directory.path()).unwrap(), Some(Snapshot::of(catalog.list("").unwrap())));
}
