//! Which endpoint is asked next, and when it was asked for long enough.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::client::Shared;
use super::endpoints::Endpoint;
use super::error::{Broken, EtcdError};

/// How long a cluster may take, all endpoints together: longer than it takes to elect another leader.
pub(super) const CLUSTER_WAIT: Duration = Duration::from_secs(8);
/// Between two rounds over all endpoints.
const ROUND_PAUSE: Duration = Duration::from_millis(100);
/// For so long after a cluster did not answer, nobody asks it again: those who waited meanwhile need not wait again.
const AWAY_PAUSE: Duration = Duration::from_secs(1);

/// What is known of the endpoints.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The endpoint that answered last.
    preferred: usize,
    /// When, and in what words, the cluster did not answer; nothing, once it has.
    away: Option<(Instant, String)>,
}

/// Rounds over the endpoints of a cluster, beginning with the one that answered last.
pub(super) struct Rounds<'a> {
    shared: &'a Shared,
    path: &'static str,
    begun: Instant,
    first: usize,
    /// Endpoints that were asked.
    asked: usize,
    /// The cluster did not answer whoever asked before: it has had its time, and is asked once.
    was_away: bool,
}

impl<'a> Rounds<'a> {
    /// Begins. Errors: only a moment ago nobody answered.
    pub(super) fn begin(shared: &'a Shared, path: &'static str) -> Result<Self, EtcdError> {
        let (first, was_away) = {
            let known = shared.known();
            if let Some((since, words)) = known.away.as_ref().filter(|(at, _)| at.elapsed() < AWAY_PAUSE) {
                let source = Broken::JustNow(words.clone());
                let (waited, endpoint) = (since.elapsed(), shared.endpoints.to_string());
                return Err(EtcdError::Away { path, waited, endpoint, source });
            }
            (known.preferred, known.away.is_some())
        };
        Ok(Self { shared, path, begun: Instant::now(), first, asked: 0, was_away })
    }

    /// Returns the endpoint that is to be asked, and its place among them.
    pub(super) fn endpoint(&self) -> (usize, &'a Endpoint) {
        let endpoints = self.shared.endpoints.as_slice();
        let at = (self.first + self.asked) % endpoints.len();
        (at, &endpoints[at])
    }

    /// Notes that it answered.
    pub(super) fn answered(self) {
        let (at, _) = self.endpoint();
        *self.shared.known() = Known { preferred: at, away: None };
    }

    /// Goes on to the next endpoint, after a pause where all were asked. Errors: the time is over.
    pub(super) async fn failed(&mut self, broken: Broken) -> Result<(), EtcdError> {
        let (at, endpoint) = self.endpoint();
        self.asked += 1;
        let is_round = self.asked.is_multiple_of(self.shared.endpoints.as_slice().len());
        if self.begun.elapsed() >= CLUSTER_WAIT || (is_round && self.was_away) {
            *self.shared.known() = Known { preferred: at, away: Some((Instant::now(), words(&broken))) };
            let (waited, endpoint) = (self.begun.elapsed(), endpoint.to_string());
            return Err(EtcdError::Away { path: self.path, waited, endpoint, source: broken });
        }
        if is_round {
            sleep(ROUND_PAUSE).await;
        }
        Ok(())
    }
}

/// Says why an endpoint did not answer, and what lies behind.
fn words(broken: &Broken) -> String {
    match std::error::Error::source(broken) {
        Some(source) => format!("{broken}: {source}"),
        None => broken.to_string(),
    }
}
