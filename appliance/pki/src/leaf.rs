//! The certificate of one server or source.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType,
    SerialNumber,
};
use units::{CertificateId, MachineName, Timestamp};
use wire::{Identity, Role};
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use crate::PkiError;
use crate::authority::{Authority, CA_CERTIFICATE_FILE, new_key};
use crate::file::{Readers, make_directory, refuse_existing, write_new};
use crate::place::chain_pem;

/// The file with the certificate.
pub const CERTIFICATE_FILE: &str = "cert.pem";
/// The file with its key.
pub const KEY_FILE: &str = "key.pem";
/// Days a certificate may last.
pub const DAYS_MAX: u32 = 3650;

const DAY: Duration = Duration::from_secs(86_400);
/// A certificate begins this much before it is made, for machines whose clocks are behind.
const CLOCK_SLACK: Duration = Duration::from_secs(300);

/// From when to when a certificate is good, by the clock of whoever checks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first moment, in whole seconds.
    pub not_before: Timestamp,
    /// The last moment, in whole seconds.
    pub not_after: Timestamp,
}

impl Validity {
    /// Reads when a certificate in DER is good. Whether it can be trusted is not looked at.
    pub fn read(der: &[u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        let at = |seconds: i64| Some(Timestamp(u64::try_from(seconds).ok()?.checked_mul(1_000_000)?));
        let validity = parsed.validity();
        let (not_before, not_after) =
            (at(validity.not_before.timestamp())?, at(validity.not_after.timestamp())?);
        Some(Self { not_before, not_after })
    }

    /// Returns a span that begins five minutes ago and ends `days` from now.
    pub fn days_from_now(days: u32) -> Self {
        Self::of(Timestamp::from_system(SystemTime::now()), DAY * days)
    }

    /// Returns a span that begins five minutes before this moment and ends `life` after it.
    pub fn of(issued: Timestamp, life: Duration) -> Self {
        Self { not_before: issued.before(CLOCK_SLACK), not_after: issued.after(life) }
    }

    /// Writes the span into a certificate, in whole seconds.
    pub(crate) fn apply(self, params: &mut CertificateParams) {
        let seconds = |time: Timestamp| Duration::from_secs(time.since(Timestamp(0)).as_secs());
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        (params.not_before, params.not_after) =
            (epoch + seconds(self.not_before), epoch + seconds(self.not_after));
    }
}

/// What certificate is wanted.
#[derive(Clone, Debug)]
pub struct IssueRequest<'a> {
    /// Where the authority is (see [`crate::init`]).
    pub ca_directory: &'a Path,
    /// What its holder may be.
    pub role: Role,
    /// Who its holder is; for a source, the machine it speaks for.
    pub name: MachineName,
    /// From when to when it is good.
    pub validity: Validity,
    /// Where `ca.pem`, `cert.pem` and `key.pem` go; made if need be.
    pub out_directory: &'a Path,
}

/// A certificate that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// Who it speaks for.
    pub identity: Identity,
    /// From when to when it is good.
    pub validity: Validity,
    /// The directory with `ca.pem`, `cert.pem` and `key.pem`, as `link::Credentials` reads it.
    pub directory: PathBuf,
}

impl<'a> IssueRequest<'a> {
    /// Returns a request for a certificate that is good from now for `days` days.
    ///
    /// # Errors
    /// [`PkiError::Days`] unless `days` is 1 to [`DAYS_MAX`].
    pub fn for_days(
        ca_directory: &'a Path,
        identity: Identity,
        days: u32,
        out_directory: &'a Path,
    ) -> Result<Self, PkiError> {
        if !(1..=DAYS_MAX).contains(&days) {
            return Err(PkiError::Days { found: days, max: DAYS_MAX });
        }
        let Identity { role, name } = identity;
        Ok(Self { ca_directory, role, name, validity: Validity::days_from_now(days), out_directory })
    }
}

/// Makes a key and a certificate and writes them with a copy of the authority's certificate; the key has mode 0600.
/// All three are on disk when the call returns.
///
/// # Errors
/// The authority can't be read, or one of the files exists (nothing was changed), or can't be written.
pub fn issue(request: &IssueRequest<'_>) -> Result<Issued, PkiError> {
    let directory = request.out_directory;
    let authority = Authority::open(request.ca_directory)?;
    make_directory(directory)?;
    refuse_existing(directory, &[CA_CERTIFICATE_FILE, CERTIFICATE_FILE, KEY_FILE])?;
    let identity = Identity { role: request.role, name: request.name.clone() };
    let key = new_key()?;
    let number = new_number(Timestamp::from_system(SystemTime::now()))?;
    let certificate = authority.sign(&key, &identity, request.validity, number)?;
    write_new(directory, KEY_FILE, &Zeroizing::new(key.serialize_pem()), Readers::Owner)?;
    write_new(directory, CA_CERTIFICATE_FILE, authority.certificate_pem(), Readers::All)?;
    write_new(
        directory,
        CERTIFICATE_FILE,
        &chain_pem(&identity, &certificate, authority.certificate()),
        Readers::All,
    )?;
    Ok(Issued { identity, validity: request.validity, directory: directory.to_owned() })
}

/// Returns the number of a certificate that is issued at this time.
///
/// # Errors
/// There are no random bytes.
pub fn new_number(issued: Timestamp) -> Result<CertificateId, PkiError> {
    let mut random = [0; 8];
    let filled = SystemRandom::new().fill(&mut random);
    let source = rcgen::Error::RemoteKeyError;
    filled.map_err(|_| PkiError::Sign { what: "number of a certificate", source })?;
    Ok(CertificateId::new(issued, random))
}

pub(crate) fn leaf_params(
    identity: &Identity,
    validity: Validity,
    number: CertificateId,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, identity.name.as_str());
    params.distinguished_name = name;
    params.subject_alt_names = vec![SanType::URI(identity.to_string().try_into()?)];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    if identity.role == Role::Operator {
        // TLS 1.3 has no use for it, but QEMU takes no certificate without.
        params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
    }
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(SerialNumber::from_slice(number.serial()));
    validity.apply(&mut params);
    Ok(params)
}
