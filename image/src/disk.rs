//! The disk: its partitions, and what is in them.
//!
//! ```text
//!   1 MiB    512 MiB  ESP    EFI/BOOT/BOOTX64.EFI, loader/loader.conf, EFI/Linux/landfall_VERSION+3.efi; room for three versions
//! 513 MiB    to end   STATE  empty: its file system is made at the first boot
//! ```

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::esp::{self, Place};
use crate::gpt::{Guid, Partition, SECTOR_LEN, table};
use crate::program::Tools;
use crate::{Error, Result};

const MIB: u64 = 1 << 20;
/// How large the disk is, for the machine.
pub const DISK_LEN: u64 = 8 << 30;
/// Where the partition of the firmware begins, and how long it is.
pub const ESP: (u64, u64) = (MIB, 512 * MIB);
/// How often a version may fail to boot before the other is taken.
const TRIES: u32 = 3;

const DISK_IDENTITY: Guid = Guid(0x4c46_0000_6c61_4e64_8fa1_6c00_0000_0001);
const ESP_KIND: Guid = Guid(0xc12a_7328_f81f_11d2_ba4b_00a0_c93e_c93b);
const ESP_IDENTITY: Guid = Guid(0x4c46_0000_6c61_4e64_8fa1_6c00_0000_0002);
const STATE_KIND: Guid = Guid(0x0fc6_3daf_8483_4772_8e79_3d69_d847_7de4);
const STATE_IDENTITY: Guid = Guid(0x4c46_0000_6c61_4e64_8fa1_6c00_0000_0003);

/// What the boot loader is told: take the newest version that still has tries, at once, and let nobody change its command line.
const LOADER: &str = "timeout 0\neditor no\nauto-firmware no\nconsole-mode keep\n";

const _: () = {
    assert!(
        ESP.0.is_multiple_of(SECTOR_LEN)
            && ESP.1.is_multiple_of(SECTOR_LEN)
            && DISK_LEN.is_multiple_of(SECTOR_LEN)
    );
    assert!(ESP.0 + ESP.1 + 1024 * MIB < DISK_LEN);
};

/// What goes on a disk.
#[derive(Clone, Debug)]
pub struct Content {
    /// The version, as in `landfall_VERSION+3.efi`.
    pub version: String,
    /// The kernel image that is the whole system.
    pub image: Vec<u8>,
    /// The boot loader.
    pub loader: Vec<u8>,
    /// The time of all files, in seconds since 1970.
    pub epoch: u64,
}

/// Writes a disk to a file, sparse. Errors: it can't be written, or a program fails.
pub fn make(tools: &Tools, path: &Path, content: &Content) -> Result<()> {
    let room = ESP.1 / 3;
    let len = content.image.len() as u64;
    if len > room {
        return Err(Error::Room { what: "a kernel image, of which three must have room", len, room });
    }
    let failed = |doing| Error::file(path, doing);
    let disk = File::create(path).map_err(failed("made"))?;
    disk.set_len(DISK_LEN).map_err(failed("written"))?;
    let place = Place { disk: path, begin: ESP.0, len: ESP.1 };
    let version = &content.version;
    let files = [
        file("EFI/BOOT/BOOTX64.EFI", content.loader.clone()),
        file("loader/loader.conf", LOADER.as_bytes().to_vec()),
        file(&format!("EFI/Linux/landfall_{version}+{TRIES}.efi"), content.image.clone()),
    ];
    esp::make(tools, place, content.epoch, &files)?;
    let table = table(DISK_IDENTITY, DISK_LEN / SECTOR_LEN, &partitions());
    disk.write_all_at(&table.front, 0).map_err(failed("written"))?;
    disk.write_all_at(&table.back, DISK_LEN - table.back.len() as u64).map_err(failed("written"))
}

fn file(path: &str, bytes: Vec<u8>) -> esp::File {
    esp::File { path: path.to_owned(), bytes }
}

fn partitions() -> [Partition; 2] {
    let end = ESP.0 + ESP.1;
    // The last MiB is left for the second table.
    let last = (DISK_LEN - MIB) / SECTOR_LEN - 1;
    [
        Partition {
            kind: ESP_KIND,
            identity: ESP_IDENTITY,
            name: "landfall-esp",
            first: ESP.0 / SECTOR_LEN,
            last: end / SECTOR_LEN - 1,
        },
        Partition {
            kind: STATE_KIND,
            identity: STATE_IDENTITY,
            name: "landfall-state",
            first: end / SECTOR_LEN,
            last,
        },
    ]
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn sfdisk_reads_the_table_we_write_and_finds_no_fault() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("disk");
        let disk = File::create(&path).expect("a file");
        disk.set_len(DISK_LEN).expect("it is sparse");
        let table = table(DISK_IDENTITY, DISK_LEN / SECTOR_LEN, &partitions());
        disk.write_all_at(&table.front, 0).expect("it can be written");
        disk.write_all_at(&table.back, DISK_LEN - table.back.len() as u64).expect("it can be written");
        for argument in ["--dump", "--verify"] {
            let output = Command::new("/sbin/sfdisk").arg(argument).arg(&path).output().expect("sfdisk runs");
            let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && !said.contains("PMBR") && !said.contains("corrupt"), "{said}");
            if argument == "--dump" {
                for wanted in
                    ["label: gpt", "name=\"landfall-esp\"", "name=\"landfall-state\"", "start=        2048"]
                {
                    assert!(said.contains(wanted), "{wanted}: {said}");
                }
            }
        }
    }
}
