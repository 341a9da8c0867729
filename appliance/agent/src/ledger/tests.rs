use units::Timestamp;
use wire::heartbeat::{Answer, Instruction, SourceOrder, Statement};

use super::*;

fn command(sequence: u64) -> Box<Command> {
    Box::new(Command {
        statement: Statement {
            server: "home-01".parse().expect("a lawful name"),
            sequence,
            id: CommandId([u8::try_from(sequence).expect("few"); 16]),
            issued: Timestamp(1_700_000_000_000_000),
            expires: Timestamp(1_700_000_060_000_000),
            by: "ada".try_into().expect("short"),
            instruction: Instruction::Source(SourceOrder::Pause),
        },
        signature: [0x30, 0x44].into_iter().collect(),
    })
}

fn ledger() -> Ledger {
    let mut ledger = Ledger::default();
    ledger.take(command(3), State::Waiting { seconds_left: 86_400 });
    ledger.take(command(5), State::Begun);
    let verdict = Verdict::Done(Answer::Reply);
    ledger.take(command(6), State::Ended { verdict, reply: b"{}".to_vec() });
    ledger
}

/// Set LANDFALL_GOLDEN=write to write the file anew; a change breaks the ledgers that exist.
#[test]
fn a_ledger_has_its_golden_bytes_and_comes_back() {
    let bytes = ledger().encode();
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/ledger.hex");
    let lines =
        bytes.chunks(32).map(|line| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let found = lines.map(|line| line + "\n").collect::<String>();
    if std::env::var_os("LANDFALL_GOLDEN").is_some_and(|value| value == "write") {
        std::fs::write(&path, &found).expect("the golden file can be written");
    }
    assert_eq!(found, std::fs::read_to_string(&path).expect("the golden file"));
    assert_eq!(Ledger::decode(&bytes), Ok(ledger()));
}

#[test]
fn every_flipped_bit_and_every_truncation_is_refused() {
    let good = ledger().encode();
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(Ledger::decode(&bad).is_err(), "bit {bit}");
    }
    for len in 0..good.len() {
        assert!(Ledger::decode(&good[..len]).is_err(), "{len} bytes");
    }
}

#[test]
fn a_command_is_new_once_and_never_when_a_later_one_was_taken() {
    let ledger = ledger();
    let judged = [3, 4, 5, 6, 7].map(|sequence| ledger.judge(&command(sequence)));
    use Judgement::{Known, New, Old};
    assert_eq!(judged, [Known, Old, Known, Known, New]);
}

#[test]
fn what_was_begun_before_a_start_is_interrupted_and_kept_until_it_is_told() {
    let mut ledger = ledger();
    assert!(ledger.interrupt());
    assert!(!ledger.interrupt());
    let id = CommandId([5; 16]);
    assert_eq!(
        ledger.entry_mut(id).map(|entry| entry.state.clone()),
        Some(State::ended(Verdict::Interrupted))
    );
    assert!(ledger.forget(id));
    assert!(!ledger.forget(CommandId([3; 16])), "what waits is not forgotten");
    assert_eq!(ledger.judge(&command(5)), Judgement::Old);
}

#[test]
fn there_is_a_limit_to_what_is_kept() {
    let mut ledger = Ledger::default();
    (1..=64).for_each(|sequence| ledger.take(command(sequence), State::Begun));
    assert_eq!(ledger.judge(&command(65)), Judgement::Full);
}
