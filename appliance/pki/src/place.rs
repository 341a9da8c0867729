//! Where the certificate and key of one holder lie: made when it joins, renewed in place.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use link::holder_of;
use rcgen::{KeyPair, PublicKeyData};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use units::{CertificateId, Timestamp};
use wire::{Identity, Role};
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use crate::PkiError;
use crate::authority::{CA_CERTIFICATE_FILE, key_hash, new_key};
use crate::file::{Readers, make_directory, read_text, write_over};
use crate::leaf::{CERTIFICATE_FILE, KEY_FILE, Validity};
use crate::request::request_for;
use crate::trust::first_certificate;

/// Characters on a line of PEM.
const PEM_LINE: usize = 64;

/// A holder that is getting its first certificate: its key is made, and is kept for another attempt.
#[derive(Debug)]
pub struct Joining {
    /// Where the certificate will lie.
    place: PathBuf,
    /// Where everything is put together.
    workshop: PathBuf,
    request: Vec<u8>,
    key_hash: [u8; 32],
}

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Whom it speaks for.
    pub identity: Identity,
    /// Its number.
    pub number: CertificateId,
    /// The last moment it is good.
    pub not_after: Timestamp,
    /// The SHA-256 of its key.
    pub key_hash: [u8; 32],
}

impl Joining {
    /// Makes a key beside the place, or takes the one that an attempt before has left; it is on disk when the call returns.
    ///
    /// # Errors
    /// A file can't be made or read.
    pub fn begin(place: &Path) -> Result<Self, PkiError> {
        let mut name = place.file_name().unwrap_or_default().to_owned();
        name.push(".joining");
        let workshop = place.with_file_name(name);
        make_directory(&workshop)?;
        if !workshop.join(KEY_FILE).exists() {
            let pem = Zeroizing::new(new_key()?.serialize_pem());
            write_over(&workshop, KEY_FILE, &pem, Readers::Owner)?;
        }
        let (request, key_hash) = request_of(&workshop)?;
        Ok(Self { place: place.to_owned(), workshop, request, key_hash })
    }

    /// Returns the request to sign, in DER.
    pub fn request(&self) -> &[u8] {
        &self.request
    }

    /// Puts the certificate into its place, with its key, the authority's certificate and further files of text; what was there
    /// before is gone. After a crash it is all there or what was there before.
    ///
    /// # Errors
    /// The certificate is not for this key or holder, or a file can't be written: then all is as it was.
    pub fn finish(
        self,
        identity: &Identity,
        certificate: &[u8],
        authority: &[u8],
        further: &[(&str, &str)],
    ) -> Result<(), PkiError> {
        check(certificate, identity, self.key_hash, &self.place)?;
        // 1. Every file, durable. 2. The name.
        let public = |name: &str, text: &str| write_over(&self.workshop, name, text, Readers::All);
        public(CA_CERTIFICATE_FILE, &pem(authority))?;
        public(CERTIFICATE_FILE, &chain_pem(identity, certificate, authority))?;
        further.iter().try_for_each(|(name, text)| public(name, text))?;
        take_place(&self.workshop, &self.place).map_err(|source| PkiError::Write { path: self.place, source })
    }
}

/// Gives a finished directory its name, in place of one that has it, which is removed.
fn take_place(finished: &Path, place: &Path) -> io::Result<()> {
    let parent = place.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let sync = || fs::File::open(parent)?.sync_all();
    match renameat_with(CWD, finished, CWD, place, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::EXIST) => {
            renameat_with(CWD, finished, CWD, place, RenameFlags::EXCHANGE)?;
            sync()?;
            fs::remove_dir_all(finished)
        }
        outcome => outcome.map_err(io::Error::from).and_then(|()| sync()),
    }
}

/// Returns a request to sign the key of a place again, in DER.
///
/// # Errors
/// The key can't be read.
pub fn renewal_request(place: &Path) -> Result<Vec<u8>, PkiError> {
    Ok(request_of(place)?.0)
}

/// Puts the next certificate for the same key into its place; after a crash it is the old or the new one.
///
/// # Errors
/// It is for another key or holder (nothing was changed), or can't be written.
pub fn renew(place: &Path, certificate: &[u8], authority: &[u8]) -> Result<(), PkiError> {
    let own = CertificateFacts::read(place)?;
    check(certificate, &own.identity, own.key_hash, place)?;
    let chain = chain_pem(&own.identity, certificate, authority);
    write_over(place, CERTIFICATE_FILE, &chain, Readers::All)
}

impl CertificateFacts {
    /// Reads the certificate of a place.
    ///
    /// # Errors
    /// There is none, or it is of no use.
    pub fn read(place: &Path) -> Result<Self, PkiError> {
        let path = place.join(CERTIFICATE_FILE);
        let text = read_text(&path)?;
        let first = first_certificate(&text).ok();
        let facts = first.and_then(|certificate| Self::of(&certificate));
        facts.ok_or(PkiError::CertificateContent { path })
    }

    /// Reads a certificate in DER. Whether it can be trusted is not looked at.
    pub fn of(der: &[u8]) -> Option<Self> {
        let (identity, number) = holder_of(der).ok()?;
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        let not_after = Validity::read(der)?.not_after;
        Some(Self { identity, number, not_after, key_hash: key_hash(parsed.public_key().raw) })
    }

