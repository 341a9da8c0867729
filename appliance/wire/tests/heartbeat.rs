//! The heartbeat's messages: golden bytes, every bit flip, every truncation, their rules.

use std::path::PathBuf;

use units::{ByteLen, Generation, MachineName, Sequence, Timestamp};
use wire::heartbeat::{
    AlarmReport, Answer, Cause, ClockReading, Command, CommandId, DiskHealth, DiskReport, GroupPoint, Heard,
    Hello, Instruction, JobReport, MachinePhase, MachineReport, Mark, Message, Outage, Outcome, OutcomeTaken,
    PointTaken, Protect, Refusal, Refused, Report, SourceOrder, Statement, Verdict, Versions, Welcome, Wish,
    check,
};
use wire::{
    BODY_LEN_MAX, Consistency, FrameError, Framed as _, HEADER_LEN, decode_body, decode_header,
    decode_message, encode,
};

fn text<const N: usize>(text: &str) -> heapless::String<N> {
    text.try_into().expect("it fits")
}

fn name(text: &str) -> MachineName {
    text.parse().expect("a lawful name")
}

/// Every message by the name of its golden file, and the length of its payload.
fn samples() -> Vec<(&'static str, Message, usize)> {
    let mut all = vec![
        ("00-hello", hello(), 0),
        ("01-welcome", welcome(), 0),
        ("02-refused", refused(), 0),
        ("03-report", Message::Report(Box::new(report())), 0),
        ("04-machine", machine(), 0),
        ("05-job", job(), 0),
        ("06-alarm", alarm(), 0),
        ("07-heard", Message::Heard(Heard { number: 300, time: Timestamp(1_700_000_000_000_000) }), 0),
        (
            "10-outcome-taken",
            Message::OutcomeTaken(OutcomeTaken { id: CommandId([0xc1; 16]), ended: true }),
            0,
        ),
        ("11-goodbye", Message::Goodbye, 0),
    ];
    let request = Instruction::Request(Box::new(text(r#"{"request":"status_show"}"#)));
    all.push(("08-command-request", command(request), 0));
    all.extend(orders().map(|(name, order)| (name, command(Instruction::Source(order)), 0)));
    all.extend(verdicts().map(|(name, verdict, payload_len)| (name, outcome(verdict), payload_len)));
    all
}

fn hello() -> Message {
    Message::Hello(Hello {
        versions: Versions { oldest: 1, newest: 3 },
        instance: [0xab; 16],
        time: Timestamp(1_700_000_000_000_000),
        taken: 41,
        software: text("landfalld 0.1.0"),
    })
}

fn welcome() -> Message {
    let time = Timestamp(1_700_000_000_000_001);
    Message::Welcome(Welcome { version: 1, period_ms: 5000, time, software: text("landfalld 0.1.0") })
}

fn refused() -> Message {
    Message::Refused(Box::new(Refused {
        refusal: Refusal::Version,
        versions: Versions { oldest: 1, newest: 1 },
        time: Timestamp(1_700_000_000_000_002),
        detail: text("update the older of the two"),
    }))
}

fn report() -> Report {
    Report {
        number: 7,
        time: Timestamp(1_700_000_000_000_003),
        clock: Some(ClockReading { ahead_micros: -1500, round_trip_micros: 900 }),
        uptime_seconds: 86_400,
        door: Some(9443),
        outage: Some(Outage {
            since: Timestamp(1_699_999_000_000_000),
            until: Timestamp(1_700_000_000_000_000),
            cause: Cause::Route,
            detail: text("no answer from 192.0.2.1:443 for 5 s"),
        }),
        machines: 1,
        jobs: 1,
        alarms: 1,
    }
}

fn machine() -> Message {
    Message::Machine(Box::new(MachineReport {
        machine: name("web-01"),
        phase: MachinePhase::Protected,
        generation: Generation(3),
        durable: Sequence(812),
        applied: Sequence(800),
        rpo_seconds: Some(12),
        oldest: Some(Timestamp(1_699_913_600_000_000)),
        newest: Some(Timestamp(1_699_999_988_000_000)),
        lag: ByteLen(4096),
        remaining: ByteLen(0),
        rate: ByteLen(12 << 20),
        disks: [
            DiskReport { len: ByteLen::gib(1), health: DiskHealth::Good },
            DiskReport { len: ByteLen(512), health: DiskHealth::Missing },
        ]
        .into_iter()
        .collect(),
    }))
}

fn job() -> Message {
    let (done, total) = (ByteLen(1 << 20), ByteLen::gib(1));
    Message::Job(Box::new(JobReport { id: 4, kind: text("failback"), machine: name("web-01"), done, total }))
}

fn alarm() -> Message {
    Message::Alarm(Box::new(AlarmReport {
        code: 1204,
        subject: text("web-01"),
        detail: text("a disk is missing"),
        since: Timestamp(1_700_000_000_000_000),
    }))
}

fn command(instruction: Instruction) -> Message {
    Message::Command(Box::new(Command {
        statement: Statement {
            server: name("home-01"),
            sequence: 42,
            id: CommandId([0xc1; 16]),
            issued: Timestamp(1_700_000_000_000_000),
            expires: Timestamp(1_700_000_060_000_000),
            by: text("ada"),
            instruction,
        },
        signature: [0x30, 0x44, 0x02].into_iter().collect(),
    }))
}

fn orders() -> impl Iterator<Item = (&'static str, SourceOrder)> {
    let point = GroupPoint { group: text("shop"), number: 9, wish: Wish::Application, deadline_ms: 2000 };
    let mark = Mark { number: 5, wish: Wish::Crash, label: text("before the upgrade") };
    let protect = Protect { target: text("home.example:9443"), interval_ms: 30_000 };
    [
        ("08-order-0-mark", SourceOrder::Mark(mark)),
        ("08-order-1-hold", SourceOrder::Hold(point.clone())),
        ("08-order-2-take", SourceOrder::Take(point.clone())),
        ("08-order-3-release", SourceOrder::Release(point)),
        ("08-order-4-resync", SourceOrder::Resync),
        ("08-order-5-pause", SourceOrder::Pause),
        ("08-order-6-resume", SourceOrder::Resume),
        ("08-order-7-throttle", SourceOrder::Throttle { bytes_per_second: 12 << 20 }),
        ("08-order-8-protect", SourceOrder::Protect(Box::new(protect))),
    ]
    .into_iter()
}

fn outcome(verdict: Verdict) -> Message {
    Message::Outcome(Box::new(Outcome {
        sequence: 42,
        id: CommandId([0xc1; 16]),
        part: 0,
        last: true,
        verdict,
    }))
}

fn verdicts() -> impl Iterator<Item = (&'static str, Verdict, usize)> {
    let point = PointTaken {
        sequence: Sequence(813),
        time: Timestamp(1_700_000_000_000_000),
        consistency: Consistency::Application,
    };
    [
        ("09-outcome-0-nothing", Verdict::Done(Answer::Nothing), 0),
        ("09-outcome-0-reply", Verdict::Done(Answer::Reply), 33),
        ("09-outcome-0-point", Verdict::Done(Answer::Point(point)), 0),
        ("09-outcome-1-failed", Verdict::Failed, 77),
        ("09-outcome-2-waiting", Verdict::Waiting { until: Timestamp(1_700_086_400_000_000) }, 0),
        ("09-outcome-3-rejected", Verdict::Rejected, 0),
        ("09-outcome-4-expired", Verdict::Expired, 0),
        ("09-outcome-5-interrupted", Verdict::Interrupted, 0),
        ("09-outcome-6-invalid", Verdict::Invalid { detail: Box::new(text("for home-02")) }, 0),
    ]
    .into_iter()
}

fn frame(message: &Message, payload_len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(message, payload_len, &mut bytes);
    bytes
}

fn decode(bytes: &[u8]) -> Result<(Message, usize), FrameError> {
    let (header, body) = bytes.split_at_checked(HEADER_LEN).unwrap_or((bytes, &[]));
    let header = decode_header::<Message>(header)?;
    Ok((decode_body(&header, body)?, header.payload_len))
}

fn hexadecimal(bytes: &[u8]) -> String {
    let line = |line: &[u8]| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
    bytes.chunks(32).map(line).collect()
}

/// Set LANDFALL_GOLDEN=write to write the files anew; a change of an existing one breaks the protocol.
#[test]
fn every_message_has_its_golden_bytes() {
    for (name, message, payload_len) in samples() {
        let path =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/heartbeat/{name}.hex"));
        let found = hexadecimal(&frame(&message, payload_len));
        if std::env::var_os("LANDFALL_GOLDEN").is_some_and(|value| value == "write") {
            std::fs::write(&path, &found).expect("the golden file can be written");
        }
        let expected =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn every_kind_has_a_sample_that_is_lawful_and_comes_back() {
    let mut kinds = std::collections::BTreeSet::new();
    for (name, message, payload_len) in samples() {
        let bytes = frame(&message, payload_len);
        assert_eq!(decode(&bytes), Ok((message.clone(), payload_len)), "{name}");
        assert_eq!(check(&message, payload_len), Ok(()), "{name}");
        let kind = bytes[HEADER_LEN];
        assert!(name.starts_with(&format!("{kind:02}-")), "{name} is kind {kind}");
        kinds.insert(u16::from(kind));
    }
    assert!(kinds.into_iter().eq(0..Message::KINDS));
}

#[test]
fn every_flipped_bit_and_every_truncation_is_refused() {
    for (name, message, payload_len) in samples() {
        let good = frame(&message, payload_len);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bad).is_err(), "{name}, bit {bit}");
        }
        for len in 0..good.len() {
            assert!(matches!(decode(&good[..len]), Err(FrameError::Length { .. })), "{name}, {len} bytes");
            if len > HEADER_LEN {
                let body = &good[HEADER_LEN..len];
                assert!(decode_message::<Message>(body).is_err(), "{name}, body cut at {len}");
            }
        }
    }
}

#[test]
fn frames_of_replication_and_of_the_heartbeat_are_never_taken_for_each_other() {
    let heartbeat = frame(&Message::Goodbye, 0);
    let refused = decode_header::<wire::Message>(&heartbeat[..HEADER_LEN]).map(|_| ());
    assert_eq!(refused, Err(FrameError::Magic { found: *b"LFHB", expected: *b"LFRP" }));
}

#[test]
fn the_largest_message_of_each_kind_fits_a_body() {
    let mut largest = vec![machine_of_256_disks()];
    let request: String = "x".repeat(wire::heartbeat::REQUEST_LEN_MAX);
    largest.push(command(Instruction::Request(Box::new(text(&request)))));
    largest.push(outcome(Verdict::Invalid { detail: Box::new(text(&"x".repeat(256))) }));
    for message in largest {
        assert!(frame(&message, 0).len() - HEADER_LEN <= BODY_LEN_MAX);
    }
}

fn machine_of_256_disks() -> Message {
    let Message::Machine(mut report) = machine() else { unreachable!("a machine's report") };
    let disk = DiskReport { len: ByteLen(u64::MAX), health: DiskHealth::Damaged };
    report.disks = std::iter::repeat_n(disk, 256).collect();
    Message::Machine(report)
}

#[test]
fn what_breaks_a_rule_is_refused_with_what_was_found() {
    let mut many = report();
    many.machines = 1025;
    let hold = |deadline_ms| {
        let point = GroupPoint { group: text("g"), number: 1, wish: Wish::Crash, deadline_ms };
        command(Instruction::Source(SourceOrder::Hold(point)))
    };
    let versions = Versions { oldest: 2, newest: 1 };
    let Message::Hello(mut backwards) = hello() else { unreachable!("a hello") };
    backwards.versions = versions;
    let unlawful = [
        (Message::Hello(backwards), "the versions go from 2 to 1, expected the older one first, from 1"),
        (Message::Report(Box::new(many)), "the number of machines is 1025, expected at most 1024"),
        (hold(0), "the deadline is 0, expected 1 ms to 10 min"),
        (command(Instruction::Request(Box::new(text("")))), "the request is empty"),
    ];
    for (message, words) in unlawful {
        assert_eq!(check(&message, 0).map_err(|error| error.to_string()), Err(words.to_owned()));
    }
}

#[test]
fn a_signature_is_over_the_context_and_every_field() {
    let Message::Command(first) = command(Instruction::Source(SourceOrder::Pause)) else {
        unreachable!("a command")
    };
    let bytes = first.statement.signed_bytes();
    assert!(bytes.starts_with(b"landfall 2026 command\n\x07home-01\x2a"));
    let mut other = first.statement.clone();
    other.expires.0 += 1;
    assert_ne!(other.signed_bytes(), bytes);
}

#[test]
fn the_id_of_a_command_survives_being_written() {
    let id = CommandId([0xa5; 16]);
    assert_eq!(id.to_string().parse(), Ok(id));
    for text in ["", "a5", "+0000000000000000000000000000001", &"g".repeat(32)] {
        assert!(text.parse::<CommandId>().is_err(), "{text}");
    }
}
