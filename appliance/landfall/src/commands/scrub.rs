//! `landfall retention scrub`, and damage as a person reads it.

use control::ErrorReply;
use control::api::{Damage, MachineScrub, RetentionScrub, Scrub, ScrubState, Scrubs};
use units::ByteLen;

use super::Context;
use crate::arguments::ScrubArguments;
use crate::paint::{Tone, harmless};
use crate::screen::Ending;
use crate::span::{count, percent, span};
use crate::table::{Cell, Column, Table};

/// Changes how machines are scrubbed, and shows it.
pub(super) fn scrub(context: &Context<'_>, wanted: ScrubArguments) -> Result<Ending, ErrorReply> {
    let paused = match (wanted.pause, wanted.resume) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    };
    let (machine, now, rate) = (wanted.machine, wanted.now, wanted.rate.map(|rate| rate.0));
    let scrubs = context.ask(RetentionScrub { machine, now, rate, paused })?;
    context.screen.show(&scrubs, |scrubs: &Scrubs, paint| match scrubs.machines.as_slice() {
        [] => "no machine to scrub\n".to_owned(),
        machines => table(machines).render(paint),
    })?;
    Ok(Ending::Done)
}

fn table(machines: &[MachineScrub]) -> Table {
    use Column::{Number, Text};
    let mut table = Table::new([
        Text("MACHINE"),
        Text("SCRUB"),
        Number("LAST"),
        Number("READ"),
        Number("FOUND"),
        Text("PROOF"),
        Text("PROBLEM"),
    ]);
    for MachineScrub { machine, scrub } in machines {
        let last = scrub.last.as_ref();
        table.row([
            machine.as_str().into(),
            state(scrub),
            scrub.age_seconds.map_or_else(|| "never".to_owned(), |age| format!("{} ago", span(age))).into(),
            last.map(|last| ByteLen(last.read_bytes).to_string()).unwrap_or_default().into(),
            last.map(|last| last.found.to_string()).unwrap_or_default().into(),
            last.map_or("", |last| if last.proved { "as the source" } else { "none" }).into(),
            scrub.problem.as_deref().unwrap_or_default().into(),
        ]);
    }
    table
}

fn state(scrub: &Scrub) -> Cell {
    match scrub.state {
        ScrubState::Running => Cell::toned(Tone::Warn, running(scrub)),
        ScrubState::Paused => Cell::toned(Tone::Warn, "paused"),
        ScrubState::Waiting => "waiting".into(),
    }
}

fn running(scrub: &Scrub) -> String {
    let left = scrub.eta_seconds.map_or_else(String::new, |left| format!(", {} left", span(left)));
    format!("running {}, {}/s{left}", percent(scrub.done_bytes, scrub.total_bytes), ByteLen(scrub.rate))
}

/// Says in a few words how a machine is scrubbed.
pub(super) fn line(scrub: &Scrub) -> String {
    let last = match (&scrub.last, scrub.age_seconds) {
        (Some(last), Some(age)) => {
            format!("finished {} ago, {} found", span(age), count(last.found.into(), "damaged place"))
        }
        _ => "never finished".to_owned(),
    };
    let now = match scrub.state {
        ScrubState::Running => format!("{}; ", running(scrub)),
        ScrubState::Paused => "paused; ".to_owned(),
        ScrubState::Waiting => String::new(),
    };
    format!("{now}{last}")
}

/// Says what a damage is of, what it spoils, and what can be had instead.
pub(super) fn damage(damage: &Damage) -> String {
    let (place, first) = (harmless(&damage.place), damage.first);
    let what = match damage.len_bytes {
        0 => format!("a record of the {place}"),
        len => format!("{} of disk {} at {}, {place}", ByteLen(len), damage.disk.0, damage.start_bytes),
    };
    let spoilt = match damage.last {
        None if place.contains("log of") => {
            "spoils every point; only seeding the machine anew helps".to_owned()
        }
        None => format!("spoils every point from #{first} on until the source has sent it again"),
        Some(last) if last < first => "spoils no point".to_owned(),
        Some(last) => {
            let near = [damage.before, damage.after].into_iter().flatten();
            let near: Vec<_> = near.map(|near| format!("#{near}")).collect();
            let near =
                if near.is_empty() { String::new() } else { format!("; whole are {}", near.join(" and ")) };
            format!("spoils #{first} to #{last}{near}")
        }
    };
    format!("{what}: {spoilt}")
}
