//! One flipped byte anywhere in a journal: every answer is still exact, or is refused with file and place; never a lie.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use control::api::{JobOutcome, Phase, Scrubs, Verdict};
use landfall_tests::disk::Kind;
use landfall_tests::material::Noise;
use landfall_tests::rig::{Member, Rig, newest};
use units::Sequence;

const MIB: u64 = 1 << 20;
const PAGE_LEN: u64 = 4096;
/// Pages tried in one file; the first ones always, the rest spread over it.
const PAGES_MAX: usize = 6;

struct Scene {
    member: Member,
    intact: Member,
    rig: Rig,
    points: Vec<Sequence>,
}

/// How the machine took a flipped byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    Exact,
    PointRefused,
    MachineOut,
}

impl Scene {
    /// Two machines with a history of a few epochs each, at rest, and the appliance stopped.
    fn set() -> Result<Self> {
        let mut rig = Rig::start(&["--epoch-size", "1MiB"])?;
        let intact = rig.member("intact", &[MIB], Kind::File)?;
        intact.once()?;
        let member = rig.member("damaged", &[8 * MIB], Kind::File)?;
        member.once()?;
        let (mut noise, mut points) = (Noise::new(5), Vec::new());
        for round in 0..4 {
            member.change(0, &mut noise, 40)?;
            member.once()?;
            member.keep(&format!("round-{round}"))?;
            points.push(newest(&rig.appliance.machine("damaged")?)?.sequence);
        }
        rig.appliance.wait_applied("damaged")?;
        rig.appliance.wait_applied("intact")?;
        rig.appliance.stop()?;
        Ok(Self { member, intact, rig, points })
    }

    /// Lists the files of the machine's journal.
    fn files(&self) -> Result<Vec<PathBuf>> {
        let machines = fs::read_dir(self.rig.appliance.retention().join("machines"))?;
        let sizes = machines.map(|entry| list(&entry?.path()));
        let each: Vec<Vec<PathBuf>> = sizes.collect::<Result<_>>()?;
        // The machine with the longer history.
        let mut files = each.into_iter().max_by_key(Vec::len).context("two machines")?;
        files.sort();
        ensure!(files.len() > 7, "a head and some epochs: {files:?}");
        Ok(files)
    }

    /// Starts the appliance on what is there, asks for everything, and stops it.
    fn ask(&mut self) -> Result<Taken> {
        self.rig.appliance.start()?;
        let taken = self.ask_all();
        ensure!(
            self.rig.appliance.machine("intact")?.phase == Phase::Protected,
            "the other machine is in service"
        );
        self.intact.is_same().context("the other machine's disk")?;
        self.rig.appliance.kill()?;
        taken
    }

    /// What was met stays on record until a whole scrub has not found it again.
    fn scrub_clean(&mut self) -> Result<()> {
        self.rig.appliance.start()?;
        let _: Scrubs =
            self.rig.appliance.landfall(["retention", "scrub", "damaged", "--now", "--rate", "0"])?;
        self.rig
            .appliance
            .wait_until("damaged", Duration::from_secs(60), |machine| machine.damage.is_empty())?;
        self.rig.appliance.kill().map(drop)
    }

