//! A manifest counts if it is whole and signed by whom we trust, and not otherwise.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::path::{Path, PathBuf};

use manifest::{Consistency, Disk, Event, Facts, Point, Sealed, Times, Verdict};
use pki::{IssueRequest, Notary, Trust, TrustError, Validity, init, issue};
use tempfile::TempDir;
use units::{Generation, Hash, MachineId, Sequence, Timestamp};
use wire::Role;

const SIGNED: Timestamp = Timestamp(1_763_647_387_000_000);

fn facts() -> Facts {
    let root = Some(Hash([7; 32]));
    let disk = Disk {
        index: 0,
        path: "/dev/sdb".to_owned(),
        identity: "serial:x".to_owned(),
        device_bytes: 8192,
        protected_bytes: 4096,
        source_root: root,
        target_root: root,
        verdict: Verdict::Identical,
    };
    Facts {
        product: "landfall 0.1.0".to_owned(),
        event: Event::Failback,
        machine: "web-01".parse().unwrap(),
        machine_id: MachineId([1; 16]),
        generation: Generation(1),
        point: Point {
            sequence: Sequence(5),
            time: Some(SIGNED),
            consistency: Consistency::Crash,
            label: String::new(),
        },
        disks: vec![disk],
        times: Times { started: SIGNED, reached: Some(SIGNED), proved: Some(SIGNED), signed: SIGNED },
        written_bytes: 0,
    }
}

/// An authority with a server of the role, good from `from` to `to` seconds around the signature.
fn server(role: Role, from: u64, to: u64) -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    init(directory.path()).unwrap();
    let out_directory = directory.path().join("home-01");
    let seconds = |seconds: u64| Timestamp(SIGNED.0 / 1_000_000 * 1_000_000 + seconds * 1_000_000);
    let validity =
        Validity { not_before: Timestamp(seconds(0).0 - from * 1_000_000), not_after: seconds(to) };
    let (ca_directory, name) = (directory.path(), "home-01".parse().unwrap());
    issue(&IssueRequest { ca_directory, role, name, validity, out_directory: &out_directory }).unwrap();
    (directory, out_directory)
}

fn sealed(identity: &Path) -> String {
    Notary::read(identity).unwrap().seal(facts()).unwrap()
}

fn check(trust: &Trust, text: &str) -> Result<(), TrustError> {
    trust.check(&Sealed::decode(text.as_bytes()).unwrap())
}

/// Writes the public key of a certificate as `openssl x509 -pubkey` does.
fn public_key(identity: &Path) -> PathBuf {
    let pem = std::fs::read(identity.join("key.pem")).unwrap();
    let key = rcgen::KeyPair::from_pem(std::str::from_utf8(&pem).unwrap()).unwrap();
    let path = identity.join("public.pem");
    std::fs::write(&path, key.public_key_pem()).unwrap();
    path
}

#[test]
fn the_authority_or_the_key_alone_is_enough() {
    // The certificate has ended long ago; it was good when the manifest was signed.
    let (ca, identity) = server(Role::MasterTarget, 60, 60);
    let text = sealed(&identity);
    check(&Trust::Authority(ca.path().join("ca.pem")), &text).unwrap();
    check(&Trust::Key(public_key(&identity)), &text).unwrap();
    check(&Trust::Anyone, &text).unwrap();
}

#[test]
fn strangers_other_roles_and_other_times_do_not_count() {
    let (ca, identity) = server(Role::MasterTarget, 60, 60);
    let (other, stranger) = server(Role::MasterTarget, 60, 60);
    let text = sealed(&identity);
    let chain = check(&Trust::Authority(other.path().join("ca.pem")), &text);
    assert!(matches!(chain, Err(TrustError::Chain(_))), "{chain:?}");
    let key = check(&Trust::Key(public_key(&stranger)), &text);
    assert!(matches!(key, Err(TrustError::OtherKey { .. })), "{key:?}");
    let missing = check(&Trust::Key(ca.path().join("nothing")), &text);
    assert!(matches!(missing, Err(TrustError::Anchor { .. })), "{missing:?}");
    let (ca, source) = server(Role::Source, 60, 60);
    let role = check(&Trust::Authority(ca.path().join("ca.pem")), &sealed(&source));
    assert!(matches!(role, Err(TrustError::Role { .. } | TrustError::Chain(_))), "{role:?}");
    let (ca, late) = server(Role::MasterTarget, 600, 0);
    let mut later = facts();
    later.times.signed = Timestamp(SIGNED.0 + 5_000_000);
    let text = Notary::read(&late).unwrap().seal(later).unwrap();
    let ended = check(&Trust::Authority(ca.path().join("ca.pem")), &text);
    assert!(matches!(ended, Err(TrustError::Chain(_))), "{ended:?}");
}

#[test]
fn no_byte_of_a_manifest_can_be_changed() {
    let (ca, identity) = server(Role::MasterTarget, 60, 60);
    let (text, trust) = (sealed(&identity), Trust::Authority(ca.path().join("ca.pem")));
    check(&trust, &text).unwrap();
    for at in 0..text.len() {
        for mask in [0x01, 0x02, 0x20, 0x5a] {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= mask;
            let counts = Sealed::decode(&bytes).is_ok_and(|sealed| trust.check(&sealed).is_ok());
            assert!(!counts, "byte {at} under {mask:02x}: {}", &text[at..text.len().min(at + 40)]);
        }
    }
}

#[test]
fn a_manifest_signed_anew_by_somebody_else_is_caught() {
    let (ca, identity) = server(Role::MasterTarget, 60, 60);
    let (_other, stranger) = server(Role::MasterTarget, 60, 60);
    let mut forged = facts();
    forged.disks[0].path = "/dev/sdz".to_owned();
    let text = Notary::read(&stranger).unwrap().seal(forged).unwrap();
    check(&Trust::Anyone, &text).unwrap();
    assert!(check(&Trust::Authority(ca.path().join("ca.pem")), &text).is_err());
    assert!(check(&Trust::Key(public_key(&identity)), &text).is_err());
}

#[test]
fn a_key_that_is_not_the_certificates_signs_nothing() {
    let (_ca, identity) = server(Role::MasterTarget, 60, 60);
    let (_other, stranger) = server(Role::MasterTarget, 60, 60);
    std::fs::copy(stranger.join("key.pem"), identity.join("key.pem")).unwrap();
    assert!(Notary::read(&identity).is_err());
}
