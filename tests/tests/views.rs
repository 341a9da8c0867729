//! Views, as clients that nobody here wrote see them: exact, many at once, while replication goes on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use control::api::{View, Views};
use landfall_tests::command::{command, output, run};
use landfall_tests::disk::Kind;
use landfall_tests::material::Noise;
use landfall_tests::process::Process;
use landfall_tests::pusher::{Piece, Pusher};
use landfall_tests::rig::{Member, Rig};
use units::{ByteOffset, DiskIndex, Sequence};

const MIB: u64 = 1 << 20;
const GRANULE: u64 = 4096;
const LEAF: u64 = 65_536;
/// Points that are looked at.
const POINTS: usize = 20;

/// A source whose disk is known at every sequence.
struct Stream {
    pusher: Pusher,
    noise: Noise,
    image: Vec<u8>,
}

impl Stream {
    fn open(rig: &Rig, member: &Member) -> Result<Self> {
        let lens = member.lens()?;
        let pusher = Pusher::connect(&rig.appliance.address(), &member.identity, member.name(), &lens)?;
        Ok(Self { pusher, noise: Noise::new(7), image: vec![0; lens[0].as_usize()] })
    }

    /// Overwrites a few places, all within the first `part` bytes, in one batch.
    fn batch(&mut self, part: u64) -> Result<Sequence> {
        let mut starts: Vec<u64> = (0..3).map(|_| self.noise.below(part / LEAF) * LEAF).collect();
        starts.sort_unstable();
        starts.dedup();
        let mut places = Vec::new();
        for leaf in starts {
            let from = self.noise.below(LEAF / GRANULE);
            let len = 1 + self.noise.below(LEAF / GRANULE - from);
            let start = leaf + from * GRANULE;
            let bytes = usize::try_from(start)?..usize::try_from(start + len * GRANULE)?;
            self.noise.fill(&mut self.image[bytes.clone()]);
            places.push((start, bytes));
        }
        let piece = |(start, bytes): &(u64, std::ops::Range<usize>)| Piece {
            disk: DiskIndex(0),
            start: ByteOffset(*start),
            data: &self.image[bytes.clone()],
        };
        let pieces: Vec<_> = places.iter().map(piece).collect();
        self.pusher.send(&pieces)
    }
}

fn client(program: &str, arguments: &[&str]) -> Command {
    let mut client = command(program);
    client.args(arguments);
    client
}

fn open(rig: &Rig, point: &str, more: &[&str]) -> Result<View> {
    rig.appliance.landfall(["point", "view", point, "--no-wait"].iter().chain(more))
}

fn close(rig: &Rig, view: &View) -> Result<View> {
    rig.appliance.landfall(["point", "close", &view.id.to_string()])
}

fn compare(view: &View, copy: &Path) -> Result<()> {
    let copy = copy.to_str().context("a path of ASCII")?;
    let compared =
        run(&mut client("qemu-img", &["compare", "-f", "raw", "-F", "raw", &view.disks[0].uri, copy]));
    let compared = compared.with_context(|| format!("the view of #{}", view.point.sequence))?;
    ensure!(compared.contains("identical"), "{compared}");
    Ok(())
}

#[test]
fn any_sequence_is_seen_as_it_was_while_the_machine_is_replicated() -> Result<()> {
    let mut rig = Rig::start(&["--epoch-size", "1MiB", "--lag", "1MiB"])?;
    let member = rig.member("web-01", &[4 * MIB + 1536], Kind::File)?;
    let mut stream = Stream::open(&rig, &member)?;
    let mut kept: Vec<(Sequence, PathBuf)> = Vec::new();
    while kept.len() < POINTS {
        let mut sequence = stream.batch(4 * MIB)?;
        if stream.noise.below(5) == 0 {
            sequence = stream.pusher.mark()?;
        }
        if stream.noise.below(4) == 0 {
            let copy = rig.lab.file(&format!("copy-{sequence}"));
            fs::write(&copy, &stream.image)?;
            kept.push((sequence, copy));
        }
    }
    let last = stream.pusher.sequence();
    stream.pusher.wait_durable(last)?;
    let stop = AtomicBool::new(false);
    let (stream, views) = thread::scope(|scope| -> Result<_> {
        let pushing = scope.spawn(|| -> Result<Stream> {
            while !stop.load(Ordering::Relaxed) {
                stream.batch(4 * MIB)?;
                stream.pusher.listen(Duration::from_millis(2))?;
            }
            Ok(stream)
        });
        let looked = look(&rig, &kept);
        stop.store(true, Ordering::Relaxed);
        let stream = pushing.join().expect("a source does not panic")?;
        Ok((stream, looked?))
    })?;
    let pushed = stream.pusher.sequence();
    println!("{} batches came while {POINTS} views were read", pushed.0 - last.0);
    ensure!(pushed.0 > last.0 + POINTS as u64, "replication went on: {last} to {pushed}");
    rig.appliance.wait_applied("web-01")?;
    ensure!(fs::read(member.targets[0].path())? == stream.image, "the target disk is the latest");
    // Open since the beginning, over everything that has happened since.
    views.iter().try_for_each(|(view, copy)| compare(view, copy))?;
    rig.appliance.stop().map(drop)
}

