//! Bytes that rot on the retention volume and on target disks: scrubbing finds all that matter and names where, what is spoilt is
//! refused, what is not is exact, and the source repairs the disks.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use control::api::{Health, Machine, Phase, ScrubState, Scrubs};
use landfall_tests::disk::Kind;
use landfall_tests::material::Noise;
use landfall_tests::rig::{Member, Rig, newest};
use units::Sequence;

const MIB: u64 = 1 << 20;
const LEAF: u64 = 65_536;
const NAME: &str = "web-01";
const WAIT: Duration = Duration::from_secs(60);

struct Scene {
    member: Member,
    rig: Rig,
    points: Vec<Sequence>,
}

impl Scene {
    /// A machine with a history of a few epochs, scrubbed once.
    fn set(disk: u64) -> Result<Self> {
        let rig = Rig::start(&["--epoch-size", "1MiB", "--scrub-rate", "0"])?;
        let member = rig.member(NAME, &[disk], Kind::File)?;
        member.once()?;
        let mut scene = Self { member, rig, points: Vec::new() };
        for round in 0..4 {
            scene.round(round, 40)?;
        }
        scene.rig.appliance.wait_applied(NAME)?;
        Ok(scene)
    }

    /// Changes the disk, sends it, and keeps it.
    fn round(&mut self, round: u64, pieces: u64) -> Result<()> {
        self.member.change(0, &mut Noise::new(round + 70), pieces)?;
        self.member.once()?;
        self.member.keep(&format!("round-{round}"))?;
        self.points.push(newest(&self.rig.appliance.machine(NAME)?)?.sequence);
        Ok(())
    }

    /// Scrubs and waits for the end.
    fn scrub(&self) -> Result<Machine> {
        let before = self.rig.appliance.machine(NAME)?.scrub.and_then(|scrub| scrub.last);
        let _: Scrubs = self.rig.appliance.landfall(["retention", "scrub", NAME, "--now"])?;
        self.rig.appliance.wait_until(NAME, WAIT, |machine| {
            let scrub = machine.scrub.as_ref();
            scrub.is_some_and(|scrub| scrub.state == ScrubState::Waiting && scrub.last != before)
        })
    }

    fn journal(&self) -> Result<Vec<PathBuf>> {
        let mut files = list(&self.rig.appliance.retention().join("machines"))?;
        files.retain(|path| ["redo", "undo", "index"].iter().any(|name| path.ends_with(name)));
        files.sort();
        Ok(files)
    }

    /// Asks for every point: each is exact, or is refused as spoilt. Returns which were refused.
    fn refused(&self) -> Result<Vec<usize>> {
        let mut refused = Vec::new();
        for (round, point) in self.points.iter().enumerate() {
            let arguments = ["failback", NAME, "--to", &point.to_string(), "--yes"];
            match self.rig.appliance.job(arguments) {
                Ok(_) => {
                    self.member.is_as_kept(&format!("round-{round}"))?;
                    self.rig.appliance.job(["cancel", NAME])?;
                }
                Err(error) => {
                    let told = format!("{error:#}");
                    ensure!(told.contains("LF-1330") && told.contains("nearest whole point"), "{told}");
                    refused.push(round);
                }
            }
        }
        Ok(refused)
    }
}

fn list(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() { files.extend(list(&path)?) } else { files.push(path) }
    }
    Ok(files)
}

fn flip(path: &Path, at: u64) -> Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    file.write_all_at(&[byte[0] ^ 0x5a], at)?;
    file.sync_all().context("syncing a flipped byte")
}

