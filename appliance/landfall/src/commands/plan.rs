//! `landfall plan list|show|create|delete|run|continue|stop`

use std::time::Duration;

use control::api::{
    Plan, PlanContinue, PlanCreate, PlanDelete, PlanList, PlanRun, PlanRunning, PlanShow, PlanState,
    PlanStep, PlanStop, Plans,
};
use control::{ApiError, Code, ErrorReply};
use units::MachineName;

use super::{Context, now};
use crate::arguments::{PlanCommand, moment};
use crate::paint::{Paint, Tone, harmless};
use crate::prompt::device_again;
use crate::screen::Ending;
use crate::span::span;
use crate::table::{Cell, Column, Table};

/// Between two looks at a run that is followed.
const PAUSE: Duration = Duration::from_millis(500);

/// Carries out a command about plans.
pub(super) fn run(context: &Context<'_>, command: PlanCommand) -> Result<Ending, ErrorReply> {
    match command {
        PlanCommand::List => list(context),
        PlanCommand::Show { plan } => show(context, &context.ask(PlanShow { name: plan })?, ""),
        PlanCommand::Create { plan, steps } => {
            let steps = steps.into_iter().map(|step| step.0).collect();
            show(context, &context.ask(PlanCreate { name: plan, steps })?, " was made")
        }
        PlanCommand::Delete { plan, yes } => {
            let what = format!("Plan {plan} goes, and what is known of its runs.");
            device_again(context.screen, plan.as_str(), yes, &what)?;
            let confirm = plan.to_string();
            show(context, &context.ask(PlanDelete { name: plan, confirm })?, " was deleted")
        }
        PlanCommand::Run { plan, to, no_wait, yes } => {
            let what = format!("Plan {plan} brings machines home: their target disks are written.");
            device_again(context.screen, plan.as_str(), yes, &what)?;
            let (to, confirm) = (to.map(|when| moment(when, now()).into()), plan.to_string());
            let begun = context.ask(PlanRun { name: plan, to, confirm })?;
            follow(context, begun, no_wait)
        }
        PlanCommand::Continue { plan, no_wait } => {
            let plan = context.ask(PlanContinue { name: plan })?;
            follow(context, plan, no_wait)
        }
        PlanCommand::Stop { plan } => show(context, &context.ask(PlanStop { name: plan })?, " was stopped"),
    }
}

fn list(context: &Context<'_>) -> Result<Ending, ErrorReply> {
    let plans = context.ask(PlanList {})?;
    context.screen.show(&plans, |plans: &Plans, paint| match plans.plans.as_slice() {
        [] => "no plans; make one with `landfall plan create NAME --step STEP ...`\n".to_owned(),
        _ => table(plans).render(paint),
    })?;
    Ok(Ending::Done)
}

fn table(plans: &Plans) -> Table {
    use Column::{Number, Text};
    let mut table =
        Table::new([Text("PLAN"), Number("STEPS"), Text("STATE"), Number("DONE"), Number("BEGUN")]);
    for plan in &plans.plans {
        let run = plan.run.as_ref();
        let age = run.map(|run| format!("{} ago", span(plans.time.0.since(run.started.0).as_secs())));
        table.row([
            Cell::from(plan.name.as_str()),
            plan.steps.len().to_string().into(),
            run.map_or_else(Cell::default, |run| Cell::toned(tone(run.state), word(run.state))),
            run.map(|run| run.done.to_string()).unwrap_or_default().into(),
            age.unwrap_or_default().into(),
        ]);
    }
    table
}

/// Tells what happens until the run ends or waits.
fn follow(context: &Context<'_>, mut plan: Plan, no_wait: bool) -> Result<Ending, ErrorReply> {
    let mut told = 0;
    loop {
        let Some(run) = plan.run.clone() else { return Ok(Ending::Done) };
        let over = no_wait || run.state != PlanState::Running;
        if !context.screen.is_json() {
            let lines: String =
                run.log.iter().skip(told).map(|line| log_line(line.time, &line.what)).collect();
            context.screen.text(&lines)?;
            told = run.log.len();
        } else if over {
            context.screen.json(&plan)?;
        }
        if over {
            return end(context, &plan.name, &run);
        }
        std::thread::sleep(PAUSE);
        plan = context.ask(PlanShow { name: plan.name })?;
    }
}

