//! `landfall machine list|show|add|remove`

use std::path::{Path, PathBuf};

use control::api::{
    CommitBy, CommitDeadline, DiskChoice, Machine, MachineAdd, MachineDisk, MachineList, MachineRemove,
    MachineRemoved, MachineShow, Machines, Phase, Point, Session,
};
use control::{ApiError, Code, ErrorReply};
use units::{ByteLen, MachineName};

use super::{Context, reprotect, scrub};
use crate::arguments::Confirmed;
use crate::paint::{Paint, Tone, harmless};
use crate::prompt;
use crate::screen::Ending;
use crate::span::{count, percent, span};
use crate::table::{Cell, Column, Table};

/// Lists the machines.
pub(super) fn list(context: &Context<'_>) -> Result<Ending, ErrorReply> {
    let machines = context.ask(MachineList {})?;
    context.screen.show(&machines, |machines: &Machines, paint| match machines.machines.as_slice() {
        [] => "no machines; add one with `landfall machine add NAME --disk PATH`\n".to_owned(),
        machines => table(machines).render(paint),
    })?;
    Ok(Ending::Done)
}

/// Shows one machine.
pub(super) fn show(context: &Context<'_>, name: MachineName) -> Result<Ending, ErrorReply> {
    let machine = context.ask(MachineShow { name })?;
    context.screen.show(&machine, sheet)?;
    Ok(Ending::Done)
}

/// Registers a machine.
pub(super) fn add(
    context: &Context<'_>,
    name: MachineName,
    disks: &[PathBuf],
    allow_file: bool,
) -> Result<Ending, ErrorReply> {
    let disks: Result<Vec<_>, _> = disks.iter().map(|path| absolute(path)).collect();
    let disks = disks?.into_iter().map(|path| DiskChoice { path, allow_file }).collect();
    let machine = context.ask(MachineAdd { name, disks })?;
    context.screen.show(&machine, |machine, paint| {
        let disks = count(machine.disks.len() as u64, "disk");
        format!("machine {} was added with {disks}\n\n{}", machine.name, sheet(machine, paint))
    })?;
    Ok(Ending::Done)
}

/// Forgets a machine.
pub(super) fn remove(context: &Context<'_>, confirmed: Confirmed) -> Result<Ending, ErrorReply> {
    let Confirmed { machine: name, yes } = confirmed;
    let warning =
        format!("This forgets machine {name} and its whole history; its target disks keep their content.");
    let confirm = prompt::name_again(context.screen, &name, yes, &warning)?;
    let removed = context.ask(MachineRemove { name, confirm })?;
    context.screen.show(&removed, |removed: &MachineRemoved, _| {
        let released: String =
            removed.released.iter().map(|path| format!("  {} was released\n", harmless(path))).collect();
        let freed = ByteLen(removed.freed_bytes);
        format!("machine {} was removed; {freed} of history were given back\n{released}", removed.name)
    })?;
    Ok(Ending::Done)
}

/// Returns the machines as a table.
pub(super) fn table(machines: &[Machine]) -> Table {
    use Column::{Number, Text};
    let mut table = Table::new([
        Text("MACHINE"),
        Text("PHASE"),
        Number("RPO"),
        Number("WINDOW"),
        Number("HISTORY LEFT"),
        Number("DURABLE"),
        Number("LAG"),
        Text("SOURCE"),
        Text("JOB"),
    ]);
    for machine in machines {
        table.row([
            machine.name.as_str().into(),
            phase(machine),
            machine.rpo_seconds.map(span).unwrap_or_default().into(),
            window(machine).map(span).unwrap_or_default().into(),
            history_left(machine).into(),
            format!("#{}", machine.durable).into(),
            ByteLen(machine.lag_bytes).to_string().into(),
            source(&machine.session),
            machine.job.map(|job| job.to_string()).unwrap_or_default().into(),
        ]);
    }
    table
}

/// Returns everything about one machine.
pub(super) fn sheet(machine: &Machine, paint: Paint) -> String {
    let point = |point: &Option<Point>| point.as_ref().map_or_else(|| "-".to_owned(), describe);
    let rpo = machine.rpo_seconds.map_or_else(|| "-".to_owned(), span);
    let lag = ByteLen(machine.lag_bytes);
    let mut lines = vec![
        ("machine", machine.name.to_string()),
        ("phase", paint.tone(phase_tone(machine.phase), &phase_text(machine))),
        ("generation", machine.generation.to_string()),
        ("durable", format!("#{}", machine.durable)),
        ("applied", format!("#{}, {lag} behind", machine.applied)),
        ("oldest point", point(&machine.oldest)),
        ("newest point", point(&machine.newest)),
        ("RPO", rpo),
        ("history", history(machine)),
        ("source", session(&machine.session)),
    ];
    lines.extend(machine.problem.as_ref().map(|problem| ("problem", harmless(problem))));
    lines.extend(machine.resync.as_ref().map(|resync| ("resync", reprotect::describe(resync))));
    lines.extend(machine.at.as_ref().map(|at| ("stands at", describe(at))));
    lines.extend(machine.deadline.as_ref().map(|deadline| ("by itself", by_itself(deadline))));
    lines.extend(machine.job.map(|job| ("job", job.to_string())));
    let views: Vec<_> = machine.views.iter().map(u64::to_string).collect();
    lines.extend((!views.is_empty()).then(|| ("views", views.join(", "))));
    lines.extend(machine.damage.iter().map(|damage| ("damaged", scrub::damage(damage))));
    lines.extend(machine.scrub.as_ref().map(|scrub| ("scrub", scrub::line(scrub))));
    lines.extend(machine.next.as_ref().map(|next| ("next", harmless(next))));
    let sheet: String = lines.iter().map(|(word, value)| format!("{word:<13} {value}\n")).collect();
    format!("{sheet}\n{}", disks(&machine.disks).render(paint))
}

