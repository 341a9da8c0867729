//! The desk: the one place where a request is judged and handed on, whoever asks and by whatever way.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::Request;
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
        Self { service }
    }

    /// Answers a request; blocks as long as the service does. A `JobWatch` is answered with the job as it is now. Errors: the
    /// caller may not ask this; as the service says, and nothing was changed unless the error says so.
    pub fn call(&self, caller: &Caller, request: Request) -> Result<Reply, ApiError> {
        tracing::debug!(%caller, request = request.kind(), "request");
        authorise(caller, &request)?;
        self.service.admits(action_of(&request))?;
        answer(&*self.service, request)
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
