//! One message of each kind, with values that make every byte of the encoding visible.

use units::{ByteLen, ByteOffset, DiskIndex, Generation, Hash, LeafIndex, Sequence, Timestamp};
use wire::{
    Batch, Changed, ChangedQuery, Consistency, Credit, DiskShape, Durable, Encoding, Extent, GranuleQuery,
    Granules, GroupMark, HashQuery, Hello, Marker, Message, Phase, PointWanted, RefusalCode, Refused, Resend,
    ResendTaken, Seed, SeedDurable, SeedSync, Span, Welcome,
};

/// Every message by the name of its golden file, and the length of its payload.
pub(crate) fn samples() -> Vec<(&'static str, Message, usize)> {
    let query = HashQuery { disk: DiskIndex(1), first: LeafIndex(300), count: 3 };
    vec![
        ("00-hello", hello(), 0),
        ("01-welcome-seeding", welcome_seeding(), 0),
        ("01-welcome-protected", welcome_protected(), 0),
        ("02-batch", batch(), 4096 + 77),
        ("03-marker", marker(), 0),
        ("03-marker-group", marker_group(), 0),
        ("03-marker-resync", marker_resync(), 0),
        ("04-seed", Message::Seed(Box::new(Seed { extents: extents().into_iter().collect() })), 4096 + 77),
        ("05-seed-sync", seed_sync(), 0),
        ("06-seed-durable", Message::SeedDurable(SeedDurable { token: 7 }), 0),
        ("07-durable", Message::Durable(Durable { upto: Sequence(128) }), 0),
        ("08-applied", Message::Applied(wire::Applied { upto: Sequence(u64::MAX) }), 0),
        ("09-credit", Message::Credit(Credit { upto: 64 << 20 }), 0),
        ("10-hash-query", Message::HashQuery(query), 0),
        ("11-hashes", Message::Hashes(query), 96),
        ("12-changed-query", Message::ChangedQuery(ChangedQuery { since: Sequence(5) }), 0),
        ("13-changed-spans", changed(), 0),
        ("13-changed-unknown", Message::Changed(Box::new(Changed::Unknown)), 0),
        ("14-ping", Message::Ping, 0),
        ("15-pong", Message::Pong, 0),
        ("16-goodbye", Message::Goodbye, 0),
        ("17-refused", refused(), 0),
        ("18-resend", resend(), 0),
        ("20-granule-query", granule_query(), 0),
        ("21-granules", Message::Granules(Granules { token: 11, count: 33 }), 33 * 32),
        ("22-point-wanted", Message::PointWanted(PointWanted { consistency: Consistency::Application }), 0),
        ("19-resend-taken", Message::ResendTaken(ResendTaken { token: 9, after: Sequence(302) }), 0),
    ]
}

/// The disks the samples are lawful for.
pub(crate) fn disks() -> Vec<DiskShape> {
    vec![DiskShape { len: ByteLen::gib(1) }, DiskShape { len: ByteLen((64 << 20) + 512) }]
}

/// Three extents, one of each encoding.
pub(crate) fn extents() -> [Extent; 3] {
    [
        Extent {
            disk: DiskIndex(0),
            start: ByteOffset(4096),
            len: ByteLen(4096),
            encoding: Encoding::Raw { hash: Hash([0xaa; 32]) },
        },
        Extent {
            disk: DiskIndex(0),
            start: ByteOffset(8192),
            len: ByteLen(1 << 20),
            encoding: Encoding::Zero,
        },
        Extent {
            disk: DiskIndex(1),
            start: ByteOffset(64 << 20),
            len: ByteLen(512),
            encoding: Encoding::Zstd { encoded_len: 77, hash: Hash([0xbb; 32]) },
        },
    ]
}

fn hello() -> Message {
    Message::Hello(Box::new(Hello {
        machine: "web-01".parse().expect("a lawful name"),
        generation: Generation(1),
        session: [0x5e; 16],
        connection: 1,
        connections: 4,
        acked: Sequence(300),
        disks: disks().into_iter().collect(),
        software: "landfall 0.1.0".try_into().expect("short enough"),
    }))
}

fn welcome_seeding() -> Message {
    Message::Welcome(Box::new(Welcome {
        generation: Generation(1),
        phase: Phase::Seeding {
            through: [ByteOffset(65536), ByteOffset(0)].into_iter().collect(),
            blank: true,
        },
        durable: Sequence(0),
        credit: 16 << 20,
        software: "landfall 0.1.0".try_into().expect("short enough"),
    }))
}

fn welcome_protected() -> Message {
    Message::Welcome(Box::new(Welcome {
        generation: Generation(2),
        phase: Phase::Protected { last_marker: Sequence(299) },
        durable: Sequence(300),
        credit: 16 << 20,
        software: "".try_into().expect("short enough"),
    }))
}

fn batch() -> Message {
    let time = Timestamp(1_795_183_387_000_000);
    Message::Batch(Box::new(Batch {
        sequence: Sequence(301),
        time,
        extents: extents().into_iter().collect(),
    }))
}

fn marker() -> Message {
    Message::Marker(Box::new(Marker {
        sequence: Sequence(302),
        time: Timestamp(1_795_183_387_000_001),
        consistency: Consistency::Crash,
        label: "nightly".try_into().expect("short enough"),
        roots: [Hash([0xcc; 32]), Hash([0xdd; 32])].into_iter().collect(),
        group: None,
    }))
}

fn marker_group() -> Message {
    let group = GroupMark { group: "shop".parse().expect("lawful"), number: 1_795_183_387_000_000 };
    match marker() {
        Message::Marker(marker) => Message::Marker(Box::new(Marker { group: Some(group), ..*marker })),
        other => other,
    }
}

fn marker_resync() -> Message {
    Message::Marker(Box::new(Marker {
        sequence: Sequence(303),
        time: Timestamp(1_795_183_387_000_002),
        consistency: Consistency::Resync,
        label: heapless::String::new(),
        roots: heapless::Vec::new(),
        group: None,
    }))
}

fn seed_sync() -> Message {
    Message::SeedSync(SeedSync { token: 7, disk: DiskIndex(1), through: ByteOffset((64 << 20) + 512) })
}

fn changed() -> Message {
    let span = Span { disk: DiskIndex(1), start: ByteOffset(65536), len: ByteLen(65536) };
    Message::Changed(Box::new(Changed::Spans { spans: [span].into_iter().collect(), last: true }))
}

fn resend() -> Message {
    let span = Span { disk: DiskIndex(0), start: ByteOffset(4096), len: ByteLen(12288) };
    Message::Resend(Box::new(Resend { token: 9, spans: [span].into_iter().collect() }))
}

fn granule_query() -> Message {
    let leaves = [LeafIndex(0), LeafIndex(300), LeafIndex(1024)].into_iter().collect();
    Message::GranuleQuery(Box::new(GranuleQuery { token: 11, disk: DiskIndex(1), leaves }))
}

fn refused() -> Message {
    let detail = "sequence 305 came, 303 was expected".try_into().expect("short enough");
    Message::Refused(Box::new(Refused { code: RefusalCode::Gap, detail }))
}
