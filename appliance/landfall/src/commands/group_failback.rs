//! `landfall failback --group`

use control::api::{FailbackTo, GroupFailback, GroupFailbackStarted, GroupTo};
use control::{ApiError, Code, ErrorReply};
use units::MachineName;

use super::{Context, failback, group, job, now};
use crate::arguments::FailbackArguments;
use crate::paint::Paint;
use crate::prompt;
use crate::screen::Ending;

/// Plans the failback of a group, shows the plan, and carries it out unless only the plan is wanted.
pub(super) fn start(context: &Context<'_>, wanted: FailbackArguments) -> Result<Ending, ErrorReply> {
    let name = wanted.group.expect("the command line has a machine or a group");
    let to = match wanted.to.resolve(now()) {
        FailbackTo::Latest => GroupTo::Latest,
        FailbackTo::Time(time) => GroupTo::Time(time),
        FailbackTo::Sequence(number) => GroupTo::Number(number.0),
    };
    let request = GroupFailback { name, to, plan_only: wanted.plan, no_proof: wanted.no_proof };
    let asked = !wanted.plan && !wanted.yes && context.screen.can_ask();
    let request = if asked { agree(context, request)? } else { request };
    let started = context.ask(request)?;
    if context.screen.is_json() && !wanted.plan {
        job::note_started(context, &started)?;
    } else if !asked {
        context.screen.show(&started, render)?;
    }
    if wanted.plan {
        return Ok(Ending::Done);
    }
    if wanted.no_wait {
        return Ok(Ending::StillRunning);
    }
    // Each goes on by itself: one that fails keeps nobody from hearing of the others.
    let ended: Vec<_> = started.jobs.iter().map(|id| job::watch(context, *id)).collect();
    ended.into_iter().find(Result::is_err).unwrap_or(Ok(Ending::Done))
}

/// Shows the plan and asks. Returns the request for exactly the point that was shown.
fn agree(context: &Context<'_>, request: GroupFailback) -> Result<GroupFailback, ErrorReply> {
    let planned = context.ask(GroupFailback { plan_only: true, ..request.clone() })?;
    context.screen.text(&render(&planned, context.screen.paint()))?;
    if !prompt::agreed("Write this to the target disks?")? {
        let error = ApiError::new(Code::NotConfirmed, format!("group {} was left as it is", planned.group));
        let error = error.because("the question was not answered with y");
        return Err(error.fixed_by("answer y, or add --yes").into());
    }
    Ok(GroupFailback { to: GroupTo::Number(planned.to.number), ..request })
}

fn render(started: &GroupFailbackStarted, paint: Paint) -> String {
    let head = format!("every member goes to {}\n", group::describe(&started.group, &started.to));
    let plans = started.plans.iter().map(|plan| format!("\n{}", failback::render(plan, paint)));
    head + &plans.collect::<String>() + &under_way(started)
}

fn under_way(started: &GroupFailbackStarted) -> String {
    let names: Vec<&MachineName> = started.plans.iter().map(|plan| &plan.machine).collect();
    let jobs = started.jobs.iter().zip(names).map(|(job, machine)| format!("job {job} is for {machine}\n"));
    let jobs = jobs.collect::<String>();
    if jobs.is_empty() { jobs } else { format!("\n{jobs}\n") }
}
