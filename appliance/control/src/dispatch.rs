//! Which method answers which request.

use serde::Serialize;
use units::MachineName;

use crate::api::Request;
use crate::code::Code;
use crate::error::ApiError;
use crate::line::{Line, encode};
use crate::service::Service;

/// Answers a request with one encoded line. Blocks as long as the service does. A `JobWatch` is answered with the job as it is now.
pub(crate) fn answer(service: &dyn Service, request: Request) -> Vec<u8> {
    reply(service, request).unwrap_or_else(|error| encode(&Line::<()>::Error(error.into())))
}

fn reply(service: &dyn Service, request: Request) -> Result<Vec<u8>, ApiError> {
    Ok(match request {
        Request::StatusShow(_) => result(service.status()?),
        Request::MachineAdd(add) => result(service.machine_add(add)?),
        Request::MachineList(_) => result(service.machine_list()?),
        Request::MachineShow(show) => result(service.machine_show(&show.name)?),
        Request::MachineRemove(remove) => {
            confirmed(&remove.name, &remove.confirm, "removed")?;
            result(service.machine_remove(remove)?)
        }
        Request::DiskList(_) => result(service.disk_list()?),
        Request::DiskEligible(eligible) => result(service.disk_eligible(eligible.disk.as_deref())?),
        Request::DiskWatch(watch) => result(service.disk_watch(watch.after)?),
        Request::PointList(list) => result(service.point_list(list)?),
        Request::Failback(failback) => result(service.failback(failback)?),
        Request::Commit(commit) => {
            confirmed(&commit.machine, &commit.confirm, "committed")?;
            result(service.commit(commit)?)
        }
        Request::Cancel(cancel) => result(service.cancel(cancel)?),
        Request::Reprotect(reprotect) => {
            if !reprotect.plan_only {
                confirmed(&reprotect.machine, &reprotect.confirm, "reprotected")?;
            }
            result(service.reprotect(reprotect)?)
        }
        Request::PointVerify(verify) => result(service.point_verify(verify)?),
        Request::PointView(view) => result(service.point_view(view)?),
        Request::ViewList(_) => result(service.view_list()?),
        Request::ViewClose(close) => result(service.view_close(close.id)?),
        Request::JobList(_) => result(service.job_list()?),
        Request::JobWatch(watch) => result(service.job_show(watch.id)?),
        Request::ManifestList(list) => result(service.manifest_list(&list.machine)?),
        Request::ManifestShow(show) => result(service.manifest_show(show)?),
        Request::RetentionPlan(plan) => result(service.retention_plan(plan.machine.as_ref())?),
        Request::PolicyShow(show) => result(service.policy_show(show.machine.as_ref())?),
        Request::PolicySet(set) => result(service.policy_set(set)?),
        Request::PointPin(pin) => result(service.point_pin(pin)?),
        Request::PointUnpin(unpin) => result(service.point_unpin(unpin)?),
        Request::RetentionScrub(scrub) => result(service.retention_scrub(scrub)?),
        Request::RetentionShow(show) => result(service.retention_show(show.machine.as_ref())?),
    })
}

fn result<R: Serialize>(result: R) -> Vec<u8> {
    encode(&Line::Result { result })
}

fn confirmed(name: &MachineName, confirm: &str, done: &str) -> Result<(), ApiError> {
    if confirm == name.as_str() {
        return Ok(());
    }
    Err(ApiError::new(Code::NotConfirmed, format!("machine {name} was not {done}")))
}
