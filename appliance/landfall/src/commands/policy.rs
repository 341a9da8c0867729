//! `landfall policy show|set`, `landfall retention expire --plan`

use std::time::Duration;

use control::api::{
    CommitBy, Expiry, Loss, MachineExpiry, Policies, Policy, PolicyChange, PolicyChanged, PolicySet,
    PolicyShow, RetentionPlan, WhenFull,
};
use control::{ApiError, Code, ErrorReply};
use units::{ByteLen, MachineName};

use super::Context;
use crate::arguments::{self, PolicyArguments};
use crate::paint::{Paint, harmless};
use crate::prompt;
use crate::screen::Ending;
use crate::span::{count, span};
use crate::table::{Cell, Column, Table};

/// Shows the policies.
pub(super) fn show(context: &Context<'_>, machine: Option<MachineName>) -> Result<Ending, ErrorReply> {
    let policies = context.ask(PolicyShow { machine })?;
    context.screen.show(&policies, |policies: &Policies, paint| {
        let mut table = table("MACHINE");
        table.row(row("(default)", &policies.default, ""));
        for each in &policies.machines {
            let from = if each.own { "its own" } else { "the default" };
            table.row(row(each.machine.as_str(), &each.policy, from));
        }
        table.render(paint)
    })?;
    Ok(Ending::Done)
}

/// Changes a policy, after what goes by it was shown and agreed to.
pub(super) fn set(context: &Context<'_>, wanted: PolicyArguments) -> Result<Ending, ErrorReply> {
    let change = change(&wanted)?;
    let request =
        PolicySet { machine: wanted.machine, change, plan_only: wanted.dry_run, expiry_ok: wanted.yes };
    let asks = !wanted.dry_run && !wanted.yes && context.screen.can_ask();
    let expiry_ok = if asks { agree(context, &request)? } else { request.expiry_ok };
    let changed = context.ask(PolicySet { expiry_ok, ..request })?;
    context.screen.show(&changed, render)?;
    Ok(Ending::Done)
}

/// Shows what goes now.
pub(super) fn expire(context: &Context<'_>, machine: Option<MachineName>) -> Result<Ending, ErrorReply> {
    let expiry = context.ask(RetentionPlan { machine })?;
    context.screen.show(&expiry, |expiry: &Expiry, paint| {
        if expiry.machines.is_empty() {
            return "no machine has history\n".to_owned();
        }
        expiry.machines.iter().map(|each| plan(each, paint)).collect()
    })?;
    Ok(Ending::Done)
}

/// Asks, if anything goes by the change. Returns whether it may.
fn agree(context: &Context<'_>, request: &PolicySet) -> Result<bool, ErrorReply> {
    let planned = context.ask(PolicySet { plan_only: true, ..request.clone() })?;
    if planned.goes.is_empty() {
        return Ok(false);
    }
    context.screen.text(&render(&planned, context.screen.paint()))?;
    if prompt::agreed("Delete this history?")? {
        return Ok(true);
    }
    let error = ApiError::new(Code::NotConfirmed, "the policy was left as it is");
    Err(error.because("the question was not answered with y").fixed_by("answer y, or add --yes").into())
}

fn change(wanted: &PolicyArguments) -> Result<PolicyChange, ErrorReply> {
    let seconds = |span: Option<Duration>| span.map(whole_seconds).transpose();
    let change = PolicyChange {
        rpo_seconds: seconds(wanted.rpo)?,
        window_seconds: seconds(wanted.window)?,
        application_seconds: seconds(wanted.application_every)?,
        budget_bytes: wanted.budget.map(|budget| budget.0),
        when_full: wanted.when_full.map(|when| match when {
            arguments::WhenFull::Shrink => WhenFull::Shrink,
            arguments::WhenFull::Thin => WhenFull::Thin,
            arguments::WhenFull::Pause => WhenFull::Pause,
        }),
        commit: wanted.commit.map(|by| match by {
            arguments::CommitBy::None => CommitBy::None,
            arguments::CommitBy::Commit => CommitBy::Commit,
            arguments::CommitBy::Cancel => CommitBy::Cancel,
        }),
        commit_after_seconds: seconds(wanted.commit_after)?,
        inherit: wanted.inherit,
    };
    if change == PolicyChange::default() {
        let error = ApiError::new(Code::BadArgument, "nothing is to change");
        return Err(error.because("no value was given").fixed_by("see `landfall policy set --help`").into());
    }
    Ok(change)
}

