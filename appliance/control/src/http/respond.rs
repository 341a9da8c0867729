//! What one request is answered with.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Response};
use tokio::time::timeout;

use super::connection::Api;
use super::events::{self, Following};
use super::keys::Keys;
use super::metrics;
use super::openapi::DOCUMENT;
use super::reply::{self, Body};
use super::route::{Asked, Found, Method, PREFIX, find};
use crate::api::{Request, Status, StatusShow};
use crate::caller::Caller;
use crate::code::Code;
use crate::desk::{Reply, ask_beside, beside};
use crate::error::{ApiError, ErrorReply};
use crate::line::REQUEST_LEN_MAX;

/// How long a body may take to arrive.
const BODY_WAIT: Duration = Duration::from_secs(30);
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Bytes an idempotency key may have.
const KEY_LEN_MAX: usize = 128;

impl Api {
    /// Answers one request; whatever fails becomes a problem.
    pub(super) async fn respond(
        &self,
        caller: &Caller,
        opened: Instant,
        request: hyper::Request<Incoming>,
    ) -> Response<Body> {
        let (head, body) = request.into_parts();
        let (method, path) = (head.method.as_str(), head.uri.path());
        let answered = match (method, path.strip_prefix(PREFIX)) {
            ("GET", _) if path == "/openapi.json" => Ok(reply::json(DOCUMENT)),
            ("GET", _) if path == "/metrics" => self.metrics(caller).await,
            (_, Some(below)) => match find(method, below) {
                Found::Route(route, named) => match receive(&head.headers, body).await {
                    Ok(body) => {
                        let asked = Asked { named, query: head.uri.query().unwrap_or_default(), body: &body };
                        match (route.read)(&asked) {
                            Ok(request) => {
                                let request = request.came_by(opened);
                                self.answer(caller, &head.headers, route.method, request).await
                            }
                            Err(error) => Err(error.into()),
                        }
                    }
                    Err(error) => Err(error.into()),
                },
                Found::OtherMethod(allowed) => Ok(reply::other_method(path, &allowed)),
                Found::Nothing => Err(nothing(path)),
            },
            (_, None) if ["/openapi.json", "/metrics"].contains(&path) => {
                Ok(reply::other_method(path, &[Method::Get]))
            }
            (_, None) => Err(nothing(path)),
        };
        answered.unwrap_or_else(reply::problem)
    }

    async fn answer(
        &self,
        caller: &Caller,
        headers: &HeaderMap,
        method: Method,
        request: Request,
    ) -> Result<Response<Body>, ErrorReply> {
        if method == Method::Get {
            if wants_events(headers) {
                return events::follow(Following::new(self.ask.clone(), caller.clone(), request, headers))
                    .await;
            }
            return Ok(json(&ask_beside(&self.ask, caller, request).await?));
        }
        match (idempotency_key(headers)?, &self.keys) {
            (Some(key), Some(keys)) if may_be_kept(&request) => {
                self.answer_once(keys.clone(), caller, key, request).await
            }
            _ => Ok(json(&ask_beside(&self.ask, caller, request).await?)),
        }
    }

    /// Carries a request out unless it was before, with the same key.
    async fn answer_once(
        &self,
        keys: Arc<Keys>,
        caller: &Caller,
        key: String,
        request: Request,
    ) -> Result<Response<Body>, ErrorReply> {
        let (ask, caller) = (Arc::clone(&self.ask), caller.clone());
        let (outcome, replayed) =
            beside(move || keys.once(&caller, &key, request, |request| ask.ask(&caller, request))).await??;
        let mut response = outcome.map_or_else(reply::problem, |reply| json(&reply));
        if replayed {
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        }
        Ok(response)
    }

    async fn metrics(&self, caller: &Caller) -> Result<Response<Body>, ErrorReply> {
        let reply = ask_beside(&self.ask, caller, StatusShow {}.into()).await?;
        let status: Status = reply.read()?;
        Ok(reply::text("text/plain; version=0.0.4", metrics::render(&status)))
    }
}

fn json(reply: &Reply) -> Response<Body> {
    reply::json(reply.json().to_vec())
}

/// Secrets, asked or told, are not kept: a second token or backup is made rather than the first remembered.
fn may_be_kept(request: &Request) -> bool {
    !matches!(request, Request::ServerToken(_) | Request::BackupMake(_))
}

fn nothing(path: &str) -> ErrorReply {
    ApiError::new(Code::RouteUnknown, format!("there is nothing at {path}")).into()
}

fn wants_events(headers: &HeaderMap) -> bool {
    let accepted = headers.get(ACCEPT).and_then(|accepted| accepted.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains("text/event-stream"))
}

/// Returns the body, which is JSON if there is any.
async fn receive(headers: &HeaderMap, body: Incoming) -> Result<Bytes, ApiError> {
    let refused = |code| ApiError::new(code, "the request was refused");
    let body = match timeout(BODY_WAIT, Limited::new(body, REQUEST_LEN_MAX - 1).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(refused(Code::RequestTooLong)),
        Ok(Err(error)) => return Err(refused(Code::BadRequest).because(error)),
        Err(_) => return Err(refused(Code::TooSlow)),
    };
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if body.is_empty() || kind.eq_ignore_ascii_case("application/json") {
        return Ok(body);
    }
    Err(refused(Code::NotJson))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    match key.to_str() {
        Ok(key) if (1..=KEY_LEN_MAX).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => {
            let error = ApiError::new(Code::BadRequest, "the request was refused");
            Err(error.because(format!("an Idempotency-Key has 1 to {KEY_LEN_MAX} visible characters")))
        }
    }
}
