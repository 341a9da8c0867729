//! A look at the appliance: all that the console shows.

use std::io;
use std::path::Path;
use std::sync::Arc;

use blockdev::{directory_facts, list_devices};
use console::{Answered, Disk, Glance, MachineLine, Nic, Tone};
use control::api::{Health, JobState, Machine, Phase, Status, StatusShow};
use network::{list_addresses, list_nics};
use seed::{Asked, Retention};
use units::ByteLen;
use volume::{Role, judge};

use crate::console::notes::Notes;
use crate::console::way::NetworkWay;
use crate::reach::Reach;
use crate::span::span;

/// Where the kernel lists interfaces.
const NICS: &str = "/sys/class/net";
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// Looks at the appliance.
pub(super) struct Looker {
    reach: Reach,
    notes: Arc<Notes>,
    network: Arc<NetworkWay>,
    proof: String,
}

impl Looker {
    /// Prepares to look; the proof of this console is made once. Errors: no random bytes can be had.
    pub(super) fn new(reach: Reach, notes: Arc<Notes>, network: Arc<NetworkWay>) -> io::Result<Self> {
        let mut bytes = [0_u8; 4];
        rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
        let proof = format!("{:06}", u32::from_ne_bytes(bytes) % 1_000_000);
        Ok(Self { reach, notes, network, proof })
    }

    /// Looks. What can't be seen is shown as not there.
    pub(super) fn look(&self) -> Glance {
        let (marks, seed) = (self.notes.marks(), self.notes.seed());
        let standing = self.network.show();
        let status = self.reach.connect().and_then(|mut client| client.ask(StatusShow {}));
        let mounted = directory_facts(&self.notes.retention, &[]).is_ok_and(|facts| facts.is_mount);
        // What came with the machine answers everything but, perhaps, the password, and a disk that was left open.
        let told = seed.asked != Asked::Everything;
        let disk_told = told && seed.retention != Some(Retention::Later);
        let answered = Answered {
            host_name: told || seed.hostname.is_some(),
            network: told || standing.kept.is_some(),
            servers: told || marks.servers,
            password: seed.password.is_some(),
            retention: disk_told || mounted || status.is_ok(),
            all: marks.all || (disk_told && seed.asked == Asked::Nothing),
        };
        let mut glance = Glance {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: std::fs::read_to_string(HOST_NAME).unwrap_or_default().trim().to_owned(),
            answered,
            // Only first boot is asked at one line alone.
            elsewhere: !answered.all && self.notes.is_elsewhere(),
            refused: self.notes.refused(),
            nics: nics(),
            plan: standing.kept,
            trial_left: standing.trial_left,
            disks: if answered.all || answered.retention { Vec::new() } else { disks() },
            proof: self.proof.clone(),
            fingerprint: self.notes.fingerprint(),
            ..Glance::default()
        };
        match status {
            Ok(status) => describe(&status, &mut glance),
            Err(error) if mounted => {
                (glance.health, glance.tone) =
                    (format!("The agent does not answer: {}", error.cause), Tone::Bad);
            }
            Err(_) => {
                (glance.health, glance.tone) = ("It waits for its retention volume.".to_owned(), Tone::Warn)
            }
        }
        glance
    }
}

fn nics() -> Vec<Nic> {
    let addresses = list_addresses().unwrap_or_default();
    let nic = |nic: network::Nic| {
        let own = addresses.get(&nic.index).into_iter().flatten().map(ToString::to_string).collect();
        Nic { name: nic.name, mac: nic.mac, carrier: nic.carrier, addresses: own }
    };
    list_nics(Path::new(NICS)).into_iter().map(nic).collect()
}

fn disks() -> Vec<Disk> {
    let disk = |device: blockdev::DeviceListing| {
        let verdict = judge(&device, &Role::None);
        let reasons: Vec<_> = verdict
            .retention_volume
            .iter()
            .map(|reason| format!("{} ({})", reason.what, reason.code))
            .collect();
        let refused = (!reasons.is_empty()).then(|| reasons.join("; "));
        Disk { path: verdict.path, size: ByteLen(verdict.len_bytes).to_string(), refused }
    };
    list_devices().into_iter().filter(|device| device.len > ByteLen::ZERO).map(disk).collect()
}

fn describe(status: &Status, glance: &mut Glance) {
    let first = status.concerns.first().map(|concern| match &concern.machine {
        Some(machine) => format!("{machine}: {}", concern.what),
        None => concern.what.clone(),
    });
    (glance.health, glance.tone) = match status.health {
        Health::Healthy => ("All is well.".to_owned(), Tone::Good),
        Health::Degraded => (first.unwrap_or_default(), Tone::Warn),
        Health::Failed => (first.unwrap_or_default(), Tone::Bad),
    };
    let (free, capacity) = (ByteLen(status.volume.free_bytes), ByteLen(status.volume.capacity_bytes));
    glance.volume = format!("Retention volume: {free} free of {capacity}");
    glance.machines = status.machines.iter().map(machine).collect();
    let running = status.jobs.iter().filter(|job| job.state == JobState::Running);
    glance.jobs = running.map(|job| format!("job {} of {}: {:?}", job.id, job.machine, job.kind)).collect();
}

fn machine(machine: &Machine) -> MachineLine {
    let tone = match machine.phase {
        Phase::Damaged | Phase::Failed => Tone::Bad,
        _ if machine.problem.is_some() => Tone::Warn,
        _ => Tone::Good,
    };
    MachineLine {
        name: machine.name.to_string(),
        phase: format!("{:?}", machine.phase).to_lowercase(),
        rpo: machine.rpo_seconds.map_or_else(|| "-".to_owned(), span),
        history: span(machine.keeping.history_left_seconds),
        tone,
    }
}
