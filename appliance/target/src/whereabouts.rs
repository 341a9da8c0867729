//! Where a target disk is now: known by what it is, wherever it was before.

use std::path::{Path, PathBuf};

use blockdev::{Identity, find_devices, identity_at};
use retention::HeadDisk;

/// Where a target disk was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// Where it was.
    InPlace,
    /// Elsewhere.
    Moved(PathBuf),
    /// Nowhere.
    Missing,
    /// At several places: copies of one disk, and nobody knows which is the one.
    Several(Vec<PathBuf>),
}

/// Looks for a target disk: where it was, then among the block devices, then among `files`, which may be image files.
pub fn find_disk(disk: &HeadDisk, files: &[PathBuf]) -> Whereabouts {
    let Ok(identity) = disk.identity.parse::<Identity>() else { return Whereabouts::Missing };
    let is_it = |path: &Path| identity_at(path).is_some_and(|found| found.is_same(&identity));
    if is_it(Path::new(&disk.path)) {
        return Whereabouts::InPlace;
    }
    let mut found: Vec<PathBuf> = find_devices(&identity).into_iter().map(|device| device.path).collect();
    found.extend(files.iter().filter(|path| is_it(path)).cloned());
    match found.len() {
        0 => Whereabouts::Missing,
        1 => Whereabouts::Moved(found.remove(0)),
        _ => Whereabouts::Several(found),
    }
}

impl Whereabouts {
    /// Returns the path to be recorded, if it is another one.
    pub fn moved_to(&self) -> Option<String> {
        match self {
            Self::Moved(path) => path.to_str().map(str::to_owned),
            Self::InPlace | Self::Missing | Self::Several(_) => None,
        }
    }
}
