//! What every catalog promises. Each function is given a catalog that is empty.

use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog::{Catalog, CatalogError, Change, Expect, Table};
use inventory::{Group, Key, Record, Revision};

/// Longer than anything takes that should happen.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn group(name: &str, members: usize) -> Group {
    let machine = |number| format!("web-{number}").parse().unwrap();
    let one = Group::new(name.parse().unwrap(), vec![machine(0)], None, None, units::Timestamp(0)).unwrap();
    Group { machines: (0..members).map(machine).collect(), ..one }
}

fn key(name: &str) -> Key {
    group(name, 0).key()
}

/// A commit happens whole, or not at all.
pub(crate) fn commits_are_atomic(catalog: &dyn Catalog) {
    let first = catalog.commit(&[Change::put(&group("a", 1), Expect::Absent)]).unwrap();
    let both = [Change::put(&group("b", 1), Expect::Absent), Change::put(&group("a", 2), Expect::Absent)];
    match catalog.commit(&both) {
        Err(CatalogError::Conflict { key: at, expected, found }) => {
            assert_eq!((at, expected, found), (key("a"), Expect::Absent, Some(first)));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(catalog.get(&key("b")).unwrap(), None);
    let second = catalog
        .commit(&[
            Change::put(&group("a", 2), Expect::At(first)),
            Change::put(&group("b", 1), Expect::Absent),
        ])
        .unwrap();
    let listing = catalog.list("group/").unwrap();
    assert!(second > first && listing.revision >= second);
    let found: Vec<_> = listing.entries.iter().map(|entry| (entry.key.clone(), entry.revision)).collect();
    assert_eq!(found, [(key("a"), second), (key("b"), second)]);
}

/// A record is changed only by who knows it as it is.
pub(crate) fn an_older_revision_is_refused(catalog: &dyn Catalog) {
    let first = catalog.commit(&[Change::put(&group("a", 1), Expect::Absent)]).unwrap();
    let second = catalog.commit(&[Change::put(&group("a", 2), Expect::At(first))]).unwrap();
    let stale = catalog.commit(&[Change::put(&group("a", 3), Expect::At(first))]).unwrap_err();
    assert!(stale.is_conflict(), "{stale}");
    let gone = catalog.commit(&[Change::remove(key("a"), Expect::At(first))]).unwrap_err();
    assert!(gone.is_conflict(), "{gone}");
    catalog.commit(&[Change::remove(key("a"), Expect::At(second))]).unwrap();
    assert_eq!(catalog.get(&key("a")).unwrap(), None);
    assert!(catalog.commit(&[Change::put(&group("a", 3), Expect::At(second))]).unwrap_err().is_conflict());
}

/// A listing is of one kind alone, whatever its name begins with.
pub(crate) fn a_listing_keeps_to_its_prefix(catalog: &dyn Catalog) {
    let raw = |text: &str| Change {
        key: text.parse().unwrap(),
        expect: Expect::Absent,
        value: Some("{}".to_owned()),
        lease: None,
    };
    catalog.commit(&["a/1", "a/2/z", "a.b/3", "aa/4", "a-/5"].map(raw)).unwrap();
    let keys = |prefix: &str| {
        let listing = catalog.list(prefix).unwrap();
        listing.entries.iter().map(|entry| entry.key.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(keys("a/"), ["a/1", "a/2/z"]);
    assert_eq!(keys("a/2/"), ["a/2/z"]);
    assert_eq!(keys("b/"), [""; 0]);
}

/// Many threads that count on one record lose nothing.
pub(crate) fn updates_of_many_threads_are_all_kept(catalog: &Arc<dyn Catalog>) {
    let count = |table: Table<Group>| {
        for _ in 0..5 {
            let grown = table.update("shared", |found| {
                let members = found.map_or(0, |group| group.machines.len());
                Ok::<_, CatalogError>(Some(group("shared", members + 1)))
            });
            grown.unwrap();
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| count(Table::new(catalog.clone())));
        }
    });
    let kept = Table::<Group>::new(catalog.clone()).get("shared").unwrap().unwrap();
    assert_eq!(kept.record, group("shared", 20));
}

/// Who lists and then watches sees every later change, in order.
pub(crate) fn a_watch_misses_nothing(catalog: &Arc<dyn Catalog>) {
    let table = Table::<Group>::new(catalog.clone());
    table.put(&group("before", 1)).unwrap();
    let listed = table.list().unwrap();
    let after = table.put(&group("a", 1)).unwrap();
    let mut changes = table.watch(listed.revision).unwrap();
    let writer = table.clone();
    let written = std::thread::spawn(move || {
        writer.put(&group("a", 2)).unwrap();
        writer.remove("before", Expect::Any).unwrap();
    });
    let (mut seen, until) = (Vec::new(), Instant::now() + PATIENCE);
    while seen.len() < 3 && Instant::now() < until {
        let came = changes.next(Duration::from_millis(200)).unwrap();
        seen.extend(came.into_iter().map(|each| (each.key, each.row.map(|row| row.record.machines.len()))));
    }
    written.join().unwrap();
    assert_eq!(seen, [(key("a"), Some(1)), (key("a"), Some(2)), (key("before"), None)]);
    assert!(after > listed.revision);
    assert_eq!(changes.next(Duration::from_millis(20)).unwrap(), []);
}

/// What hangs on a lease lives as long as it is kept alive, and no longer.
pub(crate) fn a_lease_ends_with_who_held_it(catalog: &dyn Catalog, life: Duration) {
    let lease = catalog.grant(life).unwrap();
    let put = Change::put(&group("held", 1), Expect::Absent).under(lease.id);
    let at = catalog.commit(&[put, Change::put(&group("free", 1), Expect::Absent)]).unwrap();
    let kept = Instant::now() + lease.life * 2;
    while Instant::now() < kept {
        catalog.keep_alive(lease.id).unwrap();
        std::thread::sleep(lease.life / 8);
    }
    assert!(catalog.get(&key("held")).unwrap().is_some());
    let mut watch = catalog.watch("group/", at).unwrap();
    let until = Instant::now() + PATIENCE;
    let gone = loop {
        let events = watch.next(Duration::from_millis(200)).unwrap();
        if !events.is_empty() || Instant::now() > until {
            break events;
        }
    };
    assert_eq!(
        gone.iter().map(|event| (&event.key, &event.value)).collect::<Vec<_>>(),
        [(&key("held"), &None)]
    );
    assert!(catalog.get(&key("free")).unwrap().is_some());
    assert!(matches!(catalog.keep_alive(lease.id), Err(CatalogError::LeaseUnknown { .. })));
    let late = Change::put(&group("late", 1), Expect::Any).under(lease.id);
    assert!(matches!(catalog.commit(&[late]), Err(CatalogError::LeaseUnknown { .. })));
}

/// A lease that is ended takes along what hangs on it, at once.
pub(crate) fn a_lease_can_be_ended(catalog: &dyn Catalog) {
    let lease = catalog.grant(Duration::from_secs(60)).unwrap();
    catalog.commit(&[Change::put(&group("held", 1), Expect::Absent).under(lease.id)]).unwrap();
    catalog.end(lease.id).unwrap();
    assert_eq!(catalog.get(&key("held")).unwrap(), None);
    assert!(matches!(catalog.keep_alive(lease.id), Err(CatalogError::LeaseUnknown { .. })));
}

/// Too long a value is refused, and nothing is changed.
pub(crate) fn a_value_has_a_limit(catalog: &dyn Catalog) {
    let long = Change {
        key: key("long"),
        expect: Expect::Any,
        value: Some("x".repeat(catalog::VALUE_LEN_MAX + 1)),
        lease: None,
    };
    let refused = catalog.commit(&[Change::put(&group("a", 1), Expect::Any), long]).unwrap_err();
    assert!(matches!(refused, CatalogError::ValueTooLong { .. }), "{refused}");
    assert_eq!(catalog.get(&key("a")).unwrap(), None);
    assert_eq!(catalog.commit(&[]).unwrap(), Revision(catalog.list("group/").unwrap().revision.0));
}

/// The longest value is kept, and what one commit takes altogether has a limit, too.
pub(crate) fn a_long_value_is_kept_and_a_commit_has_a_limit(catalog: &dyn Catalog) {
    let long = |name: &str, len: usize| Change {
        key: key(name),
        expect: Expect::Absent,
        value: Some("x".repeat(len)),
        lease: None,
    };
    let revision = catalog.commit(&[long("a", catalog::VALUE_LEN_MAX)]).unwrap();
    let kept = catalog.get(&key("a")).unwrap().unwrap();
    assert_eq!((kept.value.len(), kept.revision), (catalog::VALUE_LEN_MAX, revision));
    let most = catalog::COMMIT_LEN_MAX - "group/bgroup/c".len();
    let both = |len: usize| [long("b", len / 2), long("c", len - len / 2)];
    let refused = catalog.commit(&both(most + 1)).unwrap_err();
    assert!(matches!(refused, CatalogError::CommitTooLong { .. }), "{refused}");
    assert_eq!(catalog.get(&key("b")).unwrap(), None);
    catalog.commit(&both(most)).unwrap();
}

/// A listing is of one moment, however many records it has and whatever is committed meanwhile.
pub(crate) fn a_long_listing_is_of_one_moment(catalog: &Arc<dyn Catalog>) {
    const RECORDS: usize = 1000;
    let name = |number: usize| format!("g{number:04}");
    let numbers: Vec<_> = (0..RECORDS).collect();
    for some in numbers.chunks(catalog::CHANGES_MAX) {
        let put = |number: &usize| Change::put(&group(&name(*number), 1), Expect::Absent);
        catalog.commit(&some.iter().map(put).collect::<Vec<_>>()).unwrap();
    }
    let (first, last) = (name(0), name(RECORDS - 1));
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for members in 2..40 {
                let ends = [&first, &last].map(|name| Change::put(&group(name, members), Expect::Any));
                catalog.commit(&ends).unwrap();
            }
        });
        let table = Table::<Group>::new(catalog.clone());
        while !writing.is_finished() {
            let rows = table.list().unwrap().rows;
            let ends = [rows.first().unwrap(), rows.last().unwrap()];
            assert_eq!(rows.len(), RECORDS);
            assert_eq!(ends[0].record.machines.len(), ends[1].record.machines.len(), "both or none");
            assert_eq!(ends[0].revision == ends[1].revision, ends[0].record.machines.len() > 1);
        }
    });
}

