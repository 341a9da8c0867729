//! Files chosen from the machine's own `/usr`, and bytes that can't be compressed.

use std::fs;
use std::path::{Path, PathBuf};

/// Larger files are left out: one of them would be most of a small disk.
const FILE_LEN_MAX: u64 = 256 << 20;

/// Files chosen to fill a file system.
#[derive(Debug, Default)]
pub struct Choice {
    /// Files and symbolic links, with absolute paths, in order of their names.
    pub paths: Vec<PathBuf>,
    /// What they hold together, in bytes.
    pub len: u64,
}

/// Chooses files and links under `root`, directory by directory in order of names, until they hold `len_max` bytes. What can't be
/// read is left out.
pub fn choose(root: &Path, len_max: u64) -> Choice {
    let mut choice = Choice::default();
    descend(root, len_max, &mut choice);
    choice
}

fn descend(directory: &Path, len_max: u64, choice: &mut Choice) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    let mut entries: Vec<_> = entries.flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let Ok(metadata) = entry.metadata() else { continue };
        let path = entry.path();
        if metadata.is_dir() {
            descend(&path, len_max, choice);
        } else if metadata.is_symlink()
            || (metadata.is_file() && metadata.len() <= FILE_LEN_MAX && is_readable(&path))
        {
            // A file takes whole blocks and an inode.
            let len = metadata.len().next_multiple_of(4096) + 256;
            if choice.len + len <= len_max {
                choice.len += len;
                choice.paths.push(path);
            }
        }
    }
}

fn is_readable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::READ_OK).is_ok()
}

/// Bytes that no compressor shortens, the same for the same seed.
#[derive(Debug)]
pub struct Noise {
    reader: blake3::OutputReader,
}

impl Noise {
    /// Begins the bytes of a seed.
    pub fn new(seed: u64) -> Self {
        Self { reader: blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof() }
    }

    /// Fills a buffer with the next bytes.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        self.reader.fill(buffer);
    }

    /// Returns a number below `bound`. Panics: the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "there is a number below the bound");
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes) % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_repeatable_and_within_its_limit() {
        let (first, second) =
            (choose(Path::new("/usr/bin"), 2 << 20), choose(Path::new("/usr/bin"), 2 << 20));
        assert_eq!(first.paths, second.paths);
        assert!(first.len <= 2 << 20 && !first.paths.is_empty());
    }

    #[test]
    fn noise_repeats_with_its_seed_only() {
        let bytes = |seed| {
            let mut bytes = [0; 32];
            Noise::new(seed).fill(&mut bytes);
            bytes
        };
        assert_eq!(bytes(1), bytes(1));
        assert_ne!(bytes(1), bytes(2));
    }
}
