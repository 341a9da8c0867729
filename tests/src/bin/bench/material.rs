//! The disks everyone copies: one filled from `/usr`, one that differs everywhere, and one that differs by 2 %.

use std::fs::{self, File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use landfall_tests::command::{command, run};
use landfall_tests::disk::{Disk, Kind};
use landfall_tests::filesystem::FileSystem;
use landfall_tests::lab::Lab;
use landfall_tests::material::{Noise, choose};
use units::ByteLen;

const PIECE: usize = 1 << 20;
/// Length of one changed run.
const RUN: u64 = 64 << 10;

/// Files, made once and then only read.
#[derive(Debug)]
pub(crate) struct Material {
    pub(crate) lab: Lab,
    pub(crate) len: ByteLen,
    /// An ext4 file system filled from `/usr`.
    pub(crate) first: PathBuf,
    /// The same bytes, moved: every leaf that held something differs, and compresses as well as before.
    pub(crate) moved: PathBuf,
    /// As `moved`, but for 2 % of it, in runs of 64 KiB all over.
    pub(crate) touched: PathBuf,
}

impl Material {
    /// Makes the three disks in a directory of their own in `parent`.
    pub(crate) fn prepare(parent: &Path, len: ByteLen) -> Result<Self> {
        let lab = Lab::new(Some(parent))?;
        let (first, moved, touched) = (lab.file("first.img"), lab.file("moved.img"), lab.file("touched.img"));
        let disk = Disk::create(&first, len, Kind::best())?;
        FileSystem::make(&disk, &lab, &choose(Path::new("/usr"), len.0 / 100 * 85))?;
        drop(disk);
        rotate(&first, &moved)?;
        run(command("cp").args(["--reflink=auto", "--sparse=always"]).arg(&moved).arg(&touched))?;
        touch(&touched, len)?;
        run(command("sync").arg("--file-system").arg(&first))?;
        Ok(Self { lab, len, first, moved, touched })
    }

    /// Gives the disk at `path` the first `len` bytes of `content`, and returns the bytes of all leaves that are now others.
    pub(crate) fn cut(&self, content: &Path, path: &Path, len: ByteLen) -> Result<u64> {
        let source = File::open(content).with_context(|| format!("opening {}", content.display()))?;
        let disk = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let disk = disk.with_context(|| format!("opening {}", path.display()))?;
        disk.set_len(len.0)?;
        let (mut new, mut old, mut changed) = (vec![0; RUN as usize], vec![0; RUN as usize], 0);
        for at in (0..len.0).step_by(RUN as usize) {
            source.read_exact_at(&mut new, at)?;
            disk.read_exact_at(&mut old, at)?;
            if new != old {
                disk.write_all_at(&new, at)?;
                changed += RUN;
            }
        }
        disk.sync_all().context("flushing the cut disk")?;
        Ok(changed)
    }

    /// Makes a new, empty disk of the same size; an old one of the name is removed first.
    pub(crate) fn blank(&self, name: &str) -> Result<PathBuf> {
        let path = self.lab.file(name);
        drop(fs::remove_file(&path));
        let file = File::create(&path).with_context(|| format!("making {}", path.display()))?;
        file.set_len(self.len.0).with_context(|| format!("sizing {}", path.display()))?;
        Ok(path)
    }
}

/// Copies a file with each piece of 1 MiB turned by 12 KiB + 512 bytes, so that no leaf stays what it was.
fn rotate(from: &Path, to: &Path) -> Result<()> {
    let mut source = File::open(from).with_context(|| format!("opening {}", from.display()))?;
    let target = File::create(to).with_context(|| format!("making {}", to.display()))?;
    target.set_len(source.metadata()?.len())?;
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    loop {
        let len = fill(&mut source, &mut piece)?;
        if len == 0 {
            return Ok(());
        }
        if piece[..len].iter().any(|byte| *byte != 0) {
            piece[..len].rotate_right((12 << 10) + 512);
            target.write_all_at(&piece[..len], at)?;
        }
        at += len as u64;
    }
}

fn fill(source: &mut File, piece: &mut [u8]) -> Result<usize> {
    let mut len = 0;
    while len < piece.len() {
        match source.read(&mut piece[len..])? {
            0 => break,
            read => len += read,
        }
    }
    Ok(len)
}

/// Overwrites 2 % of a file with noise.
fn touch(path: &Path, len: ByteLen) -> Result<()> {
    let file =
        OpenOptions::new().write(true).open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut noise = Noise::new(2);
    let mut run = vec![0; RUN as usize];
    for _ in 0..len.0 / RUN / 50 {
        let at = noise.below(len.0 / RUN) * RUN;
        noise.fill(&mut run);
        file.write_all_at(&run, at)?;
    }
    file.sync_all().context("flushing the touched disk")
}
