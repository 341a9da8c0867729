//! `landfall retention adopt`

use std::os::unix::fs::FileTypeExt;

use control::api::Rfc3339;
use control::{ApiError, Code, ErrorReply};
use serde::Serialize;
use target::Whereabouts;
use units::{ByteLen, Timestamp};
use volume::{Adoption, FoundMachine, mount_existing, survey};

use super::retention_init::{need_root, new_volume};
use crate::arguments::AdoptArguments;
use crate::paint::{Paint, Tone, harmless};
use crate::prompt::agreed;
use crate::screen::{Ending, Screen};
use crate::table::{Cell, Column, Table};

/// What is on a volume, for programs.
#[derive(Serialize)]
struct Survey {
    #[serde(rename = "type")]
    kind: &'static str,
    directory: String,
    volume: Option<String>,
    owner: Option<String>,
    machines: Vec<Machine>,
    unreadable: Vec<String>,
}

#[derive(Serialize)]
struct Machine {
    name: String,
    phase: &'static str,
    generation: u64,
    applied: u64,
    pins: usize,
    own_policy: bool,
    journal_bytes: u64,
    written: Option<Rfc3339>,
    disks: Vec<Disk>,
}

#[derive(Serialize)]
struct Disk {
    identity: String,
    len_bytes: u64,
    was: String,
    /// Nothing when it is missing, several when there are copies.
    found: Vec<String>,
}

/// Shows what is on the volume of another node, and takes it over.
pub(super) fn adopt(screen: &Screen, arguments: &AdoptArguments) -> Result<Ending, ErrorReply> {
    need_root("the retention volume was not adopted")?;
    let place = super::disk_rules::named(&arguments.place);
    let is_device = std::fs::metadata(&place).is_ok_and(|metadata| metadata.file_type().is_block_device());
    let directory = if is_device { arguments.mount.clone() } else { place.clone() };
    if is_device {
        mount_existing(&place, &directory)?;
    }
    let files: Vec<_> = arguments.disks.iter().filter_map(|path| std::path::absolute(path).ok()).collect();
    let found = survey(&directory, &files)?;
    let shown = describe(&found, directory.display().to_string());
    screen.show(&shown, render)?;
    if !arguments.yes {
        let refused = ApiError::new(Code::NotConfirmed, "the retention volume was left as it is");
        if !screen.can_ask() {
            return Err(refused
                .because("nobody can be asked: this is not a terminal")
                .fixed_by("add --yes")
                .into());
        }
        if !agreed("Take these machines over?")? {
            return Err(refused.because("it was not wanted").into());
        }
    }
    let superblock = volume::adopt(&found, new_volume()?, super::now())?;
    if !screen.is_json() {
        screen.text(&format!(
            "adopted: volume {}\n  next: start landfalld with --retention {}\n  next: start each source with --to THIS-NODE:9443\n",
            superblock.volume,
            directory.display()
        ))?;
    }
    Ok(Ending::Done)
}

fn describe(found: &Adoption, directory: String) -> Survey {
    let superblock = found.superblock.as_ref();
    Survey {
        kind: "survey",
        directory,
        volume: superblock.map(|superblock| superblock.volume.to_string()),
        owner: superblock.and_then(|superblock| superblock.owner.as_ref()).map(ToString::to_string),
        machines: found.machines.iter().map(machine).collect(),
        unreadable: found.unreadable.clone(),
    }
}

fn machine(found: &FoundMachine) -> Machine {
    use retention::Lifecycle;
    let head = &found.head;
    let disk = |(disk, place): (&retention::HeadDisk, &Whereabouts)| Disk {
        identity: disk.identity.clone(),
        len_bytes: disk.device_len.0,
        was: disk.path.clone(),
        found: match place {
            Whereabouts::InPlace => vec![disk.path.clone()],
            Whereabouts::Moved(path) => vec![path.display().to_string()],
            Whereabouts::Missing => Vec::new(),
            Whereabouts::Several(paths) => paths.iter().map(|path| path.display().to_string()).collect(),
        },
    };
    Machine {
        name: head.name.to_string(),
        phase: match head.lifecycle {
            Lifecycle::Registered | Lifecycle::Seeding { .. } => "seeding",
            Lifecycle::Original { .. } => "resyncing",
            Lifecycle::Protected => "protected",
            Lifecycle::Rewinding { .. } => "rewinding",
            Lifecycle::Rewound { .. } => "rewound",
            Lifecycle::Committed { .. } => "committed",
        },
        generation: head.generation.0,
        applied: head.applied.0,
        pins: head.pins.len(),
        own_policy: head.policy.is_some(),
        journal_bytes: found.journal.0,
        written: found.written.map(|time| Timestamp::from_system(time).into()),
        disks: head.disks.iter().zip(&found.disks).map(disk).collect(),
    }
}

fn render(survey: &Survey, paint: Paint) -> String {
    use Column::{Number, Text};
    let owner = survey.owner.as_ref().map_or_else(String::new, |owner| format!(", of {}", harmless(owner)));
    let volume = survey.volume.as_deref().unwrap_or("of an older version");
    let mut text = format!("{}: retention volume {volume}{owner}\n", harmless(&survey.directory));
    let mut machines = Table::new([
        Text("MACHINE"),
        Text("PHASE"),
        Number("APPLIED"),
        Number("HISTORY"),
        Number("PINS"),
        Text("LAST WRITTEN"),
    ]);
    let mut disks =
        Table::new([Text("MACHINE"), Number("DISK"), Number("SIZE"), Text("WAS"), Text("IS NOW")]);
    for machine in &survey.machines {
        machines.row([
            machine.name.as_str().into(),
            machine.phase.into(),
            format!("#{}", machine.applied).into(),
            ByteLen(machine.journal_bytes).to_string().into(),
            machine.pins.to_string().into(),
            machine.written.map(|time| time.to_string()).unwrap_or_default().into(),
        ]);
        for (index, disk) in machine.disks.iter().enumerate() {
            disks.row([
                machine.name.as_str().into(),
                index.to_string().into(),
                ByteLen(disk.len_bytes).to_string().into(),
                disk.was.as_str().into(),
                place(&disk.found),
            ]);
        }
    }
    text += &format!("\n{}\n{}", machines.render(paint), disks.render(paint));
    for why in &survey.unreadable {
        text += &format!("{}\n", harmless(why));
    }
    text
}

fn place(found: &[String]) -> Cell {
    match found {
        [] => Cell::toned(Tone::Bad, "missing: attach it; its machine is out until then"),
        [only] => only.as_str().into(),
        several => {
            Cell::toned(Tone::Bad, format!("at several places: {}; detach the copies", several.join(", ")))
        }
    }
}
