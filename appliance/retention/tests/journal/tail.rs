//! Where a log ends: misplaced records, torn tails and damage.

use retention::{BLOCK_LEN, Body, DecodeError, Placement, RECORD_ALIGN, Tail, TailScan, decode_head};
use units::{ByteOffset, EpochNumber, Generation, Hash, MachineId};

use crate::specimen::{batch, marker, placement, record};

const BLOCK: u64 = BLOCK_LEN as u64;

/// A log of whole groups, as the writer makes it.
#[derive(Default)]
struct LogBytes {
    bytes: Vec<u8>,
    previous: Hash,
    starts: Vec<u64>,
}

impl LogBytes {
    /// Appends one group; every record of it knows that everything before the group is durable.
    fn group(self, bodies: &[Body]) -> Self {
        self.group_aligned(bodies, RECORD_ALIGN)
    }

    fn group_aligned(mut self, bodies: &[Body], inside: usize) -> Self {
        let durable = self.bytes.len() as u64;
        for (number, body) in bodies.iter().enumerate() {
            let align = if number + 1 == bodies.len() { BLOCK_LEN } else { inside };
            let at = self.bytes.len() as u64;
            let bytes = record(placement(at, self.previous), durable, 41, body, align);
            self.previous = decode_head(&bytes).unwrap().checksum;
            self.starts.push(at);
            self.bytes.extend(bytes);
        }
        self
    }

    /// Three groups: of two records, of one, of three.
    fn three_groups() -> Self {
        let groups: [&[Body]; 3] = [&[batch(), marker()], &[batch()], &[marker(), batch(), marker()]];
        groups.into_iter().fold(Self::default(), Self::group)
    }
}

fn scan(durable: u64) -> TailScan {
    TailScan::new(placement(0, Hash::default()), Some(Hash::default()), ByteOffset(durable))
}

/// Reads a log as recovery does: record by record, then block by block for proof.
fn read(log: &[u8], durable: u64) -> (TailScan, Tail) {
    let mut scan = scan(durable);
    let cause = loop {
        let rest = log.get(scan.next().0 as usize..).unwrap_or_default();
        match scan.check(rest) {
            Ok(head) => scan.accept(&head),
            Err(cause) => break cause,
        }
    };
    let behind = (scan.next().0 / BLOCK + 1) * BLOCK;
    let blocks = (behind..log.len() as u64).step_by(BLOCK_LEN);
    let proven = blocks.into_iter().any(|at| scan.proves_damage(ByteOffset(at), &log[at as usize..]));
    let tail = scan.conclude(cause, proven);
    (scan, tail)
}

#[test]
fn a_whole_log_ends_where_its_last_record_does() {
    let log = LogBytes::three_groups();
    let end = log.bytes.len() as u64;
    let (scan, tail) = read(&log.bytes, 0);
    assert_eq!(tail, Tail::At(ByteOffset(end)));
    assert_eq!(scan.previous(), Some(log.previous));
    assert_eq!(scan.durable(), ByteOffset(log.starts[3]), "the last group's start");
    let longer = [log.bytes.as_slice(), &[0; 3 * BLOCK_LEN]].concat();
    assert_eq!(read(&longer, end).1, Tail::At(ByteOffset(end)), "blank blocks follow");
}

#[test]
fn an_empty_log_ends_at_its_start_unless_it_is_known_to_have_held_something() {
    assert_eq!(read(&[], 0).1, Tail::At(ByteOffset(0)));
    let damaged = Tail::Damaged { at: ByteOffset(0), cause: DecodeError::Blank };
    assert_eq!(read(&[0; BLOCK_LEN], BLOCK).1, damaged);
}

