//! Recovery plans: in which order machines come home.

/// A step of a plan.
pub use inventory::PlanStep;
use serde::{Deserialize, Serialize};
use units::MachineName;
use utoipa::ToSchema;

use super::{JobId, JobLine, Rfc3339};

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanState {
    /// It goes on.
    Running,
    /// It waits for a person.
    Waiting,
    /// Every step is done.
    Done,
    /// A step failed; those behind it were not begun.
    Failed,
    /// A person ended it.
    Stopped,
}

/// A recovery plan, and its newest run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// Its name.
    pub name: MachineName,
    /// What is done, first things first.
    pub steps: Vec<PlanStep>,
    /// The newest run, if it was run.
    pub run: Option<PlanRunning>,
}

/// A run of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanRunning {
    /// Which run of the plan, from 1.
    pub number: u64,
    /// The newest points at or before this time are taken; the latest when absent.
    pub to: Option<Rfc3339>,
    /// How it stands.
    pub state: PlanState,
    /// How many steps are done.
    pub done: u64,
    /// Its steps, as the plan was when it was begun.
    pub steps: Vec<PlanStep>,
    /// When it was begun.
    pub started: Rfc3339,
    /// When it ended.
    pub ended: Option<Rfc3339>,
    /// The jobs of the step under way.
    pub jobs: Vec<JobId>,
    /// What happened, oldest first; left out of lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<JobLine>,
}

/// The plans, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Plans {
    /// The appliance's clock.
    pub time: Rfc3339,
    /// The plans.
    pub plans: Vec<Plan>,
}
