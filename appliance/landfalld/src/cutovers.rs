//! Looks at what machines receive, so that a cut-over can be foretold.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use control::api::Cutover;
use inventory::{Outstanding, Received, SAMPLE_EVERY};
use target::{Machine, MasterTarget};
use units::MachineName;

use crate::answers::now;

/// What machines have received.
pub(crate) struct Cutovers {
    begun: Instant,
    received: Mutex<BTreeMap<MachineName, Received>>,
}

impl Cutovers {
    /// Begins to look, until nobody needs it any more. Errors: the system starts no thread.
    pub(crate) fn begin(node: &Arc<MasterTarget>) -> std::io::Result<Arc<Self>> {
        let cutovers = Arc::new(Self { begun: Instant::now(), received: Mutex::default() });
        let (watched, node) = (Arc::downgrade(&cutovers), Arc::downgrade(node));
        let work = move || {
            while look(&watched, &node).is_some() {
                std::thread::sleep(SAMPLE_EVERY);
            }
        };
        std::thread::Builder::new().name("cutovers".to_owned()).spawn(work)?;
        Ok(cutovers)
    }

    /// Foretells the cut-over of a machine; nothing while too little is known.
    pub(crate) fn of(&self, machine: &Machine) -> Option<Cutover> {
        let outstanding = {
            let state = machine.shared.lock();
            let compared = state.compared.filter(|_| state.timeline.resync().is_some());
            let total: u64 = state.lens.iter().map(|len| len.0).sum();
            let newest = state.timeline.points().next_back().map(|point| point.time);
            Outstanding {
                lag: state.lag.0,
                remaining: compared.map_or(0, |compared| total.saturating_sub(compared.compared.0)),
                age: newest.map_or(Duration::ZERO, |newest| now().since(newest)),
            }
        };
        let received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        let foretold = received.get(&machine.name)?.foretell(outstanding)?;
        Some(Cutover {
            outstanding_bytes: foretold.outstanding,
            rate: foretold.rate,
            dirty_rate: foretold.dirty_rate,
            converging: foretold.converging,
            downtime_ms: millis(foretold.downtime),
            downtime_least_ms: millis(foretold.least),
            downtime_most_ms: millis(foretold.most),
        })
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Looks once. `None` when nobody needs it any more.
fn look(cutovers: &Weak<Cutovers>, node: &Weak<MasterTarget>) -> Option<()> {
    let (cutovers, node) = (cutovers.upgrade()?, node.upgrade()?);
    let machines = node.machines();
    let at = cutovers.begun.elapsed();
    let mut received = cutovers.received.lock().unwrap_or_else(PoisonError::into_inner);
    received.retain(|name, _| machines.iter().any(|machine| machine.name == *name));
    for machine in machines {
        if let Some(session) = machine.session() {
            received.entry(machine.name.clone()).or_default().look(at, session.received);
        }
    }
    Some(())
}
