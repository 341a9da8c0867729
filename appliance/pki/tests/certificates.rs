//! What is made is what was asked for, and nothing that exists is overwritten.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use pki::{IssueRequest, PkiError, Validity, init, issue};
use tempfile::TempDir;
use units::Timestamp;
use wire::{Identity, Role};
use x509_parser::prelude::GeneralName;

fn authority() -> TempDir {
    let directory = TempDir::new().expect("a temporary directory");
    init(directory.path()).expect("the authority is made");
    directory
}

fn identity(text: &str) -> Identity {
    text.parse().expect("a lawful identity")
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("the file exists").permissions().mode() & 0o777
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("the file can be read")
}

#[test]
fn keys_are_for_their_owner_alone() {
    let ca = authority();
    let out = ca.path().join("sources/web-01");
    let request =
        IssueRequest::for_days(ca.path(), identity("landfall:source:web-01"), 30, &out).expect("lawful");
    let issued = issue(&request).expect("issued");
    assert_eq!(issued.directory, out);
    for (path, expected) in [
        (ca.path().join("ca.key"), 0o600),
        (ca.path().join("ca.pem"), 0o644),
        (out.join("key.pem"), 0o600),
        (out.join("cert.pem"), 0o644),
        (out.join("ca.pem"), 0o644),
        (out.clone(), 0o700),
    ] {
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
    assert_eq!(read(&ca.path().join("ca.pem")), read(&out.join("ca.pem")));
}

#[test]
fn a_certificate_carries_one_identity_both_uses_its_dates_and_the_authoritys_signature() {
    let ca = authority();
    let out = ca.path().join("out");
    let validity = Validity {
        not_before: Timestamp(1_600_000_000_000_000),
        not_after: Timestamp(1_700_000_000_000_000),
    };
    let name = "home-1".parse().expect("lawful");
    let role = Role::MasterTarget;
    issue(&IssueRequest { ca_directory: ca.path(), role, name, validity, out_directory: &out })
        .expect("issued");
    let (ca_pem, leaf_pem) = (read(&out.join("ca.pem")), read(&out.join("cert.pem")));
    let (_, ca_pem) = x509_parser::pem::parse_x509_pem(&ca_pem).expect("PEM");
    let (_, leaf_pem) = x509_parser::pem::parse_x509_pem(&leaf_pem).expect("PEM");
    let (ca, leaf) = (ca_pem.parse_x509().expect("X.509"), leaf_pem.parse_x509().expect("X.509"));
    let names = &leaf.subject_alternative_name().expect("lawful").expect("present").value.general_names;
    assert!(matches!(names.as_slice(), [GeneralName::URI("landfall:master-target:home-1")]), "{names:?}");
    let uses = leaf.extended_key_usage().expect("lawful").expect("present").value;
    assert!(uses.client_auth && uses.server_auth && !uses.any);
    assert!(!leaf.is_ca() && ca.is_ca());
    assert_eq!(leaf.validity().not_before.timestamp(), 1_600_000_000);
    assert_eq!(leaf.validity().not_after.timestamp(), 1_700_000_000);
    assert_eq!(leaf.issuer(), ca.subject());
}

#[test]
fn nothing_that_exists_is_overwritten() {
    let ca = authority();
    let before = read(&ca.path().join("ca.key"));
    assert!(matches!(init(ca.path()), Err(PkiError::Exists { path }) if path.ends_with("ca.pem")));
    assert_eq!(read(&ca.path().join("ca.key")), before);

    let ca = authority();
    let out = ca.path().join("out");
    let request = IssueRequest::for_days(ca.path(), identity("landfall:source:a"), 1, &out).expect("lawful");
    issue(&request).expect("issued");
    let before = read(&out.join("key.pem"));
    assert!(matches!(issue(&request), Err(PkiError::Exists { .. })));
    assert_eq!(read(&out.join("key.pem")), before);
}

#[test]
fn an_authority_that_is_missing_damaged_or_mixed_up_is_refused_by_name() {
    let (ca, other, empty) = (authority(), authority(), TempDir::new().expect("a temporary directory"));
    let out = empty.path().join("out");
    let attempt = |ca: &Path| {
        issue(&IssueRequest::for_days(ca, identity("landfall:source:a"), 1, &out).expect("lawful"))
            .expect_err("the authority is unusable")
    };
    assert!(matches!(attempt(empty.path()), PkiError::Read { path, .. } if path.ends_with("ca.pem")));
    std::fs::copy(other.path().join("ca.key"), ca.path().join("ca.key")).expect("copied");
    assert!(matches!(attempt(ca.path()), PkiError::KeyMismatch { .. }));
    std::fs::write(ca.path().join("ca.key"), "no key").expect("written");
    assert!(matches!(attempt(ca.path()), PkiError::Authority { path, .. } if path.ends_with("ca.key")));
    std::fs::write(other.path().join("ca.pem"), "no certificate").expect("written");
    assert!(matches!(attempt(other.path()), PkiError::Authority { path, .. } if path.ends_with("ca.pem")));
    assert!(!out.exists(), "nothing was made");
}

#[test]
fn a_certificate_lasts_a_day_to_ten_years() {
    let path = Path::new("unused");
    for (days, lawful) in [(0, false), (1, true), (3650, true), (3651, false), (u32::MAX, false)] {
        let request = IssueRequest::for_days(path, identity("landfall:operator:a"), days, path);
        assert_eq!(request.is_ok(), lawful, "{days}");
    }
}
