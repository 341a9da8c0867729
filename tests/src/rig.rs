//! A running appliance with machines, ready for tests: disks with content, certificates, comparison byte by byte.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use control::api::{Machine, Point};
use units::{ByteLen, Sequence};

use crate::appliance::Appliance;
use crate::binaries::Binaries;
use crate::cleanup::{Action, Undo};
use crate::command::{command, run};
use crate::disk::{Disk, Kind};
use crate::identity::Authority;
use crate::lab::Lab;
use crate::material::Noise;
use crate::process::Process;
use crate::source::Source;

/// How long something that is on its way may take.
const WAIT_MAX: Duration = Duration::from_secs(60);
const GRANULE_LEN: u64 = 4096;

/// An appliance that runs. Fields in the order in which they must go.
#[derive(Debug)]
pub struct Rig {
    /// The appliance.
    pub appliance: Appliance,
    /// Its authority.
    pub authority: Authority,
    /// The programs.
    pub binaries: Binaries,
    /// The directory of everything.
    pub lab: Lab,
}

/// A registered machine: its source, its disks and their target disks.
#[derive(Debug)]
pub struct Member {
    /// The agent.
    pub source: Source,
    /// The protected disks.
    pub disks: Vec<Disk>,
    /// Their target disks.
    pub targets: Vec<Disk>,
    /// Its certificates.
    pub identity: PathBuf,
    aside: PathBuf,
}

impl Rig {
    /// Starts an appliance with more arguments for `landfalld`. Errors: it does not start.
    pub fn start(arguments: &[&str]) -> Result<Self> {
        Self::start_on(arguments, |_| Ok(()))
    }

    /// Starts an appliance after something was prepared in its lab, such as a volume mounted at `retention`.
    pub fn start_on(arguments: &[&str], prepare: impl FnOnce(&Lab) -> Result<()>) -> Result<Self> {
        let (binaries, lab) = (Binaries::find()?, Lab::new(None)?);
        prepare(&lab)?;
        let mut appliance = Appliance::new(&lab, &binaries)?.with(arguments);
        appliance.start()?;
        let authority = Authority::of(&appliance, &lab)?;
        Ok(Self { appliance, authority, binaries, lab })
    }

    /// Starts an appliance whose retention volume is an ext4 file system of its own, of so many MiB; it is unmounted when the second
    /// value is dropped. Needs root.
    pub fn start_on_volume(arguments: &[&str], len_mib: u64) -> Result<(Self, Undo)> {
        let rig = Self::start_on(arguments, |lab| {
            let image = lab.file("volume");
            File::create(&image)?.set_len(len_mib << 20)?;
            run(command("mkfs.ext4").args(["-q", "-m", "0"]).arg(&image))?;
            run(command("mount").args(["-o", "loop"]).arg(&image).arg(lab.directory("retention")?)).map(drop)
        })?;
        let unmount = Undo::new(Action::Unmount(rig.appliance.retention().to_owned()));
        Ok((rig, unmount))
    }

    /// Registers a machine with a disk of each length, filled with some content, and empty target disks of the same lengths.
    /// Errors: the disks can't be made, the registration is refused.
    pub fn member(&self, name: &str, lens: &[u64], kind: Kind) -> Result<Member> {
        let member = self.stranger(name, lens, kind)?;
        self.appliance.add_machine(name, &member.targets.iter().collect::<Vec<_>>())?;
        Ok(member)
    }

    /// Makes everything of a machine as [`Rig::member`] does, but does not register it.
    pub fn stranger(&self, name: &str, lens: &[u64], kind: Kind) -> Result<Member> {
        let disk = |what: &str, index: usize, len: u64| {
            Disk::create(&self.lab.file(&format!("{what}-{name}-{index}")), ByteLen(len), kind)
        };
        let each = || lens.iter().enumerate();
        let disks = each().map(|(at, len)| disk("source", at, *len)).collect::<Result<Vec<_>>>()?;
        let targets = each().map(|(at, len)| disk("target", at, *len)).collect::<Result<Vec<_>>>()?;
        let identity = self.authority.issue("source", name)?;
        let source = Source::new(&self.lab, &self.binaries, name, &identity, &self.appliance.address())?;
        let aside = self.lab.directory(&format!("aside-{name}"))?;
        let member = Member { source, disks, targets, identity, aside };
        let mut noise = Noise::new(name.bytes().map(u64::from).sum());
        lens.iter().enumerate().try_for_each(|(at, len)| member.change(at, &mut noise, len / 65_536 / 3))?;
        Ok(member)
    }

