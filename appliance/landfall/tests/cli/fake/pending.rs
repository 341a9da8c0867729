//! What waits to be confirmed at the fake service, and what has.

use control::api::{PendingApprove, PendingCancel, PendingCommand, PendingCommands, PendingStatus, Request};
use control::{ApiError, Caller, Code, Deed, PendingService};

use super::Fake;
use super::facts::{at, now};

fn command(id: u64, action: &str, subject: &str, state: PendingStatus) -> PendingCommand {
    PendingCommand {
        id,
        who: "operator ann".to_owned(),
        action: action.to_owned(),
        subject: subject.to_owned(),
        asked: at("2026-11-20T09:12:00Z"),
        state,
        seconds_left: None,
        ended: None,
        why: None,
    }
}

fn all() -> Vec<PendingCommand> {
    let ended = Some(at("2026-11-20T10:00:00Z"));
    let mut waiting = command(7, "machine-remove", "web-01", PendingStatus::Waiting);
    waiting.seconds_left = Some(68_921);
    let mut cancelled = command(6, "policy-set", "", PendingStatus::Cancelled);
    (cancelled.ended, cancelled.why) = (ended, Some("by uid 0".to_owned()));
    let mut failed = command(5, "point-unpin", "db-01", PendingStatus::Failed);
    (failed.ended, failed.why) = (ended, Some("the point is not pinned (LF-1313)".to_owned()));
    vec![waiting, cancelled, failed]
}

fn waiting(id: u64) -> Result<PendingCommand, ApiError> {
    let what = format!("number {id} was left as it is");
    all().into_iter().find(|command| command.id == id).ok_or(ApiError::new(Code::PendingUnknown, what))
}

impl PendingService for Fake {
    fn pending_hold(&self, _: &Caller, _: &Deed, _: &Request) -> Result<PendingCommand, ApiError> {
        unreachable!("everybody who asks the fake service is here")
    }

    fn pending_begin(&self, id: u64, _: &Caller) -> Result<(Caller, Request), ApiError> {
        self.note(PendingApprove { id });
        waiting(id)?;
        Ok((Caller::Operator("ann".parse().unwrap()), control::api::StatusShow {}.into()))
    }

    fn pending_end(&self, id: u64, _: Result<(), &ApiError>) -> Result<PendingCommand, ApiError> {
        Ok(PendingCommand { state: PendingStatus::Done, seconds_left: None, ..waiting(id)? })
    }

    fn pending_cancel(&self, id: u64, _: &Caller) -> Result<PendingCommand, ApiError> {
        self.note(PendingCancel { id });
        let why = Some("by uid 0".to_owned());
        Ok(PendingCommand { state: PendingStatus::Cancelled, seconds_left: None, why, ..waiting(id)? })
    }

    fn pending_list(&self) -> Result<PendingCommands, ApiError> {
        let commands = if self.well { Vec::new() } else { all() };
        Ok(PendingCommands { time: now(), commands })
    }
}
