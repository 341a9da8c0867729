//! `landfall preflight`

use control::ErrorReply;
use control::api::{Preflight, PreflightFinding, PreflightShow};
use units::MachineName;

use super::Context;
use crate::paint::{Paint, Tone, harmless};
use crate::screen::Ending;
use crate::span::count;

/// Shows what would go wrong.
pub(super) fn show(context: &Context<'_>, machine: Option<MachineName>) -> Result<Ending, ErrorReply> {
    let preflight = context.ask(PreflightShow { machine })?;
    context.screen.show(&preflight, render)?;
    let refused = preflight.findings.iter().any(|finding| !finding.refuses.is_empty());
    Ok(if refused { Ending::Refused } else { Ending::Done })
}

fn render(preflight: &Preflight, paint: Paint) -> String {
    let looked = format!("{}, {} each", count(preflight.machines, "machine"), count(preflight.rules, "rule"));
    if preflight.findings.is_empty() {
        return format!("{looked}: nothing stands in the way\n");
    }
    let found = count(preflight.findings.len() as u64, "finding");
    let lines = preflight.findings.iter().map(|finding| lines(finding, paint));
    format!("{looked}: {found}\n\n") + &lines.collect::<String>()
}

fn lines(finding: &PreflightFinding, paint: Paint) -> String {
    let word = match finding.refuses.is_empty() {
        true => paint.tone(Tone::Warn, "warning"),
        false => paint.tone(Tone::Bad, "refused"),
    };
    let [title, evidence, fix] = [&finding.title, &finding.evidence, &finding.fix].map(|text| harmless(text));
    let retired: Vec<_> = finding.retired.iter().map(u32::to_string).collect();
    let known = if retired.is_empty() { String::new() } else { format!("; once {}", retired.join(", ")) };
    let refuses = if finding.refuses.is_empty() {
        String::new()
    } else {
        format!("  until then no {}\n", finding.refuses.join(", no "))
    };
    format!(
        "{word} {}: {title} ({}{known})\n  found: {evidence}\n  fix:   {fix}\n{refuses}",
        finding.machine,
        harmless(&finding.code)
    )
}
