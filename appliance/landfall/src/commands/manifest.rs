//! `landfall manifest list|show`

use control::ErrorReply;
use control::api::{ManifestEntry, ManifestList, ManifestShow, Manifests};
use manifest::{Consistency, Disk, Event, Manifest, Point, Sealed, Verdict};
use units::{ByteLen, MachineName};

use super::Context;
use super::manifest_check::malformed;
use crate::paint::{Paint, Tone, harmless};
use crate::screen::Ending;
use crate::table::{Cell, Column, Table};

/// Lists the manifests of a machine.
pub(super) fn list(context: &Context<'_>, machine: MachineName) -> Result<Ending, ErrorReply> {
    let manifests = context.ask(ManifestList { machine })?;
    context.screen.show(&manifests, |manifests: &Manifests, paint| match manifests.manifests.as_slice() {
        [] => format!("machine {} has no manifest: it was never failed back\n", manifests.machine),
        list => table(list).render(paint),
    })?;
    Ok(Ending::Done)
}

/// Shows a manifest; programs get the file as it is.
pub(super) fn show(
    context: &Context<'_>,
    machine: MachineName,
    number: Option<u64>,
) -> Result<Ending, ErrorReply> {
    let file = context.ask(ManifestShow { machine, number })?;
    if context.screen.is_json() {
        context.screen.text(&file.text)?;
        return Ok(Ending::Done);
    }
    let sealed = Sealed::decode(file.text.as_bytes())
        .map_err(|error| malformed(&format!("manifest {}", file.number), &error))?;
    context.screen.text(&sheet(&sealed.manifest, context.screen.paint()))?;
    Ok(Ending::Done)
}

fn table(list: &[ManifestEntry]) -> Table {
    use Column::{Number, Text};
    let mut table = Table::new([
        Number("NUMBER"),
        Text("EVENT"),
        Number("POINT"),
        Text("PROOF"),
        Text("SIGNED"),
        Text("KEY"),
    ]);
    for entry in list {
        let number = entry.number.to_string().into();
        match &entry.says {
            Some(says) => table.row([
                number,
                event(says.event).into(),
                format!("#{}", says.point.sequence).into(),
                verdict(says.verdict),
                says.signed.to_string().into(),
                says.key_id.chars().take(16).collect::<String>().into(),
            ]),
            None => {
                let problem = entry.problem.as_deref().map(harmless).unwrap_or_default();
                let none = Cell::default;
                table.row([number, Cell::toned(Tone::Bad, problem), none(), none(), none(), none()]);
            }
        }
    }
    table
}

/// Returns everything a manifest says.
pub(super) fn sheet(manifest: &Manifest, paint: Paint) -> String {
    let facts = &manifest.facts;
    let mut lines = vec![
        ("event", event(facts.event).to_owned()),
        ("machine", format!("{} ({}), generation {}", facts.machine, facts.machine_id, facts.generation)),
        ("point", point(&facts.point)),
        ("written", ByteLen(facts.written_bytes).to_string()),
        ("started", facts.times.started.to_string()),
    ];
    lines.extend(facts.times.reached.map(|time| ("reached", time.to_string())));
    lines.extend(facts.times.proved.map(|time| ("proved", time.to_string())));
    lines.push(("signed", facts.times.signed.to_string()));
    lines.push(("by", format!("{}, {}", harmless(&manifest.signer.identity), harmless(&facts.product))));
    lines.push(("key", harmless(&manifest.signer.key_id)));
    let sheet: String = lines.iter().map(|(word, value)| format!("{word:<9} {value}\n")).collect();
    sheet + &facts.disks.iter().map(|each| disk(each, paint)).collect::<String>()
}

fn disk(disk: &Disk, paint: Paint) -> String {
    let root =
        |root: Option<units::Hash>, none: &str| root.map_or_else(|| none.to_owned(), |root| root.to_string());
    format!(
        "disk {}: {}, {} of {} on {} ({})\n  source  {}\n  target  {}\n",
        disk.index,
        paint.tone(verdict_tone(disk.verdict), verdict_word(disk.verdict)),
        ByteLen(disk.protected_bytes),
        ByteLen(disk.device_bytes),
        harmless(&disk.path),
        harmless(&disk.identity),
        root(disk.source_root, "not given"),
        root(disk.target_root, "not computed"),
    )
}

fn event(event: Event) -> &'static str {
    match event {
        Event::Failback => "failback",
        Event::Commit => "commit",
    }
}

fn point(point: &Point) -> String {
    let time = point.time.map_or_else(|| "between two points".to_owned(), |time| time.to_string());
    let consistency = match point.consistency {
        Consistency::Fuzzy => "fuzzy",
        Consistency::Crash => "crash-consistent",
        Consistency::Application => "application-consistent",
    };
    let label =
        if point.label.is_empty() { String::new() } else { format!(", {:?}", harmless(&point.label)) };
    format!("#{} at {time}, {consistency}{label}", point.sequence)
}

fn verdict_tone(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Identical => Tone::Good,
        Verdict::Different => Tone::Bad,
        Verdict::NotGiven | Verdict::NotComputed => Tone::Warn,
    }
}

fn verdict(verdict: Verdict) -> Cell {
    Cell::toned(verdict_tone(verdict), verdict_word(verdict))
}

fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Identical => "identical",
        Verdict::Different => "different",
        Verdict::NotGiven => "nothing proved: the source gave no root",
        Verdict::NotComputed => "nothing proved: the target's root was not computed",
    }
}
