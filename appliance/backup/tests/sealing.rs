//! What is sealed is opened by its passphrase alone, and only as it was.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use backup::{BackupError, Contents, Cost, FORM, HEADER_LEN, Holding, Passphrase, Seeds, open, seal};
use units::Timestamp;

/// Bytes of the tag.
const TAG_LEN: usize = 16;

/// Cheap, so that every bit can be tried.
const CHEAP: Cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };
const SEEDS: Seeds = Seeds { salt: [7; 16], nonce: [9; 12] };

fn contents() -> Contents {
    let holding = |name: &str| Holding { certificate: format!("{name} cert"), key: format!("{name} key") };
    Contents {
        form: FORM,
        name: "home".parse().unwrap(),
        created: Timestamp(1_796_000_000_000_000),
        software: "landfalld 0.1.0".to_owned(),
        authority: holding("ca"),
        server: holding("server"),
        identity: holding("identity"),
        catalog: "landfall catalog snapshot 1\n".to_owned(),
    }
}

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse\n").unwrap()
}

fn sealed() -> Vec<u8> {
    seal(&contents(), &passphrase(), CHEAP, SEEDS).unwrap()
}

#[test]
fn what_was_sealed_is_opened_by_its_passphrase_alone() {
    assert!(open(&sealed(), &passphrase()).unwrap() == contents());
    let other = Passphrase::new("correct horsf").unwrap();
    assert_eq!(open(&sealed(), &other).err(), Some(BackupError::Sealed));
    assert!(!sealed().windows(6).any(|part| part == b"ca key"), "nothing can be read of it");
    assert_eq!(Passphrase::new("seven77").err(), Some(BackupError::Short));
}

#[test]
fn every_flipped_bit_and_every_truncation_is_refused() {
    let file = sealed();
    for bit in 0..file.len() * 8 {
        let mut flipped = file.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(open(&flipped, &passphrase()).is_err(), "bit {bit}");
    }
    for len in 0..file.len() {
        assert!(open(&file[..len], &passphrase()).is_err(), "{len} bytes");
    }
    assert!(open(&[file.as_slice(), b"x"].concat(), &passphrase()).is_err(), "one byte more");
}

#[test]
fn a_file_that_asks_for_too_much_is_refused_before_anything_is_done() {
    for (at, value) in [(10, 17_u8), (10, 0), (11, 5), (11, 0), (14, 0x11), (15, 0x01)] {
        let mut file = sealed();
        file[at] = value;
        assert_eq!(open(&file, &passphrase()).err(), Some(BackupError::Cost), "byte {at}: {value}");
    }
}

/// `LANDFALL_GOLDEN=write` writes it instead.
#[test]
fn the_golden_backup_is_what_is_sealed_today() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/backup");
    if std::env::var("LANDFALL_GOLDEN").as_deref() == Ok("write") {
        std::fs::write(path, sealed()).unwrap();
    }
    let golden = std::fs::read(path).unwrap();
    assert_eq!(golden, sealed());
    assert_eq!(golden.len(), HEADER_LEN + contents().encode().len() + TAG_LEN);
    assert!(open(&golden, &passphrase()).unwrap() == contents());
}

#[test]
fn contents_of_a_newer_form_are_refused_as_such() {
    let newer = Contents { form: FORM + 1, ..contents() }.encode();
    assert_eq!(Contents::decode(&newer).err(), Some(BackupError::Newer { found: 2, known: 1 }));
    assert_eq!(Contents::decode(&[contents().encode(), vec![0]].concat()).err(), Some(BackupError::Contents));
}
