//! What the appliance looks like at a moment: all that the console shows and does not ask for.

use netplan::{Mac, NicName, Plan};

/// A look at the appliance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Glance {
    /// The version of this program.
    pub version: String,
    /// The host's name.
    pub host: String,
    /// Which questions of first boot are answered, in this boot or an earlier one.
    pub answered: Answered,
    /// What the appliance was told before its first boot and does not use, and why.
    pub refused: Option<String>,
    /// Another line asks the questions of first boot.
    pub elsewhere: bool,
    /// The interfaces, by name.
    pub nics: Vec<Nic>,
    /// The network plan that is kept.
    pub plan: Option<Plan>,
    /// Seconds until the plan that is tried is rolled back; nothing while none is tried.
    pub trial_left: Option<u64>,
    /// The disks, and what keeps each from becoming the retention volume.
    pub disks: Vec<Disk>,
    /// What must be typed to prove that somebody sits at this console.
    pub proof: String,
    /// SHA-256 of the authority's key, as operators compare it; nothing before there is one.
    pub fingerprint: Option<String>,
    /// How the appliance is, in a word or a sentence.
    pub health: String,
    /// How bad that is.
    pub tone: Tone,
    /// Its machines.
    pub machines: Vec<MachineLine>,
    /// Jobs under way, one a line.
    pub jobs: Vec<String>,
    /// The retention volume's use, one line.
    pub volume: String,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Not known.
    #[default]
    Unknown,
    /// Well.
    Good,
    /// Needs attention.
    Warn,
    /// A person must act.
    Bad,
}

/// Which questions are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    /// The host's name.
    pub host_name: bool,
    /// The network of each interface.
    pub network: bool,
    /// Servers of names and of time.
    pub servers: bool,
    /// The operator's password.
    pub password: bool,
    /// The disk for the history.
    pub retention: bool,
    /// Everything, and the token was shown.
    pub all: bool,
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// Its name.
    pub name: NicName,
    /// Its hardware address.
    pub mac: Mac,
    /// A cable is plugged in.
    pub carrier: bool,
    /// Its addresses now, with their prefixes.
    pub addresses: Vec<String>,
}

/// A disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Its path.
    pub path: String,
    /// Its size, in words.
    pub size: String,
    /// Why it can't hold the history; nothing when it can.
    pub refused: Option<String>,
}

/// A machine, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineLine {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub phase: String,
    /// The age of its newest recovery point.
    pub rpo: String,
    /// How far back its history reaches.
    pub history: String,
    /// How bad that is.
    pub tone: Tone,
}
