//! Answers about consistency groups.

use control::api::{
    Group, GroupAdd, GroupCreate, GroupDeleted, GroupFailback, GroupFailbackStarted, GroupPoint, GroupPoints,
    GroupRemove, Groups, JobId,
};
use control::{ApiError, GroupService};
use inventory::JobWork;
use units::{MachineName, Sequence};

use crate::answers::Answers;
use crate::groups::describe_point;

impl GroupService for Answers {
    fn group_list(&self) -> Result<Groups, ApiError> {
        self.groups()?.list()
    }

    fn group_show(&self, name: &MachineName) -> Result<Group, ApiError> {
        self.groups()?.show(name)
    }

    fn group_create(&self, request: GroupCreate) -> Result<Group, ApiError> {
        self.groups()?.create(request)
    }

    fn group_add(&self, request: GroupAdd) -> Result<Group, ApiError> {
        self.groups()?.add(request)
    }

    fn group_remove(&self, request: GroupRemove) -> Result<Group, ApiError> {
        self.groups()?.remove(request)
    }

    fn group_delete(&self, name: &MachineName) -> Result<GroupDeleted, ApiError> {
        self.groups()?.delete(name)
    }

    fn group_point_make(&self, name: &MachineName) -> Result<GroupPoint, ApiError> {
        self.groups()?.make_point(name)
    }

    fn group_point_list(&self, name: &MachineName) -> Result<GroupPoints, ApiError> {
        self.groups()?.points(name)
    }

    /// Plans for every member before it begins with any.
    fn group_failback(&self, request: GroupFailback) -> Result<GroupFailbackStarted, ApiError> {
        let GroupFailback { name, to, plan_only, no_proof } = request;
        let point = self.groups()?.point(&name, to)?;
        let members = || point.members.iter().map(|(machine, point)| (machine, point.sequence));
        let mut plans = Vec::new();
        for (machine, sequence) in members() {
            let found =
                self.find(machine, control::api::FailbackTo::Sequence(sequence), wire::Consistency::Crash)?;
            plans.push(self.plan(&*self.machine(machine)?, found)?);
            self.jobs.may(machine, &work(sequence, no_proof))?;
            self.jobs.refuse_if_busy(machine)?;
        }
        let mut jobs = Vec::new();
        if !plan_only {
            for (machine, sequence) in members() {
                jobs.push(JobId(self.jobs.start(machine, work(sequence, no_proof))?));
            }
        }
        Ok(GroupFailbackStarted { group: name, to: describe_point(&point), plans, jobs })
    }
}

fn work(to: Sequence, no_proof: bool) -> JobWork {
    JobWork::Failback { to, prove: !no_proof }
}
