//! `landfall group list|show|create|add|remove|delete|point`, `landfall point list --group`

use control::ErrorReply;
use control::api::{
    Group, GroupAdd, GroupCreate, GroupDelete, GroupList, GroupPoint, GroupPointList, GroupPointMake,
    GroupPoints, GroupRemove, GroupShow, Groups,
};
use units::MachineName;

use super::{Context, point};
use crate::arguments::{CreateArguments, GroupCommand};
use crate::paint::{Paint, harmless};
use crate::prompt::device_again;
use crate::screen::Ending;
use crate::span::{count, span};
use crate::table::{Cell, Column, Table};

/// Carries out a command about groups.
pub(super) fn run(context: &Context<'_>, command: GroupCommand) -> Result<Ending, ErrorReply> {
    match command {
        GroupCommand::List => list(context),
        GroupCommand::Show { group } => show(context, &context.ask(GroupShow { name: group })?, ""),
        GroupCommand::Create(wanted) => create(context, wanted),
        GroupCommand::Add { group, machine } => {
            show(context, &context.ask(GroupAdd { name: group, machine })?, "was changed")
        }
        GroupCommand::Remove { group, machine } => {
            show(context, &context.ask(GroupRemove { name: group, machine })?, "was changed")
        }
        GroupCommand::Delete { group, yes } => delete(context, group, yes),
        GroupCommand::Point { group } => make_point(context, group),
    }
}

/// Lists the points of a group.
pub(super) fn points(context: &Context<'_>, name: MachineName) -> Result<Ending, ErrorReply> {
    let points = context.ask(GroupPointList { name })?;
    context.screen.show(&points, render_points)?;
    Ok(Ending::Done)
}

/// Describes a group point in one line.
pub(super) fn describe(group: &MachineName, point: &GroupPoint) -> String {
    format!("point {} of group {group}, {}", point.number, point.time)
}

fn list(context: &Context<'_>) -> Result<Ending, ErrorReply> {
    let groups = context.ask(GroupList {})?;
    context.screen.show(&groups, |groups: &Groups, paint| match groups.groups.as_slice() {
        [] => "no groups; make one with `landfall group create NAME MACHINE ...`\n".to_owned(),
        list => table(list, groups).render(paint),
    })?;
    Ok(Ending::Done)
}

fn table(list: &[Group], groups: &Groups) -> Table {
    use Column::{Number, Text};
    let mut table =
        Table::new([Text("GROUP"), Text("EVERY"), Number("POINTS"), Number("AGE"), Text("MEMBERS")]);
    for group in list {
        let age = group.newest.as_ref().map(|point| span(groups.time.0.since(point.time.0).as_secs()));
        table.row([
            Cell::from(group.name.as_str()),
            every(group).into(),
            group.points.to_string().into(),
            age.unwrap_or_default().into(),
            names(&group.machines).into(),
        ]);
    }
    table
}

fn create(context: &Context<'_>, wanted: CreateArguments) -> Result<Ending, ErrorReply> {
    let CreateArguments { group, machines, every, hold } = wanted;
    // A span that does not fit is refused like any other that is too long.
    let every_seconds = every.map(|every| u32::try_from(every.as_secs()).unwrap_or(u32::MAX));
    let hold_ms = hold.map(|hold| u32::try_from(hold.as_millis()).unwrap_or(u32::MAX));
    let made = context.ask(GroupCreate { name: group, machines, every_seconds, hold_ms })?;
    show(context, &made, "was made")
}

fn delete(context: &Context<'_>, name: MachineName, yes: bool) -> Result<Ending, ErrorReply> {
    let what = format!("Group {name} ends: its common points are common no longer.");
    device_again(context.screen, name.as_str(), yes, &what)?;
    let confirm = name.to_string();
    let deleted = context.ask(GroupDelete { name, confirm })?;
    context.screen.show(&deleted, |deleted, _| {
        format!("group {} was deleted; {} and their histories stay\n", deleted.name, names(&deleted.machines))
    })?;
    Ok(Ending::Done)
}

fn make_point(context: &Context<'_>, name: MachineName) -> Result<Ending, ErrorReply> {
    let point = context.ask(GroupPointMake { name: name.clone() })?;
    context.screen.show(&point, |made, paint| {
        format!("{} was made\n\n{}", describe(&name, made), members(made).render(paint))
    })?;
    Ok(Ending::Done)
}

fn show(context: &Context<'_>, group: &Group, done: &str) -> Result<Ending, ErrorReply> {
    context.screen.show(group, |group, paint| {
        let done = if done.is_empty() { String::new() } else { format!("group {} {done}\n\n", group.name) };
        done + &sheet(group, paint)
    })?;
    Ok(Ending::Done)
}

fn sheet(group: &Group, paint: Paint) -> String {
    let mut text = format!("{}: {}\n", group.name, names(&group.machines));
    text += &format!("  a point {}; writes are held {} ms at the most\n", every(group), group.hold_ms);
    match &group.newest {
        None => text += "  no point that every member has\n",
        Some(newest) => {
            let points = count(group.points, "point");
            text += &format!("  {points}, the newest is number {} of {}\n", newest.number, newest.time);
        }
    }
    if let Some(last) = &group.last
        && let Some(why) = &last.failed
    {
        text += &format!("  point {} of {} came to nothing: {}\n", last.number, last.begun, harmless(why));
    }
    match &group.newest {
        None => text,
        Some(newest) => format!("{text}\n{}", members(newest).render(paint)),
    }
}

fn every(group: &Group) -> String {
    match group.every_seconds {
        None => "only when asked for".to_owned(),
        Some(seconds) => {
            let whose = if group.own_interval { "" } else { " (policy)" };
            format!("every {}{whose}", span(seconds.into()))
        }
    }
}

fn names(machines: &[MachineName]) -> String {
    machines.iter().map(MachineName::as_str).collect::<Vec<_>>().join(", ")
}

fn members(group_point: &GroupPoint) -> Table {
    use Column::{Number, Text};
    let mut table = Table::new([Text("MACHINE"), Number("SEQ"), Text("TIME"), Text("CONSISTENCY")]);
    for member in &group_point.members {
        let (tone, word) = point::consistency(member.consistency);
        table.row([
            member.machine.as_str().into(),
            format!("#{}", member.sequence).into(),
            member.time.to_string().into(),
            Cell::toned(tone, word),
        ]);
    }
    table
}

fn render_points(points: &GroupPoints, paint: Paint) -> String {
    if points.points.is_empty() {
        return format!("group {} has no point that every member has\n", points.group);
    }
    use Column::{Number, Text};
    let mut table = Table::new([Number("POINT"), Text("TIME"), Number("AGE"), Text("MEMBERS")]);
    for point in &points.points {
        let member =
            |member: &control::api::GroupMemberPoint| format!("{}@{}", member.machine, member.sequence);
        table.row([
            point.number.to_string().into(),
            point.time.to_string().into(),
            span(points.time.0.since(point.time.0).as_secs()).into(),
            point.members.iter().map(member).collect::<Vec<_>>().join(", ").into(),
        ]);
    }
    format!(
        "{}: {}\n\n{}",
        points.group,
        count(points.points.len() as u64, "common point"),
        table.render(paint)
    )
}
