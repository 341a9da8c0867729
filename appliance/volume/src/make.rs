//! Making a retention volume of an empty device.
//!
//! The order: 1. A mark on the device says what is being made, durable. 2. The file system, with the volume's id as its UUID.
//! 3. The mark is wiped, durable. 4. The file system is mounted. 5. The superblock. A crash leaves a mark (then all is done again), or
//! an empty file system of ours (then it goes on from there); nothing else is ever taken for a volume half made.

use std::fs::File;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use blockdev::{Content, ContentKind, DeviceListing, DirVolume, DiskLook, EngineChoice, device_at, look_at};
use control::{ApiError, Code};
use retention::{MakingMark, Policy, SmallFile, Superblock};
use rustix::fs::{Mode, OFlags};
use target::replica::list_machines;
use target::{Claim, NewVolume, check_directory, claim_volume};
use units::{ByteLen, Timestamp, VolumeId};

use crate::failure::volume_error;
use crate::program::run;
use crate::rules::{DiskFacts, Purpose, Role, Rule, eligible};
use crate::verdict::refusal;

/// The label of a file system of ours; XFS has room for 12 letters.
const LABEL: &str = "landfall-ret";
/// How it is mounted: nothing on it is a program or a device.
const MOUNT_OPTIONS: &str = "nodev,nosuid,noexec,noatime";
/// How far before the end of the device the mark is: behind what file systems write at their end.
const MARK_BEFORE_END: u64 = 2 << 20;

/// The file system that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    /// XFS.
    Xfs,
    /// ext4.
    Ext4,
}

/// How far a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Empty.
    Empty,
    /// Its making did not end: it is done again.
    HalfMade(VolumeId),
    /// It has a file system of ours; the rest may be missing.
    Formatted(VolumeId, FileSystem),
}

/// What is to be made.
#[derive(Clone, Debug)]
pub struct Making {
    /// The device.
    pub device: PathBuf,
    /// Where it is mounted.
    pub directory: PathBuf,
    /// With which file system.
    pub file_system: FileSystem,
    /// 16 random bytes, for a device that has no id yet.
    pub volume: VolumeId,
    /// The time now.
    pub now: Timestamp,
}

/// A step that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The device is marked.
    Mark,
    /// The file system is made.
    Format,
    /// The mark is wiped.
    Unmark,
    /// The file system is mounted.
    Mount,
    /// The superblock is written.
    Superblock,
}

/// A retention volume that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Which volume; the UUID of its file system.
    pub volume: VolumeId,
    /// Its file system.
    pub file_system: FileSystem,
}

impl FileSystem {
    /// Returns the kernel's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Xfs => "xfs",
            Self::Ext4 => "ext4",
        }
    }
}

/// Says whether a retention volume can be made of a device that is to be mounted at `directory`, and how far it is. Nothing is changed.
/// Errors: each rule it breaks, the first.
pub fn examine(device: &Path, directory: &Path) -> Result<State, ApiError> {
    let what = || format!("{} can't become a retention volume", device.display());
    let missing =
        || ApiError::new(Code::DiskMissing, what()).because("there is no block device of this name");
    let listing = device_at(device).ok_or_else(missing)?;
    let look = look_at(device).map_err(|error| error.to_string());
    let state = look.as_ref().map_or(State::Empty, |look| state_of(&listing, look));
    let ours = |rule: Rule, evidence: &str| match rule {
        Rule::Empty => state != State::Empty,
        // A making that ended before its superblock has left it mounted.
        Rule::Mounted => {
            matches!(state, State::Formatted(..))
                && evidence.ends_with(&format!(" at {}", directory.display()))
        }
        _ => false,
    };
    let facts = DiskFacts { listing: &listing, look: Some(&look), role: &Role::None };
    let broken = eligible(&facts, Purpose::RetentionVolume);
    match broken.iter().find(|broken| !ours(broken.rule, &broken.evidence)) {
        Some(first) => Err(refusal(what(), first, &listing)),
        None => Ok(state),
    }
}

fn state_of(listing: &DeviceListing, look: &DiskLook) -> State {
    let mark = read_mark(&listing.path, listing.len);
    match (mark, look.contents.as_slice()) {
        (Some(mark), contents) if contents.iter().all(|content| uuid_of(content) == Some(mark.volume)) => {
            State::HalfMade(mark.volume)
        }
        (None, [only]) if only.label == LABEL => match (uuid_of(only), only.kind) {
            (Some(volume), ContentKind::Xfs) => State::Formatted(volume, FileSystem::Xfs),
            (Some(volume), ContentKind::Ext4) => State::Formatted(volume, FileSystem::Ext4),
            _ => State::Empty,
        },
        _ => State::Empty,
    }
}

fn uuid_of(content: &Content) -> Option<VolumeId> {
    let digits: String = content.uuid.chars().filter(|letter| *letter != '-').collect();
    let number = u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32)?;
    Some(VolumeId(number.to_be_bytes()))
}

