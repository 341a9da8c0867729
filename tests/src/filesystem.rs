//! An ext4 file system on a disk, and changes to it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::cleanup::{Action, Undo};
use crate::command::{command, output, run, run_with_input};
use crate::disk::Disk;
use crate::lab::Lab;
use crate::material::{Choice, Noise};

/// What a changed file holds.
#[derive(Clone, Debug)]
pub enum Content {
    /// The same as a file of this machine.
    File(PathBuf),
    /// Noise.
    Noise {
        /// Its seed.
        seed: u64,
        /// Its length in bytes.
        len: u64,
    },
}

/// One change to a file system. Paths are relative to its root.
#[derive(Clone, Debug)]
pub enum Change {
    /// The file holds this from now on; missing directories are made, a file that exists keeps its blocks where it can.
    Put {
        /// The file.
        path: String,
        /// What it holds.
        content: Content,
    },
    /// The file is removed, if there is one.
    Remove {
        /// The file.
        path: String,
    },
}

/// An ext4 file system. Loop devices are mounted for a change, as root does; files are changed by `debugfs`.
#[derive(Debug)]
pub struct FileSystem<'disk> {
    disk: &'disk Disk,
    scratch: PathBuf,
}

/// A mounted file system; unmounted, and so written out whole, when dropped or by [`Mount::unmount`].
#[derive(Debug)]
pub struct Mount {
    path: PathBuf,
    undo: Option<Undo>,
}

impl<'disk> FileSystem<'disk> {
    /// Makes the file system and fills it with a choice of files, under their own paths. Errors: it does not fit, a program fails.
    pub fn make(disk: &'disk Disk, lab: &Lab, choice: &Choice) -> Result<Self> {
        let made = Self::reopen(disk, lab)?;
        if disk.is_device() {
            run(made.mke2fs().arg(disk.path()))?;
            let mount = made.mount()?.context("a device can be mounted")?;
            copy_choice(choice, mount.path())?;
            mount.unmount()?;
        } else {
            let staging = made.scratch.join("staging");
            fs::create_dir_all(&staging).with_context(|| format!("making {}", staging.display()))?;
            copy_choice(choice, &staging)?;
            run(made.mke2fs().arg("-d").arg(&staging).arg(disk.path()))?;
            fs::remove_dir_all(&staging).with_context(|| format!("removing {}", staging.display()))?;
        }
        Ok(made)
    }

    /// Takes up a file system that was made before on this disk. Errors: no scratch directory.
    pub fn reopen(disk: &'disk Disk, lab: &Lab) -> Result<Self> {
        Ok(Self { disk, scratch: lab.directory("scratch")? })
    }

    /// Mounts it, if it is on a device. Errors: the kernel refuses.
    pub fn mount(&self) -> Result<Option<Mount>> {
        if !self.disk.is_device() {
            return Ok(None);
        }
        let path = self.scratch.join("mount");
        fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        run(command("mount").args(["-t", "ext4"]).arg(self.disk.path()).arg(&path))?;
        let undo = Some(Undo::new(Action::Unmount(path.clone())));
        Ok(Some(Mount { path, undo }))
    }

    /// Makes some changes and has them written out. Errors: one of them fails.
    pub fn change(&self, changes: &[Change]) -> Result<()> {
        match self.mount()? {
            Some(mount) => {
                changes.iter().try_for_each(|change| mount.apply(change))?;
                mount.unmount()
            }
            None => self.change_unmounted(changes),
        }
    }

    /// Makes the changes with `debugfs`, as someone who is not root must.
    fn change_unmounted(&self, changes: &[Change]) -> Result<()> {
        let mut script = Script::new(self.disk.path());
        for (number, change) in changes.iter().enumerate() {
            match change {
                Change::Put { path, content } => {
                    let from = self.scratch.join(format!("put-{number}"));
                    let mut file =
                        File::create(&from).with_context(|| format!("making {}", from.display()))?;
                    content.write_to(&mut file)?;
                    script.put(&from, path)?;
                }
                Change::Remove { path } => script.remove(path)?,
            }
        }
        run_with_input(command("debugfs").args(["-w", "-f", "-"]).arg(self.disk.path()), &script.text)?;
        (0..changes.len())
            .for_each(|number| drop(fs::remove_file(self.scratch.join(format!("put-{number}")))));
        Ok(())
    }

    fn mke2fs(&self) -> std::process::Command {
        let mut command = command("mke2fs");
        command.args(["-q", "-F", "-t", "ext4", "-m", "0", "-L", "home"]);
        command.args(["-E", "lazy_itable_init=0,lazy_journal_init=0"]);
        command
    }
}

/// What `debugfs` is told. It complains of a directory that is there already and of a file that is not, so the script says only
/// what has an effect.
#[derive(Debug)]
struct Script<'disk> {
    disk: &'disk Path,
    text: String,
    /// What the script has made (true) or removed (false) so far.
    known: BTreeMap<String, bool>,
}

impl<'disk> Script<'disk> {
    fn new(disk: &'disk Path) -> Self {
        Self { disk, text: String::new(), known: BTreeMap::new() }
    }

    fn put(&mut self, from: &Path, path: &str) -> Result<()> {
        for (at, _) in path.match_indices('/') {
            let parent = &path[..at];
            if !self.has(parent)? {
                writeln!(self.text, "mkdir \"{parent}\"")?;
                self.known.insert(parent.to_owned(), true);
            }
        }
        self.remove(path)?;
        writeln!(self.text, "write {} \"{path}\"", from.display())?;
        self.known.insert(path.to_owned(), true);
        Ok(())
    }

