//! Damage and scrubbing, in the words of the control interface.

use std::sync::atomic::Ordering;

use control::api::{Damage, Scrub, ScrubResult, ScrubState};
use retention::DamagedPlace;
use target::replica::State;
use units::{Sequence, Timestamp};

use crate::report::lock;

/// Describes what is damaged of a machine.
pub(crate) fn damage(state: &State) -> Vec<Damage> {
    let describe = |damage: &retention::Damage| {
        let last = damage.last.unwrap_or(Sequence(u64::MAX - 1));
        Damage {
            disk: damage.disk,
            start_bytes: damage.start.0,
            len_bytes: damage.len.0,
            place: place(damage.place),
            first: damage.first,
            last: damage.last,
            found: damage.found.into(),
            before: state.good_around(damage.first).0,
            after: state.good_around(last).1,
        }
    };
    state.damage.iter().map(describe).collect()
}

/// Names where damaged bytes lie.
pub(crate) fn place(place: DamagedPlace) -> String {
    match place {
        DamagedPlace::Target => "the target disk".to_owned(),
        DamagedPlace::Redo { epoch, position } => format!("redo log of epoch {epoch} at {position}"),
        DamagedPlace::Undo { epoch, position } => format!("undo log of epoch {epoch} at {position}"),
    }
}

/// Describes how a machine is scrubbed.
pub(crate) fn scrub(scrub: &target::Scrub, now: Timestamp) -> Scrub {
    let record = lock(&scrub.record).clone();
    let paused = record.as_ref().is_some_and(|record| record.paused);
    let last = record.and_then(|record| record.last);
    let (done, total) = (scrub.pace.done.load(Ordering::Relaxed), scrub.pace.total.load(Ordering::Relaxed));
    let elapsed = scrub.elapsed();
    let millis = elapsed.map_or(0, |elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
    // What was read before the pass was cut took other time.
    let here = done.saturating_sub(scrub.pace.before.load(Ordering::Relaxed));
    let rate = here.saturating_mul(1000).checked_div(millis).unwrap_or(0);
    let rate_max = Some(scrub.pace.rate.load(Ordering::Relaxed)).filter(|rate| *rate > 0);
    Scrub {
        state: match (elapsed, paused) {
            (Some(_), _) => ScrubState::Running,
            (None, true) => ScrubState::Paused,
            (None, false) => ScrubState::Waiting,
        },
        done_bytes: done,
        total_bytes: total,
        rate,
        rate_max,
        eta_seconds: total.saturating_sub(done).checked_div(rate).filter(|_| elapsed.is_some()),
        age_seconds: last.map(|last| now.since(last.until).as_secs()),
        last: last.map(|last| ScrubResult {
            started: last.started.into(),
            finished: last.until.into(),
            read_bytes: last.done,
            found: last.found,
            proved: last.proved,
        }),
        problem: lock(&scrub.problem).clone(),
    }
}
