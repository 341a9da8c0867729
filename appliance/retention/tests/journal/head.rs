//! The head file: its bytes, its four copies, and the slots they go to.

use retention::{COPIES, DecodeError, HEAD_LEN_MAX, Head, Lifecycle, SmallFile as _};
use units::Sequence;

use crate::specimen::{assert_golden, each_bit_flip, head, heads, unhex};

/// A head file in memory.
struct HeadFile {
    bytes: Vec<u8>,
}

impl HeadFile {
    fn new() -> Self {
        Self { bytes: vec![0; COPIES as usize * HEAD_LEN_MAX] }
    }

    fn write_slot(&mut self, slot: usize, head: &Head, upto: usize) {
        let at = Head::slots(head.revision)[slot].0 as usize;
        let bytes = head.encode();
        let upto = upto.min(bytes.len());
        self.bytes[at..at + upto].copy_from_slice(&bytes[..upto]);
    }

    fn write(&mut self, head: &Head) {
        (0..2).for_each(|slot| self.write_slot(slot, head, usize::MAX));
    }

    fn damage(&mut self, revision: u64, slot: usize) {
        self.bytes[Head::slots(revision)[slot].0 as usize + 60] ^= 1;
    }

    fn choose(&self) -> Result<Head, DecodeError> {
        Head::choose(self.bytes.chunks(HEAD_LEN_MAX).map(Head::decode).collect())
    }
}

fn at(revision: u64) -> Head {
    head(revision, Lifecycle::Rewound { at: Sequence(revision) })
}

#[test]
fn heads_have_the_bytes_of_the_format_and_survive_being_written() {
    let all: Vec<u8> = heads().iter().flat_map(Head::encode).collect();
    assert_golden("head", &all, include_str!("golden/head.hex"));
    for head in heads() {
        let mut padded = head.encode();
        assert_eq!(Head::decode(&padded), Ok(head.clone()));
        padded.resize(HEAD_LEN_MAX, 0xee);
        assert_eq!(Head::decode(&padded), Ok(head));
    }
}

#[test]
fn heads_of_older_versions_are_heads_without_what_those_lack() {
    let older = |golden: &str, lacks: fn(Head) -> Head| {
        let mut rest: &[u8] = &unhex(golden);
        // Older versions had fewer lifecycles: those at the end of the list came later.
        for head in heads() {
            if rest.is_empty() {
                break;
            }
            assert_eq!(Head::decode(rest), Ok(lacks(head)));
            rest = &rest[48 + usize::from(rest[8]) + 256 * usize::from(rest[9])..];
        }
        assert!(rest.is_empty());
    };
    older(include_str!("golden/head-3.hex"), |head| Head { joined: Vec::new(), ..head });
    older(include_str!("golden/head-2.hex"), |head| {
        let (thinned, joined) = (Vec::new(), Vec::new());
        Head { thinned, joined, ..head }
    });
    older(include_str!("golden/head-1.hex"), |head| {
        let (pins, damage, thinned, joined) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Head { policy: None, pins, damage, thinned, joined, ..head }
    });
}

#[test]
fn every_flipped_bit_of_a_head_is_refused_for_what_it_hits() {
    for head in heads() {
        let mut bytes = head.encode();
        let len = bytes.len();
        bytes.resize(4096, 0);
        each_bit_flip(&bytes, 0..len, |at, flipped| {
            let right = match (at, Head::decode(flipped)) {
                (0..4, Err(DecodeError::Magic { .. })) => true,
                // An older version, under a checksum that is not its.
                (4..6, Err(DecodeError::Version { .. } | DecodeError::Checksum { .. })) => true,
                (6..8, Err(DecodeError::Reserved)) => true,
                (8..16, Err(DecodeError::Short { .. } | DecodeError::Checksum { .. })) => true,
                (16.., Err(DecodeError::Checksum { part: "file" })) => true,
                (_, other) => panic!("byte {at}: {other:?}"),
            };
            assert!(right);
        });
    }
}

#[test]
fn every_truncation_of_a_head_is_refused() {
    for head in heads() {
        let bytes = head.encode();
        for len in 0..bytes.len() {
            assert!(
                matches!(Head::decode(&bytes[..len]), Err(DecodeError::Short { found, .. }) if found == len)
            );
        }
    }
}

#[test]
fn a_blank_head_file_is_told_from_a_damaged_one() {
    let mut file = HeadFile::new();
    assert_eq!(file.choose(), Err(DecodeError::Blank));
    file.write(&at(1));
    file.damage(1, 0);
    file.damage(1, 1);
    assert_eq!(
        file.choose(),
        Err(DecodeError::Checksum { part: "file" }),
        "two damaged copies, two blank ones"
    );
    let mut file = HeadFile::new();
    file.write(&at(2));
    file.damage(2, 0);
    file.damage(2, 1);
    assert_eq!(file.choose(), Err(DecodeError::Checksum { part: "file" }), "in the first slots as well");
}

#[test]
fn no_copies_are_refused() {
    assert!(Head::choose(Vec::new()).is_err());
}

#[test]
fn damage_to_any_one_copy_of_each_revision_loses_nothing() {
    for revision in 2..6 {
        let mut file = HeadFile::new();
        (1..=revision).for_each(|each| file.write(&at(each)));
        assert_eq!(file.choose(), Ok(at(revision)));
        for (newest, older) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let mut file = HeadFile { bytes: file.bytes.clone() };
            file.damage(revision, newest);
            assert_eq!(file.choose(), Ok(at(revision)), "one copy of the newest");
            file.damage(revision - 1, older);
            assert_eq!(file.choose(), Ok(at(revision)), "one of each");
            file.damage(revision - 1, 1 - older);
            assert_eq!(file.choose(), Ok(at(revision)), "three");
        }
        file.damage(revision, 0);
        file.damage(revision, 1);
        assert_eq!(file.choose(), Ok(at(revision - 1)), "both copies of the newest");
    }
}

#[test]
fn a_write_cut_anywhere_leaves_the_old_head_or_the_new_one() {
    let mut file = HeadFile::new();
    file.write(&at(8));
    let len = at(9).encode().len();
    for cut in 0..=2 * len {
        let mut file = HeadFile { bytes: file.bytes.clone() };
        file.write_slot(0, &at(9), cut);
        file.write_slot(1, &at(9), cut.saturating_sub(len));
        let expected = if cut >= len { at(9) } else { at(8) };
        assert_eq!(file.choose(), Ok(expected), "cut after {cut} bytes");
    }
}

#[test]
fn a_revision_never_goes_to_the_slots_of_the_one_before() {
    let positions = |revision| Head::slots(revision).map(|at| at.0);
    for revision in [0, 1, 2, 3, 1 << 40, u64::MAX - 1] {
        let (now, next) = (positions(revision), positions(revision + 1));
        assert!(now.iter().all(|at| !next.contains(at)), "revision {revision}");
        for at in now {
            assert!(at.is_multiple_of(HEAD_LEN_MAX as u64) && at / (HEAD_LEN_MAX as u64) < COPIES);
        }
    }
}
