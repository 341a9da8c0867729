//! What is sent back.

use http_body_util::channel::Channel;
use http_body_util::{Either, Full};
use hyper::body::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Response, StatusCode};

use super::problem::Problem;
use super::route::Method;
use crate::code::Code;
use crate::error::{ApiError, ErrorReply};

/// A body: whole, or told piece by piece.
pub(super) type Body = Either<Full<Bytes>, Channel<Bytes>>;

/// Sends JSON.
pub(super) fn json(json: impl Into<Bytes>) -> Response<Body> {
    whole(StatusCode::OK, "application/json", json.into())
}

/// Sends text of a kind.
pub(super) fn text(kind: &'static str, text: impl Into<Bytes>) -> Response<Body> {
    whole(StatusCode::OK, kind, text.into())
}

/// Sends events as they come.
pub(super) fn stream(channel: Channel<Bytes>) -> Response<Body> {
    with_headers(StatusCode::OK, "text/event-stream", Either::Right(channel))
}

/// Says why a request failed.
pub(super) fn problem(error: ErrorReply) -> Response<Body> {
    let problem = Problem::new(error);
    let status = StatusCode::from_u16(problem.status).expect("the table of codes holds only statuses");
    let body = serde_json::to_vec(&problem).expect("problems hold only what JSON can write");
    whole(status, "application/problem+json", body.into())
}

/// Says by which methods something is asked for.
pub(super) fn other_method(path: &str, allowed: &[Method]) -> Response<Body> {
    let allowed = allowed.iter().map(|method| method.as_str()).collect::<Vec<_>>().join(", ");
    let error = ApiError::new(Code::OtherMethod, format!("{path} can't be asked for in this way"));
    let mut response = problem(error.because(format!("it takes {allowed}")).into());
    let allowed = HeaderValue::from_str(&allowed).expect("names of methods are lawful in a header");
    response.headers_mut().insert(ALLOW, allowed);
    response
}

fn whole(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Body> {
    with_headers(status, kind, Either::Left(Full::new(body)))
}

fn with_headers(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
