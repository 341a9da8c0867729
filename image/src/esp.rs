//! The partition of the firmware's programs: FAT32, made by Debian's own tools out of the locked packages.

use std::path::Path;

use crate::error::write;
use crate::gpt::SECTOR_LEN;
use crate::program::{Tools, run};
use crate::{Error, Result};

/// The number a FAT has for its identity, and its name.
const IDENTITY: &str = "4c46414c";
const LABEL: &str = "LANDFALL";

/// A file of the partition.
#[derive(Clone, Debug)]
pub struct File {
    /// Where it goes, such as `EFI/BOOT/BOOTX64.EFI`.
    pub path: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// Where on the disk the partition is.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The disk, a file.
    pub disk: &'a Path,
    /// Where it begins, in bytes.
    pub begin: u64,
    /// How long it is, in bytes.
    pub len: u64,
}

/// Makes the file system in its place on the disk, with these files; their time is `epoch`. Errors: no room, or a program fails.
pub fn make(tools: &Tools, place: Place<'_>, epoch: u64, files: &[File]) -> Result<()> {
    let mut mkfs = tools.command("usr/sbin/mkfs.vfat");
    mkfs.args(["--invariant", "-F", "32", "-s", "8", "-n", LABEL, "-i", IDENTITY]);
    mkfs.arg("--offset").arg((place.begin / SECTOR_LEN).to_string());
    run(mkfs.arg(place.disk).arg((place.len / 1024).to_string()))?;
    let stage = tempfile::tempdir().map_err(Error::file(&std::env::temp_dir(), "written"))?;
    let mut made: Vec<&str> = Vec::new();
    for (index, file) in files.iter().enumerate() {
        for (end, _) in file.path.match_indices('/') {
            let directory = &file.path[..end];
            if !made.contains(&directory) {
                made.push(directory);
                run(mtool(tools, place, epoch, "mmd").arg(format!("::{directory}")))?;
            }
        }
        let staged = stage.path().join(index.to_string());
        write(&staged, &file.bytes)?;
        run(mtool(tools, place, epoch, "mcopy").arg(&staged).arg(format!("::{}", file.path)))?;
    }
    Ok(())
}

/// Reads a file of the partition. Errors: it is not there, or a program fails.
pub fn read(tools: &Tools, place: Place<'_>, path: &str) -> Result<Vec<u8>> {
    run(mtool(tools, place, 0, "mtype").arg(format!("::{path}")))
}

fn mtool(tools: &Tools, place: Place<'_>, epoch: u64, name: &str) -> std::process::Command {
    let mut command = tools.command("usr/bin/mtools");
    command.args(["-c", name, "-i"]).arg(format!("{}@@{}", place.disk.display(), place.begin));
    command
        .env("SOURCE_DATE_EPOCH", epoch.to_string())
        .env("MTOOLS_SKIP_CHECK", "1")
        .env("MTOOLSRC", "/dev/null");
    command
}
