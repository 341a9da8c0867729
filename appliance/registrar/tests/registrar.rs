//! Tokens, certificates and revocations, over a real catalog.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use catalog::{Catalog, Sqlite};
use link::{Denied, Standing};
use pki::{Authority, CertificateFacts, Joining};
use registrar::{Registrar, RegistrarError, Terms};
use tempfile::TempDir;
use units::Timestamp;
use wire::{EnrolRefusal, Identity, Join, JoinToken};

const EXPORTER: [u8; 32] = [9; 32];
const HOUR: Duration = Duration::from_secs(3600);

struct Town {
    directory: TempDir,
    catalog: Arc<dyn Catalog>,
    registrar: Arc<Registrar>,
}

impl Town {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        pki::init(&directory.path().join("ca")).unwrap();
        let catalog: Arc<dyn Catalog> = Arc::new(Sqlite::open(&directory.path().join("catalog.db")).unwrap());
        let registrar = open(&directory, &catalog);
        Self { directory, catalog, registrar }
    }

    fn join(
        &self,
        name: &str,
        token: &JoinToken,
        at: Timestamp,
    ) -> Result<(Identity, Vec<u8>), RegistrarError> {
        let joining = Joining::begin(&self.directory.path().join(name)).unwrap();
        self.registrar.join(&ask(token, joining.request(), &EXPORTER), &EXPORTER, at)
    }
}

fn open(directory: &TempDir, catalog: &Arc<dyn Catalog>) -> Arc<Registrar> {
    let authority = Authority::open(&directory.path().join("ca")).unwrap();
    Registrar::open(authority, catalog.clone(), Terms::default()).unwrap()
}

fn ask(token: &JoinToken, request: &[u8], exporter: &[u8; 32]) -> Join {
    let proof = token.secret.proof(exporter, request);
    let request = heapless::Vec::from_slice(request).unwrap();
    Join { token: token.id, request, proof, software: heapless::String::new() }
}

fn now() -> Timestamp {
    Timestamp::from_system(SystemTime::now())
}

fn web() -> Identity {
    "landfall:source:web-01".parse().unwrap()
}

fn is_refused(outcome: Result<(Identity, Vec<u8>), RegistrarError>) -> bool {
    outcome.is_err_and(|error| error.refusal() == EnrolRefusal::Token)
}

#[test]
fn a_token_enrols_one_key_and_answers_that_one_again() {
    let town = Town::new();
    let token = town.registrar.token(&web(), now()).unwrap();
    let register = town.registrar.register();
    let number = |der: &[u8]| CertificateFacts::of(der).unwrap().number;
    let (identity, first) = town.join("one", &token, now()).unwrap();
    assert_eq!((identity, register.check(&web(), number(&first))), (web(), Ok(())));
    assert!(is_refused(town.join("other", &token, now())), "another key");
    let (_, again) = town.join("one", &token, now()).unwrap();
    assert!(number(&again) > number(&first), "the answer was lost, and is given again");
}

#[test]
fn an_old_a_foreign_and_a_guessed_token_are_refused_alike() {
    let (town, elsewhere) = (Town::new(), Town::new());
    let token = town.registrar.token(&web(), now().before(HOUR * 2)).unwrap();
    let old = town.join("a", &token, now()).unwrap_err();
    let foreign = town.join("a", &elsewhere.registrar.token(&web(), now()).unwrap(), now()).unwrap_err();
    let mut guessed = town.registrar.token(&web(), now()).unwrap();
    guessed.secret.0[15] ^= 1;
    let guessed = town.join("a", &guessed, now()).unwrap_err();
    for error in [&old, &foreign, &guessed] {
        assert_eq!((error.refusal(), error.detail()), (EnrolRefusal::Token, old.detail()));
    }
    assert_eq!(town.registrar.register().check(&web(), new_number()), Err(Denied::Unknown));
}

fn new_number() -> units::CertificateId {
    pki::new_number(now()).unwrap()
}

