//! `landfall status`

use control::ErrorReply;
use control::api::{Health, Phase, Status, StatusShow, VolumeUse};
use units::ByteLen;

use super::{Context, machine};
use crate::paint::{Paint, Tone, harmless};
use crate::screen::Ending;
use crate::span::{count, percent};

/// Shows everything at a glance; with `check`, ends as the health is.
pub(super) fn show(context: &Context<'_>, check: bool) -> Result<Ending, ErrorReply> {
    let status = context.ask(StatusShow {})?;
    context.screen.show(&status, render)?;
    let well = status.health == Health::Healthy || !check;
    Ok(if well { Ending::Done } else { Ending::NotWell })
}

/// Writes how full the retention volume is.
pub(super) fn volume_line(volume: &VolumeUse) -> String {
    let [history, free, capacity] = [volume.journal_bytes, volume.free_bytes, volume.capacity_bytes]
        .map(|bytes| ByteLen(bytes).to_string());
    let part = percent(volume.free_bytes, volume.capacity_bytes);
    format!(
        "retention {}: {history} of history, {free} of {capacity} free ({part})\n",
        harmless(&volume.path)
    )
}

fn render(status: &Status, paint: Paint) -> String {
    let (tone, word) = health(status.health);
    let protected = status.machines.iter().filter(|machine| machine.phase == Phase::Protected).count();
    let mut text = format!(
        "{} · {}, {protected} protected · landfalld {} on {} · {}\n",
        paint.tone(tone, word),
        count(status.machines.len() as u64, "machine"),
        harmless(&status.version),
        harmless(&status.listen),
        status.time,
    );
    for concern in &status.concerns {
        let (tone, word) = health(concern.health);
        let about = concern.machine.as_ref().map(ToString::to_string).or_else(|| concern.server.clone());
        let about = about.map_or_else(String::new, |about| format!("{}: ", harmless(&about)));
        text += &format!("  {}: {about}{}\n", paint.tone(tone, word), harmless(&concern.what));
    }
    let open = status.alarms.iter().filter(|alarm| alarm.acked.is_none()).count();
    if open > 0 {
        text += &format!("  {} open: `landfall alarm list`\n", count(open as u64, "alarm"));
    }
    if !status.machines.is_empty() {
        text += &format!("\n{}", machine::table(&status.machines).render(paint));
    }
    if !status.jobs.is_empty() {
        text += &format!("\n{}", super::job::table(&status.jobs, status.time.0).render(paint));
    }
    text += &format!("\n{}", volume_line(&status.volume));
    let scrubs = status.machines.iter().filter_map(|machine| Some((&machine.name, machine.scrub.as_ref()?)));
    for (name, scrub) in scrubs {
        text += &format!("scrub {name}: {}\n", super::scrub::line(scrub));
    }
    if let Some(next) = &status.next {
        text += &format!("next: {}\n", harmless(next));
    }
    text
}

fn health(health: Health) -> (Tone, &'static str) {
    match health {
        Health::Healthy => (Tone::Good, "healthy"),
        Health::Degraded => (Tone::Warn, "degraded"),
        Health::Failed => (Tone::Bad, "failed"),
    }
}
