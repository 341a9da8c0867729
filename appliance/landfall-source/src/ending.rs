//! Exit codes.

use std::process::ExitCode;

use source::Outcome;

/// Returns the exit code of a failure; 2 is the command line's own.
pub(crate) fn exit_code(outcome: Outcome) -> ExitCode {
    ExitCode::from(match outcome {
        Outcome::Failed => 1,
        Outcome::Refused => 3,
        Outcome::NotReachable => 4,
        Outcome::NotAuthorised => 5,
    })
}
