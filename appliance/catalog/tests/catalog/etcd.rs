//! The catalog in an etcd cluster: a real one, over TLS.

use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog::{Catalog, CatalogError, Change, Endpoints, Etcd, Expect, Snapshot, Table};
use inventory::{Group, Record as _, Revision};

use crate::cluster::Cluster;
use crate::contract::{self, gather, group};
use crate::deaf::lossy_way;

/// The instance of a process.
const INSTANCE: [u8; 16] = [1; 16];

fn try_open(cluster: &Cluster, writer: &str) -> Result<Etcd, CatalogError> {
    Etcd::open(&cluster.endpoints(), Some(&cluster.files()), writer, INSTANCE)
}

fn open(cluster: &Cluster, writer: &str) -> Arc<dyn Catalog> {
    Arc::new(try_open(cluster, writer).unwrap())
}

/// Asks something of an empty catalog.
fn asked(contract: impl FnOnce(&Arc<dyn Catalog>)) {
    let cluster = Cluster::start(1);
    contract(&open(&cluster, "home"));
}

#[test]
fn commits_are_atomic() {
    asked(|catalog| contract::commits_are_atomic(&**catalog));
}

#[test]
fn an_older_revision_is_refused() {
    asked(|catalog| contract::an_older_revision_is_refused(&**catalog));
}

#[test]
fn a_listing_keeps_to_its_prefix() {
    asked(|catalog| contract::a_listing_keeps_to_its_prefix(&**catalog));
}

#[test]
fn updates_of_many_threads_are_all_kept() {
    asked(contract::updates_of_many_threads_are_all_kept);
}

#[test]
fn a_watch_misses_nothing() {
    asked(contract::a_watch_misses_nothing);
}

#[test]
fn a_lease_ends_with_who_held_it() {
    asked(|catalog| contract::a_lease_ends_with_who_held_it(&**catalog, Duration::from_secs(2)));
}

#[test]
fn a_lease_can_be_ended() {
    asked(|catalog| contract::a_lease_can_be_ended(&**catalog));
}

#[test]
fn a_value_has_a_limit() {
    asked(|catalog| contract::a_value_has_a_limit(&**catalog));
}

#[test]
fn a_long_value_is_kept_and_a_commit_has_a_limit() {
    asked(|catalog| contract::a_long_value_is_kept_and_a_commit_has_a_limit(&**catalog));
}

#[test]
fn a_long_listing_is_of_one_moment() {
    asked(contract::a_long_listing_is_of_one_moment);
}

#[test]
fn a_watch_tells_each_change_once_in_order() {
    asked(contract::a_watch_tells_each_change_once_in_order);
}

