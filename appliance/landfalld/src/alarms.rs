//! Alarms: raised and cleared as what is not well comes and goes, durable, told to whoever watches.

use std::sync::Arc;
use std::time::Duration;

use catalog::{Catalog, CatalogError, Expect, Table};
use control::api::{self, AlarmAck, AlarmEvents, Concern, Health};
use control::{ApiError, Caller, Code};
use inventory::{Alarm, AlarmStep, Condition, Record as _, Revision, Severity, observe};
use units::Timestamp;

use crate::failure::catalog_failed;

/// How long a watcher waits for news.
const NEWS_WITHIN: Duration = Duration::from_secs(1);

/// The alarms of this configuration server.
#[derive(Debug)]
pub(crate) struct Alarms {
    table: Table<Alarm>,
}

impl Alarms {
    /// Keeps alarms in a catalog.
    pub(crate) fn new(catalog: Arc<dyn Catalog>) -> Self {
        Self { table: Table::new(catalog) }
    }

    /// Raises what is not well, clears what is well again, forgets what ended long ago; durable on return.
    pub(crate) fn observe(&self, concerns: &[Concern], now: Timestamp) -> Result<(), CatalogError> {
        let standing: Vec<_> = concerns.iter().filter_map(condition).collect();
        let known: Vec<_> = self.all()?;
        for step in observe(&known, &standing, now) {
            match step {
                AlarmStep::Put(alarm) => {
                    tell(&alarm, &known);
                    self.table.put(&alarm)?
                }
                AlarmStep::Forget(alarm) => self.table.remove(&alarm.name(), Expect::Any)?,
            };
        }
        Ok(())
    }

    /// Returns the alarms that stand or that nobody has taken note of, or every one that is remembered; the worst first.
    pub(crate) fn list(&self, every: bool) -> Result<Vec<api::Alarm>, ApiError> {
        let mut alarms = self.all().map_err(|error| failed(&error))?;
        alarms.retain(|alarm| every || alarm.stands() || alarm.is_open());
        Ok(sorted(alarms.iter().map(described).collect()))
    }

    /// Notes that somebody has taken note of the alarms of a kind, a subject, both, or all; durable on return. Returns them.
    pub(crate) fn ack(
        &self,
        caller: &Caller,
        wanted: &AlarmAck,
        now: Timestamp,
    ) -> Result<Vec<api::Alarm>, ApiError> {
        let meant = |alarm: &Alarm| {
            let (kind, subject) = (alarm.condition.kind.as_str(), alarm.condition.subject.as_str());
            let kind_fits = wanted.kind.as_ref().is_none_or(|wanted| wanted == kind);
            alarm.is_open() && kind_fits && wanted.subject.as_ref().is_none_or(|wanted| wanted == subject)
        };
        let open: Vec<_> = self.all().map_err(|error| failed(&error))?.into_iter().filter(meant).collect();
        if open.is_empty() && (wanted.kind.is_some() || wanted.subject.is_some()) {
            return Err(ApiError::new(Code::AlarmUnknown, "no alarm was acknowledged"));
        }
        let mut acked = Vec::new();
        for alarm in open {
            let changed = self.table.update(&alarm.name(), |found| {
                Ok::<_, CatalogError>(found.map(|alarm| alarm.acked(&caller.to_string(), now)))
            });
            acked.extend(changed.map_err(|error| failed(&error))?.as_ref().map(described));
        }
        Ok(sorted(acked))
    }

    /// Returns what became of alarms after an event, as soon as something has; nothing after a second.
    pub(crate) fn watch(&self, after: Option<u64>) -> Result<AlarmEvents, ApiError> {
        let news = || -> Result<AlarmEvents, CatalogError> {
            let Some(after) = after.map(Revision) else {
                let newest = self.table.list()?.revision.0;
                return Ok(AlarmEvents { newest, missed: false, alarms: Vec::new() });
            };
            match self.table.watch(after).and_then(|mut changes| changes.next(NEWS_WITHIN)) {
                Ok(changes) => {
                    let newest =
                        changes.iter().filter_map(|change| change.row.as_ref()).map(|row| row.revision);
                    let newest = newest.max().unwrap_or(after).0;
                    let alarms = changes.into_iter().filter_map(|change| change.row);
                    let alarms = alarms.map(|row| described(&row.record)).collect();
                    Ok(AlarmEvents { newest, missed: false, alarms })
                }
                Err(CatalogError::Missed { .. }) => {
                    let rows = self.table.list()?;
                    let alarms = rows.rows.iter().map(|row| described(&row.record)).collect();
                    Ok(AlarmEvents { newest: rows.revision.0, missed: true, alarms: sorted(alarms) })
                }
                Err(error) => Err(error),
            }
        };
        news().map_err(|error| failed(&error))
    }

    fn all(&self) -> Result<Vec<Alarm>, CatalogError> {
        Ok(self.table.list()?.rows.into_iter().map(|row| row.record).collect())
    }
}

/// Returns what is alarming of a concern. What is well is none.
fn condition(concern: &Concern) -> Option<Condition> {
    let severity = match concern.health {
        Health::Failed => Severity::Failed,
        Health::Degraded => Severity::Degraded,
        Health::Healthy => return None,
    };
    let (kind, subject, what) = (concern.kind, concern.subject().to_owned(), concern.what.clone());
    Some(Condition { kind, subject, severity, what })
}

/// Tells the log of an alarm that comes up, gets worse, or ends; not of one that merely goes on.
fn tell(alarm: &Alarm, known: &[Alarm]) {
    let Condition { kind, subject, severity, what } = &alarm.condition;
    let before = known.iter().find(|before| before.name() == alarm.name());
    let goes_on =
        |before: &Alarm| before.stands() == alarm.stands() && before.condition.severity == *severity;
    if before.is_some_and(goes_on) {
        return;
    }
    let kind = kind.as_str();
    match (alarm.stands(), severity) {
        (false, _) => tracing::info!(kind, subject, "alarm cleared"),
        (true, Severity::Failed) => tracing::error!(kind, subject, what, "alarm raised"),
        (true, Severity::Degraded) => tracing::warn!(kind, subject, what, "alarm raised"),
    }
}

fn described(alarm: &Alarm) -> api::Alarm {
    let Condition { kind, subject, severity, what } = alarm.condition.clone();
    api::Alarm {
        kind,
        subject,
        severity: match severity {
            Severity::Failed => Health::Failed,
            Severity::Degraded => Health::Degraded,
        },
        what,
        first_seen: alarm.first_seen,
        last_seen: alarm.last_seen,
        raised: alarm.raised,
        cleared: alarm.cleared,
        acked_by: alarm.acked.as_ref().map(|ack| ack.who.clone()),
        acked: alarm.acked.as_ref().map(|ack| ack.at),
    }
}

/// Those that stand first, of these the worst, and the newest of them.
fn sorted(mut alarms: Vec<api::Alarm>) -> Vec<api::Alarm> {
    alarms.sort_by_key(|alarm| (!alarm.stands(), alarm.severity, std::cmp::Reverse(alarm.first_seen.0)));
    alarms
}

fn failed(error: &CatalogError) -> ApiError {
    catalog_failed("the alarms can't be had", error)
}
