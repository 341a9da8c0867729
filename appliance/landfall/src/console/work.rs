//! The work: what the console wants done, done.

use std::fs;
use std::io;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use blockdev::{directory_facts, list_devices};
use console::{Done, Effect};
use control::api::ServerToken;
use network::list_nics;
use seed::PasswordHash;
use units::MachineName;
use wire::{JoinToken, Role};

use crate::console::notes::Notes;
use crate::console::way::NetworkWay;
use crate::reach::Reach;

/// How long the appliance may take until its retention volume is made and mounted.
const VOLUME_WAIT: Duration = Duration::from_secs(180);
/// How long its agent may take to answer the first time: it makes its keys.
const AGENT_WAIT: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// What a wrong password costs.
const WRONG_WAIT: Duration = Duration::from_secs(2);
/// The name of the operator of tokens that are made here.
const OPERATOR: &str = "operator";
/// Lines of the log.
const LOG_LINES: &str = "500";
const HOST_NAME: &str = "/proc/sys/kernel/hostname";
const NICS: &str = "/sys/class/net";

/// Carries out effects.
pub(super) struct Worker {
    reach: Reach,
    notes: Arc<Notes>,
    network: Arc<NetworkWay>,
}

impl Worker {
    pub(super) fn new(reach: Reach, notes: Arc<Notes>, network: Arc<NetworkWay>) -> Self {
        Self { reach, notes, network }
    }

    /// Carries out an effect, and says how it ended. Blocks.
    pub(super) fn carry_out(&self, effect: Effect) -> Option<Done> {
        Some(match effect {
            Effect::Redraw => return None,
            Effect::Finish => {
                // What can't be noted is asked again at the next boot.
                let _ = self.notes.mark(|marks| marks.all = true);
                return None;
            }
            Effect::SetHostName(name) => Done::Answered(self.set_host_name(&name)),
            Effect::TryPlan(plan) => Done::Tried(self.network.begin(plan)),
            Effect::KeepPlan => Done::Kept(self.network.keep()),
            Effect::RollBack => Done::RolledBack(self.network.roll_back()),
            Effect::SetServers(plan) => {
                let set = self.network.set(plan);
                Done::Answered(set.and_then(|()| self.notes.mark(|marks| marks.servers = true).map_err(said)))
            }
            Effect::CheckPassword(typed) => Done::Password(self.check(&typed)),
            Effect::SetPassword(typed) => {
                let hash = salt().map_err(said).and_then(|salt| PasswordHash::of(&typed, salt).map_err(said));
                Done::PasswordSet(hash.and_then(|hash| self.notes.set_password(hash).map_err(said)))
            }
            Effect::TakeDisk(disk) => Done::Answered(self.take_disk(&disk)),
            Effect::MakeToken => Done::Token(self.make_token()),
            Effect::ResetNetwork => Done::Menu(self.reset_network()),
            Effect::ReadLog => Done::Log(log()),
            Effect::PowerOff => Done::Menu(power("poweroff")),
            Effect::Restart => Done::Menu(power("reboot")),
        })
    }

    /// In order: 1. the name now; 2. the name for every boot, durable: it counts as answered.
    fn set_host_name(&self, name: &str) -> Result<(), String> {
        let lawful: MachineName = name.parse().map_err(said)?;
        fs::write(HOST_NAME, name).map_err(|error| format!("the host name can't be set: {error}"))?;
        self.notes.tell_host_name(lawful).map_err(said)
    }

    fn check(&self, typed: &str) -> bool {
        let right = self.notes.seed().password.is_some_and(|hash| hash.is_of(typed));
        if !right {
            std::thread::sleep(WRONG_WAIT);
        }
        right
    }

    fn take_disk(&self, disk: &str) -> Result<(), String> {
        // Another boot may call it otherwise; what it is, it stays.
        let listed = list_devices().into_iter().find(|device| device.path.as_os_str() == disk);
        let identity = listed.and_then(|device| device.identity.as_ref().map(ToString::to_string));
        self.notes.tell_retention(identity.unwrap_or_else(|| disk.to_owned())).map_err(said)?;
        let begun = Instant::now();
        while !directory_facts(&self.notes.retention, &[]).is_ok_and(|facts| facts.is_mount) {
            if begun.elapsed() > VOLUME_WAIT {
                return Err(format!(
                    "{disk} did not become the retention volume within {} s; restart the appliance",
                    VOLUME_WAIT.as_secs()
                ));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    fn make_token(&self) -> Result<String, String> {
        let begun = Instant::now();
        loop {
            let name = OPERATOR.parse().map_err(said)?;
            let made = self
                .reach
                .connect()
                .and_then(|mut client| client.ask(ServerToken { role: Role::Operator, name }));
            match made {
                Ok(made) => {
                    let token = JoinToken::read(&made.token).map_err(said)?;
                    let pairs: Vec<_> = token.authority.iter().map(|byte| format!("{byte:02x}")).collect();
                    self.notes.set_fingerprint(&pairs.concat()).map_err(said)?;
                    return Ok(made.token);
                }
                Err(error) if error.exit == 4 && begun.elapsed() < AGENT_WAIT => {
                    std::thread::sleep(LOOK_EVERY)
                }
                Err(error) => return Err(format!("{}: {} ({})", error.what, error.cause, error.code)),
            }
        }
    }

    /// Every interface asks DHCP again.
    fn reset_network(&self) -> Result<String, String> {
        let interfaces: Vec<_> =
            list_nics(NICS.as_ref()).into_iter().map(|nic| netplan::Interface::automatic(nic.name)).collect();
        self.network.set(netplan::Plan { interfaces, ..netplan::Plan::default() })?;
        Ok("Every interface asks DHCP for its address.".to_owned())
    }
}

fn salt() -> io::Result<[u8; 16]> {
    let mut salt = [0; 16];
    rustix::rand::getrandom(&mut salt, rustix::rand::GetRandomFlags::empty())?;
    Ok(salt)
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn log() -> Vec<String> {
    let arguments = ["--no-pager", "--boot", "--lines", LOG_LINES, "--output", "short"];
    match Command::new("journalctl").args(arguments).stdin(Stdio::null()).output() {
        Ok(output) => String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect(),
        Err(error) => vec![format!("journalctl: {error}")],
    }
}

fn power(verb: &str) -> Result<String, String> {
    let output = Command::new("systemctl").arg(verb).stdin(Stdio::null()).output();
    let failed = |error: io::Error| format!("systemctl {verb}: {error}");
    let output = output.map_err(failed)?;
    if output.status.success() {
        return Ok("It is under way.".to_owned());
    }
    Err(format!("systemctl {verb}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