#[test]
fn a_rotten_disk_is_located_refused_and_repaired_by_the_source() -> Result<()> {
    let mut scene = Scene::set(8 * MIB)?;
    let clean = scene.scrub()?;
    let last = clean.scrub.and_then(|scrub| scrub.last).context("a result")?;
    ensure!(last.found == 0 && last.proved && clean.damage.is_empty(), "{last:?} {:?}", clean.damage);
    let target = scene.member.targets[0].path().to_owned();
    let places = [3 * LEAF + 17, 40 * LEAF, 41 * LEAF - 1, 127 * LEAF + 65_535];
    places.iter().try_for_each(|at| flip(&target, *at))?;
    let machine = scene.scrub()?;
    for at in places {
        let names = |damage: &&control::api::Damage| {
            damage.start_bytes <= at && at < damage.start_bytes + damage.len_bytes && damage.last.is_none()
        };
        let found =
            machine.damage.iter().find(names).with_context(|| format!("{at}: {:?}", machine.damage))?;
        ensure!(found.len_bytes <= 2 * LEAF, "located to its leaves: {found:?}");
    }
    ensure!(machine.phase == Phase::Protected, "the machine stays in service: {machine:?}");
    let status = scene.rig.appliance.status()?;
    ensure!(status.health == Health::Degraded && status.concerns[0].what.contains("damaged"), "{status:?}");
    let told = scene.rig.appliance.landfall_refused(["failback", NAME, "--to", "latest", "--yes"])?;
    ensure!(told.0 == 3 && told.1.contains("LF-1330") && told.1.contains("the target disk"), "{told:?}");
    // It survives a kill, and the source's next round repairs it.
    scene.rig.appliance.kill()?;
    scene.rig.appliance.start()?;
    ensure!(!scene.rig.appliance.machine(NAME)?.damage.is_empty(), "damage is durable");
    thread::sleep(Duration::from_millis(600));
    let deadline = Instant::now() + WAIT;
    let mut round = 4;
    while scene.rig.appliance.machine(NAME)?.damage.iter().any(|damage| damage.last.is_none()) {
        ensure!(Instant::now() < deadline, "not repaired: {:?}", scene.rig.appliance.machine(NAME)?.damage);
        scene.round(round, 3)?;
        thread::sleep(Duration::from_millis(400));
        round += 1;
    }
    scene.rig.appliance.wait_applied(NAME)?;
    scene.member.is_same().context("the target disk is repaired")?;
    let again = scene.scrub()?;
    let last = again.scrub.and_then(|scrub| scrub.last).context("a result")?;
    ensure!(last.found == 0 && last.proved, "{last:?} {:?}", again.damage);
    let refused = scene.refused()?;
    let newest = scene.points.len() - 1;
    ensure!(refused.contains(&3) && !refused.contains(&newest), "{refused:?} {:?}", again.damage);
    Ok(())
}

#[test]
fn rot_that_was_captured_before_it_was_seen_spoils_its_points_and_no_others() -> Result<()> {
    let mut scene = Scene::set(4 * MIB)?;
    scene.scrub()?;
    let target = scene.member.targets[0].path().to_owned();
    flip(&target, 9 * LEAF + 5000)?;
    // The whole leaf is written anew: the rotten content goes into the history, and the disk is right again.
    let disk = OpenOptions::new().write(true).open(scene.member.disks[0].path())?;
    disk.write_all_at(&vec![0x77; LEAF as usize], 9 * LEAF)?;
    disk.sync_all()?;
    scene.round(4, 1)?;
    scene.rig.appliance.wait_applied(NAME)?;
    scene.member.is_same()?;
    let machine = scene.scrub()?;
    let found: Vec<_> = machine.damage.iter().filter(|damage| damage.start_bytes == 9 * LEAF).collect();
    ensure!(found.len() == 1 && found[0].last.is_some(), "{:?}", machine.damage);
    let refused = scene.refused()?;
    ensure!(refused.contains(&3) && !refused.contains(&4), "{refused:?}: {:?}", machine.damage);
    Ok(())
}

