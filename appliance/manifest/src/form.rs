//! The one form of a manifest: five lines, one JSON object, of which the second line is what is signed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::{FormError, Manifest};

/// The format this build writes, and the only one it reads.
pub const FORMAT: &str = "landfall-manifest/1";
/// What is signed begins with this line, so that the signature can't be taken for one over anything else.
pub const DOMAIN: &str = "landfall 2026 failback manifest";
/// Bytes of the longest manifest: 256 disks with the longest paths.
pub const FILE_LEN_MAX: usize = 1 << 20;
/// Bytes of the longest signature.
const SIGNATURE_LEN_MAX: usize = 512;

const OPENING: &str = "{\"signed\":";
const BETWEEN: &str = ",\"signature\":";
const CLOSING: &str = "}";

/// A manifest and its signature, which this crate does not check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// What was signed.
    pub manifest: Manifest,
    /// The signature over [`signed_bytes`].
    pub signature: Vec<u8>,
}

/// Returns the bytes that are signed: the line of the domain, then the manifest's line.
pub fn signed_bytes(manifest: &Manifest) -> Vec<u8> {
    format!("{DOMAIN}\n{}\n", line_of(manifest)).into_bytes()
}

/// Returns the manifest as a file.
pub fn seal(manifest: &Manifest, signature: &[u8]) -> String {
    assert_eq!(manifest.format, FORMAT, "a manifest is written in the format of this build");
    let (line, signature) = (line_of(manifest), STANDARD.encode(signature));
    let file = format!("{OPENING}\n{line}\n{BETWEEN}\n\"{signature}\"\n{CLOSING}\n");
    assert!(file.len() <= FILE_LEN_MAX, "a manifest of at most 256 disks fits its limit");
    file
}

fn line_of(manifest: &Manifest) -> String {
    let line = serde_json::to_string(manifest).expect("a manifest holds only what JSON can write");
    assert!(!line.contains('\n'), "JSON escapes the ends of lines");
    line
}

impl Sealed {
    /// Decodes a file: length, lines, JSON, format, contradictions; then every byte must be as it would be written.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormError> {
        if bytes.len() > FILE_LEN_MAX {
            return Err(FormError::Long { found: bytes.len(), most: FILE_LEN_MAX });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| FormError::Lines { line: 1 })?;
        let mut lines = text.split('\n');
        let mut next = |line| lines.next().ok_or(FormError::Lines { line });
        let (opening, manifest, between, signature, closing, end) =
            (next(1)?, next(2)?, next(3)?, next(4)?, next(5)?, next(6)?);
        let fixed = [(1, opening, OPENING), (3, between, BETWEEN), (5, closing, CLOSING), (6, end, "")];
        if let Some((line, ..)) = fixed.iter().find(|(_, found, expected)| found != expected) {
            return Err(FormError::Lines { line: *line });
        }
        let json = |line| move |source| FormError::Json { line, source };
        let manifest: Manifest = serde_json::from_str(manifest).map_err(json(2))?;
        let signature: String = serde_json::from_str(signature).map_err(json(4))?;
        if manifest.format != FORMAT {
            return Err(FormError::Format { found: manifest.format, known: FORMAT });
        }
        manifest.facts.check()?;
        let signature = STANDARD.decode(signature).map_err(|_| FormError::Lines { line: 4 })?;
        if signature.len() > SIGNATURE_LEN_MAX {
            return Err(FormError::Lines { line: 4 });
        }
        if seal(&manifest, &signature).as_bytes() != bytes {
            return Err(FormError::NotCanonical);
        }
        Ok(Self { manifest, signature })
    }
}