/// Opens a view of each point and compares it with its copy; every fourth stays open.
fn look(rig: &Rig, kept: &[(Sequence, PathBuf)]) -> Result<Vec<(View, PathBuf)>> {
    let mut open_views = Vec::new();
    for (number, (sequence, copy)) in kept.iter().enumerate() {
        let view = open(rig, &format!("web-01@{sequence}"), &["--inconsistent"])?;
        compare(&view, copy)?;
        if number % 4 == 0 {
            open_views.push((view, copy.clone()));
        } else {
            close(rig, &view)?;
        }
    }
    Ok(open_views)
}

/// A machine with one recovery point, whose disk is half empty, and a copy of it.
fn half_empty(rig: &Rig) -> Result<(Member, PathBuf)> {
    let member = rig.member("web-01", &[8 * MIB], Kind::File)?;
    let mut stream = Stream::open(rig, &member)?;
    for _ in 0..20 {
        stream.batch(4 * MIB)?;
    }
    let point = stream.pusher.mark()?;
    stream.pusher.wait_applied(point)?;
    let copy = rig.lab.file("copy");
    fs::write(&copy, &stream.image)?;
    stream.batch(4 * MIB)?;
    let end = stream.pusher.sequence();
    stream.pusher.wait_applied(end)?;
    stream.pusher.goodbye()?;
    Ok((member, copy))
}

#[test]
fn clients_of_others_read_it_at_once_and_skip_what_is_zero() -> Result<()> {
    let mut rig = Rig::start(&[])?;
    let (_member, copy) = half_empty(&rig)?;
    let view = open(&rig, "web-01", &[])?;
    let uri = view.disks[0].uri.as_str();
    let size = run(&mut client("nbdinfo", &["--size", uri]))?;
    ensure!(size.trim() == (8 * MIB).to_string(), "nbdinfo: {size}");
    let listed = run(&mut client("nbdinfo", &["--list", uri]))?;
    ensure!(listed.contains("export=\"0\""), "{listed}");
    let map: Vec<Stretch> =
        serde_json::from_str(&run(&mut client("qemu-img", &["map", "--output=json", uri]))?)?;
    let zero: u64 = map.iter().filter(|stretch| stretch.zero).map(|stretch| stretch.length).sum();
    ensure!((4 * MIB..8 * MIB).contains(&zero), "half of it and a little more is zero: {zero} bytes");
    thread::scope(|scope| -> Result<()> {
        let (rig, copy) = (&rig, &copy);
        let reading = (0..3).map(|number| {
            scope.spawn(move || -> Result<()> {
                let mine = rig.lab.file(&format!("mine-{number}"));
                run(&mut client("nbdcopy", &[uri, mine.to_str().context("ASCII")?]))?;
                ensure!(fs::read(mine)? == fs::read(copy)?, "client {number} read something else");
                Ok(())
            })
        });
        let reading: Vec<_> = reading.collect();
        reading.into_iter().try_for_each(|reading| reading.join().expect("a client does not panic"))
    })?;
    // The point stays what it is while the disks go back and forth.
    rig.appliance.job(["failback", "web-01", "--to", "1", "--inconsistent", "--yes"])?;
    compare(&view, &copy)?;
    let rewound = open(&rig, "web-01", &[])?;
    compare(&rewound, &copy)?;
    let (exit, told) = rig.appliance.landfall_refused(["commit", "web-01", "--yes"])?;
    ensure!(exit == 3 && told.contains("LF-1613"), "exit {exit}: {told}");
    rig.appliance.job(["cancel", "web-01"])?;
    compare(&view, &copy)?;
    compare(&rewound, &copy)?;
    let machine = rig.appliance.machine("web-01")?;
    ensure!(machine.views == [view.id, rewound.id], "{machine:?}");
    rig.appliance.stop().map(drop)
}

#[derive(serde::Deserialize)]
struct Stretch {
    length: u64,
    zero: bool,
}

