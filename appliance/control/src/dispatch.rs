//! Which method answers which request.

use units::MachineName;

use crate::api::Request;
use crate::caller::Caller;
use crate::code::Code;
use crate::desk::Reply;
use crate::error::ApiError;
use crate::service::Service;

/// Answers a request. Blocks as long as the service does. A `JobWatch` is answered with the job as it is now. Errors: what the
/// service says; a machine's name that was not confirmed.
pub(crate) fn answer(service: &dyn Service, caller: &Caller, request: Request) -> Result<Reply, ApiError> {
    check_confirm(&request)?;
    Ok(match request {
        Request::StatusShow(_) => Reply::of(&service.status()?),
        Request::MachineAdd(add) => Reply::of(&service.machine_add(add)?),
        Request::MachineList(_) => Reply::of(&service.machine_list()?),
        Request::MachineShow(show) => Reply::of(&service.machine_show(&show.name)?),
        Request::MachineRemove(remove) => Reply::of(&service.machine_remove(remove)?),
        Request::DiskList(_) => Reply::of(&service.disk_list()?),
        Request::DiskEligible(eligible) => Reply::of(&service.disk_eligible(eligible.disk.as_deref())?),
        Request::DiskWatch(watch) => Reply::of(&service.disk_watch(watch.after)?),
        Request::PointList(list) => Reply::of(&service.point_list(list)?),
        Request::Failback(failback) => Reply::of(&service.failback(failback)?),
        Request::Commit(commit) => Reply::of(&service.commit(commit)?),
        Request::Cancel(cancel) => Reply::of(&service.cancel(cancel)?),
        Request::Reprotect(reprotect) => Reply::of(&service.reprotect(reprotect)?),
        Request::PointVerify(verify) => Reply::of(&service.point_verify(verify)?),
        Request::PointView(view) => Reply::of(&service.point_view(view)?),
        Request::ViewList(_) => Reply::of(&service.view_list()?),
        Request::ViewClose(close) => Reply::of(&service.view_close(close.id)?),
        Request::JobList(_) => Reply::of(&service.job_list()?),
        Request::JobWatch(watch) => Reply::of(&service.job_show(watch.id)?),
        Request::JobShow(show) => Reply::of(&service.job_show(show.id)?),
        Request::JobCancel(cancel) => Reply::of(&service.job_cancel(cancel.id)?),
        Request::JobStart(start) => Reply::of(&service.job_start(start)?),
        Request::ManifestList(list) => Reply::of(&service.manifest_list(&list.machine)?),
        Request::ManifestShow(show) => Reply::of(&service.manifest_show(show)?),
        Request::RetentionPlan(plan) => Reply::of(&service.retention_plan(plan.machine.as_ref())?),
        Request::PolicyShow(show) => Reply::of(&service.policy_show(show.machine.as_ref())?),
        Request::PolicySet(set) => Reply::of(&service.policy_set(set)?),
        Request::PointPin(pin) => Reply::of(&service.point_pin(pin)?),
        Request::PointUnpin(unpin) => Reply::of(&service.point_unpin(unpin)?),
        Request::RetentionScrub(scrub) => Reply::of(&service.retention_scrub(scrub)?),
        Request::NetworkShow(_) => Reply::of(&service.network_show()?),
        Request::NetworkTry(wish) => Reply::of(&service.network_try(wish.plan)?),
        Request::NetworkKeep(keep) => Reply::of(&service.network_keep(keep.opened)?),
        Request::NetworkSet(set) => {
            if set.confirm != "network" {
                return Err(ApiError::new(Code::NotConfirmed, "the network was left as it is")
                    .because("the word to confirm is `network`")
                    .fixed_by("try the plan first, or type the word, or add --yes"));
            }
            Reply::of(&service.network_set(set.plan)?)
        }
        Request::ServerToken(token) => Reply::of(&service.server_token(token)?),
        Request::ServerList(_) => Reply::of(&service.server_list()?),
        Request::ServerRevoke(revoke) => {
            confirmed(&revoke.name, &revoke.confirm, "revoked")?;
            Reply::of(&service.server_revoke(revoke)?)
        }
        Request::PlanList(_) => Reply::of(&service.plan_list()?),
        Request::PlanShow(show) => Reply::of(&service.plan_show(&show.name)?),
        Request::PlanCreate(create) => Reply::of(&service.plan_create(create)?),
        Request::PlanDelete(delete) => {
            confirmed(&delete.name, &delete.confirm, "deleted")?;
            Reply::of(&service.plan_delete(&delete.name)?)
        }
        Request::PlanRun(run) => {
            confirmed(&run.name, &run.confirm, "begun")?;
            Reply::of(&service.plan_run(run)?)
        }
        Request::PlanContinue(go_on) => Reply::of(&service.plan_continue(&go_on.name)?),
        Request::PlanStop(stop) => Reply::of(&service.plan_stop(&stop.name)?),
        Request::PreflightShow(show) => Reply::of(&service.preflight(show.machine.as_ref())?),
        Request::GroupList(_) => Reply::of(&service.group_list()?),
        Request::GroupShow(show) => Reply::of(&service.group_show(&show.name)?),
        Request::GroupCreate(create) => Reply::of(&service.group_create(create)?),
        Request::GroupAdd(add) => Reply::of(&service.group_add(add)?),
        Request::GroupRemove(remove) => Reply::of(&service.group_remove(remove)?),
        Request::GroupDelete(delete) => {
            confirmed(&delete.name, &delete.confirm, "deleted")?;
            Reply::of(&service.group_delete(&delete.name)?)
        }
        Request::GroupPointMake(make) => Reply::of(&service.group_point_make(&make.name)?),
        Request::GroupPointList(list) => Reply::of(&service.group_point_list(&list.name)?),
        Request::GroupFailback(failback) => Reply::of(&service.group_failback(failback)?),
        Request::AlarmList(list) => Reply::of(&service.alarm_list(list.every)?),
        Request::AlarmAck(ack) => Reply::of(&service.alarm_ack(caller, ack)?),
        Request::AlarmWatch(watch) => Reply::of(&service.alarm_watch(watch.after)?),
        Request::AuditList(list) => Reply::of(&service.audit_list(list)?),
        Request::AuditCheck(check) => Reply::of(&service.audit_check(check)?),
        Request::PendingList(_) => Reply::of(&service.pending_list()?),
        Request::PendingCancel(cancel) => Reply::of(&service.pending_cancel(cancel.id, caller)?),
        Request::PendingApprove(_) => unreachable!("the desk itself carries out what was confirmed"),
        Request::BackupMake(make) => Reply::of(&service.backup_make(make)?),
        Request::CatalogShow(_) => Reply::of(&service.catalog_show()?),
        Request::CatalogRebuild(rebuild) => Reply::of(&service.catalog_rebuild(rebuild)?),
        Request::RetentionShow(show) => Reply::of(&service.retention_show(show.machine.as_ref())?),
    })
}

/// Refuses what can't be undone and has not got its name again; such a request may wait long until it is answered.
pub(crate) fn check_confirm(request: &Request) -> Result<(), ApiError> {
    match request {
        Request::MachineRemove(remove) => confirmed(&remove.name, &remove.confirm, "removed"),
        Request::Commit(commit) => confirmed(&commit.machine, &commit.confirm, "committed"),
        Request::Reprotect(reprotect) if !reprotect.plan_only => {
            confirmed(&reprotect.machine, &reprotect.confirm, "reprotected")
        }
        _ => Ok(()),
    }
}

fn confirmed(name: &MachineName, confirm: &str, done: &str) -> Result<(), ApiError> {
    if confirm == name.as_str() {
        return Ok(());
    }
    Err(ApiError::new(Code::NotConfirmed, format!("{name} was not {done}")))
}