    fn ask_all(&self) -> Result<Taken> {
        let machine = self.rig.appliance.machine("damaged")?;
        if let Some(problem) = machine.problem {
            ensure!(machine.phase == Phase::Damaged, "{:?}: {problem}", machine.phase);
            names_place(&problem)?;
            let (exit, told) = self.member.once_refused()?;
            ensure!(exit == 3 && told.contains("Damaged"), "exit {exit}: {told}");
            return Ok(Taken::MachineOut);
        }
        ensure!(machine.durable == self.points[3], "{machine:?}");
        self.member.is_as_kept("round-3").context("the target disk itself")?;
        let mut taken = Taken::Exact;
        for point in &self.points[..3] {
            match self.rig.appliance.job(["point", "verify", &format!("damaged@{point}")]) {
                Ok(Some(job)) => match job.outcome {
                    Some(JobOutcome::Verify { disks })
                        if disks.iter().all(|disk| disk.verdict == Verdict::Identical) => {}
                    other => bail!("a lie about {point}: {other:?}"),
                },
                Ok(None) => bail!("no proof of {point}"),
                Err(error) => {
                    let told = format!("{error:#}");
                    // Once it was met it is on record, and the points it spoils are refused.
                    let code = ["LF-1305", "LF-1107", "LF-1330"].iter().any(|code| told.contains(code));
                    ensure!(code, "point {point}: {told}");
                    names_place(&told)?;
                    taken = Taken::PointRefused;
                }
            }
        }
        Ok(taken)
    }
}

/// Checks that a message says which file is damaged and where, or which sequence is missing.
fn names_place(told: &str) -> Result<()> {
    let file = ["/redo", "/undo", "/index", "/head"].iter().any(|file| told.contains(file));
    let file = file || told.contains("log of epoch");
    ensure!((file && told.contains(" at ")) || told.contains("found sequence"), "it names no place: {told}");
    Ok(())
}

fn list(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() { files.extend(list(&path)?) } else { files.push(path) }
    }
    Ok(files)
}

/// Returns the pages of a file that hold anything, a few of many.
fn pages(path: &Path) -> Result<Vec<u64>> {
    let file = File::open(path)?;
    let (mut page, mut found) = (vec![0; 4096], Vec::new());
    let mut at = 0;
    let mut empty = 0;
    // A journal file is filled from its start; what lies behind a long run of zeroes was never written.
    while empty < 256 && file.read_at(&mut page, at)? > 0 {
        if page.iter().any(|byte| *byte != 0) {
            found.push(at);
            empty = 0;
        } else {
            empty += 1;
        }
        at += PAGE_LEN;
    }
    let step = (found.len() / PAGES_MAX).max(1);
    let last = found.last().copied();
    let mut chosen: Vec<_> = found.into_iter().step_by(step).take(PAGES_MAX - 1).collect();
    chosen.extend(last.filter(|last| !chosen.contains(last)));
    Ok(chosen)
}

fn flip(path: &Path, at: u64) -> Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    file.write_all_at(&[byte[0] ^ 0x5a], at)?;
    file.sync_all().context("syncing a flipped byte")
}

#[test]
fn a_flipped_byte_in_any_file_is_put_right_or_refused_and_never_believed() -> Result<()> {
    let mut scene = Scene::set()?;
    let (mut noise, mut seen) = (Noise::new(11), Vec::new());
    for path in scene.files()? {
        let content = fs::read(&path)?;
        for page in pages(&path)? {
            // A byte that is in use: of the first one hundred or of the whole page, in turn.
            let bound = if noise.below(2) == 0 { 100 } else { PAGE_LEN };
            let at = (page + noise.below(bound)).min(content.len() as u64 - 1);
            let what = format!("{} at {at}", path.display());
            flip(&path, at)?;
            let taken = scene.ask().with_context(|| what.clone())?;
            println!("{taken:?}: {what}");
            seen.push(taken);
            // An index that did not check was made again, and is not flipped back.
            let index = path.ends_with("index");
            if index || path.ends_with("head") {
                fs::write(&path, &content)?;
            } else {
                flip(&path, at)?;
            }
            if taken == Taken::PointRefused {
                scene.scrub_clean().with_context(|| what.clone())?;
            }
        }
    }
    for each in [Taken::Exact, Taken::PointRefused] {
        ensure!(seen.contains(&each), "{each:?} was never seen: {seen:?}");
    }
    // Nothing was lost meanwhile: with every byte as it was, everything is exact.
    scene.rig.appliance.start()?;
    for (round, point) in scene.points.iter().enumerate() {
        scene.rig.appliance.job(["failback", "damaged", "--to", &point.to_string(), "--yes"])?;
        scene.member.is_as_kept(&format!("round-{round}"))?;
    }
    Ok(())
}

