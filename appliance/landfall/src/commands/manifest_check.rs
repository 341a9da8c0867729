//! `landfall manifest check`: with public material alone, on any machine.

use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use control::api::{HexHash, JobId, Progress};
use control::{ApiError, Code, ErrorReply};
use manifest::{Disk, FILE_LEN_MAX, FormError, Sealed, Verdict};
use pki::Trust;
use serde::Serialize;
use units::{ByteLen, Hash, LEAF_LEN, disk_root};

use super::manifest::sheet;
use crate::arguments::{CheckArguments, NumberedDisk};
use crate::progress::ProgressView;
use crate::screen::{Ending, Screen};

/// Bytes of a disk read at once: whole leaves.
const READ_LEN: usize = 4 << 20;
const _: () = assert!((READ_LEN as u64).is_multiple_of(LEAF_LEN));

/// What was checked, for programs.
#[derive(Serialize)]
struct Checked<'a> {
    file: String,
    machine: &'a str,
    signer: &'a str,
    key_id: &'a str,
    /// What the signature was held against: authority, key, or nothing but itself.
    trust: &'static str,
    disks: Vec<CheckedDisk>,
}

#[derive(Serialize)]
struct CheckedDisk {
    index: u16,
    source_root: Option<HexHash>,
    target_root: Option<HexHash>,
    /// The root of the disk as it is now, if it was given.
    found_root: Option<HexHash>,
    verdict: Verdict,
}

/// Checks a manifest. Ends well only if its signature counts and every disk is proved.
pub(super) fn check(screen: &Screen, wanted: &CheckArguments) -> Result<Ending, ErrorReply> {
    let name = wanted.file.display().to_string();
    let sealed = read(&wanted.file)?;
    let (trust, word) = match (&wanted.ca, &wanted.key) {
        (Some(ca), _) => (Trust::Authority(ca.clone()), "authority"),
        (None, Some(key)) => (Trust::Key(key.clone()), "key"),
        (None, None) => (Trust::Anyone, "nothing"),
    };
    trust.check(&sealed).map_err(|error| {
        ApiError::new(Code::ManifestNotTrusted, format!("{name} is not to be relied on"))
            .because(chain(&error))
    })?;
    let facts = &sealed.manifest.facts;
    let mut disks = Vec::new();
    for disk in &facts.disks {
        let given = wanted.disks.iter().find(|given| given.index == disk.index);
        let found = given.map(|given| root_of(screen, given, disk)).transpose()?;
        disks.push(compare(disk, found));
    }
    if let Some(stray) = wanted.disks.iter().find(|given| usize::from(given.index) >= facts.disks.len()) {
        let what = format!("the manifest has no disk {}", stray.index);
        return Err(ApiError::new(Code::ManifestDisk, what).into());
    }
    let signer = &sealed.manifest.signer;
    let checked = Checked {
        file: name,
        machine: facts.machine.as_str(),
        signer: &signer.identity,
        key_id: &signer.key_id,
        trust: word,
        disks,
    };
    screen.show(&checked, |checked, paint| sheet(&sealed.manifest, paint) + &conclusion(checked))?;
    verdict(&checked)
}

fn read(path: &Path) -> Result<Sealed, ErrorReply> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_LEN_MAX as u64 + 1).read_to_end(&mut bytes));
    read.map_err(|error| ApiError::new(Code::BadArgument, format!("{name} can't be read")).because(error))?;
    Sealed::decode(&bytes).map_err(|error| malformed(&name, &error))
}

/// Says that something is not a manifest.
pub(super) fn malformed(name: &str, error: &FormError) -> ErrorReply {
    let what = format!("{name} is not a manifest as it was written");
    ApiError::new(Code::ManifestMalformed, what).because(chain(error)).into()
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// A disk that was read now counts more than what the manifest says of it.
fn compare(disk: &Disk, found: Option<Hash>) -> CheckedDisk {
    let now = found.or(disk.target_root);
    let changed = found.is_some() && disk.target_root.is_some() && found != disk.target_root;
    let verdict = match Verdict::of(disk.source_root, now) {
        Verdict::NotGiven if changed => Verdict::Different,
        verdict => verdict,
    };
    CheckedDisk {
        index: disk.index,
        source_root: disk.source_root.map(HexHash),
        target_root: disk.target_root.map(HexHash),
        found_root: found.map(HexHash),
        verdict,
    }
}

/// Computes the root of a disk, as far as it is protected, from its bytes.
fn root_of(screen: &Screen, given: &NumberedDisk, disk: &Disk) -> Result<Hash, ErrorReply> {
    let failed = |error: std::io::Error| {
        let what = format!("{} can't be read as disk {}", given.path.display(), disk.index);
        ErrorReply::from(ApiError::new(Code::ManifestDisk, what).because(error))
    };
    let mut file = File::open(&given.path).map_err(failed)?;
    let (len, begun) = (ByteLen(disk.protected_bytes), Instant::now());
    let (mut buffer, mut leaves) = (vec![0; READ_LEN], Vec::new());
    let (mut view, mut done) = (ProgressView::beside(screen), 0);
    while done < len.0 {
        let part = usize::try_from(len.0 - done).unwrap_or(READ_LEN).min(READ_LEN);
        file.read_exact(&mut buffer[..part]).map_err(failed)?;
        leaves.extend(buffer[..part].chunks(LEAF_LEN as usize).map(|leaf| Hash::from(blake3::hash(leaf))));
        done += part as u64;
        let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = done.saturating_mul(1000) / millis;
        let eta_seconds = (len.0 - done).checked_div(rate);
        view.advance(&Progress { job: JobId(0), done_bytes: done, total_bytes: len.0, rate, eta_seconds });
    }
    view.end()?;
    Ok(disk_root(len, &leaves))
}

fn conclusion(checked: &Checked<'_>) -> String {
    let mut text = match checked.trust {
        "nothing" => "signature: whole; WHO signed was not checked: name --ca or --key\n".to_owned(),
        trust => format!("signature: whole, and its signer is that of the {trust} given\n"),
    };
    for disk in checked.disks.iter().filter(|disk| disk.found_root.is_some()) {
        let word = if disk.verdict == Verdict::Different { "is another" } else { "is as the manifest says" };
        text += &format!("disk {} was read again: its root {word}\n", disk.index);
    }
    text
}

fn verdict(checked: &Checked<'_>) -> Result<Ending, ErrorReply> {
    let of = |wanted: fn(Verdict) -> bool| {
        let disks = checked.disks.iter().filter(|disk| wanted(disk.verdict));
        disks.map(|disk| format!("disk {}", disk.index)).collect::<Vec<_>>().join(", ")
    };
    let (differ, open) = (
        of(|verdict| verdict == Verdict::Different),
        of(|verdict| matches!(verdict, Verdict::NotGiven | Verdict::NotComputed)),
    );
    let machine = checked.machine;
    if !differ.is_empty() {
        let what = format!("{differ} of {machine} is not what the manifest proves");
        return Err(ApiError::new(Code::ManifestDiffers, what).into());
    }
    if !open.is_empty() {
        let what = format!("{open} of {machine} is not proved by the manifest");
        return Err(ApiError::new(Code::ManifestProvesNothing, what).into());
    }
    Ok(Ending::Done)
}
