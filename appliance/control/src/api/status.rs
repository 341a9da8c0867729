//! The one-screen answer.

use inventory::{APPLIANCE, AlarmKind};
use serde::{Deserialize, Serialize};
use units::MachineName;
use utoipa::ToSchema;

use super::{Alarm, Job, Machine, Rfc3339};

/// How the appliance is, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// A person must act.
    Failed,
    /// Something needs attention.
    Degraded,
    /// All is well.
    Healthy,
}

/// Something that keeps the appliance from being healthy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Concern {
    /// How bad it is.
    pub health: Health,
    /// What kind of thing.
    #[serde(default)]
    #[schema(value_type = String)]
    pub kind: AlarmKind,
    /// The machine it is about, if one.
    pub machine: Option<MachineName>,
    /// Role and name of the server it is about, if one.
    #[serde(default)]
    pub server: Option<String>,
    /// What is wrong, in one sentence.
    pub what: String,
}

/// The retention volume's use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VolumeUse {
    /// Where it is.
    pub path: String,
    /// What it can hold.
    pub capacity_bytes: u64,
    /// What is free.
    pub free_bytes: u64,
    /// What the journals take.
    pub journal_bytes: u64,
}

/// Everything at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// The appliance's clock.
    pub time: Rfc3339,
    /// The version of `landfalld`.
    pub version: String,
    /// The address sources connect to.
    pub listen: String,
    /// The worst of `concerns`.
    pub health: Health,
    /// What is not well, worst first.
    pub concerns: Vec<Concern>,
    /// Every machine, by name.
    pub machines: Vec<Machine>,
    /// The jobs under way.
    pub jobs: Vec<Job>,
    /// The retention volume.
    pub volume: VolumeUse,
    /// The alarms that stand or that nobody has taken note of.
    #[serde(default)]
    pub alarms: Vec<Alarm>,
    /// What to do next, for people; absent when there is nothing to do.
    pub next: Option<String>,
}

impl Concern {
    /// Returns a concern about a machine.
    pub fn of_machine(
        kind: AlarmKind,
        health: Health,
        machine: &MachineName,
        what: impl Into<String>,
    ) -> Self {
        Self { health, kind, machine: Some(machine.clone()), server: None, what: what.into() }
    }

    /// Returns a concern about a server, named by its role and name with a `/` between.
    pub fn of_server(kind: AlarmKind, health: Health, server: String, what: impl Into<String>) -> Self {
        Self { health, kind, machine: None, server: Some(server), what: what.into() }
    }

    /// Returns a concern about the appliance itself.
    pub fn of_appliance(kind: AlarmKind, health: Health, what: impl Into<String>) -> Self {
        Self { health, kind, machine: None, server: None, what: what.into() }
    }

    /// Returns what it is about: a machine, a server, or the appliance.
    pub fn subject(&self) -> &str {
        let machine = self.machine.as_ref().map(MachineName::as_str);
        machine.or(self.server.as_deref()).unwrap_or(APPLIANCE)
    }
}

impl Status {
    /// Fills in what follows from the rest: health, concerns and hint.
    #[must_use]
    pub fn derived(mut self) -> Self {
        self.concerns = crate::hint::concerns(&self);
        self.health = self.concerns.iter().map(|concern| concern.health).min().unwrap_or(Health::Healthy);
        self.next = crate::hint::for_status(&self);
        self
    }

    /// Adds what is not well beside what follows from the rest, and judges the health anew.
    #[must_use]
    pub fn with(mut self, more: impl IntoIterator<Item = Concern>) -> Self {
        self.concerns.extend(more);
        self.concerns.sort_by_key(|concern| concern.health);
        self.health = self.concerns.iter().map(|concern| concern.health).min().unwrap_or(Health::Healthy);
        self
    }
}
