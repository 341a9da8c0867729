//! The desk: the one place where a request is judged and handed on, whoever asks and by whatever way.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::Request;
use crate::audit::{Audit, Deed};
use crate::authorise::{action_of, authorise};
use crate::caller::Caller;
use crate::code::Code;
use crate::dispatch::answer;
use crate::error::{ApiError, ErrorReply};
use crate::service::Service;

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
        let admitted = authorise(caller, &request).and_then(|()| self.service.admits(action_of(&request)));
        let (Some(audit), Some(deed)) = (&self.audit, Deed::of(&request)) else {
            return admitted.and_then(|()| answer(&*self.service, caller, request));
        };
        // 1. It is on record that somebody wants it. 2. It is done. 3. What came of it is on record.
        if admitted.is_ok() {
            audit.begun(caller, &deed)?;
        }
        let answered = admitted.and_then(|()| answer(&*self.service, caller, request));
        audit.ended(caller, &deed, answered.as_ref().map(drop));
        answered
    }
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
