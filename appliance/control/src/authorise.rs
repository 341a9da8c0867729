//! Whether a caller may ask for what it asks: every request is one of the actions of `inventory`'s table, which says who may.

use inventory::{Action, Subject, Verdict};
use wire::Role;

use crate::api::{CommitBy, JobWish, Request};
use crate::caller::Caller;
use crate::code::Code;
use crate::error::ApiError;

/// Says what kind of thing a request does.
pub fn action_of(request: &Request) -> Action {
    use Request as R;
    match request {
        R::StatusShow(_)
        | R::MachineList(_)
        | R::MachineShow(_)
        | R::DiskList(_)
        | R::DiskEligible(_)
        | R::DiskWatch(_)
        | R::PointList(_)
        | R::ViewList(_)
        | R::JobList(_)
        | R::JobWatch(_)
        | R::JobShow(_)
        | R::ManifestList(_)
        | R::ManifestShow(_)
        | R::RetentionShow(_)
        | R::RetentionPlan(_)
        | R::PolicyShow(_)
        | R::NetworkShow(_)
        | R::ServerList(_)
        | R::PreflightShow(_)
        | R::PlanList(_)
        | R::PlanShow(_)
        | R::GroupList(_)
        | R::GroupShow(_)
        | R::GroupPointList(_)
        | R::CatalogShow(_)
        | R::AlarmList(_)
        | R::AlarmWatch(_)
        | R::AuditList(_)
        | R::AuditCheck(_)
        | R::PendingList(_) => Action::Look,
        R::PendingCancel(_)
        | R::AlarmAck(_)
        | R::PointVerify(_)
        | R::PointView(_)
        | R::ViewClose(_)
        | R::RetentionScrub(_) => Action::Check,
        // The generation that was committed goes, with its history.
        R::Reprotect(reprotect) if reprotect.disks.is_empty() && !reprotect.plan_only => Action::Shorten,
        R::MachineAdd(_)
        | R::Reprotect(_)
        | R::GroupCreate(_)
        | R::GroupAdd(_)
        | R::GroupRemove(_)
        | R::GroupDelete(_)
        | R::GroupPointMake(_)
        | R::PlanCreate(_)
        | R::PlanDelete(_) => Action::Protect,
        R::JobStart(start) => match start.kind {
            JobWish::Resync => Action::Protect,
            JobWish::Expire => Action::Keep,
            JobWish::Scrub => Action::Check,
        },
        R::PlanRun(_) | R::PlanContinue(_) | R::PlanStop(_) => Action::Failback,
        R::JobCancel(_) | R::Failback(_) | R::GroupFailback(_) | R::Cancel(_) => Action::Failback,
        R::Commit(_) => Action::Commit,
        R::PointPin(_) => Action::Keep,
        R::PolicySet(set) if bounds_nothing(set) && commits_nothing(set) => Action::Keep,
        R::PolicySet(set) if bounds_nothing(set) => Action::Commit,
        R::PolicySet(_) | R::PointUnpin(_) => Action::Shorten,
        R::MachineRemove(_) => Action::Unprotect,
        R::NetworkTry(_) | R::NetworkKeep(_) | R::NetworkSet(_) => Action::Network,
        R::ServerToken(_) | R::ServerRevoke(_) => Action::Enrol,
        R::BackupMake(_) | R::CatalogRebuild(_) | R::PendingApprove(_) => Action::Administer,
    }
}

/// Tells whether a change of policy leaves alone what bounds the history, or only says what it would come to.
fn bounds_nothing(set: &crate::api::PolicySet) -> bool {
    let change = &set.change;
    let bounds =
        change.window_seconds.is_some() || change.budget_bytes.is_some() || change.when_full.is_some();
    set.plan_only || !(bounds || change.inherit)
}

/// Tells whether a change of policy has no machine committed by itself, nor earlier than before.
pub(crate) fn commits_nothing(set: &crate::api::PolicySet) -> bool {
    let change = &set.change;
    set.plan_only || (change.commit != Some(CommitBy::Commit) && change.commit_after_seconds.is_none())
}

/// Says what the table has for a caller and what it asks for. Errors: it is denied.
pub(crate) fn authorise(caller: &Caller, request: &Request, action: Action) -> Result<Verdict, ApiError> {
    match subject(caller).may(action) {
        Verdict::Denied => {
            Err(ApiError::new(Code::NotAuthorised, format!("{} was not done", request.kind()))
                .because(format!("{caller} may not do this"))
                .fixed_by("see `landfall roles`"))
        }
        verdict => Ok(verdict),
    }
}

/// Tells whether whoever asks is elsewhere: of him some things wait to be confirmed.
pub(crate) fn is_elsewhere(caller: &Caller) -> bool {
    subject(caller) != Subject::Local
}

fn subject(caller: &Caller) -> Subject {
    match caller {
        Caller::Local { .. } | Caller::Job(_) | Caller::System => Subject::Local,
        Caller::Operator(_) => Subject::Peer(Role::Operator),
        Caller::Manager(_) => Subject::Manager,
    }
}
