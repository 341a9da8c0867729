//! SIGKILL, again and again, at any moment of a stream of rounds: nothing acked is lost, and every point stays exact.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use landfall_tests::disk::Kind;
use landfall_tests::material::Noise;
use landfall_tests::process::Process;
use landfall_tests::rig::{Member, Rig, newest};
use units::Sequence;

const MIB: u64 = 1 << 20;
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The point that was kept aside: its name, and its sequence.
type Kept = (String, Sequence);

struct Loop {
    source: Option<Process>,
    member: Member,
    rig: Rig,
    noise: Noise,
    kept: Vec<Kept>,
}

impl Loop {
    fn set(seed: u64) -> Result<Self> {
        let rig = Rig::start(&["--epoch-size", "4MiB"])?;
        let mut member = rig.member("killed", &[24 * MIB, 3 * MIB + 512], Kind::best())?;
        member.source = member.source.with(&["--connections", "2"]);
        member.once()?;
        let source = Some(member.rounds("50ms")?);
        Ok(Self { source, member, rig, noise: Noise::new(seed), kept: Vec::new() })
    }

    /// Changes the disks, lets the rounds run for a random while, kills one of the two programs and starts it again.
    fn cycle(&mut self, number: u64) -> Result<()> {
        for disk in 0..2 {
            let pieces = 1 + self.noise.below(60);
            self.member.change(disk, &mut self.noise, pieces)?;
        }
        let acked = self.rig.appliance.machine("killed")?.durable;
        thread::sleep(Duration::from_millis(self.noise.below(160)));
        if number.is_multiple_of(2) {
            self.rig.appliance.kill()?;
            self.rig.appliance.start()?;
        } else {
            self.source.take().context("a source runs")?.kill()?;
            self.source = Some(self.member.rounds("50ms")?);
        }
        let machine = self.rig.appliance.machine("killed")?;
        ensure!(machine.problem.is_none(), "{machine:?}");
        ensure!(machine.durable >= acked, "{acked} was acked, {} is there", machine.durable);
        Ok(())
    }

    /// Lets the stream come to rest at a round that holds everything, and compares; keeps it, and proves an older one.
    fn check(&mut self, number: u64) -> Result<()> {
        let source = self.source.take().context("a source runs")?;
        let after = self.rig.appliance.machine("killed")?.durable;
        // The second marker from here is of a round that began after the last change.
        self.wait_markers(after, 2).with_context(|| format!("source says {}", source.last_words()))?;
        ensure!(source.stop(WAIT_MAX)?.status.success(), "the source stops when it is told to");
        self.member.once()?;
        let point = newest(&self.rig.appliance.machine("killed")?)?;
        self.rig.appliance.wait_applied("killed")?;
        self.member.is_same().context("the target is the source")?;
        let name = format!("cycle-{number}");
        self.member.keep(&name)?;
        self.kept.push((name, point.sequence));
        let at = self.noise.below(self.kept.len() as u64);
        let (name, sequence) = self.kept[usize::try_from(at)?].clone();
        let to = sequence.to_string();
        self.rig.appliance.job(["point", "verify", &format!("killed@{to}")])?.context("proof by roots")?;
        self.rig.appliance.job(["failback", "killed", "--to", &to, "--yes"])?;
        self.member.is_as_kept(&name).with_context(|| format!("rewound to {name}, sequence {to}"))?;
        self.rig.appliance.job(["cancel", "killed"])?;
        self.member.is_same().context("forward again")?;
        self.source = Some(self.member.rounds("50ms")?);
        Ok(())
    }

    fn wait_markers(&self, after: Sequence, count: usize) -> Result<()> {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let points = self.rig.appliance.points("killed")?.points;
            if points.iter().filter(|point| point.sequence > after).count() >= count {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "no rounds come: {:?}", self.rig.appliance.machine("killed")?);
            thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn fifty_kills_lose_nothing_and_falsify_no_point() -> Result<()> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let cycles = number("LANDFALL_KILL_CYCLES").unwrap_or(50);
    let seed = number("LANDFALL_KILL_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    println!("LANDFALL_KILL_SEED={seed} LANDFALL_KILL_CYCLES={cycles}");
    let mut run = Loop::set(seed)?;
    for cycle in 1..=cycles {
        run.cycle(cycle).with_context(|| format!("seed {seed}, cycle {cycle}"))?;
        if cycle % 10 == 0 || cycle == cycles {
            run.check(cycle).with_context(|| format!("seed {seed}, check after cycle {cycle}"))?;
        }
    }
    Ok(())
}
