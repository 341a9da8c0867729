//! Answers a reprotect: of a committed machine, or of one that is not known yet.

use std::sync::Arc;

use control::api::{Machine, Reprotect, ReprotectPlan, Reprotected};
use control::{ApiError, Code};
use inventory::JobWork;
use target::{MasterTarget, TargetError};

use crate::answers::{offer, random_id};
use crate::failure::api_error;
use crate::jobs::Jobs;
use crate::report;

/// Plans it and, unless only the plan was asked for, carries it out.
pub(crate) fn answer(
    node: &Arc<MasterTarget>,
    jobs: &Arc<Jobs>,
    request: Reprotect,
    describe: impl Fn(&target::Machine) -> Machine,
) -> Result<Reprotected, ApiError> {
    let known = match node.machine(&request.machine) {
        Ok(_) => true,
        Err(TargetError::UnknownMachine { .. }) => false,
        Err(error) => return Err(api_error(&error)),
    };
    let plan = if known { of_committed(node, &request)? } else { of_unknown(&request)? };
    if request.plan_only {
        return Ok(Reprotected { plan, machine: None });
    }
    let done = if known {
        let over = plan.generation.expect("a committed machine has a generation");
        jobs.do_now(&request.machine, JobWork::Reprotect { over })?;
        node.machine(&request.machine)
    } else {
        let offers: Vec<_> = request.disks.iter().map(offer).collect();
        node.add_original(random_id()?, &request.machine, &offers)
    };
    let machine = done.map_err(|error| api_error(&error))?;
    Ok(Reprotected { plan, machine: Some(describe(&machine)) })
}

fn of_committed(node: &MasterTarget, request: &Reprotect) -> Result<ReprotectPlan, ApiError> {
    if !request.disks.is_empty() {
        let what = format!("machine {} has its target disks already", request.machine);
        return Err(ApiError::new(Code::ReprotectDisks, what)
            .because("another generation begins on the disks that were committed"));
    }
    let plan = node.reprotect_plan(&request.machine).map_err(|error| api_error(&error))?;
    Ok(ReprotectPlan {
        machine: request.machine.clone(),
        generation: Some(plan.generation),
        points: plan.points.len() as u64,
        oldest: plan.points.first().map(report::point_alone),
        newest: plan.points.last().map(report::point_alone),
        journal_bytes: plan.journal.0,
        disks: plan.disks.into_iter().map(|disk| disk.path).collect(),
    })
}

fn of_unknown(request: &Reprotect) -> Result<ReprotectPlan, ApiError> {
    if request.disks.is_empty() {
        let what = format!("machine {} is not known, and no target disk was named", request.machine);
        return Err(ApiError::new(Code::ReprotectDisks, what)
            .because("only a committed machine can be reprotected without naming its disks"));
    }
    Ok(ReprotectPlan {
        machine: request.machine.clone(),
        generation: None,
        points: 0,
        oldest: None,
        newest: None,
        journal_bytes: 0,
        disks: request.disks.iter().map(|disk| disk.path.clone()).collect(),
    })
}