    /// Returns when half its life is over, which is when it is renewed.
    pub fn half_life(&self) -> Timestamp {
        let issued = self.number.issued();
        issued.after(self.not_after.since(issued) / 2)
    }
}

fn request_of(directory: &Path) -> Result<(Vec<u8>, [u8; 32]), PkiError> {
    let path = directory.join(KEY_FILE);
    let not_a_key =
        |source| PkiError::Authority { path: path.clone(), expected: "a private key in PEM", source };
    let key = KeyPair::from_pem(&read_text(&path)?).map_err(not_a_key)?;
    let hash = key_hash(&key.subject_public_key_info());
    let request = request_for(&key).map_err(|source| PkiError::Sign { what: "request", source })?;
    Ok((request, hash))
}

fn check(certificate: &[u8], identity: &Identity, key: [u8; 32], place: &Path) -> Result<(), PkiError> {
    let found = CertificateFacts::of(certificate);
    if found.is_some_and(|found| found.identity == *identity && found.key_hash == key) {
        return Ok(());
    }
    Err(PkiError::CertificateContent { path: place.join(CERTIFICATE_FILE) })
}

/// Returns what `cert.pem` holds. A configuration server sends its authority's certificate too: whoever joins knows only its hash.
pub(crate) fn chain_pem(identity: &Identity, certificate: &[u8], authority: &[u8]) -> String {
    let own = pem(certificate);
    if identity.role == Role::ConfigurationServer { own + &pem(authority) } else { own }
}

fn pem(der: &[u8]) -> String {
    let coded = STANDARD.encode(der);
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for line in coded.as_bytes().chunks(PEM_LINE) {
        text.extend(line.iter().copied().map(char::from));
        text.push('\n');
    }
    text + "-----END CERTIFICATE-----\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Authority, SigningRequest, Validity, init, new_number};
    use std::time::Duration;

    const HOUR: Duration = Duration::from_secs(3600);

    fn sign(authority: &Authority, request: &[u8], identity: &Identity, at: Timestamp) -> Vec<u8> {
        let request = SigningRequest::read(request).expect("a request");
        let number = new_number(at).expect("a number");
        authority.sign(request.key(), identity, Validity::of(at, HOUR), number).expect("signed")
    }

    #[test]
    fn joining_again_replaces_everything_and_renewing_keeps_the_key() {
        let directory = tempfile::TempDir::new().expect("a directory");
        init(&directory.path().join("ca")).expect("made");
        let authority = Authority::open(&directory.path().join("ca")).expect("opened");
        let (web, place): (Identity, _) =
            ("landfall:source:web".parse().expect("an identity"), directory.path().join("identity"));
        let mut keys = Vec::new();
        for at in [Timestamp(1_796_000_000_000_000), Timestamp(1_796_000_001_000_000)] {
            let joining = Joining::begin(&place).expect("begun");
            assert_eq!(
                Joining::begin(&place).expect("again").key_hash,
                joining.key_hash,
                "kept for another attempt"
            );
            let certificate = sign(&authority, joining.request(), &web, at);
            joining
                .finish(&web, &certificate, authority.certificate(), &[("home", "here\n")])
                .expect("finished");
            let own = CertificateFacts::read(&place).expect("there");
            assert_eq!((own.number.issued(), own.half_life()), (at, at.after(HOUR / 2)));
            link::Credentials::read(&place).expect("they fit");
            keys.push(own.key_hash);
        }
        assert_ne!(keys[0], keys[1]);
        let later = Timestamp(1_796_000_009_000_000);
        let certificate = sign(&authority, &renewal_request(&place).expect("a request"), &web, later);
        renew(&place, &certificate, authority.certificate()).expect("renewed");
        let own = CertificateFacts::read(&place).expect("there");
        assert_eq!((own.number.issued(), own.key_hash), (later, keys[1]));
        assert_eq!(fs::read_dir(directory.path()).expect("read").count(), 2, "nothing is left over");
    }

    #[test]
    fn a_certificate_for_another_key_or_holder_is_not_taken() {
        let directory = tempfile::TempDir::new().expect("a directory");
        init(&directory.path().join("ca")).expect("made");
        let authority = Authority::open(&directory.path().join("ca")).expect("opened");
        let (web, db): (Identity, Identity) =
            ("landfall:source:web".parse().expect("one"), "landfall:source:db".parse().expect("two"));
        let at = Timestamp(1_796_000_000_000_000);
        let other = Joining::begin(&directory.path().join("other")).expect("begun");
        let place = directory.path().join("identity");
        let own = Joining::begin(&place).expect("begun");
        let (foreign, misnamed) =
            (sign(&authority, other.request(), &web, at), sign(&authority, own.request(), &db, at));
        assert!(own.finish(&web, &foreign, authority.certificate(), &[]).is_err());
        let own = Joining::begin(&place).expect("again");
        assert!(own.finish(&web, &misnamed, authority.certificate(), &[]).is_err());
        assert!(!place.exists());
    }
}
