//! Answers about recovery plans.

use std::sync::Arc;

use control::api::{Plan, PlanCreate, PlanRun};
use control::{ApiError, Code, PlanService};
use units::MachineName;

use crate::answers::Answers;
use crate::plans::Plans;

impl Answers {
    /// Returns the plans. Errors: this is no configuration server, or it can't rely on its catalog.
    fn plans(&self) -> Result<&Arc<Plans>, ApiError> {
        let missing = || ApiError::new(Code::NotHere, "this server keeps no recovery plans");
        self.plans.as_ref().ok_or_else(missing)
    }
}

impl PlanService for Answers {
    fn plan_list(&self) -> Result<control::api::Plans, ApiError> {
        self.plans()?.list()
    }

    fn plan_show(&self, name: &MachineName) -> Result<Plan, ApiError> {
        self.plans()?.show(name)
    }

    fn plan_create(&self, request: PlanCreate) -> Result<Plan, ApiError> {
        self.plans()?.create(request)
    }

    fn plan_delete(&self, name: &MachineName) -> Result<Plan, ApiError> {
        self.plans()?.delete(name)
    }

    fn plan_run(&self, request: PlanRun) -> Result<Plan, ApiError> {
        self.plans()?.run(&request.name, request.to)
    }

    fn plan_continue(&self, name: &MachineName) -> Result<Plan, ApiError> {
        self.plans()?.go_on(name)
    }

    fn plan_stop(&self, name: &MachineName) -> Result<Plan, ApiError> {
        self.plans()?.stop(name)
    }
}
