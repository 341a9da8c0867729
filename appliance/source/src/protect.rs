//! From what the operator asked for to an agent at work.

use std::sync::Arc;

use enrol::{CONTROLLER_FILE, Keeper, Revocations, controller_of};
use link::{Connector, Credentials};
use units::ByteLen;

use crate::agent::{Agent, Parts};
use crate::config::Config;
use crate::disks::{self, Opened};
use crate::error::SourceError;
use crate::progress::{Event, Point, Report};
use crate::quiesce;
use crate::state::{Loaded, StateDirectory};
use crate::stop::Stop;
use crate::stream::Stream;
use crate::table::LeafTable;

/// Protects the machine: with [`crate::Schedule::Once`] until one recovery point is durable, which is returned; else until `stop` is
/// asked for, which returns `None`. Everything is opened and checked before the target is spoken to. Errors: see
/// [`SourceError`]; what was acked before stays at the target.
pub fn protect(config: &Config, stop: &Stop, report: &mut dyn Report) -> Result<Option<Point>, SourceError> {
    let state = StateDirectory::open(&config.state, &config.machine)?;
    if let Some(hook) = &config.hook
        && quiesce::thaw_after_crash(hook, &state).map_err(|found| SourceError::Thaw { found })?
    {
        let text = "an earlier agent was killed while writes were held; they were let go".to_owned();
        report.event(Event::Warning { text });
    }
    let Opened { reader, activity, buffers } = disks::open(config, &config.disks)?;
    let identity = |error| SourceError::Identity { path: config.identity.clone(), source: Arc::new(error) };
    let credentials = Credentials::read(&config.identity).map_err(identity)?;
    let (credentials, _keeper) = keep(config, credentials)?;
    let connector = Connector::new(&credentials).map_err(identity)?;
    let lens: Vec<ByteLen> = reader.disks().iter().map(|disk| disk.len).collect();
    let (table, seed_tried) = table(config, &state, &lens, report)?;
    let stream = Stream::new(table);
    let parts = Parts { connector, state, reader, activity, buffers, stream, seed_tried };
    Agent::new(config, stop, report, parts)?.run()
}

/// Keeps the certificate good while the agent runs, if it came by joining, and hears whose were revoked.
fn keep(config: &Config, credentials: Credentials) -> Result<(Credentials, Option<Keeper>), SourceError> {
    let place = &config.identity;
    if !place.join(CONTROLLER_FILE).exists() {
        return Ok((credentials, None));
    }
    let failed = |error| SourceError::Keeping { path: place.clone(), source: Arc::new(error) };
    let revocations = Arc::new(Revocations::default());
    let credentials = credentials.with_standing(revocations.clone());
    let controller = controller_of(place).map_err(failed)?;
    let keeper = Keeper::start(controller, credentials.clone(), place, Some(revocations)).map_err(failed)?;
    Ok((credentials, Some(keeper)))
}

/// Finds the leaf table to start from, and tells whether an agent was here before.
fn table(
    config: &Config,
    state: &StateDirectory,
    lens: &[ByteLen],
    report: &mut dyn Report,
) -> Result<(LeafTable, bool), SourceError> {
    let blank = || LeafTable::unknown(config.machine.clone(), lens.iter().copied());
    if config.resync {
        return Ok((blank(), true));
    }
    let warning = match state.load(lens)? {
        Loaded::Table(table) => return Ok((table, true)),
        Loaded::Missing => return Ok((blank(), false)),
        Loaded::Damaged(damage) => {
            format!("the leaf table is damaged and not used ({damage}); every leaf is compared by its hash")
        }
        Loaded::Foreign => {
            "the leaf table is of other disks and not used; every leaf is compared by its hash".to_owned()
        }
    };
    report.event(Event::Warning { text: warning });
    Ok((blank(), true))
}