#[test]
fn a_misplaced_record_is_refused_with_what_is_wrong() {
    let here = placement(8192, Hash([7; 32]));
    let scan = TailScan::new(here, Some(here.previous), ByteOffset(0));
    let refusal = |placement: Placement| scan.check(&record(placement, 0, 41, &batch(), 64));
    assert!(refusal(here).is_ok());
    let elsewhere = [
        ("machine", Placement { machine: MachineId([0xa2; 16]), ..here }),
        ("generation", Placement { generation: Generation(2), ..here }),
        ("generation", Placement { generation: Generation(4), ..here }),
        ("epoch", Placement { epoch: EpochNumber(6), ..here }),
        ("position", Placement { position: ByteOffset(4096), ..here }),
        ("position", Placement { position: ByteOffset(12288), ..here }),
        ("predecessor", Placement { previous: Hash([8; 32]), ..here }),
    ];
    for (what, placement) in elsewhere {
        match refusal(placement) {
            Err(DecodeError::Misplaced { what: found, found: a, expected: b }) => {
                assert_eq!(found, what);
                assert_ne!(a, b, "{what}");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
    let message = refusal(Placement { epoch: EpochNumber(6), ..here }).expect_err("refused").to_string();
    assert_eq!(message, "written for another epoch: found 6, expected 7");
}

#[test]
fn an_unknown_predecessor_is_taken_and_binds_the_next() {
    let log = LogBytes::default().group(&[batch(), marker()]);
    let mut scan = TailScan::new(placement(0, Hash::default()), None, ByteOffset(0));
    let first = scan.check(&log.bytes).unwrap();
    assert_eq!(scan.next(), ByteOffset(0), "a check does not move");
    scan.accept(&first);
    assert_eq!(scan.previous(), Some(first.checksum));
    assert!(scan.check(&log.bytes[first.record_len..]).is_ok());
    let stranger = record(placement(first.end().0, Hash([9; 32])), 0, 42, &marker(), 64);
    assert!(matches!(scan.check(&stranger), Err(DecodeError::Misplaced { what: "predecessor", .. })));
}

#[test]
fn a_group_torn_anywhere_is_a_tail_and_not_damage() {
    let log = LogBytes::three_groups();
    let group = log.starts[3] as usize;
    // The last group was never flushed: any of its sectors may be missing.
    let sectors = (log.bytes.len() - group) / 512;
    for mask in 0..1u32 << sectors.min(12) {
        let mut torn = log.bytes.clone();
        for sector in (0..sectors).filter(|sector| mask >> (sector % 12) & 1 == 1) {
            torn[group + sector * 512..][..512].fill(0);
        }
        let (scan, tail) = read(&torn, log.starts[3]);
        assert_eq!(tail, Tail::At(scan.next()), "mask {mask:b}");
        assert!(scan.next() >= ByteOffset(group as u64), "nothing that was durable is cut off");
    }
}

#[test]
fn whole_records_of_the_torn_group_itself_prove_nothing() {
    let log = LogBytes::default().group(&[batch()]);
    // Each record of the last group begins at a block, where proof is looked for.
    let log = log.group_aligned(&[batch(), marker(), batch(), marker()], BLOCK_LEN);
    for &at in &log.starts[1..] {
        let mut torn = log.bytes.clone();
        torn[at as usize..][..512].fill(0);
        assert_eq!(read(&torn, 0).1, Tail::At(ByteOffset(at)), "record at {at}");
        assert_eq!(read(&torn, log.starts[1]).1, Tail::At(ByteOffset(at)), "record at {at}");
    }
}

#[test]
fn damage_below_a_later_group_is_never_cut_off() {
    let log = LogBytes::three_groups();
    for (number, &at) in log.starts.iter().enumerate() {
        let mut rotten = log.bytes.clone();
        rotten[at as usize + 100] ^= 4;
        let (_, tail) = read(&rotten, 0);
        let damaged =
            matches!(tail, Tail::Damaged { at: found, cause: DecodeError::Checksum { .. } } if found.0 == at);
        assert_eq!(damaged, number < 3, "record {number}: {tail:?}");
        assert!(damaged || tail == Tail::At(ByteOffset(at)));
    }
}

#[test]
fn a_mark_kept_elsewhere_makes_a_missing_record_damage() {
    let log = LogBytes::three_groups();
    let (cut, end) = (log.starts[3], log.bytes.len() as u64);
    let short = &log.bytes[..cut as usize];
    assert!(matches!(read(short, 0).1, Tail::At(at) if at.0 == cut));
    assert!(matches!(read(short, cut).1, Tail::At(at) if at.0 == cut));
    assert!(matches!(read(short, end).1, Tail::Damaged { at, .. } if at.0 == cut));
}

#[test]
fn a_record_that_claims_more_to_be_durable_than_can_be_read_turns_the_tail_into_damage() {
    let log = LogBytes::three_groups();
    let mut cut = log.bytes.clone();
    // The second group vanishes; the third proves that it was durable.
    let (from, to) = (log.starts[2] as usize, log.starts[3] as usize);
    cut[from..to].fill(0);
    let expected = Tail::Damaged { at: ByteOffset(log.starts[2]), cause: DecodeError::Blank };
    assert_eq!(read(&cut, 0).1, expected);
}

#[test]
fn left_overs_of_a_torn_group_prove_nothing_about_the_group_written_over_it() {
    let first = LogBytes::default().group(&[batch()]);
    let stale =
        LogBytes { bytes: first.bytes.clone(), ..first }.group(&[batch(), batch(), batch(), marker()]);
    let first = LogBytes::default().group(&[batch()]);
    let group = first.bytes.len();
    let fresh = first.group(&[marker()]);
    let mut log = stale.bytes.clone();
    log[..fresh.bytes.len()].copy_from_slice(&fresh.bytes);
    assert_eq!(read(&log, 0).1, Tail::At(ByteOffset(fresh.bytes.len() as u64)));
    log[group + 10] ^= 1;
    assert_eq!(read(&log, 0).1, Tail::At(ByteOffset(group as u64)));
}

#[test]
fn records_of_others_prove_nothing() {
    let scan = scan(0);
    let proves = |placement| scan.proves_damage(ByteOffset(8192), &record(placement, 8192, 41, &batch(), 64));
    let here = placement(8192, Hash([1; 32]));
    assert!(proves(here), "its predecessor can't be known");
    assert!(!proves(Placement { machine: MachineId([0xa2; 16]), ..here }));
    assert!(!proves(Placement { generation: Generation(2), ..here }));
    assert!(!proves(Placement { epoch: EpochNumber(6), ..here }));
    assert!(!proves(Placement { position: ByteOffset(4096), ..here }));
    assert!(!scan.proves_damage(ByteOffset(8192), &[0; BLOCK_LEN]));
    assert!(!scan.proves_damage(ByteOffset(8192), &[]));
}
