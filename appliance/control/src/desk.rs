//! The desk: the one place where a request is judged and handed on, whoever asks and by whatever way.

use std::sync::Arc;

use serde::Serialize;

use crate::api::Request;
use crate::caller::Caller;
use crate::code::Code;
use crate::dispatch::answer;
use crate::error::ApiError;
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

    /// Answers a request; blocks as long as the service does. A `JobWatch` is answered with the job as it is now. Errors: as
    /// the service says, and nothing was changed unless the error says so.
    pub fn call(&self, caller: &Caller, request: Request) -> Result<Reply, ApiError> {
        tracing::debug!(%caller, request = request.kind(), "request");
        answer(&*self.service, request)
    }

    /// Answers a request on a thread of its own. A panic there is this caller's error and nobody else's. Errors: as
    /// [`Desk::call`].
    pub(crate) async fn call_beside(
        self: &Arc<Self>,
        caller: &Caller,
        request: Request,
    ) -> Result<Reply, ApiError> {
        let (desk, caller) = (self.clone(), caller.clone());
        tokio::task::spawn_blocking(move || desk.call(&caller, request)).await.unwrap_or_else(|error| {
            tracing::error!(%error, "control request panicked");
            Err(ApiError::new(Code::Internal, "the request was not finished"))
        })
    }
}
