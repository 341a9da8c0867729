//! The rules each message must keep. Pure; nothing is done with a message before it passed.

use units::{ByteLen, ByteOffset, DiskIndex, GRANULE_LEN, LEAF_LEN, SECTOR_LEN, Sequence};

use crate::extent::check_payload_len;
use crate::{
    CONNECTIONS_MAX, Changed, CheckError, Consistency, DiskShape, EXTENT_LEN_MAX, Encoding, Extent,
    GRANULE_LEAVES_MAX, GranuleQuery, Granules, HASHES_MAX, HashQuery, Hello, Marker, Message, Phase,
    PointWanted, SeedSync, Span, Welcome,
};

/// Checks a message of either direction against the disks of its machine and the length of the frame's payload.
/// A `Hello` brings its own disks: `disks` is not looked at.
///
/// # Errors
/// The first rule that is broken; [`CheckError::refusal_code`] says how to refuse it.
pub fn check_message(message: &Message, disks: &[DiskShape], payload_len: usize) -> Result<(), CheckError> {
    match message {
        Message::Hello(hello) => check_hello(hello),
        Message::Welcome(welcome) => check_welcome(welcome, disks),
        Message::Batch(batch) => {
            check_sequence("the sequence of a batch", batch.sequence)?;
            check_extents(&batch.extents, disks, payload_len)
        }
        Message::Marker(marker) => check_marker(marker, disks),
        Message::Seed(seed) => check_extents(&seed.extents, disks, payload_len),
        Message::SeedSync(sync) => check_seed_sync(sync, disks),
        Message::HashQuery(query) => check_hash_query(query, disks),
        Message::Hashes(query) => {
            check_hash_query(query, disks)?;
            let (found, expected) = (payload_len as u64, u64::from(query.count) * 32);
            if found == expected { Ok(()) } else { Err(CheckError::PayloadLen { found, expected }) }
        }
        Message::Changed(changed) => match changed.as_ref() {
            Changed::Spans { spans, .. } => check_spans(spans, disks),
            Changed::Unknown => Ok(()),
        },
        Message::GranuleQuery(query) => check_granule_query(query, disks),
        Message::Granules(granules) => check_granules(*granules, payload_len),
        Message::PointWanted(wanted) => check_point_wanted(*wanted),
        Message::Resend(resend) => check_spans(&resend.spans, disks),
        Message::SeedDurable(_)
        | Message::Durable(_)
        | Message::Applied(_)
        | Message::Credit(_)
        | Message::ChangedQuery(_)
        | Message::Ping
        | Message::Pong
        | Message::Goodbye
        | Message::Refused(_)
        | Message::ResendTaken(_) => Ok(()),
    }
}

/// Checks the extents of a batch or seed: at least one, each aligned and inside its disk, one leaf at most if it has
/// data, sorted by disk and position, not overlapping, their payloads together exactly `payload_len` bytes.
///
/// # Errors
/// The first rule that is broken, with the number of the extent.
pub fn check_extents(extents: &[Extent], disks: &[DiskShape], payload_len: usize) -> Result<(), CheckError> {
    if extents.is_empty() {
        return Err(CheckError::NoExtents);
    }
    let mut free = (DiskIndex(0), ByteOffset(0));
    for (index, extent) in extents.iter().enumerate() {
        let end = check_extent(index, extent, disks)?;
        if (extent.disk, extent.start) < free {
            return Err(CheckError::Disorder { extent: index });
        }
        free = (extent.disk, end);
    }
    check_payload_len(extents, payload_len)
}

/// Checks one extent by itself; returns where it ends.
fn check_extent(index: usize, extent: &Extent, disks: &[DiskShape]) -> Result<ByteOffset, CheckError> {
    let Extent { disk, start, len, ref encoding } = *extent;
    if len == ByteLen::ZERO {
        return Err(CheckError::EmptyExtent { extent: index });
    }
    let Position { end, disk_len } = check_position(index, disk, start, len, disks)?;
    let ends_well = end.is_multiple_of(GRANULE_LEN) || end.0 == disk_len.0;
    if !start.is_multiple_of(GRANULE_LEN) || !ends_well {
        return Err(CheckError::Unaligned { extent: index, start, len });
    }
    if *encoding != Encoding::Zero && (start.0 % LEAF_LEN) + len.0 > EXTENT_LEN_MAX {
        return Err(CheckError::CrossesLeaf { extent: index, start, len });
    }
    match *encoding {
        Encoding::Zstd { encoded_len, .. } if encoded_len == 0 || u64::from(encoded_len) >= len.0 => {
            Err(CheckError::EncodedLen { extent: index, encoded_len, len })
        }
        _ => Ok(end),
    }
}

/// Where a run of bytes ends, and the disk.
struct Position {
    end: ByteOffset,
    disk_len: ByteLen,
}

fn check_position(
    item: usize,
    disk: DiskIndex,
    start: ByteOffset,
    len: ByteLen,
    disks: &[DiskShape],
) -> Result<Position, CheckError> {
    let disk_len = disk_len(item, disk, disks)?;
    match start.checked_add(len) {
        Some(end) if end.0 <= disk_len.0 => Ok(Position { end, disk_len }),
        _ => Err(CheckError::PastEnd { item, start, len, disk_len }),
    }
}

fn disk_len(item: usize, disk: DiskIndex, disks: &[DiskShape]) -> Result<ByteLen, CheckError> {
    let shape = disks.get(usize::from(disk.0));
    shape.map(|shape| shape.len).ok_or(CheckError::UnknownDisk { item, disk, disks: disks.len() })
}