fn uuid(volume: VolumeId) -> String {
    let hex = volume.to_string();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn mark_at(len: ByteLen) -> u64 {
    len.0.saturating_sub(MARK_BEFORE_END) / MakingMark::LEN_MAX as u64 * MakingMark::LEN_MAX as u64
}

fn read_mark(device: &Path, len: ByteLen) -> Option<MakingMark> {
    let mut bytes = [0; MakingMark::LEN_MAX];
    File::open(device).ok()?.read_exact_at(&mut bytes, mark_at(len)).ok()?;
    MakingMark::decode(&bytes).ok().filter(|mark| mark.device_len == len)
}

/// Makes a retention volume, from where `state` says it is; `begins` hears of each step, and may end it all before that. Errors: a step
/// fails; it can be done again.
pub fn make(
    making: &Making,
    state: State,
    begins: &mut dyn FnMut(Stage) -> Result<(), ApiError>,
) -> Result<Made, ApiError> {
    let (volume, file_system) = match state {
        State::Formatted(volume, file_system) => (volume, file_system),
        State::HalfMade(volume) => (volume, making.file_system),
        State::Empty => (making.volume, making.file_system),
    };
    if !matches!(state, State::Formatted(..)) {
        format(making, volume, begins)?;
    }
    begins(Stage::Mount)?;
    mount(&making.device, &making.directory, file_system)?;
    begins(Stage::Superblock)?;
    let superblock = take_directory(&making.directory, volume, making.now)?;
    assert_eq!(superblock.volume, volume, "the superblock and the file system have one id");
    Ok(Made { volume, file_system })
}

fn format(
    making: &Making,
    volume: VolumeId,
    begins: &mut dyn FnMut(Stage) -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    let len = device_at(&making.device).map_or(ByteLen::ZERO, |listing| listing.len);
    let mark = MakingMark { volume, device_len: len };
    begins(Stage::Mark)?;
    let mut bytes = mark.encode();
    bytes.resize(MakingMark::LEN_MAX, 0);
    write_mark(&making.device, len, &bytes)?;
    begins(Stage::Format)?;
    let (device, uuid) = (making.device.as_os_str(), uuid(volume));
    let id = format!("uuid={uuid}");
    // What a making that did not end has left is written over; nothing is discarded, for the mark's sake.
    let arguments: Vec<&std::ffi::OsStr> = match making.file_system {
        FileSystem::Xfs => ["-q", "-f", "-K", "-L", LABEL, "-m", &id].map(AsRef::as_ref).to_vec(),
        FileSystem::Ext4 => {
            ["-q", "-F", "-E", "nodiscard", "-m", "0", "-L", LABEL, "-U", &uuid].map(AsRef::as_ref).to_vec()
        }
    };
    let (program, package) = match making.file_system {
        FileSystem::Xfs => ("mkfs.xfs", "xfsprogs"),
        FileSystem::Ext4 => ("mkfs.ext4", "e2fsprogs"),
    };
    run("making the file system", program, arguments.into_iter().chain([device]), package)?;
    begins(Stage::Unmark)?;
    // Where it is no longer, the file system has put something of its own.
    if read_mark(&making.device, len).is_some() {
        write_mark(&making.device, len, &[0; MakingMark::LEN_MAX])?;
    }
    Ok(())
}

/// Writes where the mark is, durable on return; the device is taken for that as the only one.
fn write_mark(device: &Path, len: ByteLen, bytes: &[u8]) -> Result<(), ApiError> {
    assert_eq!(bytes.len(), MakingMark::LEN_MAX, "a mark is one block");
    let failed = |error: std::io::Error| {
        ApiError::new(Code::VolumeMaking, format!("{} can't be marked", device.display())).because(error)
    };
    let flags = OFlags::RDWR | OFlags::EXCL | OFlags::CLOEXEC;
    let file = rustix::fs::open(device, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
    let file = File::from(file);
    file.write_all_at(bytes, mark_at(len)).and_then(|()| file.sync_all()).map_err(failed)
}

/// Mounts a retention volume that exists. Errors: it is none that can be mounted here, or its directory is in use.
pub fn mount_existing(device: &Path, directory: &Path) -> Result<(), ApiError> {
    let what = || format!("{} can't be mounted", device.display());
    let look = look_at(device).map_err(|error| ApiError::new(Code::DiskMissing, what()).because(error))?;
    let file_system = match look.contents.as_slice() {
        [Content { kind: ContentKind::Xfs, .. }] => FileSystem::Xfs,
        [Content { kind: ContentKind::Ext4, .. }] => FileSystem::Ext4,
        contents => {
            let found: Vec<_> = contents.iter().map(ToString::to_string).collect();
            let error = ApiError::new(Code::VolumeMissing, what());
            return Err(error
                .because(format!("it holds neither XFS nor ext4: {}", found.join("; ")))
                .fixed_by("mount it yourself, and name the directory"));
        }
    };
    mount(device, directory, file_system)
}

/// Mounts a file system of ours, unless it is mounted there.
fn mount(device: &Path, directory: &Path, file_system: FileSystem) -> Result<(), ApiError> {
    let place = directory.to_str();
    let mounted = device_at(device)
        .is_some_and(|listing| listing.uses.iter().any(|each| place.is_some() && each.mounted_at() == place));
    if mounted {
        return Ok(());
    }
    let what = || format!("{} can't be mounted at {}", device.display(), directory.display());
    std::fs::create_dir_all(directory)
        .map_err(|error| ApiError::new(Code::VolumeMaking, what()).because(error))?;
    let facts = blockdev::directory_facts(directory, &[]).ok();
    if facts.is_none_or(|facts| facts.is_mount || !facts.foreign.is_empty()) {
        let error =
            ApiError::new(Code::VolumeOccupied, what()).because("the directory is in use, or not empty");
        return Err(error.fixed_by("name an empty directory with --mount"));
    }
    let options = ["-t", file_system.name(), "-o", MOUNT_OPTIONS, "--"].map(AsRef::<std::ffi::OsStr>::as_ref);
    let arguments = options.into_iter().chain([device.as_os_str(), directory.as_os_str()]);
    run("mounting it", "mount", arguments, "mount")?;
    let private = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(directory, private)
        .map_err(|error| ApiError::new(Code::VolumeMaking, what()).because(error))
}

/// Makes an empty directory a retention volume: writes its superblock, or keeps the one that is there. Errors: it holds something
/// else, or history.
pub fn take_directory(directory: &Path, volume: VolumeId, now: Timestamp) -> Result<Superblock, ApiError> {
    let known = |error: target::TargetError| volume_error(&error);
    check_directory(directory).map_err(known)?;
    let opened = DirVolume::open(directory).map_err(|error| known(error.into()))?;
    let machines = list_machines(&opened).map_err(|error| known(error.into()))?;
    if !machines.is_empty() {
        let what = format!("{} is a retention volume already", directory.display());
        let error = ApiError::new(Code::VolumeOccupied, what);
        return Err(error.because(format!("it holds the history of {} machines", machines.len())).fixed_by(
            "start landfalld on it; or, if it was another node's, `landfall retention adopt DIR`",
        ));
    }
    let new = NewVolume { volume, created: now, defaults: Policy::default() };
    claim_volume(&opened, EngineChoice::Best, Claim::Look, &new).map_err(known)
}

/// Returns the name and the text of the systemd unit that mounts a volume at every start, before `landfalld`.
pub fn mount_unit(made: &Made, directory: &Path) -> (String, String) {
    let place = directory.display();
    let text = format!(
        "[Unit]\nDescription=Retention volume of Landfall\nBefore=landfalld.service\n\n[Mount]\n\
         What=/dev/disk/by-uuid/{}\nWhere={place}\nType={}\nOptions={MOUNT_OPTIONS}\n\n[Install]\n\
         RequiredBy=landfalld.service\n",
        uuid(made.volume),
        made.file_system.name()
    );
    (format!("{}.mount", escape(directory)), text)
}

/// Escapes a path as systemd names units after it (systemd-escape(1)).
fn escape(path: &Path) -> String {
    let text = path.to_string_lossy();
    let mut name = String::new();
    for byte in text.trim_matches('/').bytes() {
        match byte {
            b'/' => name.push('-'),
            b'.' if name.is_empty() => name.push_str("\\x2e"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b':' | b'_' | b'.' => name.push(char::from(byte)),
            other => name.push_str(&format!("\\x{other:02x}")),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_named_as_systemd_names_it() {
        assert_eq!(escape(Path::new("/mnt/retention")), "mnt-retention");
        assert_eq!(escape(Path::new("/srv/land-fall/.x")), "srv-land\\x2dfall-.x");
        let made = Made { volume: VolumeId([0xab; 16]), file_system: FileSystem::Xfs };
        let (name, text) = mount_unit(&made, Path::new("/mnt/retention"));
        assert_eq!(name, "mnt-retention.mount");
        assert!(text.contains("What=/dev/disk/by-uuid/abababab-abab-abab-abab-abababababab\n"));
        assert!(text.contains("Where=/mnt/retention\nType=xfs\n"));
    }

    #[test]
    fn an_id_is_written_as_a_uuid_and_read_back() {
        let volume = VolumeId(std::array::from_fn(|index| index as u8 + 1));
        let at = units::ByteOffset(0);
        let content = Content { kind: ContentKind::Xfs, at, label: String::new(), uuid: uuid(volume) };
        assert_eq!(uuid_of(&content), Some(volume));
        assert_eq!(uuid_of(&Content { uuid: "1234-ABCD".to_owned(), ..content }), None);
    }
}
