//! Consistency groups with real programs: two sources write related data, and at a common point the one is never ahead of the other.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use control::api::{Group, GroupPoint, GroupPoints, HeartbeatState, Servers};
use landfall_tests::disk::Kind;
use landfall_tests::process::Process;
use landfall_tests::rig::{Member, Rig, within};

const WAIT_MAX: Duration = Duration::from_secs(120);
const DISK_LEN: u64 = 2 << 20;

/// A hook that keeps its guest from writing while a file is there.
const HOOK: &str = r#"#!/bin/sh
cd 'AT' || exit 1
echo "$1" >> log
case "$1" in
freeze) [ ! -e refuse ] || exit 1; touch hold; while [ -e writing ]; do sleep 0.01; done ;;
thaw) rm -f hold ;;
esac
"#;

/// A machine with an application that can be held.
struct Guest {
    member: Arc<Member>,
    directory: PathBuf,
    hook: String,
}

impl Guest {
    fn new(rig: &Rig, name: &str) -> Result<Self> {
        let member = Arc::new(rig.member(name, &[DISK_LEN], Kind::File)?);
        let directory = rig.lab.directory(&format!("guest-{name}"))?;
        let hook = directory.join("hook");
        fs::write(&hook, HOOK.replace("AT", &directory.display().to_string()))?;
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o700))?;
        Ok(Self { member, directory, hook: hook.display().to_string() })
    }

    fn begin(&self) -> Result<Process> {
        let source = self.member.source.clone().with(&["--hook", &self.hook]);
        source.start_every(&self.member.each(), "300ms")
    }

    fn is_held(&self) -> bool {
        self.directory.join("hold").exists()
    }

    fn words(&self) -> Vec<String> {
        let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// Writes a counter, unless the application is held; tells whether it did.
    fn write(&self, counter: u64) -> Result<bool> {
        let writing = self.directory.join("writing");
        fs::write(&writing, "")?;
        let free = !self.is_held();
        if free {
            let disk = OpenOptions::new().write(true).open(self.member.disks[0].path())?;
            disk.write_all_at(&counter.to_le_bytes(), 4096)?;
        }
        fs::remove_file(writing)?;
        Ok(free)
    }

    /// Reads the counter from the target disk.
    fn target_counter(&self) -> Result<u64> {
        let mut bytes = [0; 8];
        File::open(self.member.targets[0].path())?.read_exact_at(&mut bytes, 4096)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

/// Counts: each number goes to the first guest, and only then to the second.
struct Counting {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<u64>>>,
}

impl Counting {
    fn start(first: Arc<Guest>, second: Arc<Guest>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut counter = 0;
            while !stopped.load(Ordering::Relaxed) {
                counter += 1;
                for guest in [&first, &second] {
                    while !guest.write(counter)? {
                        if stopped.load(Ordering::Relaxed) {
                            return Ok(counter);
                        }
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
                std::thread::sleep(Duration::from_millis(3));
            }
            Ok(counter)
        });
        Self { stop, thread: Some(thread) }
    }

    fn stop(mut self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("it is stopped once").join().expect("counting does not panic")
    }
}

struct Shop {
    rig: Rig,
    web: Arc<Guest>,
    db: Arc<Guest>,
}

impl Shop {
    fn open() -> Result<Self> {
        let rig = Rig::start(&[])?;
        let (web, db) = (Arc::new(Guest::new(&rig, "web-01")?), Arc::new(Guest::new(&rig, "db-01")?));
        let group: Group = rig
            .appliance
            .landfall(["group", "create", "shop", "web-01", "db-01", "--hold", "20s", "--every", "1d"])?;
        ensure!(group.points == 0 && group.machines.len() == 2, "{group:?}");
        Ok(Self { rig, web, db })
    }

    /// Waits until both sources report and have a point each.
    fn are_heard(&self) -> Result<()> {
        for name in ["web-01", "db-01"] {
            self.rig.appliance.wait_until(name, WAIT_MAX, |machine| machine.newest.is_some())?;
        }
        within(WAIT_MAX, || {
            let servers = self.rig.appliance.landfall::<Servers>(["server", "list"])?.servers;
            let heard = |name: &str| {
                servers.iter().any(|server| {
                    let heartbeat = server.heartbeat.as_ref();
                    let alive = heartbeat.is_some_and(|heartbeat| heartbeat.state == HeartbeatState::Alive);
                    server.name.as_str() == name
                        && alive
                        && heartbeat.is_some_and(|heard| heard.software.is_some())
                })
            };
            ensure!(heard("web-01") && heard("db-01"), "{servers:?}");
            Ok(())
        })
    }

    fn point(&self) -> Result<GroupPoint> {
        self.rig.appliance.landfall(["group", "point", "shop"])
    }

    fn points(&self) -> Result<Vec<GroupPoint>> {
        Ok(self.rig.appliance.landfall::<GroupPoints>(["point", "list", "--group", "shop"])?.points)
    }

    /// Brings both to a point of the group, and returns what their target disks hold.
    fn go_to(&self, point: &str) -> Result<[u64; 2]> {
        self.rig.appliance.job(["failback", "--group", "shop", "--to", point, "--yes"])?;
        Ok([self.web.target_counter()?, self.db.target_counter()?])
    }
}

#[test]
fn at_a_group_point_the_second_is_never_ahead_of_the_first() -> Result<()> {
    let shop = Shop::open()?;
    let counting = Counting::start(shop.web.clone(), shop.db.clone());
    let (web, db) = (shop.web.begin()?, shop.db.begin()?);
    shop.are_heard()?;
    let made = [shop.point()?, shop.point()?, shop.point()?];
    for (at, point) in made.iter().enumerate() {
        ensure!(point.number == at as u64 + 1 && point.members.len() == 2, "{point:?}");
    }
    ensure!(shop.points()? == made, "they are listed");
    for name in ["web-01", "db-01"] {
        let points = shop.rig.appliance.points(name)?.points;
        let marked: Vec<_> = points.iter().filter_map(|point| point.group.as_ref()).collect();
        ensure!(marked.len() == 3 && marked.iter().all(|mark| mark.group.as_str() == "shop"), "{marked:?}");
    }
    counting.stop()?;
    web.stop(WAIT_MAX)?;
    db.stop(WAIT_MAX)?;
    ensure!(!shop.web.is_held() && !shop.db.is_held(), "writes go on");
    let mut last = 0;
    for number in ["1", "2", "3"] {
        let [first, second] = shop.go_to(number)?;
        ensure!(second <= first && first <= second + 1, "{second} at the second, {first} at the first");
        ensure!(first > last, "{first} is later than {last}");
        last = first;
    }
    let latest = shop.go_to("latest")?;
    ensure!(latest[0] == last, "the latest is the third: {latest:?}");
    Ok(())
}

#[test]
fn a_member_that_cannot_hold_keeps_the_others_from_being_held() -> Result<()> {
    let shop = Shop::open()?;
    let (_web, _db) = (shop.web.begin()?, shop.db.begin()?);
    shop.are_heard()?;
    fs::write(shop.db.directory.join("refuse"), "")?;
    let (exit, told) = shop.rig.appliance.landfall_refused(["group", "point", "shop"])?;
    ensure!(exit == 1 && told.contains("LF-1707") && told.contains("db-01"), "{exit}: {told}");
    within(Duration::from_secs(5), || {
        ensure!(!shop.web.is_held(), "the other one is let go");
        Ok(())
    })?;
    ensure!(shop.points()?.is_empty(), "there is no point");
    let group: Group = shop.rig.appliance.landfall(["group", "show", "shop"])?;
    ensure!(group.last.is_some_and(|last| last.number == 1 && last.failed.is_some()), "it is noted");
    fs::remove_file(shop.db.directory.join("refuse"))?;
    ensure!(shop.point()?.number == 2, "the next one is made");
    Ok(())
}

#[test]
fn a_member_killed_in_the_middle_leaves_no_point_and_nobody_held() -> Result<()> {
    let shop = Shop::open()?;
    let (_web, db) = (shop.web.begin()?, shop.db.begin()?);
    shop.are_heard()?;
    // The hook of the second hangs: the first holds and waits for it.
    fs::write(shop.db.directory.join("writing"), "")?;
    let begun = Instant::now();
    let socket = shop.rig.appliance.socket().to_owned();
    let landfall = shop.rig.binaries.landfall.clone();
    let asking = std::thread::spawn(move || {
        landfall_tests::command::output(
            landfall_tests::command::command(landfall)
                .arg("--socket")
                .arg(socket)
                .args(["group", "point", "shop"]),
        )
    });
    within(WAIT_MAX, || {
        ensure!(shop.web.is_held() && shop.db.is_held(), "both are told to hold");
        Ok(())
    })?;
    db.kill()?;
    let output = asking.join().expect("asking does not panic")?;
    ensure!(output.status.code() == Some(1), "{output:?}");
    within(Duration::from_secs(5), || {
        ensure!(!shop.web.is_held(), "the survivor writes on");
        Ok(())
    })?;
    ensure!(begun.elapsed() < Duration::from_secs(20), "long before the bound: {:?}", begun.elapsed());
    ensure!(shop.web.words().contains(&"thaw".to_owned()), "it was let go, not forgotten");
    ensure!(shop.points()?.is_empty(), "there is no point");
    fs::remove_file(shop.db.directory.join("writing"))?;
    let _db = shop.db.begin()?;
    within(WAIT_MAX, || shop.point().map(drop)).context("it comes back by itself")?;
    Ok(())
}

#[test]
fn the_rules_of_groups_are_kept_and_points_are_made_by_themselves() -> Result<()> {
    let shop = Shop::open()?;
    let appliance = &shop.rig.appliance;
    let refused = |words: &[&str], code: &str, exit: i32| {
        let (found, told) = appliance.landfall_refused(words)?;
        ensure!(found == exit && told.contains(code), "{words:?}: exit {found}, {told}");
        Ok(())
    };
    refused(&["group", "create", "other", "web-01"], "LF-1703", 3)?;
    refused(&["group", "create", "shop", "web-01"], "LF-1702", 3)?;
    refused(&["group", "create", "other", "nobody"], "LF-1101", 3)?;
    refused(&["group", "add", "shop", "web-01"], "LF-1704", 3)?;
    refused(&["group", "show", "nobody"], "LF-1701", 3)?;
    refused(&["group", "create", "other", "x", "--every", "1s"], "LF-1705", 2)?;
    refused(&["machine", "remove", "web-01", "--yes"], "LF-1703", 3)?;
    refused(&["failback", "--group", "shop", "--to", "latest", "--yes"], "LF-1708", 3)?;
    refused(&["group", "point", "shop"], "LF-1707", 1)?;
    appliance.landfall::<Group>(["group", "remove", "shop", "db-01"])?;
    appliance.landfall::<serde_json::Value>(["group", "delete", "shop", "--yes"])?;
    let group: Group = appliance
        .landfall(["group", "create", "shop", "web-01", "db-01", "--every", "10s", "--hold", "20s"])?;
    ensure!(group.own_interval && group.every_seconds == Some(10), "{group:?}");
    let (_web, _db) = (shop.web.begin()?, shop.db.begin()?);
    within(WAIT_MAX, || {
        let numbers: Vec<_> = shop.points()?.iter().map(|point| point.number).collect();
        ensure!(numbers.len() >= 2, "points so far: {numbers:?}");
        Ok(())
    })
}
