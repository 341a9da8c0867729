//! A failback's manifest: what was brought where, and what was proved of it.
//!
//! *Invariant:* a manifest holds a target's root only if it was computed from the disk after the rewind. A manifest that can't be
//! written leaves the machine where it is.

use std::error::Error;
use std::fmt::Debug;
use std::sync::Arc;

use manifest::{Event, Facts, Sealed, Times, Verdict};
use retention::Lifecycle;
use units::{Hash, MachineName, Sequence, Timestamp};

use crate::clock::now;
use crate::error::TargetError;
use crate::machine::Machine;
use crate::node::MasterTarget;
use crate::operations::wrong_phase;
use crate::replica::{chain, load_manifests, save_manifest};

/// Signs manifests.
pub trait Notary: Debug + Send + Sync {
    /// Signs the facts and returns the manifest as a file. Errors: why it can't.
    fn seal(&self, facts: Facts) -> Result<String, Box<dyn Error + Send + Sync>>;
}

/// What is noted of a failback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// The point the disks stand at.
    pub at: Sequence,
    /// When it was begun: of one failback there is one manifest, by this.
    pub started: Timestamp,
    /// When the disks stood at the point.
    pub reached: Timestamp,
    /// The root of each disk, if they were computed, and when.
    pub proved: Option<(Vec<Hash>, Timestamp)>,
    /// Bytes written to the target disks.
    pub written: u64,
}

impl MasterTarget {
    /// Signs and stores the manifest of a failback, unless that was done before; durable on return. Returns its number. Errors: why not.
    pub fn note_failback(&self, name: &MachineName, noted: &Noted) -> Result<u64, String> {
        let machine = self.in_service(name).map_err(|error| chain(&error))?;
        let same = |facts: &Facts| {
            facts.event == Event::Failback
                && facts.point.sequence == noted.at
                && facts.times.started == noted.started
        };
        let before = self
            .manifests(name)
            .map_err(|error| chain(&error))?
            .into_iter()
            .find(|(_, bytes)| Sealed::decode(bytes).is_ok_and(|sealed| same(&sealed.manifest.facts)));
        if let Some((number, _)) = before {
            return Ok(number);
        }
        let (roots, proved) = noted.proved.clone().unzip();
        let facts = facts(&machine, noted.at, noted.started, roots);
        let times = Times { reached: Some(noted.reached), proved, signed: now(), ..facts.times };
        self.seal(&machine, Facts { times, written_bytes: noted.written, ..facts })
    }

    /// Returns a machine that can be brought to a point now. Errors: it is out, or elsewhere in its life.
    pub fn may_fail_back(&self, name: &MachineName) -> Result<Arc<Machine>, TargetError> {
        let machine = self.in_service(name)?;
        let lifecycle = machine.shared.lock().lifecycle.clone();
        if !matches!(
            lifecycle,
            Lifecycle::Protected | Lifecycle::Rewound { .. } | Lifecycle::Rewinding { .. }
        ) {
            return Err(wrong_phase(name, &lifecycle, "protected or rewound"));
        }
        Ok(machine)
    }

    /// Returns every manifest of a machine, oldest first, each with its number; as it lies on the volume.
    pub fn manifests(&self, name: &MachineName) -> Result<Vec<(u64, Vec<u8>)>, TargetError> {
        let machine = self.machine(name)?;
        let (setup, id) = (self.setup(machine.worker), machine.id);
        let loaded = self.on_worker(machine.worker, move |engine, _| {
            load_manifests(engine, &setup.pool, &setup.volume, id)
        })?;
        loaded.map_err(|source| TargetError::Replica { name: name.clone(), source })
    }

    /// Writes the manifest of a commit that was made: what the last failback has found, or that nothing was proved. The commit
    /// stands whatever comes of it.
    pub(crate) fn note_commit(&self, machine: &Machine) {
        let Lifecycle::Committed { at } = machine.shared.lock().lifecycle else { return };
        let facts = |earlier: Option<Facts>| {
            let facts = earlier.unwrap_or_else(|| facts(machine, at, now(), None));
            let times = Times { signed: now(), ..facts.times };
            Facts { event: Event::Commit, times, ..facts }
        };
        let same = |facts: &Facts| facts.point.sequence == at && facts.generation == machine.generation;
        let written = self.manifests(&machine.name).map_err(|error| chain(&error)).and_then(|manifests| {
            let decoded = manifests.iter().rev().filter_map(|(_, bytes)| Sealed::decode(bytes).ok());
            let earlier = decoded.map(|sealed| sealed.manifest.facts).find(|facts| same(facts));
            self.seal(machine, facts(earlier))
        });
        if let Err(error) = written {
            tracing::error!(machine = %machine.name, error, "the manifest of a commit could not be written");
        }
    }

    /// Signs and stores a manifest; durable on return. Returns its number.
    fn seal(&self, machine: &Machine, facts: Facts) -> Result<u64, String> {
        let text = self.config.notary.seal(facts).map_err(|error| chain(&*error))?;
        let (volume, id) = (self.volume.clone(), machine.id);
        let saved =
            self.on_worker(machine.worker, move |engine, _| save_manifest(engine, &volume, id, &text));
        let number = saved.map_err(|error| chain(&error))?.map_err(|error| chain(&error))?;
        tracing::info!(machine = %machine.name, number, "manifest written");
        Ok(number)
    }
}

/// Says what is known of a machine at a point. Only `roots` of the target count as computed.
fn facts(machine: &Machine, at: Sequence, started: Timestamp, roots: Option<Vec<Hash>>) -> Facts {
    let state = machine.shared.lock();
    let point = state.timeline.get(at);
    let given = point.map(|point| point.roots.clone()).unwrap_or_default();
    let disk = |(index, disk): (usize, &retention::HeadDisk)| {
        let source_root = given.get(index).copied();
        let target_root = roots.as_ref().and_then(|roots| roots.get(index)).copied();
        manifest::Disk {
            index: u16::try_from(index).expect("a machine has at most 256 disks"),
            path: disk.path.clone(),
            identity: disk.identity.clone(),
            device_bytes: disk.device_len.0,
            protected_bytes: state.lens.get(index).map_or(0, |len| len.0),
            source_root,
            target_root,
            verdict: Verdict::of(source_root, target_root),
        }
    };
    Facts {
        product: concat!("landfall ", env!("CARGO_PKG_VERSION")).to_owned(),
        event: Event::Failback,
        machine: machine.name.clone(),
        machine_id: machine.id,
        generation: machine.generation,
        point: manifest::Point {
            sequence: at,
            time: point.map(|point| point.time),
            consistency: point.map_or(manifest::Consistency::Fuzzy, |point| match point.consistency {
                // The beginning of a resync is never a point.
                wire::Consistency::Resync => manifest::Consistency::Fuzzy,
                wire::Consistency::Fuzzy => manifest::Consistency::Fuzzy,
                wire::Consistency::Crash => manifest::Consistency::Crash,
                wire::Consistency::Application => manifest::Consistency::Application,
            }),
            label: point.map(|point| point.label.clone()).unwrap_or_default(),
        },
        disks: machine.disks.iter().enumerate().map(disk).collect(),
        times: Times { started, reached: None, proved: roots.as_ref().map(|_| started), signed: started },
        written_bytes: 0,
    }
}
