//! Disks: loop devices where the lab is root, files otherwise.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use units::ByteLen;

use crate::command::{command, run};

/// What a disk is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A loop device over a file; only root can make one.
    Loop,
    /// The file itself.
    File,
}

/// A disk. A loop device detaches when this is dropped and whoever else has it open has closed it, or died.
#[derive(Debug)]
pub struct Disk {
    image: PathBuf,
    device: Option<LoopDevice>,
}

#[derive(Debug)]
struct LoopDevice {
    path: PathBuf,
    _open: File,
}

impl Kind {
    /// Returns the most real kind there is for this user.
    pub fn best() -> Self {
        let root = rustix::process::geteuid().is_root();
        if root && Path::new("/dev/loop-control").exists() { Self::Loop } else { Self::File }
    }
}

impl Disk {
    /// Makes a disk of `len` bytes that reads as zero, over a new sparse file `image`. Errors: the file or device can't be made.
    pub fn create(image: &Path, len: ByteLen, kind: Kind) -> Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).open(image);
        let file = file.with_context(|| format!("making {}", image.display()))?;
        file.set_len(len.0).with_context(|| format!("sizing {} to {} bytes", image.display(), len.0))?;
        Self::open(image, kind)
    }

    /// Makes a disk over an existing file. Errors: the device can't be made.
    pub fn open(image: &Path, kind: Kind) -> Result<Self> {
        let device = match kind {
            Kind::Loop => Some(LoopDevice::attach(image)?),
            Kind::File => None,
        };
        Ok(Self { image: image.to_owned(), device })
    }

    /// Returns what the programs under test open: the device, or the file.
    pub fn path(&self) -> &Path {
        self.device.as_ref().map_or(&self.image, |device| &device.path)
    }

    /// Returns the file that holds the content.
    pub fn image(&self) -> &Path {
        &self.image
    }

    /// Tells whether it is a block device.
    pub fn is_device(&self) -> bool {
        self.device.is_some()
    }

    /// Returns the size. Errors: the file is gone.
    pub fn len(&self) -> Result<ByteLen> {
        let metadata =
            fs::metadata(&self.image).with_context(|| format!("reading {}", self.image.display()))?;
        Ok(ByteLen(metadata.len()))
    }

    /// Copies the content aside, sharing or skipping what can be. Nobody may be writing. Errors: no space.
    pub fn copy_to(&self, path: &Path) -> Result<()> {
        run(command("sync").arg(self.path()))?;
        let mut copy = command("cp");
        run(copy.args(["--reflink=auto", "--sparse=always"]).arg(&self.image).arg(path))?;
        Ok(())
    }
}

impl LoopDevice {
    /// Attaches a device, opens it, and asks for it to be detached: the kernel does so at the last close, which comes even
    /// when the lab is killed.
    fn attach(image: &Path) -> Result<Self> {
        let mut attach = command("losetup");
        let shown = run(attach.args(["--find", "--show", "--direct-io=on"]).arg(image))?;
        let path = PathBuf::from(shown.trim());
        let open = File::open(&path).with_context(|| format!("opening {}", path.display()));
        run(command("losetup").arg("--detach").arg(&path))?;
        Ok(Self { path, _open: open? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Lab;

    #[test]
    fn a_disk_is_what_was_asked_for_and_leaves_nothing_attached() {
        let lab = Lab::new(None).unwrap();
        let disk = Disk::create(&lab.file("disk"), ByteLen(8 << 20), Kind::best()).unwrap();
        let mut device = OpenOptions::new().write(true).open(disk.path()).unwrap();
        std::io::Write::write_all(&mut device, b"content").unwrap();
        drop(device);
        assert_eq!(disk.len().unwrap(), ByteLen(8 << 20));
        let (path, is_device) = (disk.path().to_owned(), disk.is_device());
        disk.copy_to(&lab.file("copy")).unwrap();
        assert!(fs::read(lab.file("copy")).unwrap().starts_with(b"content"));
        drop(disk);
        if is_device {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let backing = fs::read_to_string(format!("/sys/block/{name}/loop/backing_file"));
            assert!(!backing.unwrap_or_default().contains(&*lab.path().to_string_lossy()));
        }
    }
}
