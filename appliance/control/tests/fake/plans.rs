//! Plans: there are none.

use landfall_control::api::{Plan, PlanCreate, PlanRun, Plans};
use landfall_control::{ApiError, PlanService};
use units::MachineName;

use super::{Fake, unknown};

impl PlanService for Fake {
    fn plan_list(&self) -> Result<Plans, ApiError> {
        Err(unknown())
    }

    fn plan_show(&self, _: &MachineName) -> Result<Plan, ApiError> {
        Err(unknown())
    }

    fn plan_create(&self, _: PlanCreate) -> Result<Plan, ApiError> {
        Err(unknown())
    }

    fn plan_delete(&self, _: &MachineName) -> Result<Plan, ApiError> {
        Err(unknown())
    }

    fn plan_run(&self, _: PlanRun) -> Result<Plan, ApiError> {
        Err(unknown())
    }

    fn plan_continue(&self, _: &MachineName) -> Result<Plan, ApiError> {
        Err(unknown())
    }

    fn plan_stop(&self, _: &MachineName) -> Result<Plan, ApiError> {
        Err(unknown())
    }
}
