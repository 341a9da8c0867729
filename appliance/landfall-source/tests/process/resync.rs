//! The agent against a scripted target: what the target wants again, and resyncs.

use units::{ByteLen, ByteOffset, DiskIndex, Sequence};
use wire::{Resend, ResendTaken, Span};

use crate::scripted::{Bench, LEAF};

const MIB: usize = 1 << 20;

/// A target with a point, of which two leaves rotted: the agent's table knows nothing of it.
fn rotten() -> Bench {
    let bench = Bench::new(&[8 * MIB], 31);
    bench.once(&[]).expect_done();
    {
        let store = &mut *bench.server.store();
        for content in [&mut store.content[0], &mut store.durable_content[0]] {
            content[3 * LEAF] ^= 1;
            content[70 * LEAF + 9] ^= 1;
        }
    }
    bench
}

fn resend() -> Resend {
    let span = |leaf: u64, len: u64| Span {
        disk: DiskIndex(0),
        start: ByteOffset(leaf * LEAF as u64),
        len: ByteLen(len),
    };
    Resend { token: 5, spans: [span(3, 4096), span(70, 512)].into_iter().collect() }
}

#[test]
fn what_the_target_wants_again_is_sent_again() {
    let bench = rotten();
    bench.server.store().resend = Some(resend());
    let run = bench.once(&[]).expect_done();
    assert_eq!(run.number("bytes_changed"), 2 * LEAF as u64);
    let taken = bench.server.store().resends_taken.clone();
    assert!(taken.iter().all(|taken| taken.token == 5 && taken.after > Sequence(0)), "{taken:?}");
    assert!(bench.server.store().markers.last().expect("a point").sequence > taken[0].after);
    bench.assert_identical();
}

#[test]
fn an_agent_killed_after_it_took_a_resend_has_not_forgotten_it() {
    let bench = rotten();
    {
        let store = &mut *bench.server.store();
        (store.resend, store.crash_when_taken) = (Some(resend()), true);
    }
    bench.once_killed_after_crash();
    {
        let store = &mut *bench.server.store();
        assert_eq!(store.resends_taken, Vec::<ResendTaken>::new());
        store.resend = None;
    }
    bench.once(&[]).expect_done();
    bench.assert_identical();
}

#[test]
fn a_resync_is_told_before_anything_of_it_and_only_a_resync_is() {
    let bench = rotten();
    bench.once(&[]).expect_done();
    assert_eq!(bench.server.store().resyncs, [], "a round with a table is none");
    let before = bench.server.store().durable;
    bench.once(&["--resync"]).expect_done();
    assert_eq!(bench.server.store().resyncs, [(before.next(), 0)]);
    let store = bench.server.store();
    assert!(store.durable > before.next(), "a point completes it");
    assert_eq!(std::fs::read(&bench.disks[0]).expect("a disk"), store.durable_content[0]);
}

#[test]
fn a_resync_that_is_cut_goes_on_as_one_and_sends_nothing_twice() {
    let bench = rotten();
    std::fs::remove_file(bench.table()).expect("removed");
    bench.server.store().fuse = Some(4);
    bench.once(&[]).expect_done();
    let store = bench.server.store();
    assert!(
        store.crashes == 1 && store.resyncs.len() <= 2 && !store.resyncs.is_empty(),
        "{:?}",
        store.resyncs
    );
    assert!(store.disk_bytes <= (8 * MIB + 3 * LEAF) as u64, "{} bytes", store.disk_bytes);
    drop(store);
    bench.assert_identical();
}
