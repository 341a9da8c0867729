//! Bytes each decoder takes: the golden bytes of the crates, and a few written here.

/// Golden frames of the protocol: header and body.
const FRAMES: [&str; 8] = [
    include_str!("../../../appliance/wire/tests/golden/00-hello.hex"),
    include_str!("../../../appliance/wire/tests/golden/01-welcome-seeding.hex"),
    include_str!("../../../appliance/wire/tests/golden/02-batch.hex"),
    include_str!("../../../appliance/wire/tests/golden/03-marker.hex"),
    include_str!("../../../appliance/wire/tests/golden/05-seed-sync.hex"),
    include_str!("../../../appliance/wire/tests/golden/11-hashes.hex"),
    include_str!("../../../appliance/wire/tests/golden/13-changed-spans.hex"),
    include_str!("../../../appliance/wire/tests/golden/17-refused.hex"),
];

/// Golden frames of the heartbeat.
const HEARTBEATS: [&str; 7] = [
    include_str!("../../../appliance/wire/tests/golden/heartbeat/00-hello.hex"),
    include_str!("../../../appliance/wire/tests/golden/heartbeat/02-refused.hex"),
    include_str!("../../../appliance/wire/tests/golden/heartbeat/03-report.hex"),
    include_str!("../../../appliance/wire/tests/golden/heartbeat/04-machine.hex"),
    include_str!("../../../appliance/wire/tests/golden/heartbeat/08-command-request.hex"),
    include_str!("../../../appliance/wire/tests/golden/heartbeat/08-order-1-hold.hex"),
    include_str!("../../../appliance/wire/tests/golden/heartbeat/09-outcome-0-point.hex"),
];

/// Golden frames of enrolment.
const ENROL_ASKS: [&str; 3] = [
    include_str!("../../../appliance/wire/tests/golden/enrol-0-join.hex"),
    include_str!("../../../appliance/wire/tests/golden/enrol-1-renew.hex"),
    include_str!("../../../appliance/wire/tests/golden/enrol-2-revoked.hex"),
];
const ENROL_ANSWERS: [&str; 3] = [
    include_str!("../../../appliance/wire/tests/golden/enrol-0-granted.hex"),
    include_str!("../../../appliance/wire/tests/golden/enrol-1-revocations.hex"),
    include_str!("../../../appliance/wire/tests/golden/enrol-2-refused.hex"),
];
/// The token of the unit tests of `wire`; it is of no appliance.
const JOIN_TOKEN: &str = "landfall1-AQEBAQEBAQEBAQEBAQEBAQICAgICAgICAgICAgICAgIDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwAGd2ViLTAxhlYLKw";

/// Golden records of the journal.
const RECORDS: [&str; 3] = [
    include_str!("../../../appliance/retention/tests/journal/golden/batch.hex"),
    include_str!("../../../appliance/retention/tests/journal/golden/marker.hex"),
    include_str!("../../../appliance/retention/tests/journal/golden/before.hex"),
];

const ENVIRONMENT: &str = include_str!("../../../appliance/seed/tests/specimen.xml");
const BACKUP: &[u8] = include_bytes!("../../../appliance/backup/tests/golden/backup");
/// The form, then texts, each with its length: postcard.
const BACKUP_CONTENTS: &[u8] = b"\x01\x04home\x80\x80\x80\x80\x04\x01s\x01c\x01k\x01c\x01k\x01c\x01k\x01x";
const SNAPSHOT: &str = include_str!("../../../appliance/catalog/tests/golden/snapshot");
const ETCD_VALUE: &str = include_str!("../../../appliance/catalog/tests/golden/etcd-value");
const MANIFEST: &str = include_str!("../../../appliance/manifest/tests/golden/failback.manifest");
const HEADS: &str = include_str!("../../../appliance/retention/tests/journal/golden/head.hex");
const MARK: &str = include_str!("../../../appliance/retention/tests/journal/golden/mark.hex");
const SUPERBLOCK: &str = include_str!("../../../appliance/retention/tests/journal/golden/superblock.hex");
const INDEX: &str = include_str!("../../../appliance/retention/tests/journal/golden/index.hex");

const REQUESTS: [&str; 4] = [
    r#"{"request":"status_show"}"#,
    r#"{"request":"machine_add","name":"a","disks":[{"path":"/dev/sdb"}]}"#,
    r#"{"request":"failback","machine":"a","to":{"time":"2026-11-20T14:03:07Z"},"plan_only":true}"#,
    r#"{"request":"failback","machine":"a","to":{"sequence":7}}"#,
];

