//! What servers tell of themselves.

use std::fmt;

use heapless::{String, Vec};
use serde::{Deserialize, Serialize};
use units::{ByteLen, DISKS_MAX, Generation, MachineName, Sequence, Timestamp};

/// Machines in one report.
pub const MACHINES_MAX: u16 = 1024;
/// Jobs in one report.
pub const JOBS_MAX: u16 = 64;
/// Alarms in one report.
pub const ALARMS_MAX: u16 = 64;

/// How an agent is. What it says of machines, jobs and alarms follows, one message each, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Rises by one with each report of a connection, from 1.
    pub number: u64,
    /// The agent's clock.
    pub time: Timestamp,
    /// Its clock against the controller's, as the round trip before has shown it.
    pub clock: Option<ClockReading>,
    /// Seconds since the program started.
    pub uptime_seconds: u64,
    /// The port of its replication door, if it has one: where it can be looked for when it is silent.
    pub door: Option<u16>,
    /// The last time it could not reach the controller, if it was not told yet.
    pub outage: Option<Outage>,
    /// Messages of machines that follow.
    pub machines: u16,
    /// Messages of jobs that follow.
    pub jobs: u16,
    /// Messages of alarms that follow.
    pub alarms: u16,
}

/// A clock against another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockReading {
    /// Microseconds the agent's clock is ahead of the controller's; right to half a round trip.
    pub ahead_micros: i64,
    /// The round trip it was measured over, in microseconds.
    pub round_trip_micros: u32,
}

/// A time without the controller, as the agent saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// When it began, by the agent's clock.
    pub since: Timestamp,
    /// When it ended.
    pub until: Timestamp,
    /// What the agent found to be the cause.
    pub cause: Cause,
    /// What was tried and what came of it, for people.
    pub detail: String<256>,
}

/// Why two servers don't reach each other: the first step of connecting that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Cause {
    /// The host's name is not found.
    Name,
    /// Nothing leads there, or nothing comes back: network, firewall, or the host is off.
    Route,
    /// The host answers and takes no connection on the port.
    Tcp,
    /// Something takes the connection and does not speak TLS 1.3 with our protocol.
    Tls,
    /// A certificate is refused: expired, revoked, of another authority or role.
    Certificate,
    /// A certificate is refused because the clocks differ.
    Clock,
    /// The two have no version in common.
    Version,
    /// The host is there and the program is not, or does not answer.
    Process,
}

/// What an agent tells of one machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineReport {
    /// Which machine.
    pub machine: MachineName,
    /// Where it stands.
    pub phase: MachinePhase,
    /// The generation that is written in.
    pub generation: Generation,
    /// The last sequence that is durable at the target, as this agent knows it. It is that of every disk: a machine's disks share
    /// one order.
    pub durable: Sequence,
    /// The last sequence that is on the target disks.
    pub applied: Sequence,
    /// Age of the newest recovery point, in seconds, if there is one.
    pub rpo_seconds: Option<u64>,
    /// The oldest recovery point, if there is one.
    pub oldest: Option<Timestamp>,
    /// The newest recovery point, if there is one.
    pub newest: Option<Timestamp>,
    /// Bytes that are not durable yet (at a source), or not on the target disks (at a master target).
    pub lag: ByteLen,
    /// Bytes of seed or resync that are still to come.
    pub remaining: ByteLen,
    /// Bytes a second, as last measured.
    pub rate: ByteLen,
    /// Its disks, by number.
    pub disks: Vec<DiskReport, DISKS_MAX>,
}

/// What an agent tells of one disk of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskReport {
    /// Its size.
    pub len: ByteLen,
    /// How it is.
    pub health: DiskHealth,
}

/// How a disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskHealth {
    /// Nothing is known against it.
    Good,
    /// A read, write or flush failed.
    Failed,
    /// It is not there.
    Missing,
    /// Some of it is not what it should be.
    Damaged,
}

/// Where a machine stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MachinePhase {
    /// It is known, and nothing was sent yet.
    Registered,
    /// Its disks are being filled.
    Seeding,
    /// What differs is being sent.
    Resyncing,
    /// Every change is sent.
    Protected,
    /// It is being brought to a recovery point.
    Rewinding,
    /// It stands at a recovery point.
    Rewound,
    /// Its recovery point was accepted.
    Committed,
    /// It takes nothing until a person has acted.
    Out,
    /// It was paused.
    Paused,
}

/// What an agent tells of one job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobReport {
    /// Its number at the agent.
    pub id: u64,
    /// What it does, as the command line names it.
    pub kind: String<24>,
    /// The machine it is about.
    pub machine: MachineName,
    /// Bytes done.
    pub done: ByteLen,
    /// Bytes to do, as far as is known.
    pub total: ByteLen,
}

/// What an agent tells of one alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmReport {
    /// The number of its `LF-nnnn`.
    pub code: u16,
    /// What it is about.
    pub subject: String<64>,
    /// What was found, for people.
    pub detail: String<256>,
    /// Since when, by the agent's clock.
    pub since: Timestamp,
}

/// A report was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// The report's number.
    pub number: u64,
    /// The controller's clock.
    pub time: Timestamp,
}

impl Cause {
    /// Every cause, in the order of the steps of connecting.
    pub const ALL: [Self; 8] = [
        Self::Name,
        Self::Route,
        Self::Tcp,
        Self::Tls,
        Self::Certificate,
        Self::Clock,
        Self::Version,
        Self::Process,
    ];

    /// Returns the cause as it is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Route => "route",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Certificate => "certificate",
            Self::Clock => "clock",
            Self::Version => "version",
            Self::Process => "process",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}
