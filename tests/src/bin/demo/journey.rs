//! The story without the accidents: seed, rounds, back to the third round, forward to the latest, commit.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use control::api::{FailbackPlan, JobOutcome, JobState, Machine, Phase, Point, Verdict};
use landfall_tests::proof::{e2fsck, sha256_of_both};
use landfall_tests::report::{rate, size, time};

use crate::change::ROUNDS;
use crate::checks::{Checks, line};
use crate::scene::{MACHINE, Scene};

/// The round that is gone back to.
const THIRD: u64 = 3;

/// Seeds the target disk.
pub(crate) fn seed(scene: &mut Scene, checks: &mut Checks) -> Result<()> {
    let len = scene.source_disk.len()?.0;
    let ended = scene.source.once(&[&scene.source_disk])?;
    let point = scene.newest()?;
    let figures = [
        format!("{} in {}, {}", size(len), time(ended.time), rate(len, ended.time)),
        format!(
            "source: {} on a processor, {} at most",
            time(ended.usage.cpu),
            size(ended.usage.memory_peak.0)
        ),
    ];
    line("seed", &figures.join("; "));
    checks
        .expect(point.proof, &format!("first recovery point at sequence {}, with its root", point.sequence));
    Ok(())
}

/// Changes the disk and replicates the change.
pub(crate) fn round(scene: &mut Scene, round: u64, checks: &mut Checks) -> Result<()> {
    let before = scene.newest()?;
    let plan = scene.change(round, false)?;
    let ended = scene.source.once(&[&scene.source_disk])?;
    let point = scene.newest()?;
    line(
        &format!("round {round}"),
        &format!("{} rewritten; replicated in {}", size(plan.written), time(ended.time)),
    );
    told(checks, &before, &point);
    if round == THIRD {
        scene.source_disk.copy_to(&scene.aside)?;
        scene.third = Some(point);
        // A recovery point is chosen by its time below: the next one is a second later at least.
        thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}

/// Checks that a round has added a recovery point.
pub(crate) fn told(checks: &mut Checks, before: &Point, point: &Point) {
    let added = point.sequence > before.sequence && point.time > before.time;
    checks.expect(added, &format!("recovery point at sequence {}, {}", point.sequence, point.time));
}

/// Goes back to the third round, chosen by its time, and proves it.
pub(crate) fn back(scene: &Scene, checks: &mut Checks) -> Result<()> {
    scene.appliance.wait_applied(MACHINE)?;
    let third = scene.third.clone().context("the third round has been")?;
    failback(scene, "failback", &third.time.to_string(), checks)?;
    let at = scene.appliance.machine(MACHINE)?.at.map(|point| point.sequence);
    checks.expect(
        at == Some(third.sequence),
        &format!("the target disk stands at the third round, sequence {}", third.sequence),
    );
    prove(scene, &scene.aside, "the copy kept aside", &third, THIRD, checks)
}

/// Goes forward to the latest, proves it, and commits.
pub(crate) fn forward_and_commit(scene: &Scene, checks: &mut Checks) -> Result<()> {
    let latest = scene.newest()?;
    failback(scene, "forward", "latest", checks)?;
    prove(scene, scene.source_disk.path(), "the source disk", &latest, ROUNDS, checks)?;
    let machine: Machine = scene.appliance.landfall(["commit", MACHINE, "--yes"])?;
    line("commit", &format!("{MACHINE} at sequence {}", latest.sequence));
    checks.expect(machine.phase == Phase::Committed, "the machine is committed");
    Ok(())
}

fn failback(scene: &Scene, name: &str, to: &str, checks: &mut Checks) -> Result<()> {
    let plan: FailbackPlan = scene.appliance.landfall(["failback", MACHINE, "--to", to, "--plan"])?;
    let begin = Instant::now();
    let job = scene
        .appliance
        .job(["failback", MACHINE, "--to", to, "--yes"])?
        .context("something had to be done")?;
    let taken = begin.elapsed();
    let written = match job.outcome {
        Some(JobOutcome::Failback { written_bytes, .. }) => written_bytes,
        _ => 0,
    };
    let figures = format!("{} written in {}, {}", size(written), time(taken), rate(written, taken));
    line(name, &format!("to {to}: {figures}"));
    let as_planned = job.state == JobState::Done && written == plan.write_bytes;
    checks.expect(as_planned, &format!("exactly the plan shown before: {} granules", plan.granules));
    Ok(())
}

/// Proves the target disk against another disk: by SHA-256, by roots, by its file system and by its database.
fn prove(
    scene: &Scene,
    other: &Path,
    name: &str,
    point: &Point,
    round: u64,
    checks: &mut Checks,
) -> Result<()> {
    let begin = Instant::now();
    let (ours, theirs) = sha256_of_both(scene.target_disk.path(), other)?;
    checks.expect(ours == theirs, &format!("sha256sum equals that of {name}: {}…", &theirs[..16]));
    checks.expect_ok(roots_equal(scene, point), "the source's root equals the target's");
    checks.expect_ok(e2fsck(scene.target_disk.path()), "e2fsck -fn finds nothing");
    checks.expect_ok(
        scene.check_database(round),
        "SQLite's integrity check, and what was committed is there, no more",
    );
    line("proof", &format!("in {}", time(begin.elapsed())));
    Ok(())
}

fn roots_equal(scene: &Scene, point: &Point) -> Result<()> {
    let job = scene.appliance.job(["point", "verify", &format!("{MACHINE}@{}", point.sequence)])?;
    match job.and_then(|job| job.outcome) {
        Some(JobOutcome::Verify { disks }) if !disks.is_empty() => {
            let differing = disks.iter().find(|disk| disk.verdict != Verdict::Identical);
            differing.map_or(Ok(()), |disk| anyhow::bail!("{disk:?}"))
        }
        other => anyhow::bail!("no proof came of it: {other:?}"),
    }
}