fn check_hello(hello: &Hello) -> Result<(), CheckError> {
    let Hello { connection, connections, .. } = *hello;
    if !(1..=CONNECTIONS_MAX).contains(&connections) || connection >= connections {
        return Err(CheckError::Connections { connection, connections });
    }
    if hello.disks.is_empty() {
        return Err(CheckError::PerDisk { what: "disk sizes", found: 0, disks: 0 });
    }
    let lawful = |len: u64| len > 0 && len.is_multiple_of(SECTOR_LEN) && len < 1 << 63;
    match hello.disks.iter().position(|shape| !lawful(shape.len.0)) {
        Some(disk) => Err(CheckError::DiskLen { disk, len: hello.disks[disk].len }),
        None => Ok(()),
    }
}

fn check_welcome(welcome: &Welcome, disks: &[DiskShape]) -> Result<(), CheckError> {
    match &welcome.phase {
        Phase::Seeding { through, .. } => {
            check_per_disk("seed watermarks", through.len(), disks)?;
            through.iter().zip(0_u16..).try_for_each(|(&through, disk)| {
                check_position(usize::from(disk), DiskIndex(disk), through, ByteLen::ZERO, disks).map(|_| ())
            })
        }
        Phase::Protected { last_marker } if *last_marker > welcome.durable => Err(CheckError::Sequence {
            what: "the sequence of the last marker",
            found: *last_marker,
            expected: "at most the durable one",
        }),
        Phase::Protected { .. } => Ok(()),
    }
}

fn check_marker(marker: &Marker, disks: &[DiskShape]) -> Result<(), CheckError> {
    check_sequence("the sequence of a marker", marker.sequence)?;
    match marker.roots.len() {
        _ if marker.consistency == Consistency::Resync && marker.group.is_some() => Err(CheckError::NoPoint),
        0 => Ok(()),
        found if marker.consistency == Consistency::Resync => Err(CheckError::PerDisk {
            what: "roots where a resync begins and none is known",
            found,
            disks: disks.len(),
        }),
        found => check_per_disk("roots", found, disks),
    }
}

fn check_point_wanted(wanted: PointWanted) -> Result<(), CheckError> {
    match wanted.consistency {
        Consistency::Resync => Err(CheckError::NoPoint),
        _ => Ok(()),
    }
}

fn check_seed_sync(sync: &SeedSync, disks: &[DiskShape]) -> Result<(), CheckError> {
    let Position { end, disk_len } = check_position(0, sync.disk, sync.through, ByteLen::ZERO, disks)?;
    if end.is_multiple_of(GRANULE_LEN) || end.0 == disk_len.0 {
        Ok(())
    } else {
        Err(CheckError::Unaligned { extent: 0, start: sync.through, len: ByteLen::ZERO })
    }
}

fn check_hash_query(query: &HashQuery, disks: &[DiskShape]) -> Result<(), CheckError> {
    let HashQuery { disk, first, count } = *query;
    if count == 0 || count as usize > HASHES_MAX {
        return Err(CheckError::HashCount { count });
    }
    let disk_len = disk_len(0, disk, disks)?;
    match first.0.checked_add(u64::from(count)) {
        Some(end) if end <= disk_len.leaves() => Ok(()),
        _ => {
            let start = ByteOffset(first.0.saturating_mul(LEAF_LEN));
            Err(CheckError::PastEnd { item: 0, start, len: ByteLen(u64::from(count) * LEAF_LEN), disk_len })
        }
    }
}

fn check_granule_query(query: &GranuleQuery, disks: &[DiskShape]) -> Result<(), CheckError> {
    let disk_len = disk_len(0, query.disk, disks)?;
    let Some(last) = query.leaves.last() else { return Err(CheckError::HashCount { count: 0 }) };
    if let Some(at) = query.leaves.windows(2).position(|pair| pair[0] >= pair[1]) {
        return Err(CheckError::Disorder { extent: at + 1 });
    }
    if last.0 < disk_len.leaves() {
        return Ok(());
    }
    let start = ByteOffset(last.0.saturating_mul(LEAF_LEN));
    Err(CheckError::PastEnd { item: query.leaves.len() - 1, start, len: ByteLen(LEAF_LEN), disk_len })
}

fn check_granules(granules: Granules, payload_len: usize) -> Result<(), CheckError> {
    let Granules { count, .. } = granules;
    if count == 0 || u64::from(count) > GRANULE_LEAVES_MAX as u64 * (LEAF_LEN / GRANULE_LEN) {
        return Err(CheckError::HashCount { count });
    }
    let (found, expected) = (payload_len as u64, u64::from(count) * 32);
    if found == expected { Ok(()) } else { Err(CheckError::PayloadLen { found, expected }) }
}

fn check_spans(spans: &[Span], disks: &[DiskShape]) -> Result<(), CheckError> {
    spans
        .iter()
        .enumerate()
        .try_for_each(|(item, span)| check_position(item, span.disk, span.start, span.len, disks).map(|_| ()))
}

fn check_sequence(what: &'static str, found: Sequence) -> Result<(), CheckError> {
    if found > Sequence(0) {
        Ok(())
    } else {
        Err(CheckError::Sequence { what, found, expected: "1 or more" })
    }
}

fn check_per_disk(what: &'static str, found: usize, disks: &[DiskShape]) -> Result<(), CheckError> {
    if found == disks.len() { Ok(()) } else { Err(CheckError::PerDisk { what, found, disks: disks.len() }) }
}