    fn remove(&mut self, path: &str) -> Result<()> {
        if self.has(path)? {
            writeln!(self.text, "rm \"{path}\"")?;
        }
        self.known.insert(path.to_owned(), false);
        Ok(())
    }

    fn has(&self, path: &str) -> Result<bool> {
        if let Some(known) = self.known.get(path) {
            return Ok(*known);
        }
        let mut stat = command("debugfs");
        let output = output(stat.arg("-R").arg(format!("stat \"{path}\"")).arg(self.disk))?;
        Ok(String::from_utf8_lossy(&output.stdout).contains("Inode:"))
    }
}

/// Copies a file out of the file system on a device or image, without mounting it. Returns whether it was there. Errors:
/// `debugfs` can't be run.
pub fn extract(disk: &Path, path: &str, to: &Path) -> Result<bool> {
    let request = format!("dump \"{path}\" {}", to.display());
    output(command("debugfs").arg("-R").arg(request).arg(disk))?;
    Ok(to.exists())
}

impl Mount {
    /// Returns where it is mounted.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes one change. Errors: the file system refuses it.
    pub fn apply(&self, change: &Change) -> Result<()> {
        match change {
            Change::Put { path, content } => self.put(&self.path.join(path), content),
            Change::Remove { path } => {
                let path = self.path.join(path);
                let gone = fs::remove_file(&path).or_else(|why| ignore_missing(&why).ok_or(why));
                gone.with_context(|| format!("removing {}", path.display()))
            }
        }
    }

    /// Unmounts it, so that everything is on the disk. Errors: it is busy.
    pub fn unmount(mut self) -> Result<()> {
        let undo = self.undo.take();
        run(command("umount").arg(&self.path))?;
        undo.into_iter().for_each(Undo::forget);
        Ok(())
    }

    fn put(&self, path: &Path, content: &Content) -> Result<()> {
        let parent = path.parent().context("a file is in a directory")?;
        fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        let file = OpenOptions::new().create(true).write(true).truncate(false).open(path);
        let mut file = file.with_context(|| format!("opening {}", path.display()))?;
        let len = content.write_to(&mut file).with_context(|| format!("writing {}", path.display()))?;
        file.set_len(len).with_context(|| format!("cutting {}", path.display()))
    }
}

impl Content {
    /// Writes the content and returns its length.
    fn write_to(&self, file: &mut File) -> Result<u64> {
        match self {
            Self::File(from) => {
                let mut from = File::open(from).with_context(|| format!("opening {}", from.display()))?;
                Ok(io::copy(&mut from, file)?)
            }
            Self::Noise { seed, len } => {
                let mut noise = Noise::new(*seed);
                let mut buffer = vec![0; 256 << 10];
                let mut left = *len;
                while left > 0 {
                    noise.fill(&mut buffer);
                    let part = left.min(buffer.len() as u64) as usize;
                    file.write_all(&buffer[..part])?;
                    left -= part as u64;
                }
                Ok(*len)
            }
        }
    }
}

fn ignore_missing(why: &io::Error) -> Option<()> {
    (why.kind() == io::ErrorKind::NotFound).then_some(())
}

/// Copies files with their paths, owners where allowed, times and links.
fn copy_choice(choice: &Choice, into: &Path) -> Result<()> {
    let list = into.with_extension("list");
    let mut names = Vec::new();
    for path in &choice.paths {
        names.extend_from_slice(path.strip_prefix("/").unwrap_or(path).as_os_str().as_bytes());
        names.push(0);
    }
    fs::write(&list, names).with_context(|| format!("writing {}", list.display()))?;
    let mut copy = command("xargs");
    copy.args(["--no-run-if-empty", "--null", "--arg-file"])
        .arg(&list)
        .args(["cp", "-a", "--parents", "--target-directory"])
        .arg(into);
    let done = run(copy.current_dir("/"));
    fs::remove_file(&list).with_context(|| format!("removing {}", list.display()))?;
    done.map(drop)
}

#[cfg(test)]
mod tests {
    use units::ByteLen;

    use super::*;
    use crate::disk::Kind;
    use crate::material::choose;
    use crate::proof::e2fsck;

    fn changes_arrive(kind: Kind) {
        let lab = Lab::new(None).unwrap();
        let disk = Disk::create(&lab.file("disk"), ByteLen(32 << 20), kind).unwrap();
        let choice = choose(Path::new("/usr/bin"), 4 << 20);
        let filesystem = FileSystem::make(&disk, &lab, &choice).unwrap();
        let first = choice.paths[0].strip_prefix("/").unwrap().to_str().unwrap().to_owned();
        let put =
            |seed| Change::Put { path: "a/b/new".into(), content: Content::Noise { seed, len: 300_000 } };
        filesystem.change(&[put(1), put(2), Change::Remove { path: first.clone() }]).unwrap();
        e2fsck(disk.path()).unwrap();
        assert!(!extract(disk.path(), &first, &lab.file("gone")).unwrap());
        assert!(extract(disk.path(), "a/b/new", &lab.file("found")).unwrap());
        let mut expected = vec![0; 300_000];
        Noise::new(2).fill(&mut expected);
        assert!(fs::read(lab.file("found")).unwrap() == expected);
    }

    #[test]
    fn changes_arrive_on_the_most_real_disk() {
        changes_arrive(Kind::best());
    }

    #[test]
    fn changes_arrive_in_a_file() {
        changes_arrive(Kind::File);
    }
}
