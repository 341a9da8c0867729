//! The one-screen answer.

use serde::{Deserialize, Serialize};
use units::MachineName;
use utoipa::ToSchema;

use super::{Job, Machine, Rfc3339};

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
    /// The machine it is about, if one.
    pub machine: Option<MachineName>,
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
    /// What to do next, for people; absent when there is nothing to do.
    pub next: Option<String>,
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
