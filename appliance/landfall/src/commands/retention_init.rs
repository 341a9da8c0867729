//! `landfall retention init`

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::Instant;

use blockdev::directory_facts;
use control::{ApiError, Code, ErrorReply};
use serde::Serialize;
use units::VolumeId;
use volume::{FileSystem, Made, Making, Stage, State, examine, make, mount_unit, take_directory};

use crate::arguments::{self, InitArguments};
use crate::prompt::device_again;
use crate::screen::{Ending, Screen};

/// A retention volume that was made, for programs.
#[derive(Serialize)]
struct Report {
    volume: String,
    directory: String,
    device: Option<String>,
    file_system: Option<&'static str>,
    mount_unit: Option<String>,
    next: Vec<String>,
}

/// Makes a retention volume of a device or a directory.
pub(super) fn init(screen: &Screen, arguments: &InitArguments) -> Result<Ending, ErrorReply> {
    let place = super::disk_rules::named(&arguments.place);
    let is_device = std::fs::metadata(&place).is_ok_and(|metadata| metadata.file_type().is_block_device());
    if is_device { of_device(screen, arguments, &place) } else { of_directory(screen, arguments, &place) }
}

/// Returns 16 random bytes. Errors: the kernel gives none.
pub(super) fn new_volume() -> Result<VolumeId, ApiError> {
    let mut bytes = [0; 16];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(|error| ApiError::new(Code::Internal, "no random bytes can be had").because(error))?;
    Ok(VolumeId(bytes))
}

/// Refuses whoever is not root.
pub(super) fn need_root(what: &str) -> Result<(), ApiError> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(ApiError::new(Code::NotAuthorised, what).because("only root can do this"))
}

fn of_device(screen: &Screen, arguments: &InitArguments, device: &Path) -> Result<Ending, ErrorReply> {
    need_root("the retention volume was not made")?;
    let directory = std::path::absolute(&arguments.mount).unwrap_or(arguments.mount.clone());
    let state = examine(device, &directory)?;
    let file_system = match arguments.filesystem {
        arguments::FileSystem::Xfs => FileSystem::Xfs,
        arguments::FileSystem::Ext4 => FileSystem::Ext4,
    };
    let name = device.display().to_string();
    device_again(screen, &name, arguments.yes, &intention(state, &name, file_system, &directory))?;
    let making = Making {
        device: device.to_owned(),
        directory: directory.clone(),
        file_system,
        volume: new_volume()?,
        now: super::now(),
    };
    let mut steps = Steps { screen, begun: Instant::now() };
    let made = make(&making, state, &mut |stage| steps.begins(stage))?;
    let (unit, text) = mount_unit(&made, &directory);
    if arguments.print_mount_unit && !screen.is_json() {
        screen.text(&text)?;
        return Ok(Ending::Done);
    }
    let next = vec![
        format!("have it mounted at every start: the same command with --print-mount-unit writes {unit}"),
        format!("start landfalld with --retention {}", directory.display()),
    ];
    report(screen, &made, &directory, device, text, next)
}

fn report(
    screen: &Screen,
    made: &Made,
    directory: &Path,
    device: &Path,
    unit: String,
    next: Vec<String>,
) -> Result<Ending, ErrorReply> {
    let report = Report {
        volume: made.volume.to_string(),
        directory: directory.display().to_string(),
        device: Some(device.display().to_string()),
        file_system: Some(made.file_system.name()),
        mount_unit: Some(unit),
        next,
    };
    show(screen, &report)
}

fn intention(state: State, name: &str, file_system: FileSystem, directory: &Path) -> String {
    let (made, directory) = (file_system.name(), directory.display());
    match state {
        State::Empty => {
            format!("{name} is empty. It gets a file system {made} and is mounted at {directory}.")
        }
        State::HalfMade(_) => {
            format!(
                "{name} was begun and not finished. It gets a file system {made} anew and is mounted at {directory}."
            )
        }
        State::Formatted(..) => format!("{name} has its file system already. It is mounted at {directory}."),
    }
}

/// Tells which step begins.
struct Steps<'a> {
    screen: &'a Screen,
    begun: Instant,
}

impl Steps<'_> {
    fn begins(&mut self, stage: Stage) -> Result<(), ApiError> {
        let what = match stage {
            Stage::Mark => "1 of 5  marking the device",
            Stage::Format => "2 of 5  making the file system",
            Stage::Unmark => "3 of 5  wiping the mark",
            Stage::Mount => "4 of 5  mounting it",
            Stage::Superblock => "5 of 5  writing the superblock",
        };
        if !self.screen.is_json() && io::stderr().is_terminal() {
            let line = format!("{what} (after {:.1} s)\n", self.begun.elapsed().as_secs_f32());
            // A line that can't be shown is no reason to stop.
            let _ = io::stderr().write_all(line.as_bytes());
        }
        Ok(())
    }
}

fn of_directory(screen: &Screen, arguments: &InitArguments, directory: &Path) -> Result<Ending, ErrorReply> {
    let what = || format!("{} can't become a retention volume", directory.display());
    let facts = directory_facts(directory, &[])
        .map_err(|error| ErrorReply::from(ApiError::new(Code::VolumeMissing, what()).because(error)))?;
    if !facts.is_mount && !arguments.shared {
        return Err(ApiError::new(Code::VolumeShared, what())
            .because("no file system is mounted there")
            .into());
    }
    let superblock = take_directory(directory, new_volume()?, super::now())?;
    let next = vec![format!("start landfalld with --retention {}", directory.display())];
    let report = Report {
        volume: superblock.volume.to_string(),
        directory: directory.display().to_string(),
        device: None,
        file_system: None,
        mount_unit: None,
        next,
    };
    show(screen, &report)
}

fn show(screen: &Screen, report: &Report) -> Result<Ending, ErrorReply> {
    screen.show(report, |report, _| {
        let next: String = report.next.iter().map(|step| format!("  next: {step}\n")).collect();
        format!("{} is the retention volume {}\n{next}", report.directory, report.volume)
    })?;
    Ok(Ending::Done)
}