const REPLIES: [&str; 2] = [
    r#"{"type":"error","code":"LF-7777","what":"w","cause":"c","fix":"f","exit":1,"since":"v9"}"#,
    r#"{"type":"result","result":{"version":"0.1.0","machines":[]}}"#,
];

const HTTP_REQUESTS: [&str; 3] = [
    "GET\n/api/v1/machines/web%2D01/points?limit=7&around=2026-11-20T14:03:07Z\n",
    "DELETE\n/api/v1/views/4\n",
    "POST\n/api/v1/machines/a/failback\n{\"to\":{\"sequence\":7},\"plan_only\":true}",
];

const EVENTS: [&str; 2] = [
    ": nothing new\n\nevent: progress\ndata: {\"job\":4,\"done_bytes\":1,\"total_bytes\":2,\"rate\":0,\"eta_seconds\":null}\n\n",
    "id: 7\nevent: result\ndata: {\"newest\":7}\n\n",
];

/// What a kernel 6.18 said when a loop device was attached, and when a partition of it appeared.
const UEVENTS: [&str; 2] = [
    "change@/devices/virtual/block/loop0\0ACTION=change\0DEVPATH=/devices/virtual/block/loop0\0SUBSYSTEM=block\0MAJOR=7\0MINOR=0\0DEVNAME=loop0\0DEVTYPE=disk\0DISKSEQ=11\0SEQNUM=817\0",
    "add@/devices/virtual/block/loop0/loop0p1\0ACTION=add\0DEVPATH=/devices/virtual/block/loop0/loop0p1\0SUBSYSTEM=block\0MAJOR=259\0MINOR=0\0DEVNAME=loop0p1\0SEQNUM=820\0",
];

/// Marks of what a disk can hold, and where they stand on a disk of 4 KiB.
const MARKS: [&[(usize, &[u8])]; 6] = [
    &[(1080, &[0x53, 0xef]), (1144, b"label")],
    &[(0, b"XFSB"), (108, b"history")],
    &[(11, &[0, 2, 4, 1, 0, 2, 0, 2, 0, 8, 0xf8, 8, 0]), (54, b"FAT16   "), (510, &[0x55, 0xaa])],
    &[(450, &[0xee]), (510, &[0x55, 0xaa]), (512, b"EFI PART")],
    &[(512, b"LABELONE"), (536, b"LVM2 001")],
    &[(4086, b"SWAPSPACE2")],
];
/// Options of an NBD client: name an image, go on with one, choose block status, structured replies.
const NBD_OPTIONS: [&[u8]; 4] = [
    b"IHAVEOPT\0\0\0\x01\0\0\0\x010",
    b"IHAVEOPT\0\0\0\x07\0\0\0\x0b\0\0\0\x010\0\x02\0\0\0\x03",
    b"IHAVEOPT\0\0\0\x0a\0\0\0\x26\0\0\0\x010\0\0\0\x02\0\0\0\x0fbase:allocation\0\0\0\x06qemu:x",
    b"IHAVEOPT\0\0\0\x08\0\0\0\0",
];

/// Requests of an NBD client: for each command, 64 KiB at 1 MiB.
fn nbd_requests() -> Vec<Vec<u8>> {
    let request = |command: u8| {
        let mut bytes = b"\x25\x60\x95\x13\0\0\0\0\0\0\0\0\0\0\0\x09\0\0\0\0\0\x10\0\0\0\x01\0\0".to_vec();
        bytes[7] = command;
        bytes
    };
    (0..8).map(request).collect()
}

