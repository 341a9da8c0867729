//! What a manifest says.

use serde::{Deserialize, Serialize};
use units::{Generation, Hash, MachineId, MachineName, Sequence, Timestamp};

use crate::{FormError, text};

/// Everything that is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The name and version of this form.
    pub format: String,
    /// What happened, to what, and the roots.
    pub facts: Facts,
    /// Who says so.
    pub signer: Signer,
}

/// What was brought where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// The program that did it, with its version.
    pub product: String,
    /// What happened.
    pub event: Event,
    /// The machine.
    pub machine: MachineName,
    /// Its id on the retention volume.
    #[serde(with = "text")]
    pub machine_id: MachineId,
    /// The generation its source wrote in.
    pub generation: Generation,
    /// The recovery point its disks were brought to.
    pub point: Point,
    /// Its disks, by index.
    pub disks: Vec<Disk>,
    /// When.
    pub times: Times,
    /// Bytes written to the target disks to get there.
    pub written_bytes: u64,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = ManifestEvent))]
pub enum Event {
    /// The disks were brought to the point.
    Failback,
    /// The point was accepted.
    Commit,
}

/// A recovery point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = ManifestPoint))]
pub struct Point {
    /// Its position in the machine's stream.
    pub sequence: Sequence,
    /// The moment it stands for, by the source's clock; absent where the sequence lies between two points.
    #[serde(with = "text::maybe")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>, format = DateTime))]
    pub time: Option<Timestamp>,
    /// How far it can be trusted.
    pub consistency: Consistency,
    /// The source's word for it.
    pub label: String,
}

/// How far a recovery point can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = ManifestConsistency))]
pub enum Consistency {
    /// Later and earlier writes are mixed.
    Fuzzy,
    /// As after a power cut.
    Crash,
    /// The applications had been asked first.
    Application,
}

/// One target disk, and the roots of both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// Its position among the machine's disks.
    pub index: u16,
    /// Where it was found.
    pub path: String,
    /// What it is known by.
    pub identity: String,
    /// Size of the device.
    pub device_bytes: u64,
    /// Size of the protected disk: the part of the device that the roots are about, from its start.
    pub protected_bytes: u64,
    /// The root the source gave with the point, if it gave one.
    #[serde(with = "text::maybe")]
    pub source_root: Option<Hash>,
    /// The root computed from every byte of the target disk once it stood at the point, if that was done.
    #[serde(with = "text::maybe")]
    pub target_root: Option<Hash>,
    /// What the two say together.
    pub verdict: Verdict,
}

/// What the roots of one disk say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = ManifestVerdict))]
pub enum Verdict {
    /// Equal: the disks were the same, byte for byte.
    Identical,
    /// Not equal: so were the disks.
    Different,
    /// The source gave no root: nothing is proved.
    NotGiven,
    /// The target's root was not computed: nothing is proved.
    NotComputed,
}

/// When it happened, by the appliance's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Times {
    /// It was asked for.
    #[serde(with = "text")]
    pub started: Timestamp,
    /// The disks stood at the point; absent if that was not seen, as when a crash came between.
    #[serde(with = "text::maybe")]
    pub reached: Option<Timestamp>,
    /// The roots of the target were computed; absent if they were not.
    #[serde(with = "text::maybe")]
    pub proved: Option<Timestamp>,
    /// The manifest was signed.
    #[serde(with = "text")]
    pub signed: Timestamp,
}

/// Who signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signer {
    /// The role and name the certificate speaks for.
    pub identity: String,
    /// How it signed.
    pub algorithm: Algorithm,
    /// SHA-256 of the public key (its SubjectPublicKeyInfo in DER), in hexadecimal.
    pub key_id: String,
    /// Its certificate in PEM, and those between it and the authority if there are any.
    pub certificates: String,
}

/// How a manifest is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256; the signature is the DER of RFC 3279.
    #[serde(rename = "ecdsa-p256-sha256")]
    EcdsaP256Sha256,
}

impl Verdict {
    /// Says what two roots say together.
    pub fn of(source: Option<Hash>, target: Option<Hash>) -> Self {
        match (source, target) {
            (_, None) => Self::NotComputed,
            (None, Some(_)) => Self::NotGiven,
            (Some(source), Some(target)) if source == target => Self::Identical,
            (Some(_), Some(_)) => Self::Different,
        }
    }
}

impl Facts {
    /// Checks what must hold of facts whoever wrote them. Errors: the first contradiction.
    pub(crate) fn check(&self) -> Result<(), FormError> {
        let contradiction = |what| Err(FormError::Contradiction { what });
        if self.disks.is_empty() || self.disks.len() > units::DISKS_MAX {
            return contradiction("a machine has 1 to 256 disks");
        }
        for (index, disk) in self.disks.iter().enumerate() {
            if usize::from(disk.index) != index {
                return contradiction("disks are listed by their index");
            }
            if disk.verdict != Verdict::of(disk.source_root, disk.target_root) {
                return contradiction("a verdict is what the two roots say");
            }
            if disk.protected_bytes > disk.device_bytes {
                return contradiction("a protected disk fits its device");
            }
            if disk.target_root.is_some() != self.times.proved.is_some() {
                return contradiction("roots were computed exactly if there is a time of it");
            }
        }
        Ok(())
    }
}
