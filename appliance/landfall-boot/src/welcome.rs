//! The first operator: as long as nobody has joined as one, whoever stands at the console may.
//!
//! The token goes to the console alone: it is a secret, good for one who joins within the hour.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use control::Client;
use control::api::{JoinTokenMade, ServerList, ServerToken};
use units::MachineName;
use wire::Role;

/// Under which name the first operator joins.
const NAME: &str = "operator";
const RETRY_EVERY: Duration = Duration::from_millis(500);

/// Waits until landfalld answers, then shows a token on standard output, unless an operator has joined. Errors: it is refused.
pub(crate) fn first_operator(socket: &Path) -> Result<()> {
    let mut client = loop {
        match Client::connect(socket) {
            Ok(client) => break client,
            Err(_) => std::thread::sleep(RETRY_EVERY),
        }
    };
    let known =
        client.ask(ServerList {}).map_err(|error| anyhow!("who has joined can't be asked: {error}"))?;
    if known.servers.iter().any(|server| server.role == Role::Operator) {
        return Ok(());
    }
    let name: MachineName = NAME.parse().context("a name that is allowed")?;
    let made: JoinTokenMade = client
        .ask(ServerToken { role: Role::Operator, name })
        .map_err(|error| anyhow!("no token can be made: {error}"))?;
    let text = format!(
        "\r\nNobody operates this appliance yet. Until {} somebody can, once:\r\n\r\n  landfall login --at ADDRESS --token-file FILE\r\n\r\n\
         with this in FILE:\r\n\r\n  {}\r\n\r\n",
        made.expires, made.token
    );
    std::io::stdout().write_all(text.as_bytes()).context("the console can't be written to")
}
