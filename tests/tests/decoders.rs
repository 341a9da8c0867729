//! Every decoder has a fuzz target, and every fuzz target a decoder; and no decoder panics on a slice of what fuzzing does.

#[path = "../fuzz/src/seal.rs"]
mod seal;
#[path = "../fuzz/src/seeds.rs"]
mod seeds;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use retention::SmallFile as _;

const MUTATIONS: u64 = 20_000;

type Decoder = fn(&[u8]);

/// Every list of decoders, by the directory of its crate.
const LISTS: &[(&str, &[(&str, Decoder)])] = &[
    ("appliance/retention", retention::DECODERS),
    ("appliance/agent", agent::DECODERS),
    ("appliance/wire", wire::DECODERS),
    ("appliance/source", source::DECODERS),
    ("appliance/control", control::DECODERS),
    ("blockdev", blockdev::DECODERS),
    ("appliance/nbd", nbd::DECODERS),
    ("appliance/manifest", manifest::DECODERS),
    ("netplan", netplan::DECODERS),
    ("appliance/seed", seed::DECODERS),
    ("appliance/catalog", catalog::DECODERS),
    ("appliance/backup", backup::DECODERS),
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the repository").to_owned()
}

fn decoders() -> impl Iterator<Item = (&'static str, Decoder)> {
    LISTS.iter().flat_map(|(_, list)| list.iter().copied())
}

fn names() -> BTreeSet<String> {
    let names: BTreeSet<String> = decoders().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names.len(), decoders().count(), "no two decoders have one name");
    names
}

#[test]
fn every_list_of_decoders_is_known_here_and_to_the_fuzzer() {
    let mut found = BTreeSet::new();
    let root = repository();
    let crates = std::fs::read_dir(root.join("appliance")).expect("there is an appliance").flatten();
    for directory in crates.map(|entry| entry.path()).chain([root.join("blockdev"), root.join("netplan")]) {
        if declares_decoders(&directory.join("src")) {
            found.insert(
                directory.strip_prefix(&root).expect("it lies there").to_str().expect("ASCII").to_owned(),
            );
        }
    }
    let known: BTreeSet<String> = LISTS.iter().map(|(directory, _)| (*directory).to_owned()).collect();
    assert_eq!(found, known, "crates that declare DECODERS, and those this test asks");
    let fuzz = std::fs::read_to_string(root.join("tests/fuzz/src/lib.rs")).expect("the fuzzer has a library");
    for directory in known {
        let list = format!("{}::DECODERS", directory.trim_start_matches("appliance/"));
        assert!(fuzz.contains(&list), "tests/fuzz/src/lib.rs does not ask {list}");
    }
}

fn declares_decoders(directory: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(directory) else { return false };
    entries.flatten().map(|entry| entry.path()).any(|path| {
        let text = || std::fs::read_to_string(&path).unwrap_or_default();
        path.is_dir() && declares_decoders(&path) || path.is_file() && text().contains("pub const DECODERS")
    })
}

#[test]
fn every_decoder_has_a_fuzz_target_and_every_target_a_decoder() {
    let fuzz = repository().join("tests/fuzz");
    let files = std::fs::read_dir(fuzz.join("fuzz_targets")).expect("there are targets").flatten();
    let mut targets = BTreeSet::new();
    for file in files {
        let name = file.file_name().into_string().expect("names are ASCII");
        let name = name.strip_suffix(".rs").expect("targets are Rust").to_owned();
        let text = std::fs::read_to_string(file.path()).expect("a target can be read");
        assert!(text.contains(&format!("fuzz!(\"{name}\")")), "{name} feeds the decoder of its name");
        targets.insert(name);
    }
    assert_eq!(targets, names(), "fuzz targets, and decoders");
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).expect("the fuzzer has a manifest");
    let built = manifest.lines().filter_map(|line| line.strip_prefix("path = \"fuzz_targets/"));
    let built: BTreeSet<String> = built.map(|file| file.trim_end_matches(".rs\"").to_owned()).collect();
    assert_eq!(built, names(), "targets the manifest builds, and decoders");
}

#[test]
fn no_decoder_panics_on_changed_golden_bytes() {
    for (name, decode) in decoders() {
        let seeds = seeds::seeds(name);
        assert!(!seeds.is_empty(), "{name} has no golden bytes in tests/fuzz/src/seeds.rs");
        seeds.iter().for_each(|seed| decode(seed));
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for number in 0..MUTATIONS {
            let mut bytes = seeds[number as usize % seeds.len()].clone();
            for _ in 0..=random.below(4) {
                change(&mut bytes, &mut random);
            }
            if random.below(2) == 0 {
                seal::seal(name, &mut bytes);
            }
            let outcome = std::panic::catch_unwind(|| decode(&bytes));
            assert!(outcome.is_ok(), "{name} panics on mutation {number}: {bytes:02x?}");
        }
    }
}

#[test]
fn sealed_bytes_pass_the_checksum_they_were_sealed_for() {
    for name in [
        "record_head",
        "journal_head",
        "superblock",
        "making_mark",
        "scrub_record",
        "leaf_page",
        "epoch_index",
        "wire_frame",
        "heartbeat_frame",
        "leaf-table",
        "command-ledger",
        "catalog_snapshot",
        "etcd_value",
    ] {
        for seed in seeds::seeds(name) {
            let mut sealed = seed.clone();
            seal::seal(name, &mut sealed);
            assert_eq!(sealed, seed, "{name}: golden bytes carry the right checksum already");
        }
    }
    let taken = |name, decode: fn(&[u8]) -> bool| seeds::seeds(name).iter().all(|seed| decode(seed));
    assert!(taken("record_head", |bytes| retention::decode_head(bytes).is_ok()));
    assert!(taken("journal_head", |bytes| retention::Head::decode(bytes).is_ok()));
    assert!(taken("superblock", |bytes| retention::Superblock::decode(bytes).is_ok()));
    assert!(taken("epoch_index", |bytes| retention::EpochIndex::decode(bytes).is_ok()));
    assert!(taken("wire_header", |bytes| wire::decode_header::<wire::Message>(bytes).is_ok()));
    assert!(taken("wire_message", |bytes| wire::decode_message::<wire::Message>(bytes).is_ok()));
    assert!(taken("control-request", |bytes| control::decode_request(bytes).is_ok()));
    let mut record = seeds::seeds("record_head").remove(0);
    record[56] ^= 1;
    assert!(retention::decode_head(&record).is_err());
    seal::seal("record_head", &mut record);
    assert!(retention::decode_head(&record).is_ok(), "a changed sequence under a right checksum is taken");
}

/// One random change: a bit, a byte, a number at its limit, a cut, a gap, or a part twice.
fn change(bytes: &mut Vec<u8>, random: &mut Random) {
    if bytes.is_empty() {
        bytes.push(random.next() as u8);
        return;
    }
    let at = random.below(bytes.len() as u64) as usize;
    match random.below(7) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.next() as u8,
        2 => bytes[at] = [0x00, 0x7f, 0x80, 0xff][random.below(4) as usize],
        3 => {
            let end = (at + 1 + random.below(8) as usize).min(bytes.len());
            bytes[at..end].fill(0xff);
        }
        4 => bytes.truncate(at),
        5 => drop(bytes.drain(at..(at + 1 + random.below(16) as usize).min(bytes.len()))),
        _ => {
            let part = bytes[at..(at + 1 + random.below(32) as usize).min(bytes.len())].to_vec();
            bytes.splice(at..at, part);
        }
    }
}

/// splitmix64: the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}
