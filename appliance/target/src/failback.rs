//! A failback: the point, the proof, the manifest.
//!
//! 1. The target disks are brought to the point, durable: the machine may be used from here on.
//! 2. The root of each disk is computed from every byte of it, unless the operator does without.
//! 3. What happened is signed, and the manifest is written to the retention volume, durable.
//!
//! *Invariant:* a manifest holds a target's root only if it was computed from the disk after the rewind. A manifest that can't be
//! written leaves the machine where it is, and the job says why.

use std::error::Error;
use std::fmt::Debug;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak, mpsc};

use manifest::{Event, Facts, Sealed, Times, Verdict};
use retention::{Afterwards, Lifecycle};
use units::{Hash, MachineName, Sequence, Timestamp};

use crate::clock::now;
use crate::error::TargetError;
use crate::job::{Job, JobKind};
use crate::machine::{Machine, lock};
use crate::node::MasterTarget;
use crate::operations::wrong_phase;
use crate::replica::{Progress, ReplicaError, Work, chain, load_manifests, save_manifest};

/// Signs manifests.
pub trait Notary: Debug + Send + Sync {
    /// Signs the facts and returns the manifest as a file. Errors: why it can't.
    fn seal(&self, facts: Facts) -> Result<String, Box<dyn Error + Send + Sync>>;
}

/// Whether the roots of the target disks are computed once they stand at the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Every disk is read once.
    Compute,
    /// The manifest says that nothing was proved.
    Skip,
}

impl MasterTarget {
    /// Starts the job that brings the disks to a point, holds them there, proves them and writes the manifest.
    pub fn failback(
        self: &Arc<Self>,
        name: &MachineName,
        to: Sequence,
        proof: Proof,
    ) -> Result<Arc<Job>, TargetError> {
        let machine = self.may_fail_back(name)?;
        let job = self.jobs.start(JobKind::Failback, name, to, now());
        let run = Failback { node: Arc::downgrade(self), machine, job: job.clone() };
        let spawned =
            std::thread::Builder::new().name("failback".to_owned()).spawn(move || run.carry_out(proof));
        match spawned {
            Ok(_) => Ok(job),
            Err(source) => {
                job.progress.end(Err(ReplicaError::NoMemory));
                Err(TargetError::System { what: "a thread", source })
            }
        }
    }

    /// Returns a machine that can be brought to a point now. Errors: it is out, elsewhere in its life, or busy.
    pub fn may_fail_back(&self, name: &MachineName) -> Result<Arc<Machine>, TargetError> {
        let machine = self.in_service(name)?;
        let lifecycle = machine.shared.lock().lifecycle.clone();
        if !matches!(
            lifecycle,
            Lifecycle::Protected | Lifecycle::Rewound { .. } | Lifecycle::Rewinding { .. }
        ) {
            return Err(wrong_phase(name, &lifecycle, "protected or rewound"));
        }
        self.refuse_if_busy(name)?;
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

/// A failback under way.
struct Failback {
    node: Weak<MasterTarget>,
    machine: Arc<Machine>,
    job: Arc<Job>,
}

impl Failback {
    fn carry_out(&self, proof: Proof) {
        let result = self.rewind_and_prove(proof);
        self.job.progress.end(result);
    }

    fn rewind_and_prove(&self, proof: Proof) -> Result<(), ReplicaError> {
        let (whole, to) = (&self.job.progress, self.job.to);
        let lens = self.machine.shared.lock().lens.iter().map(|len| len.0).sum();
        let rewind = Progress::part_of(whole, 0);
        let proving = Progress::part_of(whole, if proof == Proof::Compute { lens } else { 0 });
        let afterwards = Afterwards::Stand;
        self.machine.shared.give(Work::Rewind { to, afterwards, progress: rewind.clone() });
        rewind.wait()?;
        let reached = now();
        self.job.written.store(rewind.bytes().0, Ordering::Relaxed);
        let roots = match proof {
            Proof::Compute => Some(self.roots(proving)?),
            Proof::Skip => None,
        };
        lock(&self.job.roots).clone_from(&roots);
        *lock(&self.job.manifest) = Some(self.write_manifest(reached, roots));
        Ok(())
    }

    /// Computes the root of each disk as it is now.
    fn roots(&self, progress: Arc<Progress>) -> Result<Vec<Hash>, ReplicaError> {
        let (told, roots) = mpsc::channel();
        let then = Box::new(move |roots: Result<_, ReplicaError>| {
            // Whoever asked may be gone.
            let _ = told.send(roots);
        });
        let to = self.job.to;
        self.machine.shared.give(Work::Verify { to, progress: progress.clone(), then });
        progress.wait()?;
        roots.recv().unwrap_or(Err(ReplicaError::Panicked))
    }

    fn write_manifest(&self, reached: Timestamp, roots: Option<Vec<Hash>>) -> Result<u64, String> {
        let node = self.node.upgrade().ok_or("landfalld is stopping")?;
        let mut facts = facts(&self.machine, self.job.to, self.job.started, roots);
        let proved = facts.times.proved.map(|_| now());
        facts.times = Times { reached: Some(reached), proved, signed: now(), ..facts.times };
        facts.written_bytes = self.job.written.load(Ordering::Relaxed);
        node.seal(&self.machine, facts)
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