#[test]
fn five_wrong_proofs_burn_a_token_whatever_connection_they_come_on() {
    let town = Town::new();
    let token = town.registrar.token(&web(), now()).unwrap();
    let joining = Joining::begin(&town.directory.path().join("one")).unwrap();
    // The proof is of another connection: whoever overheard it has nothing.
    let overheard = ask(&token, joining.request(), &[8; 32]);
    for _ in 0..5 {
        assert!(is_refused(town.registrar.join(&overheard, &EXPORTER, now())));
    }
    assert!(is_refused(town.join("one", &token, now())), "burnt");
}

#[test]
fn a_revocation_is_known_at_once_by_all_who_share_the_catalog_and_survives_a_start() {
    let town = Town::new();
    let other = open(&town.directory, &town.catalog);
    let token = town.registrar.token(&web(), now()).unwrap();
    let (_, certificate) = town.join("one", &token, now()).unwrap();
    let shown = CertificateFacts::of(&certificate).unwrap();
    wait(|| other.register().check(&web(), shown.number).is_ok());
    town.registrar.revoke(&web(), "stolen", now()).unwrap();
    let check = |registrar: &Registrar| registrar.register().check(&web(), shown.number);
    assert_eq!(check(&town.registrar), Err(Denied::Revoked));
    wait(|| check(&other) == Err(Denied::Revoked));
    assert_eq!(check(&open(&town.directory, &town.catalog)), Err(Denied::Revoked));
    let request = pki::renewal_request(&town.directory.path().join("one.joining")).unwrap();
    let renewed = town.registrar.renew(&web(), shown.number, shown.key_hash, &request, now());
    assert!(matches!(renewed, Err(RegistrarError::Revoked { .. })));
    assert_eq!(town.registrar.revocations(None).len(), 1);
    assert_eq!(town.registrar.revocations(Some(&web())).len(), 0);
    let token = town.registrar.token(&web(), now()).unwrap();
    let (_, again) = town.join("one", &token, now()).unwrap();
    let number = CertificateFacts::of(&again).unwrap().number;
    assert_eq!(town.registrar.register().check(&web(), number), Ok(()), "joined again");
}

#[test]
fn a_renewal_is_for_the_key_that_was_shown() {
    let town = Town::new();
    let token = town.registrar.token(&web(), now()).unwrap();
    let (_, certificate) = town.join("one", &token, now()).unwrap();
    let shown = CertificateFacts::of(&certificate).unwrap();
    let renew = |request: &[u8]| town.registrar.renew(&web(), shown.number, shown.key_hash, request, now());
    let own = pki::renewal_request(&town.directory.path().join("one.joining")).unwrap();
    let next = CertificateFacts::of(&renew(&own).unwrap()).unwrap();
    assert!(next.number > shown.number && next.key_hash == shown.key_hash);
    let other = Joining::begin(&town.directory.path().join("two")).unwrap();
    assert!(matches!(renew(other.request()), Err(RegistrarError::OtherKey)));
    assert!(matches!(renew(b"no request"), Err(RegistrarError::Request(_))));
}

#[test]
fn a_revoked_holders_tokens_are_gone_too() {
    let town = Town::new();
    let first = town.registrar.token(&web(), now()).unwrap();
    town.join("one", &first, now()).unwrap();
    let spare = town.registrar.token(&web(), now()).unwrap();
    town.registrar.revoke(&web(), "", now()).unwrap();
    assert!(is_refused(town.join("one", &first, now())));
    assert!(is_refused(town.join("two", &spare, now())));
    let unknown = town.registrar.revoke(&"landfall:source:db".parse().unwrap(), "", now());
    assert!(matches!(unknown, Err(RegistrarError::Unknown { .. })));
}

#[test]
fn a_server_enrols_itself_once_and_renews_at_half_life() {
    let town = Town::new();
    let (own, place): (Identity, _) =
        ("landfall:master-target:home".parse().unwrap(), town.directory.path().join("identity"));
    assert!(town.registrar.enrol_own(&own, &place, now()).unwrap());
    assert!(!town.registrar.enrol_own(&own, &place, now()).unwrap());
    let before = CertificateFacts::read(&place).unwrap();
    assert!(town.registrar.enrol_own(&own, &place, before.half_life()).unwrap());
    let after = CertificateFacts::read(&place).unwrap();
    assert!(after.not_after > before.not_after && after.key_hash == before.key_hash);
}

fn wait(mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "not so within 30 s");
        std::thread::sleep(Duration::from_millis(20));
    }
}
