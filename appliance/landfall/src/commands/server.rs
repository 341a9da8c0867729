//! `landfall server token|list|revoke`

use control::ErrorReply;
use control::api::{
    HeartbeatState, JoinTokenMade, ServerEntry, ServerHeartbeat, ServerList, ServerRevoke, ServerToken,
    Servers,
};
use units::MachineName;
use wire::Role;

use super::Context;
use crate::arguments::server::RevokeArguments;
use crate::paint::{Paint, Tone};
use crate::prompt::device_again;
use crate::screen::Ending;
use crate::span::span;
use crate::table::{Cell, Column, Table};

/// Makes a token; only the token itself goes to standard output, so that it can be sent into a file.
pub(super) fn token(context: &Context<'_>, role: Role, name: MachineName) -> Result<Ending, ErrorReply> {
    let made: JoinTokenMade = context.ask(ServerToken { role, name })?;
    if !context.screen.is_json() {
        eprintln!("for {}, once, until {}; whoever has it can join", made.identity, made.expires);
    }
    context.screen.show(&made, |made, _| format!("{}\n", made.token))?;
    Ok(Ending::Done)
}

/// Lists who has joined.
pub(super) fn list(context: &Context<'_>) -> Result<Ending, ErrorReply> {
    let servers: Servers = context.ask(ServerList {})?;
    context.screen.show(&servers, lines)?;
    Ok(Ending::Done)
}

/// Revokes every certificate of somebody.
pub(super) fn revoke(context: &Context<'_>, wanted: RevokeArguments) -> Result<Ending, ErrorReply> {
    let RevokeArguments { name, role, reason, yes } = wanted;
    let what = format!("Every certificate of {name} ends, and it is cut off within seconds.");
    device_again(context.screen, name.as_str(), yes, &what)?;
    let confirm = name.to_string();
    let entry: ServerEntry = context.ask(ServerRevoke { name, role, reason, confirm })?;
    context.screen.show(&entry, |entry, _| {
        format!("{} {}: revoked; it can join again with a new token\n", entry.role, entry.name)
    })?;
    Ok(Ending::Done)
}

fn lines(servers: &Servers, paint: Paint) -> String {
    let headings = ["ROLE", "NAME", "HEARTBEAT", "ENROLLED", "CERTIFICATE UNTIL"].map(Column::Text);
    let mut table = Table::new(headings);
    for server in &servers.servers {
        let until = match (server.expires, server.revoked) {
            (Some(expires), _) => Cell::from(expires.to_string()),
            (None, Some(revoked)) => Cell::toned(Tone::Bad, format!("revoked {revoked}")),
            (None, None) => Cell::toned(Tone::Warn, "none"),
        };
        let enrolled = server.enrolled.to_string();
        let (role, name) = (server.role.as_str().into(), server.name.as_str().into());
        table.row([role, name, heartbeat(server.heartbeat.as_ref()), enrolled.into(), until]);
    }
    let causes = servers.servers.iter().filter_map(|server| {
        let cause = server.heartbeat.as_ref()?.cause.as_ref()?;
        Some(format!("{} {} is lost: {cause}\n", server.role, server.name))
    });
    table.render(paint) + &causes.collect::<String>()
}

fn heartbeat(heartbeat: Option<&ServerHeartbeat>) -> Cell {
    let Some(heartbeat) = heartbeat else { return Cell::default() };
    let silent = span(heartbeat.silent_seconds);
    match heartbeat.state {
        HeartbeatState::Alive => Cell::toned(Tone::Good, "alive"),
        HeartbeatState::Suspect => Cell::toned(Tone::Warn, format!("suspect: silent for {silent}")),
        HeartbeatState::Lost => Cell::toned(Tone::Bad, format!("lost: silent for {silent}")),
    }
}
