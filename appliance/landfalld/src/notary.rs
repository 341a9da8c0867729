//! Manifests: signed with the key of the identity, listed and shown as they lie on the volume.

use std::error::Error;
use std::path::{Path, PathBuf};

use control::api::{ManifestEntry, ManifestFile, ManifestSummary};
use manifest::{Facts, Sealed, Verdict};

/// Signs with the key of this server, and names the certificate it has at that time.
#[derive(Debug)]
pub(crate) struct OwnKey(PathBuf);

impl OwnKey {
    /// Looks at the key of an identity directory. Errors: it is not one that manifests are signed with.
    pub(crate) fn read(identity: &Path) -> Result<Self, pki::PkiError> {
        pki::Notary::read(identity)?;
        Ok(Self(identity.to_owned()))
    }
}

impl target::Notary for OwnKey {
    fn seal(&self, facts: Facts) -> Result<String, Box<dyn Error + Send + Sync>> {
        Ok(pki::Notary::read(&self.0)?.seal(facts)?)
    }
}

/// Describes a manifest by what it says.
pub(crate) fn entry(number: u64, bytes: &[u8]) -> ManifestEntry {
    match Sealed::decode(bytes) {
        Ok(sealed) => ManifestEntry { number, says: Some(summary(sealed)), problem: None },
        Err(error) => ManifestEntry { number, says: None, problem: Some(target::replica::chain(&error)) },
    }
}

fn summary(sealed: Sealed) -> ManifestSummary {
    let facts = sealed.manifest.facts;
    let rank = |verdict: &Verdict| match verdict {
        Verdict::Different => 0,
        Verdict::NotComputed => 1,
        Verdict::NotGiven => 2,
        Verdict::Identical => 3,
    };
    let worst = facts.disks.iter().map(|disk| disk.verdict).min_by_key(rank);
    ManifestSummary {
        event: facts.event,
        signed: facts.times.signed.into(),
        generation: facts.generation,
        point: facts.point,
        verdict: worst.unwrap_or(Verdict::NotComputed),
        key_id: sealed.manifest.signer.key_id,
    }
}

/// Returns a manifest whole. One that is damaged is given as it is: whoever checks it will see.
pub(crate) fn file(number: u64, bytes: &[u8]) -> ManifestFile {
    ManifestFile { number, text: String::from_utf8_lossy(bytes).into_owned() }
}
