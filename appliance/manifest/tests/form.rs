//! The one form: golden bytes, every flipped bit, every truncation, every contradiction.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use manifest::{
    Algorithm, Consistency, Disk, Event, FORMAT, Facts, FormError, Manifest, Point, Sealed, Signer, Times,
    Verdict, seal, signed_bytes,
};
use units::{Generation, Hash, MachineId, Sequence, Timestamp};

const GOLDEN: &str = include_str!("golden/failback.manifest");

fn specimen() -> Manifest {
    let root = |byte| Some(Hash([byte; 32]));
    let disk = |index, source_root, target_root| Disk {
        index,
        path: format!("/dev/disk/by-id/scsi-{index}"),
        identity: format!("wwid:naa.6000c29{index}"),
        device_bytes: 20 << 30,
        protected_bytes: 10 << 30,
        source_root,
        target_root,
        verdict: Verdict::of(source_root, target_root),
    };
    let started = Timestamp(1_763_647_387_000_250);
    let at = |seconds: u64| Some(Timestamp(started.0 + seconds * 1_000_000));
    Manifest {
        format: FORMAT.to_owned(),
        facts: Facts {
            product: "landfall 0.1.0".to_owned(),
            event: Event::Failback,
            machine: "web-01".parse().unwrap(),
            machine_id: MachineId([0x1f; 16]),
            generation: Generation(3),
            point: Point {
                sequence: Sequence(812),
                time: Some(Timestamp(1_763_647_000_000_000)),
                consistency: Consistency::Application,
                label: "before \"update\"\n\u{e9}".to_owned(),
            },
            disks: vec![
                disk(0, root(0xa5), root(0xa5)),
                disk(1, root(0xa5), root(0x5a)),
                disk(2, None, root(7)),
            ],
            times: Times { started, reached: at(2), proved: at(9), signed: at(9).unwrap() },
            written_bytes: 123_456_789,
        },
        signer: Signer {
            identity: "landfall:master-target:home-01".to_owned(),
            algorithm: Algorithm::EcdsaP256Sha256,
            key_id: "c3".repeat(32),
            certificates: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(),
        },
    }
}

#[test]
fn a_manifest_is_written_as_it_always_was() {
    let text = seal(&specimen(), b"a signature of some bytes");
    if std::env::var_os("LANDFALL_BLESS").is_some() {
        std::fs::write("tests/golden/failback.manifest", &text).unwrap();
    }
    assert_eq!(text, GOLDEN);
    let sealed = Sealed::decode(GOLDEN.as_bytes()).unwrap();
    assert_eq!((sealed.manifest, sealed.signature), (specimen(), b"a signature of some bytes".to_vec()));
    // What is signed can be cut out with `sed`: the domain, and the second line.
    let second = GOLDEN.lines().nth(1).unwrap();
    let signed = format!("landfall 2026 failback manifest\n{second}\n");
    assert_eq!(signed_bytes(&specimen()), signed.into_bytes());
    let whole: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
    assert_eq!(whole["signed"]["facts"]["disks"][1]["verdict"], "different");
}

#[test]
fn no_two_files_are_one_manifest() {
    let bytes = GOLDEN.as_bytes();
    for end in 0..bytes.len() {
        assert!(Sealed::decode(&bytes[..end]).is_err(), "cut at {end}");
    }
    let original = Sealed::decode(bytes).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = Sealed::decode(&flipped) {
            assert_ne!(other, original, "bit {bit} says nothing");
        }
    }
    for more in ["\n", " ", "x"] {
        assert!(Sealed::decode(format!("{GOLDEN}{more}").as_bytes()).is_err(), "{more:?} behind it");
    }
    let spaced = GOLDEN.replacen("\"facts\":{", "\"facts\": {", 1);
    assert!(matches!(Sealed::decode(spaced.as_bytes()), Err(FormError::NotCanonical)));
}

#[test]
fn what_contradicts_itself_is_refused() {
    let refused = |change: fn(&mut Facts)| {
        let mut manifest = specimen();
        change(&mut manifest.facts);
        let decoded = Sealed::decode(seal(&manifest, b"s").as_bytes());
        assert!(matches!(decoded, Err(FormError::Contradiction { .. })), "{decoded:?}");
    };
    refused(|facts| facts.disks[1].verdict = Verdict::Identical);
    refused(|facts| facts.disks[0].target_root = None);
    refused(|facts| facts.disks.swap(0, 1));
    refused(|facts| facts.disks.clear());
    refused(|facts| facts.times.proved = None);
    refused(|facts| facts.disks[2].protected_bytes = 21 << 30);
    let other = GOLDEN.replacen("landfall-manifest/1", "landfall-manifest/2", 1);
    assert!(matches!(Sealed::decode(other.as_bytes()), Err(FormError::Format { .. })));
}
