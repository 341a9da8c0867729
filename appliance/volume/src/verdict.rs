//! What is known of a disk, gathered, judged, and said in the words of the control interface.

use blockdev::{DeviceListing, look_at};
use control::ApiError;
use control::api::{DiskVerdict, Reason};
use units::ByteLen;

use crate::rules::{DiskFacts, Purpose, Refusal, Role, Rule, eligible};

/// Looks at a disk and judges it for each purpose. Nothing is changed.
pub fn judge(listing: &DeviceListing, role: &Role) -> DiskVerdict {
    let look =
        (listing.len > ByteLen::ZERO).then(|| look_at(&listing.path).map_err(|error| one_line(&error)));
    let facts = DiskFacts { listing, look: look.as_ref(), role };
    let reasons =
        |purpose| eligible(&facts, purpose).iter().map(|refusal| reason(refusal, listing)).collect();
    let holds = look.iter().flatten().flat_map(|look| &look.contents).map(ToString::to_string).collect();
    DiskVerdict {
        path: listing.path.display().to_string(),
        len_bytes: listing.len.0,
        holds,
        target_disk: reasons(Purpose::TargetDisk { len_min: ByteLen::ZERO }),
        retention_volume: reasons(Purpose::RetentionVolume),
    }
}

/// Returns a refusal as an error about what was wanted of the disk.
pub fn refusal(what: impl Into<String>, refusal: &Refusal, listing: &DeviceListing) -> ApiError {
    ApiError::new(refusal.rule.code(), what).because(&refusal.evidence).fixed_by(fix(refusal.rule, listing))
}

fn reason(refusal: &Refusal, listing: &DeviceListing) -> Reason {
    let code = refusal.rule.code();
    Reason { code: code.to_string(), what: refusal.evidence.clone(), fix: fix(refusal.rule, listing) }
}

/// Says what to do, with the disk's name where that helps.
fn fix(rule: Rule, listing: &DeviceListing) -> String {
    let path = listing.path.display();
    match rule {
        Rule::Mounted => format!("unmount it, if what is on it is not needed: `umount {path}`"),
        Rule::Swap => format!("end the swapping to it: `swapoff {path}`"),
        Rule::Empty => {
            format!(
                "choose another disk; or, if nothing on it is needed, erase it: `blkdiscard --zeroout {path}`"
            )
        }
        rule => rule.code().entry().fix.to_owned(),
    }
}

fn one_line(error: &blockdev::DeviceError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
