//! A scratch against a plain copy of its image, and its room against what is kept.

use super::*;

const GRANULES: usize = 40;
/// The last granule is short.
const LEN: usize = GRANULES * 4096 - 1024;

/// An image in memory whose every third granule is zero.
struct Below(Vec<u8>);

impl Export for Below {
    fn len(&self) -> ByteLen {
        ByteLen(self.0.len() as u64)
    }

    fn read(&self, at: ByteOffset, into: &mut [u8]) -> Result<(), ExportError> {
        let start = at.0 as usize;
        into.copy_from_slice(&self.0[start..start + into.len()]);
        Ok(())
    }

    /// One granule at a time, as is lawful.
    fn status(&self, at: ByteOffset, len: ByteLen) -> Result<Vec<Span>, ExportError> {
        let zero = self.0[at.0 as usize] == 0;
        let allocation = if zero { Allocation::Zero } else { Allocation::Data };
        Ok(vec![Span { len: ByteLen(len.0.min(4096)), allocation }])
    }
}

fn below() -> Vec<u8> {
    (0..LEN).map(|at| if at / 4096 % 3 == 0 { 0 } else { 0xbb }).collect()
}

fn scratch(limit: u64) -> (Scratch, Arc<ScratchRoom>) {
    let room = ScratchRoom::new(ByteLen(limit));
    let scratch = Scratch::over(Arc::new(Below(below())), &std::env::temp_dir(), Arc::clone(&room));
    (scratch.expect("a temporary file"), room)
}

/// Returns a random run of granules, from a counter.
fn run(turn: u64) -> (usize, usize) {
    let mixed = (turn + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let first = (mixed >> 20) as usize % GRANULES;
    let count = 1 + (mixed >> 40) as usize % 6;
    (first * 4096, ((first + count) * 4096).min(LEN))
}

#[test]
fn a_scratch_reads_as_a_copy_that_was_written() {
    let (scratch, room) = scratch(LEN as u64);
    let mut copy = below();
    for turn in 0..500_u64 {
        let (start, end) = run(turn);
        let (at, len) = (ByteOffset(start as u64), ByteLen((end - start) as u64));
        if turn % 3 == 0 {
            scratch.zero(at, len).expect("zeroed");
            copy[start..end].fill(0);
        } else {
            copy[start..end].fill(turn as u8 | 1);
            scratch.write(at, &copy[start..end]).expect("there is room for all of it");
        }
        let mut read = vec![0; LEN];
        scratch.read(ByteOffset(0), &mut read).expect("read");
        assert!(read == copy, "turn {turn}");
        check_status(&scratch, &copy);
    }
    let kept = room.used();
    assert!(kept > ByteLen::ZERO && kept.0 <= LEN as u64);
    drop(scratch);
    assert_eq!(room.used(), ByteLen::ZERO, "all room is given back");
}

/// What is told to be zero is zero, and nothing is left out.
fn check_status(scratch: &Scratch, copy: &[u8]) {
    let mut at = 0;
    while at < LEN {
        let told = scratch.status(ByteOffset(at as u64), ByteLen((LEN - at) as u64)).expect("told");
        assert!(!told.is_empty());
        for span in told {
            let end = at + span.len.as_usize();
            let zero = copy[at..end].iter().all(|byte| *byte == 0);
            assert!(zero || span.allocation == Allocation::Data, "{at} to {end}");
            at = end;
        }
    }
    assert_eq!(at, LEN);
}

#[test]
fn a_full_scratch_changes_nothing_and_has_room_again_for_zeroes() {
    let (scratch, room) = scratch(2 * 4096);
    scratch.write(ByteOffset(0), &[1; 8192]).expect("there is room");
    let refused = scratch.write(ByteOffset(4096), &[2; 8192]);
    assert!(matches!(refused, Err(ExportError::Full { limit: ByteLen(8192) })));
    let mut read = vec![0; 8192];
    scratch.read(ByteOffset(0), &mut read).expect("read");
    assert_eq!(read, [1; 8192], "a refused write changes nothing");
    scratch.write(ByteOffset(4096), &[3; 4096]).expect("what is kept already takes no room");
    scratch.zero(ByteOffset(0), ByteLen(4096)).expect("zeroes take none");
    assert_eq!(room.used(), ByteLen(4096));
    scratch.write(ByteOffset(8192), &[4; 4096]).expect("there is room again");
}