#[test]
fn etcdctl_shows_the_records_readable() {
    let cluster = Cluster::start(1);
    let catalog = open(&cluster, "home");
    catalog.commit(&[Change::put(&group("web", 2), Expect::Absent)]).unwrap();
    let shown = cluster.etcdctl(&["get", "--prefix", "landfall/group/"]);
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines[0], "landfall/group/web");
    assert!(lines[1].starts_with(r#"{"name":"web","machines":["web-0","web-1"]"#), "{shown}");
    assert!(lines[2].starts_with("blake3 "), "{shown}");
}

#[test]
fn what_was_committed_is_there_after_the_cluster_was_killed() {
    let mut cluster = Cluster::start(1);
    let catalog = open(&cluster, "home");
    let start = catalog.commit(&[]).unwrap();
    let mut watch = catalog.watch("group/", start).unwrap();
    let put = |number: usize| [Change::put(&group("a", number), Expect::Any)];
    let mut revisions: Vec<_> = (0..5).map(|number| catalog.commit(&put(number)).unwrap()).collect();
    assert!(gather(&mut *watch, 3).len() >= 3);
    cluster.kill(0);
    cluster.restart(0);
    assert_eq!(catalog.get(&group("a", 0).key()).unwrap().unwrap().revision, revisions[4]);
    revisions.extend((5..10).map(|number| catalog.commit(&put(number)).unwrap()));
    let mut again = catalog.watch("group/", start).unwrap();
    let seen = |events: Vec<catalog::Event>| events.iter().map(|event| event.revision).collect::<Vec<_>>();
    assert_eq!(seen(gather(&mut *again, 10)), revisions, "from the beginning");
}

#[test]
fn a_watch_goes_on_where_it_was_when_the_cluster_comes_back() {
    let mut cluster = Cluster::start(1);
    let catalog = open(&cluster, "home");
    let mut watch = catalog.watch("group/", catalog.commit(&[]).unwrap()).unwrap();
    let put = |number: usize| catalog.commit(&[Change::put(&group("a", number), Expect::Any)]).unwrap();
    let (mut revisions, mut seen) = (Vec::new(), Vec::new());
    for round in 0..3 {
        revisions.extend((0..4).map(|number| put(round * 4 + number)));
        if round > 0 {
            seen.extend(gather(&mut *watch, 2));
        }
        cluster.kill(0);
        cluster.restart(0);
    }
    seen.extend(gather(&mut *watch, revisions.len() - seen.len()));
    assert_eq!(seen.iter().map(|event| event.revision).collect::<Vec<_>>(), revisions);
    assert_eq!(watch.next(Duration::from_millis(100)).unwrap(), []);
}

#[test]
fn a_cluster_that_is_away_is_told_within_seconds_and_used_again_when_it_is_back() {
    let mut cluster = Cluster::start(1);
    let catalog = open(&cluster, "home");
    let at = catalog.commit(&[Change::put(&group("a", 1), Expect::Absent)]).unwrap();
    cluster.kill(0);
    let begun = Instant::now();
    let away = catalog.commit(&[Change::put(&group("a", 2), Expect::At(at))]).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    let told = chain(&away);
    assert!(told.contains(&cluster.endpoints().to_string()) && told.contains("etcdctl"), "{told}");
    // Those who come next need not wait as long.
    let begun = Instant::now();
    for _ in 0..20 {
        assert!(catalog.get(&group("a", 1).key()).is_err());
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    cluster.restart(0);
    let until = Instant::now() + Duration::from_secs(20);
    let revision = loop {
        match catalog.commit(&[Change::put(&group("a", 3), Expect::At(at))]) {
            Ok(revision) => break revision,
            Err(error) => assert!(!error.is_conflict() && Instant::now() < until, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    assert_eq!(catalog.get(&group("a", 1).key()).unwrap().unwrap().revision, revision);
}

#[test]
fn a_cluster_of_three_goes_on_without_any_one_of_them() {
    let mut cluster = Cluster::start(3);
    let catalog = open(&cluster, "home");
    let mut watch = catalog.watch("group/", catalog.commit(&[]).unwrap()).unwrap();
    let mut revisions = Vec::new();
    for at in 0..3 {
        cluster.kill(at);
        for number in 0..5 {
            let put = [Change::put(&group(&format!("g{at}"), number), Expect::Any)];
            revisions.push(catalog.commit(&put).unwrap());
        }
        cluster.restart(at);
    }
    let seen: Vec<_> = gather(&mut *watch, 15).iter().map(|event| event.revision).collect();
    assert_eq!(seen, revisions);
}

#[test]
fn a_commit_whose_answer_is_lost_happens_once() {
    let cluster = Cluster::start(1);
    // Every third answer is lost; then the cluster is asked again.
    let way = lossy_way(cluster.plain_port(), 3);
    let endpoints: Endpoints = format!("http://127.0.0.1:{way}").parse().unwrap();
    let catalog: Arc<dyn Catalog> = Arc::new(Etcd::open(&endpoints, None, "home", INSTANCE).unwrap());
    for members in 1..=60 {
        let found = catalog.get(&group("a", 0).key()).unwrap();
        let expect = match found {
            // Whatever is there: nothing but its number keeps this commit from happening twice.
            _ if members % 2 == 0 => Expect::Any,
            // Nobody else writes: no commit of ours may meet another one of ours.
            found => found.map_or(Expect::Absent, |entry| Expect::At(entry.revision)),
        };
        catalog.commit(&[Change::put(&group("a", members), expect)]).unwrap();
    }
    let versions = cluster.etcdctl(&["get", "landfall/group/a", "--write-out=json"]);
    assert!(versions.contains(r#""version":60"#), "each once: {versions}");
}

#[test]
fn of_two_servers_that_change_a_record_at_once_one_wins() {
    let cluster = Cluster::start(1);
    let servers = [open(&cluster, "home"), open(&cluster, "away")];
    let mut at = servers[0].commit(&[Change::put(&group("a", 1), Expect::Absent)]).unwrap();
    for round in 0..20 {
        let committed: Vec<_> = std::thread::scope(|scope| {
            let race = |server: &Arc<dyn Catalog>, members| {
                let server = server.clone();
                scope.spawn(move || server.commit(&[Change::put(&group("a", members), Expect::At(at))]))
            };
            let racing = [race(&servers[0], 2), race(&servers[1], 3)];
            racing.map(|each| each.join().unwrap()).into_iter().collect()
        });
        let won: Vec<_> = committed.iter().filter_map(|each| each.as_ref().ok()).collect();
        assert_eq!(won.len(), 1, "round {round}: {committed:?}");
        at = *won[0];
        let lost = committed.iter().find_map(|each| each.as_ref().err()).unwrap();
        assert!(lost.is_conflict(), "{lost}");
        for server in &servers {
            assert_eq!(server.get(&group("a", 0).key()).unwrap().unwrap().revision, at);
        }
    }
}

#[test]
fn an_older_process_of_the_same_name_commits_nothing_any_more() {
    let cluster = Cluster::start(1);
    let older = open(&cluster, "home");
    older.commit(&[Change::put(&group("a", 1), Expect::Absent)]).unwrap();
    let younger = Etcd::open(&cluster.endpoints(), Some(&cluster.files()), "home", [2; 16]).unwrap();
    younger.commit(&[Change::put(&group("a", 2), Expect::Any)]).unwrap();
    let refused = older.commit(&[Change::put(&group("a", 3), Expect::Any)]).unwrap_err();
    assert!(matches!(refused, CatalogError::Supplanted { .. }), "{refused}");
    let kept = Table::<Group>::new(older).get("a").unwrap().unwrap();
    assert_eq!(kept.record, group("a", 2));
}

#[test]
fn a_value_that_somebody_has_changed_is_never_taken_for_the_truth() {
    let cluster = Cluster::start(1);
    let catalog = open(&cluster, "home");
    let at = catalog.commit(&[Change::put(&group("a", 1), Expect::Absent)]).unwrap();
    let mut watch = catalog.watch("group/", at).unwrap();
    let text = cluster.etcdctl(&["get", "landfall/group/a", "--print-value-only"]);
    cluster.etcdctl(&["put", "landfall/group/a", &text.replacen("web-0", "web-9", 1)]);
    for refused in [
        catalog.get(&group("a", 1).key()).map(drop).unwrap_err(),
        catalog.list("group/").map(drop).unwrap_err(),
        watch.next(Duration::from_secs(10)).map(drop).unwrap_err(),
        watch.next(Duration::from_secs(10)).map(drop).unwrap_err(),
        try_open(&cluster, "away").map(drop).unwrap_err(),
    ] {
        assert!(refused.is_damage() && refused.to_string().contains("group/a"), "{refused}");
    }
}

#[test]
fn changes_that_the_cluster_has_forgotten_are_told_as_missed() {
    let cluster = Cluster::start(1);
    let catalog = open(&cluster, "home");
    let start = catalog.commit(&[]).unwrap();
    let put = |number| catalog.commit(&[Change::put(&group("a", number), Expect::Any)]).unwrap();
    let last = (0..5).map(put).fold(start, Revision::max);
    cluster.etcdctl(&["compaction", &last.to_string()]);
    let mut watch = catalog.watch("group/", start).unwrap();
    let missed = watch.next(Duration::from_secs(10)).unwrap_err();
    assert!(matches!(missed, CatalogError::Missed { after } if after == start), "{missed}");
    assert_eq!(catalog.list("group/").unwrap().revision, last, "listed anew");
}

#[test]
fn a_catalog_is_filled_where_there_is_none_and_stands_behind_its_snapshot() {
    let cluster = Cluster::start(1);
    let (endpoints, files) = (cluster.endpoints(), cluster.files());
    let snapshot = snapshot(1000, Revision(5_000));
    Etcd::fill(&endpoints, Some(&files), &snapshot, INSTANCE).unwrap();
    let catalog = open(&cluster, "home");
    let listing = catalog.list("").unwrap();
    let text = |entries: &[catalog::Entry]| {
        entries.iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect::<Vec<_>>()
    };
    assert_eq!(text(&listing.entries), text(snapshot.records()));
    assert!(listing.revision > snapshot.revision());
    let row = &listing.entries[7];
    let change = Change::remove(row.key.clone(), Expect::At(row.revision));
    assert!(catalog.commit(&[change]).unwrap() > listing.revision);
    let refused = Etcd::fill(&endpoints, Some(&files), &snapshot, INSTANCE).unwrap_err();
    assert!(matches!(refused, CatalogError::NotEmpty { .. }), "{refused}");
    assert_eq!(catalog.list("").unwrap().entries.len(), 999);
}

#[test]
fn a_catalog_whose_filling_was_cut_off_is_none_and_is_filled_anew() {
    let cluster = Cluster::start(1);
    Etcd::fill(&cluster.endpoints(), Some(&cluster.files()), &snapshot(10, Revision(7)), INSTANCE).unwrap();
    // What a crash in the middle leaves.
    let form = r#"{"form":1,"base":7,"filled_by":"somebody"}"#;
    cluster.etcdctl(&["put", "landfall/~form", form]);
    let refused = try_open(&cluster, "home").unwrap_err();
    assert!(refused.is_damage() && refused.to_string().contains("filled"), "{refused}");
    Etcd::fill(&cluster.endpoints(), Some(&cluster.files()), &snapshot(3, Revision(7)), INSTANCE).unwrap();
    assert_eq!(open(&cluster, "home").list("").unwrap().entries.len(), 3);
}

#[test]
fn a_catalog_of_a_newer_version_is_refused() {
    let cluster = Cluster::start(1);
    cluster.etcdctl(&["put", "landfall/~form", r#"{"form":2}"#]);
    let refused = try_open(&cluster, "home").unwrap_err();
    assert!(matches!(refused, CatalogError::Newer { found: 2, .. }), "{refused}");
}

#[test]
fn a_client_without_a_certificate_of_the_cluster_is_told_so() {
    let (cluster, other) = (Cluster::start(1), Cluster::start(1));
    let refused = Etcd::open(&cluster.endpoints(), Some(&other.files()), "home", INSTANCE).unwrap_err();
    let told = chain(&refused);
    assert!(told.contains("TLS handshake") && told.contains(&cluster.endpoints().to_string()), "{told}");
}

fn snapshot(records: usize, revision: Revision) -> Snapshot {
    let entry = |number: usize| {
        let change = Change::put(&group(&format!("g{number:04}"), 1), Expect::Any);
        let value = change.value.unwrap();
        catalog::Entry { key: change.key, value, revision: Revision(1), lease: None }
    };
    Snapshot::of(catalog::Listing { entries: (0..records).map(entry).collect(), revision })
}

/// Says an error, and all that lies behind it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(behind) = source {
        text += &format!(": {behind}");
        source = behind.source();
    }
    text
}