    /// Begins rounds of another machine, to see that it is left alone by what happens to others.
    pub fn bystander(&self) -> Result<Bystander> {
        let member = self.member("bystander", &[4 << 20], Kind::File)?;
        let process = member.rounds("100ms")?;
        let limit = WAIT_MAX;
        let machine = self.appliance.wait_until("bystander", limit, |machine| machine.newest.is_some())?;
        Ok(Bystander {
            process,
            since: machine.session.since.map(|since| since.to_string()),
            member,
            turn: 0,
        })
    }
}

impl Member {
    /// Returns the machine's name.
    pub fn name(&self) -> &str {
        self.source.machine()
    }

    /// Rewrites `pieces` pieces of one disk, each 4 to 64 KiB somewhere: half noise, half text, some zeroes. Durable on
    /// return. Errors: the disk can't be written.
    pub fn change(&self, disk: usize, noise: &mut Noise, pieces: u64) -> Result<()> {
        let (disk, mut piece) = (&self.disks[disk], vec![0; 65_536]);
        let len = disk.len()?.0;
        let file = OpenOptions::new().write(true).open(disk.path())?;
        for _ in 0..pieces {
            let at = noise.below(len.div_ceil(GRANULE_LEN)) * GRANULE_LEN;
            let room = (len - at).min((1 + noise.below(16)) * GRANULE_LEN);
            let part = &mut piece[..usize::try_from(room)?];
            match noise.below(8) {
                0 => part.fill(0),
                1..4 => noise.fill(part),
                _ => part.iter_mut().zip((at..).step_by(7)).for_each(|(byte, at)| *byte = (at >> 9) as u8),
            }
            file.write_all_at(part, at)?;
        }
        file.sync_all().context("syncing a changed disk")
    }

    /// Runs one round to its end.
    pub fn once(&self) -> Result<()> {
        self.source.once(&self.each()).map(drop)
    }

    /// Starts rounds without end.
    pub fn rounds(&self, interval: &str) -> Result<Process> {
        self.source.start_every(&self.each(), interval)
    }

    /// Runs one round that must fail, and returns its exit code and complaints.
    pub fn once_refused(&self) -> Result<(i32, String)> {
        let source = self.source.clone().with(&["--timeout", "2s"]);
        let process = source.start_once(&self.each())?;
        let before = process.complaints()?.len();
        let log = self.aside.with_file_name(format!("source-{}.err", self.name()));
        let ended = process.wait(WAIT_MAX)?;
        ensure!(!ended.status.success(), "the round was expected to fail");
        let code = ended.status.code().context("an exit code")?;
        Ok((code, fs::read_to_string(log)?.split_off(before)))
    }

    /// Copies the disks aside under a name, such as a round's.
    pub fn keep(&self, name: &str) -> Result<()> {
        let copy = |(at, disk): (usize, &Disk)| disk.copy_to(&self.aside.join(format!("{name}-{at}")));
        self.disks.iter().enumerate().try_for_each(copy)
    }

    /// Compares the target disks with what was kept under a name. Errors: the first difference.
    pub fn is_as_kept(&self, name: &str) -> Result<()> {
        let same = |(at, disk): (usize, &Disk)| same(disk.path(), &self.aside.join(format!("{name}-{at}")));
        self.targets.iter().enumerate().try_for_each(same)
    }

    /// Compares the target disks with the source's. Errors: the first difference.
    pub fn is_same(&self) -> Result<()> {
        let pairs = self.targets.iter().zip(&self.disks);
        pairs.into_iter().try_for_each(|(target, disk)| same(target.path(), disk.path()))
    }

