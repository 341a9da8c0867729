//! A job that is watched: looked at often, told when something has changed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::api::{Job, JobId, JobState, JobWatch, Progress};
use crate::caller::Caller;
use crate::desk::{Ask, Reply, ask_beside};
use crate::error::ErrorReply;
use crate::meter::Meter;

/// Between two looks at a watched job, at first and at most.
const LOOK_PAUSE_MIN: Duration = Duration::from_millis(10);
const LOOK_PAUSE_MAX: Duration = Duration::from_millis(250);
/// Progress is told at least this often, so that the client knows that the server lives.
const PROGRESS_PAUSE_MAX: Duration = Duration::from_secs(5);

/// What a watcher is told.
#[derive(Debug)]
pub(crate) enum Seen {
    /// The job goes on.
    Progress(Progress),
    /// It has ended, or can't be watched.
    Ended(Result<Reply, ErrorReply>),
}

/// One watcher of one job.
pub(crate) struct Watch {
    ask: Arc<dyn Ask>,
    caller: Caller,
    id: JobId,
    begun: Instant,
    told: Option<(Instant, u64)>,
    pause: Duration,
    meter: Meter,
}

impl Watch {
    /// Begins to watch the job `id` for `caller`.
    pub(crate) fn new(ask: Arc<dyn Ask>, caller: Caller, id: JobId) -> Self {
        let meter = Meter::default();
        Self { ask, caller, id, begun: Instant::now(), told: None, pause: Duration::ZERO, meter }
    }

    /// Returns what is to be told next, as soon as there is something.
    pub(crate) async fn next(&mut self) -> Seen {
        loop {
            sleep(self.pause).await;
            self.pause = (self.pause * 2).clamp(LOOK_PAUSE_MIN, LOOK_PAUSE_MAX);
            let reply = ask_beside(&self.ask, &self.caller, JobWatch { id: self.id }.into()).await;
            let job = reply.as_ref().ok().and_then(|reply| reply.read::<Job>().ok());
            let Some(job) = job.filter(|job| job.state == JobState::Running) else {
                return Seen::Ended(reply);
            };
            let progress = self.meter.look(self.begun.elapsed(), &job);
            if self.told.is_none_or(|(at, done)| done != job.done_bytes || at.elapsed() >= PROGRESS_PAUSE_MAX)
            {
                self.told = Some((Instant::now(), job.done_bytes));
                return Seen::Progress(progress);
            }
        }
    }
}