fn whole_seconds(span: Duration) -> Result<u32, ErrorReply> {
    let whole = span.subsec_nanos() == 0;
    let seconds = u32::try_from(span.as_secs()).ok().filter(|_| whole);
    seconds.ok_or_else(|| {
        ApiError::new(Code::BadArgument, format!("{span:?} is not in whole seconds, or too long")).into()
    })
}

fn table(first: &'static str) -> Table {
    use Column::{Number, Text};
    Table::new([
        Text(first),
        Number("RPO"),
        Number("WINDOW"),
        Number("APPLICATION EVERY"),
        Number("BUDGET"),
        Text("WHEN FULL"),
        Text("BY ITSELF"),
        Text("FROM"),
    ])
}

fn row(first: &str, policy: &Policy, from: &str) -> [Cell; 8] {
    let application = match policy.application_seconds {
        0 => "none".to_owned(),
        seconds => span(seconds.into()),
    };
    [
        first.into(),
        span(policy.rpo_seconds.into()).into(),
        span(policy.window_seconds.into()).into(),
        application.into(),
        policy.budget_bytes.map(|bytes| ByteLen(bytes).to_string()).unwrap_or_default().into(),
        when_full(policy.when_full).into(),
        by_itself(policy).into(),
        from.into(),
    ]
}

/// Returns the word for what happens when there is no room.
pub(super) fn when_full(when: WhenFull) -> &'static str {
    match when {
        WhenFull::Shrink => "shrink",
        WhenFull::Thin => "thin",
        WhenFull::Pause => "pause",
    }
}

/// Writes what becomes of a machine by itself, and when.
fn by_itself(policy: &Policy) -> String {
    let after = span(policy.commit_after_seconds.into());
    match policy.commit {
        CommitBy::None => "-".to_owned(),
        CommitBy::Commit => format!("commit after {after}"),
        CommitBy::Cancel => format!("cancel after {after}"),
    }
}

fn render(changed: &PolicyChanged, paint: Paint) -> String {
    let whose = changed.machine.as_ref().map_or("(default)", |machine| machine.as_str());
    let mut table = table("POLICY");
    table.row(row(&format!("{whose} before"), &changed.before, ""));
    table.row(row(&format!("{whose} {}", if changed.done { "now" } else { "then" }), &changed.after, ""));
    let mut text = table.render(paint);
    if changed.goes.is_empty() {
        return text + "no history goes by it\n";
    }
    for each in &changed.goes {
        text += &format!("\n{}", plan(each, paint));
    }
    text
}

fn plan(expiry: &MachineExpiry, paint: Paint) -> String {
    let freed = ByteLen(expiry.steps.iter().map(|step| step.freed_bytes).sum());
    let mut text = match expiry.steps.len() as u64 {
        0 => format!("{}: nothing goes\n", expiry.machine),
        steps => format!("{}: {} of history, {freed}\n", expiry.machine, count(steps, "part")),
    };
    for (word, why) in [("stays", &expiry.held), ("no room is made", &expiry.wanting)] {
        if let Some(why) = why {
            text += &format!("  {word}: {}\n", harmless(why));
        }
    }
    if expiry.steps.is_empty() {
        return text;
    }
    use Column::{Number, Text};
    let columns = [Number("EPOCH"), Number("FROM"), Number("TO"), Text("GOES"), Number("FREED"), Text("WHY")];
    let mut table = Table::new(columns);
    for step in &expiry.steps {
        let loss = match step.loss {
            Loss::Whole => "whole",
            Loss::Redo => "between its ends",
            Loss::End => "its end",
        };
        table.row([
            step.epoch.to_string().into(),
            format!("#{}", step.first).into(),
            format!("#{}", step.last).into(),
            loss.into(),
            ByteLen(step.freed_bytes).to_string().into(),
            step.reason.as_str().into(),
        ]);
    }
    text + &table.render(paint)
}