#[test]
fn every_flipped_byte_of_a_journal_is_found_or_means_nothing() -> Result<()> {
    let scene = Scene::set(4 * MIB)?;
    scene.scrub()?;
    let flips = std::env::var("LANDFALL_SCRUB_FLIPS").ok().and_then(|text| text.parse().ok()).unwrap_or(24);
    let (mut noise, mut found, mut harmless) = (Noise::new(31), 0, 0);
    let files = scene.journal()?;
    for number in 0..flips {
        let path = &files[usize::try_from(number)? % files.len()];
        let bytes = fs::read(path)?;
        let used = bytes.iter().rposition(|byte| *byte != 0).context("a file in use")? as u64 + 1;
        let at = noise.below(used);
        let what = format!("{} at {at} of {used}", path.display());
        flip(path, at)?;
        let machine = scene.scrub().with_context(|| what.clone())?;
        let count = machine.scrub.and_then(|scrub| scrub.last).map_or(0, |last| last.found);
        if count > 0 {
            found += 1;
            let epoch = path.parent().and_then(Path::file_name).context("an epoch")?;
            let epoch =
                epoch.to_string_lossy().trim_start_matches("epoch-").trim_start_matches('0').to_owned();
            let index = path.ends_with("index");
            let named =
                machine.damage.iter().any(|damage| damage.place.contains(&format!("epoch {epoch} at")));
            ensure!(named || index, "{what}: {:?}", machine.damage);
            println!("found: {what}");
        } else {
            // Padding, which no checksum covers: everything is exact all the same.
            harmless += 1;
            println!("means nothing: {what}");
            ensure!(scene.refused()?.is_empty(), "{what}");
        }
        if number % 8 == 0 {
            scene.refused().with_context(|| what.clone())?;
        }
        if path.ends_with("index") {
            ensure!(fs::read(path)? == bytes, "{what}: made again as it was");
        } else {
            flip(path, at)?;
        }
    }
    ensure!(found > 2 * harmless, "{found} found, {harmless} harmless");
    Ok(())
}

#[test]
fn scrubbing_keeps_its_pace_can_be_paused_and_remembers_over_a_restart() -> Result<()> {
    let mut scene = Scene::set(4 * MIB)?;
    let _: Scrubs = scene.rig.appliance.landfall(["retention", "scrub", NAME, "--now", "--rate", "1MiB"])?;
    let running = |machine: &Machine| {
        machine.scrub.as_ref().is_some_and(|scrub| scrub.state == ScrubState::Running && scrub.done_bytes > 0)
    };
    let machine = scene.rig.appliance.wait_until(NAME, WAIT, running)?;
    let scrub = machine.scrub.context("a scrub")?;
    ensure!(scrub.rate_max == Some(MIB) && scrub.total_bytes > MIB, "{scrub:?}");
    thread::sleep(Duration::from_millis(1500));
    let scrub = scene.rig.appliance.machine(NAME)?.scrub.context("a scrub")?;
    ensure!(scrub.rate <= 3 * MIB / 2, "it keeps to its rate: {scrub:?}");
    let further = |machine: &Machine| machine.scrub.as_ref().is_some_and(|scrub| scrub.done_bytes > 4 * MIB);
    scene.rig.appliance.wait_until(NAME, WAIT, further)?;
    let scrubs: Scrubs = scene.rig.appliance.landfall(["retention", "scrub", NAME, "--pause"])?;
    ensure!(scrubs.machines[0].scrub.state == ScrubState::Paused, "{scrubs:?}");
    let cut = scene.rig.appliance.status()?.time;
    scene.rig.appliance.kill()?;
    scene.rig.appliance.start()?;
    let paused =
        |machine: &Machine| machine.scrub.as_ref().is_some_and(|scrub| scrub.state == ScrubState::Paused);
    scene.rig.appliance.wait_until(NAME, WAIT, paused)?;
    let _: Scrubs = scene.rig.appliance.landfall(["retention", "scrub", NAME, "--resume"])?;
    // The pass that was cut goes on where it was: what it has read is not read again.
    let done = |machine: &Machine| machine.scrub.as_ref().is_some_and(|scrub| scrub.last.is_some());
    let machine = scene.rig.appliance.wait_until(NAME, WAIT, done)?;
    let resumed = machine.scrub.and_then(|scrub| scrub.last).context("a result")?;
    let before = scene.scrub()?.scrub.and_then(|scrub| scrub.last).context("a result")?;
    println!("{resumed:?}, in one go {before:?}");
    ensure!(resumed.started.0 < cut.0 && resumed.finished.0 > cut.0, "{resumed:?}, cut {cut:?}");
    ensure!(
        resumed.found == 0 && resumed.read_bytes < before.read_bytes + 2 * MIB,
        "{resumed:?}, {before:?}"
    );
    scene.rig.appliance.kill()?;
    scene.rig.appliance.start()?;
    let known =
        |machine: &Machine| machine.scrub.as_ref().and_then(|scrub| scrub.last.as_ref()) == Some(&before);
    scene.rig.appliance.wait_until(NAME, WAIT, known)?;
    Ok(())
}