#[test]
fn what_is_written_to_a_scratch_goes_with_it() -> Result<()> {
    let mut rig = Rig::start(&[])?;
    let (member, copy) = half_empty(&rig)?;
    let before = fs::read(member.targets[0].path())?;
    let view = open(&rig, "web-01", &["--scratch", "8MiB"])?;
    let other = rig.lab.file("other");
    let mut bytes = vec![0; usize::try_from(8 * MIB)?];
    Noise::new(99).fill(&mut bytes);
    fs::write(&other, &bytes)?;
    let uri = view.disks[0].uri.as_str();
    run(&mut client("nbdcopy", &[other.to_str().context("ASCII")?, uri]))?;
    compare(&view, &other)?;
    let used = rig.appliance.landfall::<Views>(["point", "views"])?.views[0].used_bytes;
    ensure!(used == 8 * MIB, "{used} bytes are used");
    ensure!(close(&rig, &view)?.used_bytes == used, "told at the end, too");
    ensure!(!output(&mut client("nbdinfo", &[uri]))?.status.success(), "nobody answers any more");
    let anew = open(&rig, "web-01", &["--scratch", "64KiB"])?;
    compare(&anew, &copy)?;
    let full = output(&mut client("nbdcopy", &[other.to_str().context("ASCII")?, &anew.disks[0].uri]))?;
    ensure!(!full.status.success(), "a scratch of 64 KiB does not take 8 MiB");
    close(&rig, &anew)?;
    ensure!(fs::read(member.targets[0].path())? == before, "the target disk was left alone");
    rig.appliance.stop().map(drop)
}

#[test]
fn what_can_not_be_had_is_refused_with_its_code() -> Result<()> {
    let mut rig = Rig::start(&[])?;
    let (_member, copy) = half_empty(&rig)?;
    rig.member("new-01", &[MIB], Kind::File)?;
    let taken = rig.lab.file("taken");
    fs::write(&taken, b"something else")?;
    let taken = format!("unix:{}", taken.display());
    for (line, code, exit) in [
        (vec!["view", "nobody"], "LF-1101", 3),
        (vec!["view", "new-01"], "LF-1304", 3),
        (vec!["view", "web-01@3"], "LF-1303", 3),
        (vec!["view", "web-01@9999"], "LF-1302", 3),
        (vec!["view", "web-01", "--listen", "nowhere"], "LF-1611", 2),
        (vec!["view", "web-01", "--listen", taken.as_str()], "LF-1612", 3),
        (vec!["view", "web-01", "--scratch", "1PiB"], "LF-1614", 3),
        (vec!["close", "77"], "LF-1610", 3),
    ] {
        let (found, told) = rig.appliance.landfall_refused(["point"].iter().chain(&line))?;
        ensure!(found == exit && told.contains(code), "{line:?}: exit {found}: {told}");
    }
    // By hand, with TLS: the certificate says that the server is `home`.
    let mut waiting = Process::start(
        "view",
        &rig.binaries.landfall,
        ["--socket", rig.appliance.socket().to_str().context("ASCII")?].into_iter().chain([
            "point",
            "view",
            "web-01",
            "--listen",
            "127.0.0.1:0",
        ]),
        rig.lab.path(),
    )?;
    let view = loop {
        if let Some(view) = rig.appliance.landfall::<Views>(["point", "views"])?.views.pop() {
            break view;
        }
        ensure!(waiting.is_running()?, "it ended: {}", waiting.complaints()?);
    };
    let operator = rig.authority.issue("operator", "ann")?;
    for (ours, theirs) in [("ca", "ca-cert"), ("cert", "client-cert"), ("key", "client-key")] {
        fs::copy(operator.join(format!("{ours}.pem")), operator.join(format!("{theirs}.pem")))?;
    }
    let port =
        view.disks[0].uri.rsplit_once(':').and_then(|(_, end)| end.split('/').next()).context("a port")?;
    let object = format!("tls-creds-x509,id=tls,endpoint=client,dir={}", operator.display());
    let image = format!("driver=nbd,host=127.0.0.1,port={port},export=0,tls-creds=tls,tls-hostname=home");
    let disk = format!("driver=raw,file.driver=file,file.filename={}", copy.display());
    run(&mut client("qemu-img", &["compare", "--object", &object, "--image-opts", &image, &disk]))?;
    let ended = waiting.stop(Duration::from_secs(20))?;
    ensure!(ended.status.success(), "it ended with {}", ended.status);
    ensure!(rig.appliance.landfall::<Views>(["point", "views"])?.views.is_empty(), "Ctrl-C closes it");
    rig.appliance.stop().map(drop)
}
