//! `landfall failback|commit|cancel`

use control::api::{
    Cancel, Commit, ContentOrigin, Cutover, Failback, FailbackPlan, FailbackStarted, FailbackTo,
};
use control::{ApiError, Code, ErrorReply};
use units::{ByteLen, MachineName};

use super::{Context, group_failback, machine, now};
use crate::arguments::{Confirmed, FailbackArguments};
use crate::paint::{Paint, harmless};
use crate::prompt;
use crate::screen::Ending;
use crate::span::{count, span};
use crate::table::{Column, Table};

/// Plans a failback, shows the plan, and carries it out unless only the plan is wanted.
pub(super) fn start(context: &Context<'_>, wanted: FailbackArguments) -> Result<Ending, ErrorReply> {
    let Some(machine) = wanted.machine.clone() else { return group_failback::start(context, wanted) };
    let request = Failback {
        machine,
        to: wanted.to.resolve(now()),
        plan_only: false,
        inconsistent_ok: wanted.inconsistent,
        no_proof: wanted.no_proof,
    };
    let planned = Failback { plan_only: true, ..request.clone() };
    if wanted.plan {
        let started = context.ask(planned)?;
        context.screen.show(&started.plan, render)?;
        return Ok(Ending::Done);
    }
    let asked = !wanted.yes && context.screen.can_ask();
    let request = if asked { agree(context, request, planned)? } else { request };
    let started = context.ask(request)?;
    if !context.screen.is_json() && !asked {
        context.screen.text(&(render(&started.plan, context.screen.paint()) + "\n"))?;
    }
    context.follow(&started, started.job, wanted.no_wait)
}

/// Accepts the recovery point, once the name was given again.
pub(super) fn commit(context: &Context<'_>, confirmed: Confirmed) -> Result<Ending, ErrorReply> {
    let Confirmed { machine: name, yes } = confirmed;
    let warning =
        format!("This ends the replication of machine {name}: the recovery point it stands at is final.");
    let confirm = prompt::name_again(context.screen, &name, yes, &warning)?;
    let committed = context.ask(Commit { machine: name, confirm })?;
    context.screen.show(&committed, |committed, paint| {
        format!("machine {} was committed\n\n{}", committed.name, machine::sheet(committed, paint))
    })?;
    Ok(Ending::Done)
}

/// Goes back to the latest.
pub(super) fn cancel(context: &Context<'_>, name: MachineName, no_wait: bool) -> Result<Ending, ErrorReply> {
    let started = context.ask(Cancel { machine: name })?;
    context.follow(&started, started.job, no_wait)
}

/// Shows the plan and asks. Returns the request for exactly the point that was shown, unless the latest is wanted, which may
/// move on meanwhile.
fn agree(context: &Context<'_>, request: Failback, planned: Failback) -> Result<Failback, ErrorReply> {
    let FailbackStarted { plan, .. } = context.ask(planned)?;
    context.screen.text(&render(&plan, context.screen.paint()))?;
    if !prompt::agreed("Write this to the target disks?")? {
        let error = ApiError::new(Code::NotConfirmed, format!("machine {} was left as it is", plan.machine));
        return Err(error
            .because("the question was not answered with y")
            .fixed_by("answer y, or add --yes")
            .into());
    }
    let to = match request.to {
        FailbackTo::Latest => FailbackTo::Latest,
        FailbackTo::Time(_) | FailbackTo::Sequence(_) => FailbackTo::Sequence(plan.to.sequence),
    };
    Ok(Failback { to, ..request })
}

/// Says what a cut-over to the latest would take.
fn cutover(foretold: &Cutover) -> String {
    let seconds = |millis: u64| span(millis.div_ceil(1000));
    let (bytes, rate, dirty) =
        (ByteLen(foretold.outstanding_bytes), ByteLen(foretold.rate), ByteLen(foretold.dirty_rate));
    let way =
        if foretold.converging { "it gets less" } else { "it does NOT get less: stop what writes first" };
    let (down, least, most) = (
        seconds(foretold.downtime_ms),
        seconds(foretold.downtime_least_ms),
        seconds(foretold.downtime_most_ms),
    );
    format!(
        "a cut-over to the latest takes {down} ({least} to {most}): {bytes} outstanding, {rate}/s come, {dirty}/s change; {way}\n"
    )
}

/// Returns a plan for a person.
pub(super) fn render(plan: &FailbackPlan, paint: Paint) -> String {
    let mut text =
        format!("machine {} goes from #{} to {}\n", plan.machine, plan.from, machine::describe(&plan.to));
    text += &plan.cutover.as_ref().map(cutover).unwrap_or_default();
    if plan.granules == 0 {
        return text + "nothing has to be written\n";
    }
    let (granules, bytes) = (count(plan.granules, "granule"), ByteLen(plan.write_bytes));
    text += &format!("{bytes} are written, {granules} of 4 KiB\n");
    for content in &plan.content {
        let origin = match content.origin {
            ContentOrigin::Redo => "from ordered writes",
            ContentOrigin::Undo => "from before-images",
            ContentOrigin::Zero => "zero",
        };
        text += &format!("  {origin}: {}, {}\n", ByteLen(content.bytes), count(content.granules, "granule"));
    }
    let mut table = Table::new([
        Column::Number("DISK"),
        Column::Text("PATH"),
        Column::Number("GRANULES"),
        Column::Number("BYTES"),
    ]);
    for disk in &plan.disks {
        table.row([
            disk.index.0.to_string().into(),
            harmless(&disk.path).into(),
            disk.granules.to_string().into(),
            ByteLen(disk.write_bytes).to_string().into(),
        ]);
    }
    format!("{text}\n{}", table.render(paint))
}