#[test]
fn a_rewind_that_meets_damage_says_where_and_another_point_can_still_be_had() -> Result<()> {
    let mut scene = Scene::set()?;
    let redo = scene.files()?.into_iter().find(|path| path.ends_with("undo")).context("an undo log")?;
    let page = pages(&redo)?[2];
    flip(&redo, page + 2000)?;
    scene.rig.appliance.start()?;
    let first = scene.points[0].to_string();
    match scene.rig.appliance.job(["failback", "damaged", "--to", &first, "--yes"]) {
        Ok(_) => scene.member.is_as_kept("round-0").context("what was flipped was not needed")?,
        Err(error) => {
            names_place(&format!("{error:#}"))?;
            // It is on record at once, not only when a scrub comes by, and survives a kill.
            let noted = scene.rig.appliance.machine("damaged")?.damage;
            ensure!(noted.iter().any(|damage| damage.place.contains("epoch")), "{noted:?}");
            scene.rig.appliance.kill()?;
            scene.rig.appliance.start()?;
            ensure!(scene.rig.appliance.machine("damaged")?.damage == noted, "{noted:?}");
        }
    }
    scene.rig.appliance.job(["failback", "damaged", "--to", &scene.points[3].to_string(), "--yes"])?;
    scene.member.is_as_kept("round-3")?;
    ensure!(
        scene.rig.appliance.machine("intact")?.phase == Phase::Protected,
        "the other machine is in service"
    );
    Ok(())
}

#[test]
fn a_head_without_a_whole_copy_refuses_its_machine_and_no_other() -> Result<()> {
    let mut scene = Scene::set()?;
    let head = scene.files()?.into_iter().find(|path| path.ends_with("head")).context("a head")?;
    let len = fs::metadata(&head)?.len();
    fs::write(&head, vec![0xa5; usize::try_from(len)?])?;
    scene.rig.appliance.start()?;
    let (exit, told) = scene.member.once_refused()?;
    ensure!(exit == 3, "exit {exit}: {told}");
    let log = fs::read_to_string(scene.rig.lab.file("landfalld.err"))?;
    ensure!(log.contains("head can't be read") && log.contains("/head"), "{log}");
    let status = scene.rig.appliance.status()?;
    ensure!(status.concerns.iter().any(|concern| concern.what.contains("/head")), "{:?}", status.concerns);
    ensure!(
        scene.rig.appliance.machine("intact")?.phase == Phase::Protected,
        "the other machine is in service"
    );
    scene.intact.once()?;
    scene.intact.is_same()
}

#[test]
fn what_a_crash_leaves_of_a_machine_being_added_is_removed_and_a_history_without_its_head_is_not()
-> Result<()> {
    let mut rig = Rig::start(&[])?;
    rig.appliance.stop()?;
    let machines = rig.appliance.retention().join("machines");
    let [unwritten, empty, headless] = ["0a", "0b", "0c"].map(|byte| machines.join(byte.repeat(16)));
    for directory in [&unwritten, &empty, &headless] {
        fs::create_dir_all(directory)?;
    }
    for directory in [&unwritten, &headless] {
        File::create(directory.join("head"))?.set_len(MIB)?;
    }
    fs::create_dir(headless.join("epoch-00000001"))?;
    rig.appliance.start()?;
    let concerns = rig.appliance.status()?.concerns;
    let about = |byte: &str| concerns.iter().any(|concern| concern.what.contains(&byte.repeat(16)));
    ensure!(about("0c") && !about("0a") && !about("0b"), "{concerns:?}");
    ensure!(!unwritten.exists() && !empty.exists() && headless.join("epoch-00000001").exists());
    rig.appliance.stop().map(drop)
}