/// Revisions rise with each commit, and a watch tells every change of many once, in their order.
pub(crate) fn a_watch_tells_each_change_once_in_order(catalog: &Arc<dyn Catalog>) {
    const COMMITS: usize = 200;
    let start = catalog.list("group/").unwrap().revision;
    let mut watch = catalog.watch("group/", start).unwrap();
    let writer = catalog.clone();
    let writing = std::thread::spawn(move || -> Vec<Revision> {
        let put = |number: usize| [Change::put(&group(&format!("g{}", number % 7), number), Expect::Any)];
        (0..COMMITS).map(|number| writer.commit(&put(number)).unwrap()).collect()
    });
    let seen = gather(&mut *watch, COMMITS);
    let revisions = writing.join().unwrap();
    assert!(revisions.is_sorted_by(|one, next| one < next), "{revisions:?}");
    assert_eq!(seen.iter().map(|event| event.revision).collect::<Vec<_>>(), revisions);
    assert_eq!(watch.next(Duration::from_millis(50)).unwrap(), []);
}

/// Takes events until there are so many, or patience is over.
pub(crate) fn gather(watch: &mut dyn catalog::Watch, count: usize) -> Vec<catalog::Event> {
    let (mut seen, until) = (Vec::new(), Instant::now() + PATIENCE);
    while seen.len() < count && Instant::now() < until {
        // While nobody answers, a watch says so; what it tells later is what it would have told.
        match watch.next(Duration::from_millis(200)) {
            Ok(events) => seen.extend(events),
            Err(CatalogError::Failed { .. }) => std::thread::sleep(Duration::from_millis(100)),
            Err(error) => panic!("{error}"),
        }
    }
    seen
}
