//! Requests that wait to be confirmed.

use crate::api::{PendingCommand, PendingCommands, Request};
use crate::audit::Deed;
use crate::caller::Caller;
use crate::error::ApiError;

/// Keeps requests that would destroy something and came from elsewhere. The desk decides which, and carries them out. As for
/// [`Service`](crate::Service), methods block, and one that returns an error has changed nothing, unless the error says so.
pub trait PendingService {
    /// Takes a request; durable on return. The same request of the same caller that waits already is taken once.
    fn pending_hold(
        &self,
        caller: &Caller,
        deed: &Deed,
        request: &Request,
    ) -> Result<PendingCommand, ApiError>;

    /// Gives out a request that waits, to be carried out now, with whoever asked for it; durable on return that it was begun, so that nobody
    /// is given it again.
    fn pending_begin(&self, id: u64, by: &Caller) -> Result<(Caller, Request), ApiError>;

    /// Notes what came of a request that was given out; durable on return.
    fn pending_end(&self, id: u64, outcome: Result<(), &ApiError>) -> Result<PendingCommand, ApiError>;

    /// Ends a request that waits; durable on return.
    fn pending_cancel(&self, id: u64, by: &Caller) -> Result<PendingCommand, ApiError>;

    /// Returns what waits and what has waited, newest first.
    fn pending_list(&self) -> Result<PendingCommands, ApiError>;
}
