//! A shared catalog, as each of several appliances sees it.

use std::sync::Arc;
use std::time::Duration;

use catalog::{Catalog, Change, Expect, OfAppliance, Snapshot, Sqlite};
use inventory::Key;

use crate::contract::{self, group};

/// A shared catalog, and it as two appliances see it.
struct Fleet {
    shared: Arc<dyn Catalog>,
    home: Arc<dyn Catalog>,
    away: Arc<dyn Catalog>,
    _directory: tempfile::TempDir,
}

impl Fleet {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let shared: Arc<dyn Catalog> = Arc::new(Sqlite::open(&directory.path().join("catalog.db")).unwrap());
        let of = |name: &str| Arc::new(OfAppliance::new(shared.clone(), &name.parse().unwrap()));
        Self { home: of("home"), away: of("away"), shared, _directory: directory }
    }
}

fn raw(key: &str, value: &str) -> Change {
    Change { key: key.parse().unwrap(), expect: Expect::Absent, value: Some(value.to_owned()), lease: None }
}

fn keys(catalog: &dyn Catalog, prefix: &str) -> Vec<String> {
    catalog.list(prefix).unwrap().entries.iter().map(|entry| entry.key.to_string()).collect()
}

#[test]
fn it_promises_what_every_catalog_does() {
    contract::commits_are_atomic(&*Fleet::new().home);
    contract::an_older_revision_is_refused(&*Fleet::new().home);
    contract::a_listing_keeps_to_its_prefix(&*Fleet::new().home);
    contract::updates_of_many_threads_are_all_kept(&Fleet::new().home);
    contract::a_watch_misses_nothing(&Fleet::new().home);
    contract::a_lease_ends_with_who_held_it(&*Fleet::new().home, Duration::from_secs(1));
    contract::a_value_has_a_limit(&*Fleet::new().home);
}

#[test]
fn what_is_an_appliances_own_no_other_sees_and_what_is_shared_both_do() {
    let fleet = Fleet::new();
    let mine = |value: &str| [raw("machine/web-01", value), raw("job/000000000001", value)];
    fleet.home.commit(&mine("home's")).unwrap();
    // The same names again, of another appliance: no conflict.
    let after = fleet.home.commit(&[]).unwrap();
    let mut watch = fleet.home.watch("", after).unwrap();
    fleet.away.commit(&mine("away's")).unwrap();
    fleet.away.commit(&[raw("certificate/source/web-01", "shared")]).unwrap();
    let machine: Key = "machine/web-01".parse().unwrap();
    assert_eq!(fleet.home.get(&machine).unwrap().unwrap().value, "home's");
    assert_eq!(fleet.away.get(&machine).unwrap().unwrap().value, "away's");
    let seen = ["certificate/source/web-01", "job/000000000001", "machine/web-01"];
    assert_eq!(keys(&*fleet.home, ""), seen);
    assert_eq!(keys(&*fleet.away, ""), seen);
    assert_eq!(keys(&*fleet.away, "machine/"), ["machine/web-01"]);
    assert_eq!(
        keys(&*fleet.shared, ""),
        [
            "certificate/source/web-01",
            "job/away/000000000001",
            "job/home/000000000001",
            "machine/away/web-01",
            "machine/home/web-01",
        ]
    );
    let told = watch.next(Duration::from_secs(1)).unwrap();
    let told: Vec<_> = told.iter().map(|event| event.key.as_str()).collect();
    assert_eq!(told, ["certificate/source/web-01"], "of the other's own nothing is told");
    let conflict = fleet.away.commit(&[raw("certificate/source/web-01", "again")]).unwrap_err();
    assert!(conflict.is_conflict(), "{conflict}");
}

#[test]
fn an_appliance_whose_name_begins_as_anothers_is_another_one() {
    let fleet = Fleet::new();
    let longer = OfAppliance::new(fleet.shared.clone(), &"home-2".parse().unwrap());
    longer.commit(&[Change::put(&group("a", 1), Expect::Absent)]).unwrap();
    assert_eq!(keys(&*fleet.home, "group/"), [""; 0]);
    assert_eq!(keys(&*fleet.home, ""), [""; 0]);
}

#[test]
fn what_one_appliance_saw_is_put_back_as_its_own() {
    let fleet = Fleet::new();
    let changes = [raw("alarm/rpo/web-01", "1"), raw("job-claim/web-01", "2"), raw("job/000000000001", "3")];
    fleet.home.commit(&changes).unwrap();
    fleet.home.commit(&[raw("settings/installation", "4")]).unwrap();
    let seen = Snapshot::of(fleet.home.list("").unwrap());
    let kept = OfAppliance::kept(&seen, &"home".parse().unwrap()).unwrap();
    assert_eq!(kept, Snapshot::of(fleet.shared.list("").unwrap()));
    assert_eq!(Snapshot::decode(kept.encode().as_bytes()).unwrap(), kept);
}