    /// Returns the disks as arguments want them.
    pub fn each(&self) -> Vec<&Disk> {
        self.disks.iter().collect()
    }

    /// Returns the sizes of the disks.
    pub fn lens(&self) -> Result<Vec<ByteLen>> {
        self.disks.iter().map(Disk::len).collect()
    }
}

/// A machine that replicates while something happens to another.
#[derive(Debug)]
pub struct Bystander {
    process: Process,
    since: Option<String>,
    member: Member,
    turn: u64,
}

impl Bystander {
    /// Checks that nothing has happened to it: the same session, more recovery points, and the same bytes. Errors: something has.
    pub fn is_unaffected(&mut self, rig: &Rig) -> Result<()> {
        ensure!(self.process.is_running()?, "its source ended: {}", self.process.last_words());
        self.turn += 1;
        self.member.change(0, &mut Noise::new(self.turn), 3)?;
        let after = newest(&rig.appliance.machine("bystander")?)?.sequence;
        // The round after the next point has begun after the change.
        let second = two_more(rig, after)?;
        let machine = rig.appliance.wait_until("bystander", WAIT_MAX, |machine| {
            machine.durable >= second && machine.lag_bytes == 0
        })?;
        let since = machine.session.since.as_ref().map(ToString::to_string);
        ensure!(since == self.since, "its session began anew: {:?}", machine.session);
        within(WAIT_MAX, || self.member.is_same())
    }
}

impl Bystander {
    /// Looks at it after a restart of the appliance: its source has come back by itself, and is unaffected from here on.
    pub fn again(mut self, rig: &Rig) -> Result<Self> {
        let machine = rig.appliance.wait_until("bystander", WAIT_MAX, |machine| machine.session.connected)?;
        self.since = machine.session.since.map(|since| since.to_string());
        self.is_unaffected(rig)?;
        Ok(self)
    }
}

/// Waits until a bystander has three recovery points behind `after`, and returns the newest.
fn two_more(rig: &Rig, after: Sequence) -> Result<Sequence> {
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        let points = rig.appliance.points("bystander")?.points;
        let behind: Vec<_> = points.iter().filter(|point| point.sequence > after).collect();
        if behind.len() >= 3 {
            return Ok(behind[2].sequence);
        }
        ensure!(Instant::now() < deadline, "only {} rounds went on", behind.len());
        thread::sleep(Duration::from_millis(20));
    }
}

/// Returns the newest point of a machine. Errors: it has none.
pub fn newest(machine: &Machine) -> Result<Point> {
    machine.newest.clone().context("a recovery point")
}

/// Tries until it succeeds. Errors: the last one, after `limit`.
pub fn within(limit: Duration, mut attempt: impl FnMut() -> Result<()>) -> Result<()> {
    let deadline = Instant::now() + limit;
    loop {
        match attempt() {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Compares two disks, the first as far as the second reaches. Errors: the first difference.
pub fn same(one: &Path, other: &Path) -> Result<()> {
    let open = |path: &Path| {
        let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        Ok::<_, anyhow::Error>(BufReader::with_capacity(1 << 20, file))
    };
    let (mut left, mut right) = (open(one)?, open(other)?);
    let (mut ours, mut theirs) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let mut at = 0;
    loop {
        let len = read_full(&mut right, &mut theirs)?;
        if len == 0 {
            return Ok(());
        }
        left.read_exact(&mut ours[..len]).with_context(|| format!("reading {}", one.display()))?;
        if ours[..len] != theirs[..len] {
            let first = ours.iter().zip(&theirs).position(|(one, other)| one != other).unwrap_or(0);
            bail!("{} differs from {} at {}", one.display(), other.display(), at + first);
        }
        at += len;
    }
}

fn read_full(file: &mut impl std::io::Read, buffer: &mut [u8]) -> Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match file.read(&mut buffer[len..])? {
            0 => break,
            more => len += more,
        }
    }
    Ok(len)
}

/// Tells whether the test can have loop devices and mounts; says so if not.
pub fn is_root() -> bool {
    let able = Kind::best() == Kind::Loop;
    if !able {
        println!("skipped: loop devices and mounts need root");
    }
    able
}