/// Returns the seeds of the decoder of this name; at least one.
pub(crate) fn seeds(name: &str) -> Vec<Vec<u8>> {
    let text = |lines: &[&str]| lines.iter().map(|line| line.as_bytes().to_vec()).collect();
    match name {
        "record_head" => RECORDS.iter().map(|record| unhex(record)).collect(),
        "record_body" => (0..3).zip(RECORDS).map(|(kind, record)| body_of(kind, &unhex(record))).collect(),
        "journal_head" => heads(),
        "making_mark" => vec![unhex(MARK)],
        "superblock" => vec![unhex(SUPERBLOCK)],
        "scrub_record" => {
            vec![unhex(include_str!("../../../appliance/retention/tests/journal/golden/scrub-record.hex"))]
        }
        "leaf_page" => {
            vec![unhex(include_str!("../../../appliance/retention/tests/journal/golden/leaf-page.hex"))]
        }
        "epoch_index" => vec![unhex(INDEX)],
        "wire_header" => FRAMES.iter().map(|frame| unhex(frame)[..32].to_vec()).collect(),
        "wire_message" => FRAMES.iter().map(|frame| unhex(frame)[32..].to_vec()).collect(),
        "wire_frame" => FRAMES.iter().map(|frame| with_payload(unhex(frame))).collect(),
        "heartbeat_message" => HEARTBEATS.iter().map(|frame| unhex(frame)[32..].to_vec()).collect(),
        "heartbeat_frame" => HEARTBEATS.iter().map(|frame| with_payload(unhex(frame))).collect(),
        "wire_identity" => text(&["landfall:source:web-01.example", "landfall:master-target:home"]),
        "enrol_ask" => ENROL_ASKS.iter().map(|frame| unhex(frame)[2..].to_vec()).collect(),
        "enrol_answer" => ENROL_ANSWERS.iter().map(|frame| unhex(frame)[2..].to_vec()).collect(),
        "join_token" => text(&[JOIN_TOKEN]),
        "leaf-table" => vec![leaf_table()],
        "command-ledger" => {
            vec![unhex(include_str!("../../../appliance/agent/tests/golden/ledger.hex"))]
        }
        "backup_header" => vec![BACKUP.to_vec()],
        "backup_contents" => vec![BACKUP_CONTENTS.to_vec()],
        "catalog_snapshot" => vec![SNAPSHOT.as_bytes().to_vec()],
        "etcd_value" => vec![ETCD_VALUE.as_bytes().to_vec()],
        "manifest" => vec![MANIFEST.as_bytes().to_vec()],
        "netplan-yaml" => text(&[include_str!("../../../netplan/tests/golden/office.yaml")]),
        "ovf-environment" => vec![ENVIRONMENT.as_bytes().to_vec()],
        "control-request" => text(&REQUESTS),
        "control-reply" => text(&REPLIES),
        "http-request" => text(&HTTP_REQUESTS),
        "http-events" => text(&EVENTS),
        "uevent" => text(&UEVENTS),
        "disk_content" => MARKS.iter().map(|marks| disk(marks)).collect(),
        "nbd-client-flags" => vec![vec![0, 0, 0, 3]],
        "nbd-option" => NBD_OPTIONS.iter().map(|option| option.to_vec()).collect(),
        "nbd-request" => nbd_requests(),
        _ => Vec::new(),
    }
}

fn disk(marks: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    for (at, mark) in marks {
        bytes[*at..at + mark.len()].copy_from_slice(mark);
    }
    bytes
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.bytes().filter_map(|digit| char::from(digit).to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// The body of a record behind the byte that chooses its kind.
fn body_of(kind: u8, record: &[u8]) -> Vec<u8> {
    let body_len = u32::from_le_bytes([record[12], record[13], record[14], record[15]]) as usize;
    [&[kind], &record[192..192 + body_len]].concat()
}

/// The golden file holds several heads, one behind the other.
fn heads() -> Vec<Vec<u8>> {
    let (all, mut heads) = (unhex(HEADS), Vec::new());
    let mut rest = all.as_slice();
    while let Some(len) = rest.get(8..10).map(|len| 48 + usize::from(u16::from_le_bytes([len[0], len[1]]))) {
        let (head, others) = rest.split_at(len);
        heads.push(head.to_vec());
        rest = others;
    }
    heads
}

fn with_payload(mut frame: Vec<u8>) -> Vec<u8> {
    let payload_len = u32::from_le_bytes([frame[20], frame[21], frame[22], frame[23]]) as usize;
    frame.resize(frame.len() + payload_len, 0);
    frame
}

/// A table of one disk of two leaves, the first of them known; the source's own tests hold the golden bytes.
fn leaf_table() -> Vec<u8> {
    let mut bytes = b"LFLEAVES\x01\0\x01\0\0\0\0\0".to_vec();
    bytes.extend(b"web-01");
    bytes.resize(104, 0);
    bytes.extend((65536_u64 + 512).to_le_bytes());
    bytes.push(0b01);
    bytes.extend([7; 32]);
    bytes.resize(104 + 8 + 1 + 64 + 32, 0);
    super::seal::seal("leaf-table", &mut bytes);
    bytes
}