fn end(context: &Context<'_>, name: &MachineName, run: &PlanRunning) -> Result<Ending, ErrorReply> {
    let next = match run.state {
        PlanState::Done => return Ok(Ending::Done),
        PlanState::Stopped => return Ok(Ending::NotWell),
        PlanState::Failed => {
            let error = ApiError::new(Code::PlanFailed, format!("plan {name} failed"));
            let why = run.log.iter().rev().find(|line| line.what.contains("failed"));
            return Err(why.map_or(error.clone(), |line| error.because(&line.what)).into());
        }
        PlanState::Running => {
            format!("plan {name} is under way; `landfall plan show {name}` tells how far it is\n")
        }
        PlanState::Waiting => format!("plan {name} waits for a person: `landfall plan continue {name}`\n"),
    };
    if !context.screen.is_json() {
        context.screen.text(&next)?;
    }
    Ok(Ending::StillRunning)
}

fn show(context: &Context<'_>, plan: &Plan, done: &str) -> Result<Ending, ErrorReply> {
    context.screen.show(plan, |plan, paint| {
        let done = if done.is_empty() { String::new() } else { format!("plan {}{done}\n\n", plan.name) };
        done + &sheet(plan, paint)
    })?;
    Ok(Ending::Done)
}

fn sheet(plan: &Plan, paint: Paint) -> String {
    let mut text = format!("{}\n", plan.name);
    let steps = plan.run.as_ref().filter(|run| !has_ended(run.state)).map_or(&plan.steps, |run| &run.steps);
    for (at, step) in steps.iter().enumerate() {
        let mark = match &plan.run {
            Some(run) if (at as u64) < run.done => "x",
            Some(run) if at as u64 == run.done && !has_ended(run.state) => ">",
            _ => " ",
        };
        text += &format!("  [{mark}] {}. {}\n", at + 1, describe(step));
    }
    let Some(run) = &plan.run else { return text + "  it was never run\n" };
    text += &format!(
        "  run {}: {}, begun {}",
        run.number,
        paint.tone(tone(run.state), word(run.state)),
        run.started
    );
    text += &run.ended.map_or_else(|| "\n".to_owned(), |ended| format!(", ended {ended}\n"));
    if !run.log.is_empty() {
        text += "\n";
    }
    text + &run.log.iter().map(|line| log_line(line.time, &line.what)).collect::<String>()
}

fn log_line(time: control::api::Rfc3339, what: &str) -> String {
    format!("{time}  {}\n", harmless(what))
}

fn describe(step: &PlanStep) -> String {
    match step {
        PlanStep::Machines { machines } => {
            let names: Vec<_> = machines.iter().map(MachineName::as_str).collect();
            format!("machines {}", names.join(", "))
        }
        PlanStep::Group { group } => format!("group {group}"),
        PlanStep::Pause { note } if note.is_empty() => "pause".to_owned(),
        PlanStep::Pause { note } => format!("pause: {}", harmless(note)),
        PlanStep::Hook { program, seconds } => {
            format!("hook {}, {} at the most", harmless(program), span((*seconds).into()))
        }
    }
}

fn has_ended(state: PlanState) -> bool {
    matches!(state, PlanState::Done | PlanState::Failed | PlanState::Stopped)
}

fn word(state: PlanState) -> &'static str {
    match state {
        PlanState::Running => "running",
        PlanState::Waiting => "waits for a person",
        PlanState::Done => "done",
        PlanState::Failed => "failed",
        PlanState::Stopped => "stopped",
    }
}

fn tone(state: PlanState) -> Tone {
    match state {
        PlanState::Running | PlanState::Waiting | PlanState::Stopped => Tone::Warn,
        PlanState::Done => Tone::Good,
        PlanState::Failed => Tone::Bad,
    }
}
