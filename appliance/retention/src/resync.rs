//! A resync in a machine's history: from the marker that begins it to the first point that is as good as what was there before.
//!
//! In between the target disks change from an earlier state to the present one, so that no sequence in it is a state the machine
//! ever had; points that end a scan of disks that were being written are no end of it either.

use units::{Sequence, Timestamp};
use wire::Consistency;

use crate::Point;

/// A resync that has begun and not completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resync {
    /// The sequence of its first marker.
    pub since: Sequence,
    /// When it began, by the source's clock.
    pub time: Timestamp,
    /// What a point must be to complete it. `Crash`, unless the machine was never at rest before it either: then a fuzzy one will do.
    pub needs: Consistency,
}

impl Resync {
    /// Begins one behind the newest point.
    pub(crate) fn begin(mark: &Point, newest: Option<&Point>) -> Self {
        let needs = newest.map_or(Consistency::Crash, |point| point.consistency.min(Consistency::Crash));
        Self { since: mark.sequence, time: mark.time, needs }
    }

    /// Tells whether a later point completes it.
    pub(crate) fn is_completed_by(&self, point: &Point) -> bool {
        point.consistency >= self.needs
    }
}
