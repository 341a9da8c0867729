//! Fixed values whose bytes are golden, and ways to damage bytes.

use retention::{
    Afterwards, BatchBody, BeforeBody, Body, Damage, DamagedPlace, EpochIndex, EpochRun, Head, HeadDisk,
    Lifecycle, Log, Pin, Placement, Policy, Record, RecordHead, WhenFull, decode_body, decode_head, encode,
};
use units::{ByteLen, ByteOffset, DiskIndex, EpochNumber, Generation, Hash, MachineId, Sequence, Timestamp};
use wire::{Consistency, Encoding, Extent, GroupMark, Marker};

pub(crate) const MACHINE: MachineId = MachineId([0xa1; 16]);
pub(crate) const GENERATION: Generation = Generation(3);
pub(crate) const EPOCH: EpochNumber = EpochNumber(7);
pub(crate) const TIME: Timestamp = Timestamp(1_763_676_187_000_250);
const RAW_LEN: usize = 512;
const ZSTD_LEN: usize = 100;

pub(crate) fn placement(position: u64, previous: Hash) -> Placement {
    Placement {
        machine: MACHINE,
        generation: GENERATION,
        epoch: EPOCH,
        position: ByteOffset(position),
        previous,
    }
}

/// The payload of [`extents`]: what is raw, then bytes that stand for a zstd frame.
pub(crate) fn payload() -> Vec<u8> {
    (0..RAW_LEN + ZSTD_LEN).map(|at| (at * 7 % 251) as u8).collect()
}

/// One extent of each encoding.
pub(crate) fn extents() -> Vec<Extent> {
    let bytes = payload();
    let (raw, zstd) = bytes.split_at(RAW_LEN);
    let hash = |bytes: &[u8]| Hash::from(blake3::hash(bytes));
    let extent = |disk, start, len, encoding| Extent {
        disk: DiskIndex(disk),
        start: ByteOffset(start),
        len: ByteLen(len),
        encoding,
    };
    vec![
        extent(0, 40960, RAW_LEN as u64, Encoding::Raw { hash: hash(raw) }),
        extent(1, 65536, 65536, Encoding::Zstd { encoded_len: ZSTD_LEN as u32, hash: hash(zstd) }),
        extent(2, 4096, 1 << 20, Encoding::Zero),
    ]
}

pub(crate) fn batch() -> Body {
    Body::Batch(BatchBody { sequence: Sequence(41), time: TIME, extents: extents() })
}

pub(crate) fn before() -> Body {
    Body::Before(BeforeBody { extents: extents() })
}

pub(crate) fn marker() -> Body {
    Body::Marker(Box::new(Marker {
        sequence: Sequence(42),
        time: TIME,
        consistency: Consistency::Application,
        label: heapless::String::try_from("before the upgrade").unwrap(),
        roots: [Hash([1; 32]), Hash([2; 32]), Hash([3; 32])].into_iter().collect(),
        group: Some(GroupMark { group: "shop".parse().unwrap(), number: 1_795_183_387_000_000 }),
    }))
}

/// The marker as versions before group points had it.
pub(crate) fn older_marker() -> Body {
    match marker() {
        Body::Marker(marker) => Body::Marker(Box::new(Marker { group: None, ..*marker })),
        _ => unreachable!("a marker is one"),
    }
}

/// A record's bytes, padded to `align`.
pub(crate) fn record(
    placement: Placement,
    durable_len: u64,
    sequence: u64,
    body: &Body,
    align: usize,
) -> Vec<u8> {
    let payload = if matches!(body, Body::Marker(_)) { Vec::new() } else { payload() };
    let record = Record {
        placement,
        sequence: Sequence(sequence),
        durable_len: ByteOffset(durable_len),
        received: Timestamp(TIME.0 + 1),
        body,
        payload: &payload,
    };
    let mut bytes = Vec::new();
    let head = encode(&record, align, |part| bytes.extend_from_slice(part));
    assert_eq!(bytes.len(), head.record_len);
    assert_eq!(decode_head(&bytes), Ok(head));
    bytes
}

pub(crate) fn parts(record: &[u8]) -> (RecordHead, Body) {
    let head = decode_head(record).unwrap();
    let body = decode_body(&head, &record[retention::RECORD_HEADER_LEN..]).unwrap();
    (head, body)
}

