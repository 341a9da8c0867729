//! What must hold whenever something is said: one check for each invariant of a session, named after it.

use target::replica::State;
use units::Sequence;
use wire::Consistency;

use super::oracle::Oracle;

/// An ack, or a resume point, is of what this very machine has durable. Notes it as told.
pub(crate) fn i1_ack(machine: usize, upto: Sequence, state: &State, oracle: &mut Oracle) {
    let durable = state.durable;
    assert!(upto <= durable, "I1: machine {machine} was acked up to {upto}, {durable} is durable");
    let sent = oracle.sent();
    assert!(upto.0 <= sent, "I1: machine {machine} was acked up to {upto}, it sent {sent}");
    oracle.acked = oracle.acked.max(upto.0);
}

/// Every recovery point that is durable is listed, unless it is given up; in the order of sequences, and with times that never go
/// back, however clocks were set.
pub(crate) fn i2_listed(machine: usize, state: &State, oracle: &Oracle) {
    let listed: Vec<_> = state.timeline.points().map(|point| (point.sequence, point.time)).collect();
    let ordered = listed.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
    assert!(ordered, "I2: the points of machine {machine} are out of order: {listed:?}");
    for (sequence, consistency) in &oracle.markers {
        let sequence = Sequence(*sequence);
        let there =
            sequence > state.base && sequence <= state.durable && state.thinned_at(sequence).is_none();
        let is_listed = listed.binary_search_by_key(&sequence, |(listed, _)| *listed).is_ok();
        let wanted = there && *consistency > Consistency::Resync;
        assert!(!wanted || is_listed, "I2: point {sequence} of machine {machine} is durable and not listed");
    }
}

/// What policy keeps is there, however clocks were set: the history reaches back to what was durable when the window began.
pub(crate) fn i3_kept(machine: usize, base: Sequence, durable_then: Sequence) {
    assert!(
        base <= durable_then,
        "I3: the history of machine {machine} begins at {base}, {durable_then} is within the window"
    );
}

/// When a source is told where to go on, nothing of an earlier session can still arrive.
pub(crate) fn i7_nothing_on_its_way(durable: Sequence, state: &State) {
    let received = state.received;
    assert_eq!(durable, received, "I7: a source goes on behind {durable} while {received} was received");
}

/// No peer has more payload under way than it was allowed.
pub(crate) fn i8_bounded(taken: u64, credited: u64) {
    assert!(taken <= credited, "I8: {taken} payload bytes were taken, {credited} were credited");
}

/// A generation that is over is never let in again.
pub(crate) fn i11_fencing(is_fenced: bool) {
    assert!(!is_fenced, "I11: an older generation was let in");
}
