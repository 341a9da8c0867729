//! The accidents: SIGKILL in the middle of a round.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use landfall_tests::report::{size, time};
use rustix::process::Signal;
use units::Sequence;

use crate::checks::{Checks, line};
use crate::journey::told;
use crate::scene::{MACHINE, Scene};

/// The round in which `landfalld` is killed.
pub(crate) const LANDFALLD_ROUND: u64 = 2;
/// The round in which the source is killed.
pub(crate) const SOURCE_ROUND: u64 = 5;

/// How long a round may take to get going.
const MIDDLE_MAX: Duration = Duration::from_secs(60);
const ROUND_MAX: Duration = Duration::from_secs(300);

/// Kills `landfalld` while a round arrives, starts it again, and lets the same source go on.
pub(crate) fn landfalld_in_the_middle(scene: &mut Scene, round: u64, checks: &mut Checks) -> Result<()> {
    let before = scene.newest()?;
    let plan = scene.change(round, true)?;
    let source = scene.source.start_once(&[&scene.source_disk])?;
    let acked = wait_for_the_middle(scene, before.sequence)?;
    scene.appliance.kill()?;
    // The source holds still until it has been seen where the restarted target stands.
    source.signal(Signal::STOP)?;
    let restart = scene.appliance.start()?;
    let machine = scene.appliance.machine(MACHINE)?;
    let begin = Instant::now();
    source.signal(Signal::CONT)?;
    source.succeed(ROUND_MAX)?;
    let figures = format!(
        "landfalld killed; answers again after {}; rest replicated in {}",
        time(restart),
        time(begin.elapsed())
    );
    line(&format!("round {round}"), &format!("{} rewritten; {figures}", size(plan.written)));
    let point = scene.newest()?;
    let newest = machine.newest.context("a recovery point")?;
    let (at, end) = (machine.durable, point.sequence);
    checks.expect(newest.sequence == before.sequence, &in_the_middle(before.sequence, at, end));
    checks.expect(
        at >= acked && at < end,
        &format!("nothing acked is lost: {acked} was acked before the kill, {at} is there after"),
    );
    told(checks, &before, &point);
    Ok(())
}

/// Kills the source while its round is on the way, and starts it again.
pub(crate) fn source_in_the_middle(scene: &mut Scene, round: u64, checks: &mut Checks) -> Result<()> {
    let before = scene.newest()?;
    let plan = scene.change(round, true)?;
    let source = scene.source.start_once(&[&scene.source_disk])?;
    wait_for_the_middle(scene, before.sequence)?;
    source.kill()?;
    let machine = scene.appliance.machine(MACHINE)?;
    let newest = machine.newest.context("a recovery point")?;
    let ended = scene.source.once(&[&scene.source_disk])?;
    let figures = format!("source killed; round taken up again in {}", time(ended.time));
    line(&format!("round {round}"), &format!("{} rewritten; {figures}", size(plan.written)));
    let point = scene.newest()?;
    let (at, end) = (machine.durable, point.sequence);
    checks.expect(newest.sequence == before.sequence && at < end, &in_the_middle(before.sequence, at, end));
    told(checks, &before, &point);
    Ok(())
}

/// Waits until part of the round that follows the recovery point `before` is durable, and returns how much.
fn wait_for_the_middle(scene: &Scene, before: Sequence) -> Result<Sequence> {
    let machine = scene.appliance.wait_until(MACHINE, MIDDLE_MAX, |machine| machine.durable > before)?;
    Ok(machine.durable)
}

fn in_the_middle(before: Sequence, at: Sequence, end: Sequence) -> String {
    format!("the kill hit the middle of the round: after sequence {before}, at {at}, before {end}")
}
