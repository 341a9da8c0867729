//! A refusal as RFC 9457 writes it: `application/problem+json`, with our code, cause and fix beside.

use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::code::{Code, Exit};
use crate::error::ErrorReply;

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The kind of problem: `urn:landfall:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words, the same for each of its kind.
    pub title: String,
    /// The status, as in the response's first line.
    pub status: u16,
    /// What happened and to what.
    pub detail: String,
    /// The kind as `LF-nnnn`.
    pub code: String,
    /// Why.
    pub cause: String,
    /// What to do.
    pub fix: String,
    /// The exit code that the command line ends with.
    pub exit: u8,
}

impl Problem {
    /// Returns how an error is told over HTTP. The status follows from the code.
    pub fn new(error: ErrorReply) -> Self {
        let ErrorReply { code, what, cause, fix, exit } = error;
        let known = Code::find(&code);
        Self {
            kind: format!("urn:landfall:{code}"),
            title: known.map_or_else(|| what.clone(), |code| code.entry().title.to_owned()),
            status: known.map_or(StatusCode::INTERNAL_SERVER_ERROR, status).as_u16(),
            detail: what,
            code,
            cause,
            fix,
            exit,
        }
    }
}

impl From<Problem> for ErrorReply {
    fn from(problem: Problem) -> Self {
        let Problem { code, detail, cause, fix, exit, .. } = problem;
        Self { code, what: detail, cause, fix, exit }
    }
}

fn status(code: Code) -> StatusCode {
    match (code, code.entry().exit) {
        (Code::RequestTooLong, _) => StatusCode::PAYLOAD_TOO_LARGE,
        (Code::TooSlow, _) => StatusCode::REQUEST_TIMEOUT,
        (Code::TooManyClients, _) => StatusCode::SERVICE_UNAVAILABLE,
        (Code::OtherMethod, _) => StatusCode::METHOD_NOT_ALLOWED,
        (Code::KeyOther, _) => StatusCode::UNPROCESSABLE_ENTITY,
        (Code::NotJson, _) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        (_, Exit::Usage) => StatusCode::BAD_REQUEST,
        (_, Exit::NotAuthorised) => StatusCode::FORBIDDEN,
        (_, Exit::Missing) => StatusCode::NOT_FOUND,
        (_, Exit::Refused) => StatusCode::CONFLICT,
        (_, Exit::Unreachable) => StatusCode::SERVICE_UNAVAILABLE,
        (_, Exit::Failed) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ApiError;

    #[test]
    fn a_problem_becomes_the_error_it_was() {
        let error: ErrorReply = ApiError::new(Code::MachineUnknown, "machine web-01 is not known").into();
        let problem = Problem::new(error.clone());
        assert_eq!((problem.status, problem.title.as_str()), (404, "no such machine"));
        assert_eq!(ErrorReply::from(problem), error);
    }

    #[test]
    fn a_code_of_a_later_version_is_a_failure() {
        let error: ErrorReply = ApiError::new(Code::Internal, "w").into();
        assert_eq!(Problem::new(ErrorReply { code: "LF-9998".to_owned(), ..error }).status, 500);
    }
}
