//! `landfall catalog show|rebuild`

use control::ErrorReply;
use control::api::{
    CatalogMode, CatalogRebuild, CatalogRebuilt, CatalogReport, CatalogShow, KindCount, RebuildFrom,
};

use super::Context;
use crate::arguments::{RebuildArguments, Source};
use crate::paint::{Paint, Tone, harmless};
use crate::prompt::device_again;
use crate::screen::Ending;
use crate::span::count;

/// Shows what is on record.
pub(super) fn show(context: &Context<'_>) -> Result<Ending, ErrorReply> {
    let report: CatalogReport = context.ask(CatalogShow {})?;
    context.screen.show(&report, lines)?;
    Ok(Ending::Done)
}

/// Makes the catalog anew.
pub(super) fn rebuild(context: &Context<'_>, wanted: &RebuildArguments) -> Result<Ending, ErrorReply> {
    let report: CatalogReport = context.ask(CatalogShow {})?;
    let (from, what) = match wanted.from {
        Source::Copy => {
            (RebuildFrom::Copy, format!("The catalog of {} becomes what its copy is.", report.server))
        }
        Source::Disks => (
            RebuildFrom::Disks,
            format!(
                "The catalog of {} becomes what the disks tell; everybody has to join again.",
                report.server
            ),
        ),
    };
    device_again(context.screen, report.server.as_str(), wanted.yes, &what)?;
    let confirm = report.server.to_string();
    let rebuilt: CatalogRebuilt = context.ask(CatalogRebuild { from, confirm })?;
    context.screen.show(&rebuilt, |rebuilt, _| {
        format!(
            "made anew: {}\nthe old one's files end with {}; landfalld begins again\n",
            kinds(&rebuilt.records),
            harmless(&rebuilt.aside)
        )
    })?;
    Ok(Ending::Done)
}

fn lines(report: &CatalogReport, paint: Paint) -> String {
    let mut text = match (report.mode, &report.trouble) {
        (CatalogMode::Current, _) => format!("{} ", paint.tone(Tone::Good, "current")),
        (CatalogMode::Safe, _) => format!("{} ", paint.tone(Tone::Bad, "safe mode")),
        (CatalogMode::Away, _) => format!("{} ", paint.tone(Tone::Bad, "away")),
    };
    text += &format!("· {}", report.server);
    if let (Some(id), Some(revision)) = (&report.installation, report.revision) {
        text += &format!(" · installation {} · revision {revision}", harmless(id));
    }
    text.push('\n');
    if let Some(trouble) = &report.trouble {
        text += &format!("  {}\n", harmless(trouble));
        text += match report.mode {
            CatalogMode::Away => {
                "  who belonged here when it was copied last is let in; nothing is changed until it is back\n"
            }
            CatalogMode::Current | CatalogMode::Safe => {
                "  status, points and views are served from the disks; nobody is let in, nothing is changed\n"
            }
        };
    } else {
        text += &format!("  {}\n", kinds(&report.records));
    }
    let copy = &report.copy;
    text += &match (copy.revision, &copy.problem) {
        (None, None) => format!("copy {}: none\n", harmless(&copy.path)),
        (Some(revision), None) => {
            format!("copy {}: revision {revision}, {}\n", harmless(&copy.path), kinds(&copy.records))
        }
        (_, Some(problem)) => {
            format!("copy {}: {}\n", harmless(&copy.path), paint.tone(Tone::Bad, &harmless(problem)))
        }
    };
    let found: Vec<_> = report.found.iter().map(|name| name.as_str()).collect();
    let found = if found.is_empty() { "no machines".to_owned() } else { found.join(", ") };
    text += &format!("on the retention volume: {found}\n");
    for name in &report.missing {
        let missing = paint.tone(Tone::Bad, "missing");
        text += &format!("{missing}: {name} is on record, and not on the retention volume\n");
    }
    if report.mode == CatalogMode::Safe {
        text += "next: `landfall catalog rebuild --from copy`, or without a copy `--from disks`\n";
    }
    text
}

fn kinds(records: &[KindCount]) -> String {
    let each: Vec<_> = records.iter().map(|kind| count(kind.count, &harmless(&kind.kind))).collect();
    if each.is_empty() { "nothing".to_owned() } else { each.join(", ") }
}
