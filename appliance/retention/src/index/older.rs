//! Versions 1 and 2 of an index: their points are of no group, and those of version 1 come without moments.

use serde::Deserialize;
use units::{ByteOffset, EpochNumber, Generation, Hash, MachineId, Sequence, Timestamp};
use wire::Consistency;

use super::{EpochIndex, IndexEntry};
use crate::{DecodeError, Moment, Point, envelope};

/// No moments.
const NOTHING_MORE: [u8; 1] = [0];

#[derive(Deserialize)]
struct Index {
    machine: MachineId,
    generation: Generation,
    epoch: EpochNumber,
    first: Sequence,
    last: Sequence,
    closed: Timestamp,
    last_checksum: Hash,
    redo_len: ByteOffset,
    undo_len: ByteOffset,
    entries: Vec<IndexEntry>,
    points: Vec<OldPoint>,
    moments: Vec<Moment>,
}

#[derive(Deserialize)]
struct OldPoint {
    sequence: Sequence,
    time: Timestamp,
    consistency: Consistency,
    label: String,
    roots: Vec<Hash>,
}

/// Decodes the body of an index of version 1 or 2.
pub(super) fn decode(version: u16, body: &[u8]) -> Result<EpochIndex, DecodeError> {
    let older: Index = match version {
        1 => envelope::whole(&[body, &NOTHING_MORE].concat())?,
        _ => envelope::whole(body)?,
    };
    Ok(older.into())
}

impl From<Index> for EpochIndex {
    fn from(older: Index) -> Self {
        Self {
            machine: older.machine,
            generation: older.generation,
            epoch: older.epoch,
            first: older.first,
            last: older.last,
            closed: older.closed,
            last_checksum: older.last_checksum,
            redo_len: older.redo_len,
            undo_len: older.undo_len,
            entries: older.entries,
            points: older.points.into_iter().map(Point::from).collect(),
            moments: older.moments,
        }
    }
}

impl From<OldPoint> for Point {
    fn from(older: OldPoint) -> Self {
        let OldPoint { sequence, time, consistency, label, roots } = older;
        Self { sequence, time, consistency, label, roots, group: None }
    }
}
