//! What waits to be confirmed: whatever comes, as number 7.

use landfall_control::api::{
    MachineRemove, PendingCommand, PendingCommands, PendingStatus, Request, Rfc3339,
};
use landfall_control::{ApiError, Caller, Code, Deed, PendingService};
use units::Timestamp;

use super::Fake;

fn seven(state: PendingStatus) -> PendingCommand {
    PendingCommand {
        id: 7,
        who: "operator ann".to_owned(),
        action: "machine-remove".to_owned(),
        subject: "a".to_owned(),
        asked: Rfc3339(Timestamp(1_700_000_000_000_000)),
        state,
        seconds_left: Some(86_400),
        ended: None,
        why: None,
    }
}

impl PendingService for Fake {
    fn pending_hold(&self, _: &Caller, _: &Deed, _: &Request) -> Result<PendingCommand, ApiError> {
        Ok(seven(PendingStatus::Waiting))
    }

    fn pending_begin(&self, id: u64, _: &Caller) -> Result<(Caller, Request), ApiError> {
        if id != 7 {
            return Err(ApiError::new(Code::PendingUnknown, "it was left as it is"));
        }
        let (ann, name) = ("ann".parse().expect("a name"), "a".parse().expect("a name"));
        Ok((Caller::Operator(ann), MachineRemove { name, confirm: "a".to_owned() }.into()))
    }

    fn pending_end(&self, _: u64, outcome: Result<(), &ApiError>) -> Result<PendingCommand, ApiError> {
        Ok(seven(outcome.map_or(PendingStatus::Failed, |()| PendingStatus::Done)))
    }

    fn pending_cancel(&self, _: u64, _: &Caller) -> Result<PendingCommand, ApiError> {
        Ok(seven(PendingStatus::Cancelled))
    }

    fn pending_list(&self) -> Result<PendingCommands, ApiError> {
        Ok(PendingCommands { time: Rfc3339(Timestamp(0)), commands: Vec::new() })
    }
}