/// The records every golden file is about.
pub(crate) fn golden_records() -> [(&'static str, Body, Vec<u8>); 3] {
    let place = placement(8192, Hash([0x5c; 32]));
    [("batch", batch(), 41), ("marker", marker(), 42), ("before", before(), 41)]
        .map(|(name, body, sequence)| (name, body.clone(), record(place, 4096, sequence, &body, 64)))
}

pub(crate) fn head(revision: u64, lifecycle: Lifecycle) -> Head {
    let disk = |path: &str, file, len| HeadDisk {
        path: path.to_owned(),
        identity: "wwid naa.600508b1001c".to_owned(),
        file,
        device_len: ByteLen::gib(2),
        len: ByteLen(len),
    };
    Head {
        revision,
        machine: MACHINE,
        name: "web-01.example".parse().unwrap(),
        generation: GENERATION,
        disks: vec![disk("/dev/sdb", false, 2 << 30), disk("/srv/disk.img", true, 1536)],
        lifecycle,
        applied: Sequence(40),
        oldest_epoch: EpochNumber(5),
        base: Sequence(17),
        policy: Some(policy()),
        pins: vec![pin(Some(TIME)), pin(None)],
        damage: damage(),
        thinned: vec![EpochRun { first: EpochNumber(6), last: EpochNumber(9) }],
        joined: vec![EpochRun { first: EpochNumber(6), last: EpochNumber(8) }],
    }
}

pub(crate) fn policy() -> Policy {
    Policy { window_seconds: 7200, when_full: WhenFull::Thin, budget: ByteLen::gib(40), ..Policy::default() }
}

fn pin(expires: Option<Timestamp>) -> Pin {
    Pin { sequence: Sequence(21), expires, note: "before the upgrade".to_owned() }
}

/// Damage of each place.
fn damage() -> Vec<Damage> {
    let (epoch, position) = (EpochNumber(6), ByteOffset(8192));
    let at = |place, last| Damage {
        disk: DiskIndex(1),
        start: ByteOffset(65536),
        len: ByteLen(4096),
        place,
        first: Sequence(19),
        last,
        found: TIME,
    };
    vec![
        at(DamagedPlace::Target, None),
        at(DamagedPlace::Redo { epoch, position }, Some(Sequence(20))),
        at(DamagedPlace::Undo { epoch, position }, Some(Sequence(22))),
    ]
}

/// A head in each state a replica can be in.
pub(crate) fn heads() -> Vec<Head> {
    let through = vec![ByteOffset(1 << 20), ByteOffset(0)];
    [
        Lifecycle::Registered,
        Lifecycle::Seeding { through, blank: true },
        Lifecycle::Protected,
        Lifecycle::Rewinding { low: Sequence(20), to: Sequence(21), then: Afterwards::Stand },
        Lifecycle::Rewinding { low: Sequence(20), to: Sequence(40), then: Afterwards::Replicate },
        Lifecycle::Rewound { at: Sequence(21) },
        Lifecycle::Committed { at: Sequence(21) },
        Lifecycle::Original { found: Timestamp(1_795_183_387_000_000) },
    ]
    .into_iter()
    .zip(1..)
    .map(|(lifecycle, revision)| head(revision, lifecycle))
    .collect()
}

/// An index with an extent of each encoding in both logs, and a point.
pub(crate) fn index() -> EpochIndex {
    let mut index = EpochIndex::empty(MACHINE, GENERATION, EPOCH, Sequence(41));
    let mut redo = Vec::new();
    for (body, sequence) in [(batch(), 41), (marker(), 42)] {
        let previous = redo.last().map_or(Hash([0x5c; 32]), |head: &RecordHead| head.checksum);
        let at = redo.last().map_or(0, |head: &RecordHead| head.end().0);
        let bytes = record(placement(at, previous), 0, sequence, &body, 64);
        let (head, body) = parts(&bytes);
        index.add(Log::Redo, &head.place(), &body);
        redo.push(head);
    }
    let (head, body) = parts(&record(placement(0, Hash::default()), 0, 41, &before(), 4096));
    index.add(Log::Undo, &head.place(), &body);
    index.sort();
    index
}

/// Checks that `found` are the bytes of the golden file `name`.
pub(crate) fn assert_golden(name: &str, found: &[u8], golden: &str) {
    let lines =
        found.chunks(32).map(|line| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let found: Vec<String> = lines.collect();
    let golden: Vec<&str> = golden.lines().collect();
    assert!(
        found == golden,
        "{name} is no longer what FORMAT.md says; its bytes are now:\n{}",
        found.join("\n")
    );
}

/// Calls `try_it` with every bit of `bytes[range]` flipped in turn, and the number of the flipped byte.
pub(crate) fn each_bit_flip(
    bytes: &[u8],
    range: std::ops::Range<usize>,
    mut try_it: impl FnMut(usize, &[u8]),
) {
    let mut flipped = bytes.to_vec();
    for at in range {
        for bit in 0..8 {
            flipped[at] ^= 1 << bit;
            try_it(at, &flipped);
            flipped[at] ^= 1 << bit;
        }
    }
}

/// Returns the bytes of a golden file.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let lines = text.lines().flat_map(|line| line.as_bytes().chunks(2));
    lines.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
