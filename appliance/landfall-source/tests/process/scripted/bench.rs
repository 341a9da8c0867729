//! A machine with image files for disks, its agent as a child process, and the scripted target.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use pki::IssueRequest;
use tempfile::TempDir;

use super::{Chance, LEAF, Server, Store};

pub(crate) struct Bench {
    pub(crate) directory: TempDir,
    pub(crate) server: Server,
    pub(crate) disks: Vec<PathBuf>,
}

/// What a run of the agent came to.
pub(crate) struct Run {
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    /// Returns a number of the summary. Panics if there is none.
    pub(crate) fn number(&self, field: &str) -> u64 {
        let summary =
            self.out.lines().rfind(|line| line.contains("\"type\":\"summary\"")).expect("a summary");
        let value: serde_json::Value = serde_json::from_str(summary).expect("JSON");
        value[field].as_u64().expect("a number")
    }

    pub(crate) fn expect_done(self) -> Self {
        assert!(self.status.success(), "{}\n{}\n{}", self.status, self.out, self.err);
        self
    }
}

impl Bench {
    /// Makes disks of these sizes, of zeroes, text and noise.
    pub(crate) fn new(lens: &[usize], seed: u64) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        pki::init(&at("ca")).expect("an authority");
        for identity in ["source:web-01", "master-target:home"] {
            let request = format!("landfall:{identity}").parse().expect("an identity");
            let (ca, out) = (at("ca"), at(identity));
            pki::issue(&IssueRequest::for_days(&ca, request, 1, &out).expect("a day is allowed"))
                .expect("a certificate");
        }
        let mut chance = Chance::new(seed);
        let disks: Vec<PathBuf> = (0..lens.len()).map(|disk| at(&format!("disk-{disk}.img"))).collect();
        for (path, len) in disks.iter().zip(lens) {
            let mut bytes = vec![0; *len];
            bytes.chunks_mut(LEAF).for_each(|leaf| fill(leaf, &mut chance));
            fs::write(path, bytes).expect("an image");
        }
        let server = Server::start(&at("master-target:home"), Store::new(lens), seed);
        Self { directory, server, disks }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_landfall-source"));
        command.args(["protect", "--machine", "web-01", "--allow-file", "--output", "json"]);
        command.args(["--to", &format!("127.0.0.1:{}", self.server.port)]);
        command.arg("--identity").arg(self.path("source:web-01")).arg("--state").arg(self.path("state"));
        for disk in &self.disks {
            command.arg("--disk").arg(disk);
        }
        command.args(more).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn start(&self, more: &[&str]) -> Child {
        self.command(more).spawn().expect("the program starts")
    }

    /// Runs the agent to its end.
    pub(crate) fn run(&self, more: &[&str]) -> Run {
        let output = self.command(more).output().expect("the program starts");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Run { status: output.status, out: text(output.stdout), err: text(output.stderr) }
    }

    pub(crate) fn once(&self, more: &[&str]) -> Run {
        self.run(&[&["--once", "--timeout", "60s"], more].concat())
    }

    /// Runs the agent but kills it with SIGKILL after `time`; tells whether it ended by itself before, and well.
    pub(crate) fn once_killed_after(&self, time: Duration, more: &[&str]) -> bool {
        let mut command = self.command(&[&["--once", "--timeout", "60s"], more].concat());
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
        let start = Instant::now();
        while start.elapsed() < time {
            if let Some(status) = child.try_wait().expect("our own child") {
                assert!(status.success(), "{status}");
                return true;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().expect("our own child");
        child.wait().expect("our own child");
        false
    }

    /// Runs the agent until the target has crashed, and kills it before the target takes it back.
    pub(crate) fn once_killed_after_crash(&self) {
        let crashes = self.server.store().crashes;
        let mut child = self.start(&["--once"]);
        let start = Instant::now();
        loop {
            let mut store = self.server.store();
            if store.crashes > crashes {
                store.refusals = vec![wire::RefusalCode::Busy; 100];
                break;
            }
            drop(store);
            assert!(start.elapsed() < Duration::from_secs(20), "the target did not crash");
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().expect("our own child");
        child.wait().expect("our own child");
        self.server.store().refusals.clear();
    }

    /// Changes some leaves of the disks: new text, noise or zeroes, in whole leaves or a few bytes.
    pub(crate) fn change(&self, leaves: u64, chance: &mut Chance) {
        for _ in 0..leaves {
            let path = &self.disks[chance.below(self.disks.len() as u64) as usize];
            let file = File::options().write(true).open(path).expect("a disk");
            let len = file.metadata().expect("a size").len();
            let start = chance.below(len.div_ceil(LEAF as u64)) * LEAF as u64;
            let whole = (len - start).min(LEAF as u64);
            let len = if chance.once_in(2) { whole } else { whole.min(512) };
            let mut bytes = vec![0; len as usize];
            fill(&mut bytes, chance);
            file.write_all_at(&bytes, start).expect("written");
        }
    }

    /// Panics unless the target holds what the disks hold, durably, and no rule was broken.
    pub(crate) fn assert_identical(&self) {
        let store = self.server.store();
        assert_eq!(store.violations, Vec::<String>::new());
        for (disk, path) in self.disks.iter().enumerate() {
            let bytes = fs::read(path).expect("a disk");
            let differing =
                bytes.chunks(LEAF).zip(store.durable_content[disk].chunks(LEAF)).position(|(a, b)| a != b);
            assert_eq!(differing, None, "first differing leaf of disk {disk}");
        }
        let last = store.markers.last().expect("a recovery point");
        assert_eq!(last.sequence, store.durable, "the recovery point is the last item and durable");
    }

    pub(crate) fn table(&self) -> PathBuf {
        self.path("state").join("web-01.leaves")
    }
}

fn fill(bytes: &mut [u8], chance: &mut Chance) {
    match chance.below(4) {
        0 => bytes.fill(0),
        1 => {
            let line = format!("line {} of a log\n", chance.below(1 << 30));
            bytes.iter_mut().zip(line.bytes().cycle()).for_each(|(to, from)| *to = from);
        }
        _ => blake3::Hasher::new().update(&chance.below(1 << 30).to_le_bytes()).finalize_xof().fill(bytes),
    }
}
