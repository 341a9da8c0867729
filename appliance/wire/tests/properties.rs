//! Any lawful message comes back as it was; no bytes make a decoder panic.

use proptest::collection::vec;
use proptest::prelude::*;
use units::{ByteLen, ByteOffset, DiskIndex, Generation, Hash, LeafIndex, Sequence, Timestamp};
use wire::{
    Applied, BODY_LEN_MAX, Batch, Changed, ChangedQuery, Consistency, Credit, DECODERS, DiskShape, Durable,
    Encoding, Extent, GranuleQuery, Granules, GroupMark, HEADER_LEN, HashQuery, Hello, Marker, Message,
    Phase, RefusalCode, Refused, Resend, ResendTaken, Seed, SeedDurable, SeedSync, Span, Welcome,
    decode_body, decode_header, encode,
};

fn hash() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash)
}

fn extent() -> impl Strategy<Value = Extent> {
    let encoding = prop_oneof![
        Just(Encoding::Zero),
        hash().prop_map(|hash| Encoding::Raw { hash }),
        (any::<u32>(), hash()).prop_map(|(encoded_len, hash)| Encoding::Zstd { encoded_len, hash }),
    ];
    (any::<u16>(), any::<u64>(), any::<u64>(), encoding).prop_map(|(disk, start, len, encoding)| Extent {
        disk: DiskIndex(disk),
        start: ByteOffset(start),
        len: ByteLen(len),
        encoding,
    })
}

fn extents() -> impl Strategy<Value = heapless::Vec<Extent, { wire::EXTENTS_MAX }>> {
    vec(extent(), 0..=wire::EXTENTS_MAX).prop_map(|extents| extents.into_iter().collect())
}

fn hello() -> impl Strategy<Value = Message> {
    let numbers = (any::<u64>(), any::<[u8; 16]>(), any::<u8>(), any::<u8>(), any::<u64>());
    let name = "[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?";
    (name, numbers, vec(any::<u64>(), 0..=256), "[ -~]{0,32}").prop_map(|(name, numbers, disks, software)| {
        Message::Hello(Box::new(Hello {
            machine: name.parse().expect("a lawful name"),
            generation: Generation(numbers.0),
            session: numbers.1,
            connection: numbers.2,
            connections: numbers.3,
            acked: Sequence(numbers.4),
            disks: disks.into_iter().map(|len| DiskShape { len: ByteLen(len) }).collect(),
            software: software.as_str().try_into().expect("at most 32 bytes"),
        }))
    })
}

fn welcome() -> impl Strategy<Value = Message> {
    let phase = prop_oneof![
        (vec(any::<u64>(), 0..=256), any::<bool>()).prop_map(|(through, blank)| Phase::Seeding {
            through: through.into_iter().map(ByteOffset).collect(),
            blank,
        }),
        any::<u64>().prop_map(|last| Phase::Protected { last_marker: Sequence(last) }),
    ];
    (any::<u64>(), phase, any::<u64>(), any::<u64>(), "[ -~]{0,32}").prop_map(
        |(generation, phase, durable, credit, software)| {
            Message::Welcome(Box::new(Welcome {
                generation: Generation(generation),
                phase,
                durable: Sequence(durable),
                credit,
                software: software.as_str().try_into().expect("at most 32 bytes"),
            }))
        },
    )
}

fn marker() -> impl Strategy<Value = Message> {
    let consistency = prop::sample::select(vec![
        Consistency::Fuzzy,
        Consistency::Crash,
        Consistency::Application,
        Consistency::Resync,
    ]);
    let group =
        prop::option::of(("[a-z]{1,63}", any::<u64>()).prop_map(|(name, number)| GroupMark {
            group: name.parse().expect("letters make a name"),
            number,
        }));
    (any::<u64>(), any::<u64>(), consistency, "\\PC{0,16}", vec(hash(), 0..=256), group).prop_map(
        |(sequence, time, consistency, label, roots, group)| {
            Message::Marker(Box::new(Marker {
                sequence: Sequence(sequence),
                time: Timestamp(time),
                consistency,
                label: label.as_str().try_into().expect("16 characters have at most 64 bytes"),
                roots: roots.into_iter().collect(),
                group,
            }))
        },
    )
}

