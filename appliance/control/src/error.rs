//! Errors as a person reads them: what, why, and what to do.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::code::Code;

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {cause} ({code})")]
pub struct ApiError {
    /// Which kind of failure.
    pub code: Code,
    /// What happened and to what, on one line without a full stop.
    pub what: String,
    /// Why, on one line.
    pub cause: String,
    /// What to do, on one line.
    pub fix: String,
}

/// An error as it travels; its code may be one this program does not know yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, thiserror::Error)]
#[error("{what}: {cause} ({code})")]
pub struct ErrorReply {
    /// Which kind of failure, as `LF-nnnn`.
    pub code: String,
    /// What happened and to what.
    pub what: String,
    /// Why.
    pub cause: String,
    /// What to do.
    pub fix: String,
    /// The exit code a command ends with.
    pub exit: u8,
}

impl ApiError {
    /// Returns an error with the cause and the fix the table has for `code`.
    pub fn new(code: Code, what: impl Into<String>) -> Self {
        let entry = code.entry();
        Self { code, what: what.into(), cause: entry.cause.to_owned(), fix: entry.fix.to_owned() }
    }

    /// Puts a more precise cause in place.
    #[must_use]
    pub fn because(self, cause: impl fmt::Display) -> Self {
        Self { cause: cause.to_string(), ..self }
    }

    /// Puts a more precise fix in place.
    #[must_use]
    pub fn fixed_by(self, fix: impl Into<String>) -> Self {
        Self { fix: fix.into(), ..self }
    }
}

impl From<ApiError> for ErrorReply {
    fn from(error: ApiError) -> Self {
        let ApiError { code, what, cause, fix } = error;
        Self { code: code.to_string(), what, cause, fix, exit: code.entry().exit.number() }
    }
}
