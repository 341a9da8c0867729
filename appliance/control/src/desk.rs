//! The desk: the one place where a request is judged and handed on, whoever asks and by whatever way.

use std::sync::Arc;
use std::time::Duration;

use inventory::Verdict;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::{PendingCommand, Request};
use crate::audit::{Audit, Deed};
use crate::authorise::{action_of, authorise, is_elsewhere};
use crate::caller::Caller;
use crate::code::Code;
use crate::dispatch::{answer, check_confirm};
use crate::error::{ApiError, ErrorReply};
use crate::service::Service;
use crate::shortening::action_here;

/// What a call was answered with: the JSON of its [`Reply`](crate::api::Call::Reply), encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply(Vec<u8>);

/// Judges requests and hands them to who answers them.
pub struct Desk {
    service: Arc<dyn Service>,
    audit: Option<Arc<dyn Audit>>,
}

impl Reply {
    /// Encodes what a service answered.
    pub fn of(answer: &impl Serialize) -> Self {
        Self(serde_json::to_vec(answer).expect("replies hold only what JSON can write"))
    }

    /// Takes JSON that was encoded elsewhere.
    pub fn from_json(json: Vec<u8>) -> Self {
        Self(json)
    }

    /// Reads the reply as what it should be. Errors: it is something else.
    pub fn read<R: DeserializeOwned>(&self) -> Result<R, ApiError> {
        serde_json::from_slice(&self.0).map_err(|error| {
            ApiError::new(Code::BadReply, "landfalld's answer was not understood").because(error)
        })
    }

    /// Returns the JSON.
    pub fn json(&self) -> &[u8] {
        &self.0
    }
}

impl Desk {
    /// Returns a desk before `service`, which answers what is done here.
    pub fn new(service: Arc<dyn Service>) -> Self {
        Self { service, audit: None }
    }

    /// Has everything written down that changes something, before it is done and after.
    #[must_use]
    pub fn audited(self, audit: Arc<dyn Audit>) -> Self {
        Self { audit: Some(audit), ..self }
    }

    /// Answers a request; blocks as long as the service does. A `JobWatch` is answered with the job as it is now. Errors: the
    /// caller may not ask this; as the service says, and nothing was changed unless the error says so.
    pub fn call(&self, caller: &Caller, request: Request) -> Result<Reply, ApiError> {
        tracing::debug!(%caller, request = request.kind(), "request");
        let admitted = self.admit(caller, &request);
        self.on_record(caller, request, admitted, |request| match request {
            Request::PendingApprove(approve) => Ok(Reply::of(&self.release(caller, approve.id)?)),
            request => answer(&*self.service, caller, request),
        })
    }

    /// Says whether the caller may ask this now. Errors: he may not, or only once it is confirmed: then it waits, durably.
    fn admit(&self, caller: &Caller, request: &Request) -> Result<(), ApiError> {
        let elsewhere = is_elsewhere(caller);
        let action = if elsewhere { action_here(&*self.service, request)? } else { action_of(request) };
        let verdict = authorise(caller, request, action)?;
        self.service.admits(action)?;
        let deed = Deed::of(request);
        match (verdict, deed) {
            (Verdict::Confirmed, Some(deed)) => {
                check_confirm(request)?;
                let held = self.service.pending_hold(caller, &deed, request)?;
                Err(held_back(caller, &held))
            }
            _ => Ok(()),
        }
    }

    /// Carries out what waits, as whoever asked for it: it is confirmed, or its time is over. Errors: it does not wait, or failed.
    ///
    /// 1. It is durable that it was begun. 2. It is done, on record as any request. 3. What came of it is durable.
    ///
    /// Killed in between, it counts as interrupted, and is not begun again.
    fn release(&self, by: &Caller, id: u64) -> Result<PendingCommand, ApiError> {
        let (caller, request) = self.service.pending_begin(id, by)?;
        let done =
            self.on_record(&caller, request, Ok(()), |request| answer(&*self.service, &caller, request));
        let ended = self.service.pending_end(id, done.as_ref().map(drop));
        done.and(ended)
    }

    /// Carries a request out if it was admitted, and writes down what changes something.
    fn on_record(
        &self,
        caller: &Caller,
        request: Request,
        admitted: Result<(), ApiError>,
        carry_out: impl FnOnce(Request) -> Result<Reply, ApiError>,
    ) -> Result<Reply, ApiError> {
        let (Some(audit), Some(deed)) = (&self.audit, Deed::of(&request)) else {
            return admitted.and_then(|()| carry_out(request));
        };
        // 1. It is on record that somebody wants it. 2. It is done. 3. What came of it is on record.
        if admitted.is_ok() {
            audit.begun(caller, &deed)?;
        }
        let answered = admitted.and_then(|()| carry_out(request));
        audit.ended(caller, &deed, answered.as_ref().map(drop));
        answered
    }
}

/// Tells whoever asks that it waits.
fn held_back(caller: &Caller, held: &PendingCommand) -> ApiError {
    let PendingCommand { id, action, subject, .. } = held;
    let what = format!("{action} {subject}").trim_end().to_owned();
    let left = Duration::from_secs(held.seconds_left.unwrap_or_default()).as_secs_f64() / 3600.0;
    ApiError::new(Code::PendingHeld, format!("{what} was not done yet: it waits as number {id}"))
        .because(format!("{caller} is elsewhere: somebody at the appliance confirms it, or {left:.1} h pass"))
        .fixed_by(format!("`landfall approve {id}` at the appliance; `landfall pending cancel {id}` ends it"))
}

/// Whoever answers requests: the desk here, or one that is elsewhere.
pub trait Ask: Send + Sync + 'static {
    /// Answers a request; blocks until it is answered. Errors: as whoever answers says, or it can't be reached.
    fn ask(&self, caller: &Caller, request: Request) -> Result<Reply, ErrorReply>;
}

impl Ask for Desk {
    fn ask(&self, caller: &Caller, request: Request) -> Result<Reply, ErrorReply> {
        self.call(caller, request).map_err(Into::into)
    }
}

/// Asks on a thread of its own. Errors: as [`Ask::ask`]; a panic there is this caller's error and nobody else's.
pub(crate) async fn ask_beside(
    ask: &Arc<dyn Ask>,
    caller: &Caller,
    request: Request,
) -> Result<Reply, ErrorReply> {
    let (ask, caller) = (Arc::clone(ask), caller.clone());
    beside(move || ask.ask(&caller, request)).await?
}

/// Does what blocks on a thread of its own. Errors: it panicked.
pub(crate) async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ErrorReply> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "control request panicked");
        ApiError::new(Code::Internal, "the request was not finished").into()
    })
}
