//! `landfall disk eligible`

use std::path::{Path, PathBuf};

use blockdev::{device_at, list_devices};
use control::api::{DiskEligible, DiskVerdict, DiskVerdicts, Reason};
use control::{ApiError, Code, ErrorReply};
use units::ByteLen;
use volume::{Role, judge};

use super::Context;
use crate::paint::{Paint, Tone, harmless};
use crate::screen::Ending;
use crate::table::{Cell, Column, Table};

/// Says what each device, or one, may be used for.
pub(super) fn eligible(context: &Context<'_>, device: Option<&Path>) -> Result<Ending, ErrorReply> {
    let disk = device.map(|path| named(path).display().to_string());
    let verdicts = match context.connect() {
        Ok(mut client) => client.ask(DiskEligible { disk })?,
        // A blank node has no landfalld yet, and its disks are what it is asked for first.
        Err(error) if error.code == Code::NotReachable.to_string() => judge_here(disk.as_deref())?,
        Err(error) => return Err(error),
    };
    context.screen.show(&verdicts, |verdicts, paint| match verdicts.disks.as_slice() {
        [] => "no block devices\n".to_owned(),
        disks => table(disks).render(paint) + &reasons(disks, paint),
    })?;
    Ok(Ending::Done)
}

/// Returns the path of a device that may be given by its short name, as the kernel and lists have it.
pub(super) fn named(path: &Path) -> PathBuf {
    let short = path.components().count() == 1 && !path.exists();
    if short { Path::new("/dev").join(path) } else { std::path::absolute(path).unwrap_or(path.to_owned()) }
}

fn judge_here(disk: Option<&str>) -> Result<DiskVerdicts, ErrorReply> {
    let missing = |path: &str| {
        let error = ApiError::new(Code::DiskMissing, format!("{path} can't be judged"));
        error.because("there is no block device of this name")
    };
    let devices = match disk {
        None => list_devices(),
        Some(path) => vec![device_at(Path::new(path)).ok_or_else(|| missing(path))?],
    };
    let disks = devices.iter().map(|device| judge(device, &Role::None)).collect();
    Ok(DiskVerdicts { time: super::now().into(), disks })
}

fn table(disks: &[DiskVerdict]) -> Table {
    use Column::{Number, Text};
    let mut table = Table::new([
        Text("PATH"),
        Number("SIZE"),
        Text("TARGET DISK"),
        Text("RETENTION VOLUME"),
        Text("HOLDS"),
    ]);
    for disk in disks {
        table.row([
            disk.path.as_str().into(),
            ByteLen(disk.len_bytes).to_string().into(),
            verdict(&disk.target_disk),
            verdict(&disk.retention_volume),
            disk.holds.join("; ").into(),
        ]);
    }
    table
}

fn verdict(reasons: &[Reason]) -> Cell {
    if reasons.is_empty() {
        return Cell::toned(Tone::Good, "yes");
    }
    let codes: Vec<_> = reasons.iter().map(|reason| reason.code.as_str()).collect();
    Cell::toned(Tone::Warn, format!("no: {}", codes.join(" ")))
}

/// Each reason once, with what to do, below the table.
fn reasons(disks: &[DiskVerdict], paint: Paint) -> String {
    let mut text = String::new();
    for disk in disks {
        let mut told: Vec<&Reason> = Vec::new();
        for reason in disk.target_disk.iter().chain(&disk.retention_volume) {
            if told.contains(&reason) {
                continue;
            }
            if told.is_empty() {
                text += &format!("\n{}\n", paint.tone(Tone::Strong, &harmless(&disk.path)));
            }
            let Reason { code, what, fix } = reason;
            text += &format!("  {} {}\n          fix: {}\n", harmless(code), harmless(what), harmless(fix));
            told.push(reason);
        }
    }
    text
}