fn span() -> impl Strategy<Value = Span> {
    (any::<u16>(), any::<u64>(), any::<u64>()).prop_map(|(disk, start, len)| Span {
        disk: DiskIndex(disk),
        start: ByteOffset(start),
        len: ByteLen(len),
    })
}

fn changed() -> impl Strategy<Value = Message> {
    let spans = (vec(span(), 0..=wire::SPANS_MAX), any::<bool>())
        .prop_map(|(spans, last)| Changed::Spans { spans: spans.into_iter().collect(), last });
    prop_oneof![spans, Just(Changed::Unknown)].prop_map(|changed| Message::Changed(Box::new(changed)))
}

fn resend() -> impl Strategy<Value = Message> {
    (any::<u64>(), vec(span(), 0..=wire::SPANS_MAX)).prop_map(|(token, spans)| {
        Message::Resend(Box::new(Resend { token, spans: spans.into_iter().collect() }))
    })
}

fn small() -> impl Strategy<Value = Message> {
    (any::<u64>(), any::<u64>(), any::<u16>(), any::<u32>(), 0..14).prop_map(|(a, b, disk, count, which)| {
        let disk = DiskIndex(disk);
        let query = HashQuery { disk, first: LeafIndex(a), count };
        match which {
            0 => Message::SeedSync(SeedSync { token: a, disk, through: ByteOffset(b) }),
            1 => Message::SeedDurable(SeedDurable { token: a }),
            2 => Message::Durable(Durable { upto: Sequence(a) }),
            3 => Message::Applied(Applied { upto: Sequence(a) }),
            4 => Message::Credit(Credit { upto: a }),
            5 => Message::HashQuery(query),
            6 => Message::Hashes(query),
            7 => Message::ChangedQuery(ChangedQuery { since: Sequence(a) }),
            8 => Message::Ping,
            9 => Message::Pong,
            11 => Message::Granules(Granules { token: a, count }),
            12 => Message::GranuleQuery(Box::new(GranuleQuery {
                token: a,
                disk,
                leaves: [LeafIndex(a), LeafIndex(b)].into_iter().collect(),
            })),
            10 => Message::ResendTaken(ResendTaken { token: a, after: Sequence(b) }),
            _ => Message::Goodbye,
        }
    })
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        hello(),
        welcome(),
        (any::<u64>(), any::<u64>(), extents()).prop_map(|(sequence, time, extents)| {
            Message::Batch(Box::new(Batch { sequence: Sequence(sequence), time: Timestamp(time), extents }))
        }),
        marker(),
        extents().prop_map(|extents| Message::Seed(Box::new(Seed { extents }))),
        changed(),
        resend(),
        small(),
        "\\PC{0,128}".prop_map(|detail| Message::Refused(Box::new(Refused {
            code: RefusalCode::Damaged,
            detail: detail.as_str().try_into().expect("128 characters have at most 512 bytes"),
        }))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_message_comes_back_as_it_was(message in message()) {
        let mut bytes = Vec::new();
        encode(&message, 0, &mut bytes);
        let (header, body) = bytes.split_at(HEADER_LEN);
        let header = decode_header::<Message>(header).expect("our own header");
        prop_assert_eq!(decode_body(&header, body), Ok(message));
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in vec(any::<u8>(), 0..512)) {
        for (_, decoder) in DECODERS {
            decoder(&bytes);
        }
    }

    #[test]
    fn no_damaged_message_makes_a_decoder_panic(message in message(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut bytes = Vec::new();
        encode(&message, 0, &mut bytes);
        let mut body = bytes.split_off(HEADER_LEN);
        let at = at.index(body.len());
        body[at] = to;
        for (_, decoder) in DECODERS {
            decoder(&body);
        }
    }
}

#[test]
fn the_largest_message_is_as_large_as_the_limit_says() {
    let far = Span { disk: DiskIndex(u16::MAX), start: ByteOffset(u64::MAX), len: ByteLen(u64::MAX) };
    let spans = std::iter::repeat_n(far, wire::SPANS_MAX).collect();
    let mut bytes = Vec::new();
    encode(&Message::Resend(Box::new(Resend { token: u64::MAX, spans })), 0, &mut bytes);
    assert_eq!(bytes.len() - HEADER_LEN, 23_565);
    const { assert!(23_565 <= BODY_LEN_MAX) };
}
