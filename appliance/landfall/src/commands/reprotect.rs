//! `landfall reprotect`

use control::ErrorReply;
use control::api::{DiskChoice, Reprotect, ReprotectPlan, Reprotected, Resync};
use units::ByteLen;

use super::{Context, machine};
use crate::arguments::ReprotectArguments;
use crate::paint::harmless;
use crate::prompt;
use crate::screen::Ending;
use crate::span::{count, span};

/// Plans a reprotect, shows the plan, and carries it out once the name was given again, unless only the plan is wanted.
pub(super) fn start(context: &Context<'_>, wanted: ReprotectArguments) -> Result<Ending, ErrorReply> {
    let ReprotectArguments { machine: name, disks, allow_file, plan, yes } = wanted;
    let disks: Result<Vec<_>, _> = disks.iter().map(|path| machine::absolute(path)).collect();
    let disks = disks?.into_iter().map(|path| DiskChoice { path, allow_file }).collect();
    let request = Reprotect { machine: name, disks, plan_only: true, confirm: String::new() };
    let planned = context.ask(request.clone())?.plan;
    if plan {
        context.screen.show(&planned, |planned, _| render(planned))?;
        return Ok(Ending::Done);
    }
    let confirm = prompt::name_again(context.screen, &planned.machine, yes, render(&planned).trim_end())?;
    let done = context.ask(Reprotect { plan_only: false, confirm, ..request })?;
    context.screen.show(&done, |Reprotected { plan, machine }, paint| {
        let sheet = machine.as_ref().map(|machine| machine::sheet(machine, paint)).unwrap_or_default();
        format!("machine {} is protected again\n\n{sheet}", plan.machine)
    })?;
    Ok(Ending::Done)
}

fn render(plan: &ReprotectPlan) -> String {
    let mut text = match plan.generation {
        Some(generation) => format!(
            "generation {generation} of machine {} is over for good: {} and {} of history are dropped\n",
            plan.machine,
            count(plan.points, "recovery point"),
            ByteLen(plan.journal_bytes)
        ),
        None => format!("machine {} is registered\n", plan.machine),
    };
    for (word, point) in [("oldest", &plan.oldest), ("newest", &plan.newest)] {
        text += &point
            .as_ref()
            .map_or_else(String::new, |point| format!("  {word}: {}\n", machine::describe(point)));
    }
    for disk in &plan.disks {
        text += &format!("what {} holds becomes the first recovery point\n", harmless(disk));
    }
    text
}

/// Describes a resync under way on one line.
pub(super) fn describe(resync: &Resync) -> String {
    let (compared, total) = (ByteLen(resync.compared_bytes), ByteLen(resync.total_bytes));
    let mut text = format!("since {}, {compared} of {total} compared", resync.since);
    text += &format!(", {} received", ByteLen(resync.received_bytes));
    if let Some(rate) = resync.rate {
        text += &format!(", {}/s", ByteLen(rate));
    }
    text + &resync.eta_seconds.map_or_else(String::new, |left| format!(", {} left", span(left)))
}
