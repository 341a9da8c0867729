//! `landfall disk watch`

use control::ErrorReply;
use control::api::{Disk, DiskEvent, DiskEventKind, DiskEvents, DiskWatch, Eligibility};
use units::ByteLen;

use super::Context;
use crate::paint::{Paint, Tone, harmless};
use crate::screen::Ending;

/// Shows what happens to devices, each on a line, until interrupted.
pub(super) fn watch(context: &Context<'_>) -> Result<Ending, ErrorReply> {
    let mut client = context.connect()?;
    let mut after = None;
    loop {
        let news: DiskEvents = client.ask(DiskWatch { after })?;
        if after.is_none() && !context.screen.is_json() {
            let how = if news.by_event { "as the kernel tells of them" } else { "every few seconds" };
            context.screen.text(&format!("following devices {how}; Ctrl-C ends it\n"))?;
        }
        if news.missed && !context.screen.is_json() {
            context.screen.text("earlier events were too many to keep; see `landfall disk list`\n")?;
        }
        for event in &news.events {
            context.screen.show(event, line)?;
        }
        after = Some(news.newest);
    }
}

fn line(event: &DiskEvent, paint: Paint) -> String {
    let Disk { path, len_bytes, serial, eligible, .. } = &event.disk;
    let (tone, word) = match event.kind {
        DiskEventKind::Added => (Tone::Good, "appeared"),
        DiskEventKind::Changed => (Tone::Plain, "changed"),
        DiskEventKind::Removed => (Tone::Bad, "is gone"),
    };
    let note = match (event.kind, eligible) {
        (_, Eligibility::Used { by }) => format!(", {}", harmless(by)),
        (DiskEventKind::Removed, _) | (_, Eligibility::No { .. }) => String::new(),
        (_, Eligibility::Yes {}) => ", can be a target disk".to_owned(),
    };
    let serial = if serial.is_empty() { String::new() } else { format!(", {}", harmless(serial)) };
    let what = paint.tone(tone, &format!("{} {word}", harmless(path)));
    format!("{}  {what}: {}{serial}{note}\n", event.time, ByteLen(*len_bytes))
}