/// Writes what becomes of a machine by itself.
fn by_itself(deadline: &CommitDeadline) -> String {
    let what = match deadline.by {
        CommitBy::None => "nothing",
        CommitBy::Commit => "commits",
        CommitBy::Cancel => "cancels",
    };
    let why =
        deadline.refused.as_deref().map_or_else(String::new, |why| format!("; refused: {}", harmless(why)));
    format!("{what} by itself at {}{why}", deadline.at)
}

/// Names a recovery point for people.
pub(super) fn describe(point: &Point) -> String {
    let label =
        if point.label.is_empty() { String::new() } else { format!(", {:?}", harmless(&point.label)) };
    format!(
        "#{} at {}, {}{label}",
        point.sequence,
        point.time,
        super::point::consistency(point.consistency).1
    )
}

fn disks(disks: &[MachineDisk]) -> Table {
    use Column::{Number, Text};
    let mut table = Table::new([
        Number("DISK"),
        Text("PATH"),
        Number("SIZE"),
        Number("PROTECTED"),
        Number("SEEDED"),
        Text("STATE"),
    ]);
    for disk in disks {
        let problem = disk.problem.as_ref();
        table.row([
            disk.index.0.to_string().into(),
            disk.path.as_str().into(),
            ByteLen(disk.len_bytes).to_string().into(),
            disk.protected_bytes.map(|bytes| ByteLen(bytes).to_string()).unwrap_or_default().into(),
            disk.protected_bytes.map(|bytes| percent(disk.seeded_bytes, bytes)).unwrap_or_default().into(),
            problem
                .map_or_else(|| Cell::toned(Tone::Good, "well"), |problem| Cell::toned(Tone::Bad, problem)),
        ]);
    }
    table
}

/// Writes how far back the history reaches, will reach, and should.
fn history(machine: &Machine) -> String {
    let keeping = &machine.keeping;
    let wanted = span(keeping.policy.window_seconds.into());
    let now = window(machine).map_or_else(|| "-".to_owned(), span);
    match keeping.churn_bytes_per_hour {
        Some(churn) => format!("{now} of {wanted}; {} at {} an hour", history_left(machine), ByteLen(churn)),
        None => format!("{now} of {wanted}"),
    }
}

fn history_left(machine: &Machine) -> String {
    machine.newest.as_ref().map(|_| span(machine.keeping.history_left_seconds)).unwrap_or_default()
}

fn window(machine: &Machine) -> Option<u64> {
    let (oldest, newest) = (machine.oldest.as_ref()?, machine.newest.as_ref()?);
    Some(newest.time.0.since(oldest.time.0).as_secs())
}

fn phase(machine: &Machine) -> Cell {
    Cell::toned(phase_tone(machine.phase), phase_text(machine))
}

/// Writes where a machine is in its life, and how far.
pub(super) fn phase_text(machine: &Machine) -> String {
    let word = match machine.phase {
        Phase::Seeding => "seeding",
        Phase::Protected => "protected",
        Phase::Resyncing => "resyncing",
        Phase::Rewinding => "rewinding",
        Phase::Rewound => "rewound",
        Phase::Committed => "committed",
        Phase::Damaged => "damaged",
        Phase::Failed => "failed",
    };
    if let Some(resync) = &machine.resync {
        return format!("{word} {}", percent(resync.compared_bytes, resync.total_bytes));
    }
    let total: u64 = machine.disks.iter().filter_map(|disk| disk.protected_bytes).sum();
    if machine.phase != Phase::Seeding || total == 0 {
        return word.to_owned();
    }
    let seeded = machine.disks.iter().map(|disk| disk.seeded_bytes).sum();
    format!("{word} {}", percent(seeded, total))
}

fn phase_tone(phase: Phase) -> Tone {
    match phase {
        Phase::Protected | Phase::Committed => Tone::Good,
        Phase::Seeding | Phase::Resyncing | Phase::Rewinding | Phase::Rewound => Tone::Warn,
        Phase::Damaged | Phase::Failed => Tone::Bad,
    }
}

fn source(session: &Session) -> Cell {
    match &session.peer {
        Some(peer) if session.connected => peer.as_str().into(),
        _ if session.connected => "connected".into(),
        _ => Cell::toned(Tone::Warn, "not connected"),
    }
}

fn session(session: &Session) -> String {
    let since = session.since.map_or_else(String::new, |since| format!(" since {since}"));
    if !session.connected {
        return format!("not connected{since}");
    }
    let peer = session.peer.as_deref().map(harmless).unwrap_or_default();
    let software =
        session.software.as_deref().map_or_else(String::new, |text| format!(", {}", harmless(text)));
    let connections = count(session.connections.into(), "connection");
    format!("{peer}{since}, {connections}, {} received{software}", ByteLen(session.received_bytes))
}

/// Returns the path as `landfalld`, which runs elsewhere, will find it. Links are kept: a name by identity stays one.
pub(super) fn absolute(path: &Path) -> Result<String, ErrorReply> {
    let refused =
        || ApiError::new(Code::BadArgument, format!("{} is not a path that can be used", path.display()));
    let absolute = std::path::absolute(path).map_err(|error| ErrorReply::from(refused().because(error)))?;
    absolute.into_os_string().into_string().map_err(|_| refused().because("it is not UTF-8").into())
}
