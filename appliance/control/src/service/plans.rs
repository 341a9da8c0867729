//! Recovery plans.

use units::MachineName;

use crate::api::{Plan, PlanCreate, PlanRun, Plans};
use crate::error::ApiError;

/// The answers about recovery plans. As for [`Service`](crate::Service), methods block, and one that returns an error has changed
/// nothing, unless the error says so.
pub trait PlanService {
    /// Returns every plan, by name.
    fn plan_list(&self) -> Result<Plans, ApiError>;

    /// Returns one plan, with all that happened in its newest run.
    fn plan_show(&self, name: &MachineName) -> Result<Plan, ApiError>;

    /// Makes a plan; durable on return.
    fn plan_create(&self, request: PlanCreate) -> Result<Plan, ApiError>;

    /// Deletes a plan; durable on return. The server has compared `confirm` with the name.
    fn plan_delete(&self, name: &MachineName) -> Result<Plan, ApiError>;

    /// Begins a run; durable on return. The server has compared `confirm` with the name.
    fn plan_run(&self, request: PlanRun) -> Result<Plan, ApiError>;

    /// Lets a run go on that waits for a person; durable on return.
    fn plan_continue(&self, name: &MachineName) -> Result<Plan, ApiError>;

    /// Ends a run before its next step; durable on return.
    fn plan_stop(&self, name: &MachineName) -> Result<Plan, ApiError>;
}
