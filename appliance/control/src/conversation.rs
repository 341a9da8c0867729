//! One client: requests in, replies out, until it leaves or breaks a limit.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::api::{Job, JobId, JobState, JobWatch, Request};
use crate::code::Code;
use crate::dispatch::answer;
use crate::error::ApiError;
use crate::line::{Line, REQUEST_LEN_MAX, decode_request, encode};
use crate::meter::Meter;
use crate::server::Config;
use crate::service::Service;

/// Between two looks at a watched job, at first and at most.
const LOOK_PAUSE_MIN: Duration = Duration::from_millis(10);
const LOOK_PAUSE_MAX: Duration = Duration::from_millis(250);
/// Progress is told at least this often, so that the client knows that the server lives.
const PROGRESS_PAUSE_MAX: Duration = Duration::from_secs(5);

/// Why a conversation ends.
enum End {
    /// The client left, or can't be reached any more: nothing can be said.
    Gone,
    /// It is told why.
    Told(ApiError),
}

/// One client's connection.
pub(crate) struct Conversation {
    stream: UnixStream,
    service: Arc<dyn Service>,
    config: Config,
    /// Bytes received and not yet used; never longer than a request may be.
    received: Vec<u8>,
}

impl Conversation {
    pub(crate) fn new(stream: UnixStream, service: Arc<dyn Service>, config: Config) -> Self {
        Self { stream, service, config, received: Vec::new() }
    }

    /// Answers requests until the client leaves, breaks a limit, or the server stops.
    pub(crate) async fn hold(mut self, mut stopping: watch::Receiver<bool>) {
        let end = tokio::select! {
            end = self.answer_all() => end,
            _ = stopping.wait_for(|stopping| *stopping) => {
                End::Told(ApiError::new(Code::Stopping, "the request was not finished"))
            }
        };
        if let End::Told(error) = end {
            let _ = self.send(&encode(&Line::<()>::Error(error.into()))).await;
        }
    }

    async fn answer_all(&mut self) -> End {
        loop {
            if let Err(end) = self.answer_one().await {
                return end;
            }
        }
    }

    async fn answer_one(&mut self) -> Result<(), End> {
        let line = match timeout(self.config.request_wait, self.receive()).await {
            Ok(line) => line?,
            Err(_) if self.received.is_empty() => return Err(End::Gone),
            Err(_) => return Err(End::Told(ApiError::new(Code::TooSlow, "the request was refused"))),
        };
        let reply = match decode_request(&line) {
            Ok(Request::JobWatch(JobWatch { id })) => self.watch(id).await?,
            Ok(request) => self.ask(request).await,
            Err(error) => encode(&Line::<()>::Error(error.into())),
        };
        self.send(&reply).await
    }

    /// Returns the next line, without its end. What follows the line is kept for the next.
    async fn receive(&mut self) -> Result<Vec<u8>, End> {
        let mut searched = 0;
        loop {
            if let Some(end) = self.received[searched..].iter().position(|byte| *byte == b'\n') {
                let rest = self.received.split_off(searched + end + 1);
                let mut line = std::mem::replace(&mut self.received, rest);
                line.pop();
                return Ok(line);
            }
            searched = self.received.len();
            if searched >= REQUEST_LEN_MAX {
                return Err(End::Told(ApiError::new(Code::RequestTooLong, "the request was refused")));
            }
            let mut room = (&mut self.stream).take((REQUEST_LEN_MAX - searched) as u64);
            let count = room.read_buf(&mut self.received).await.map_err(|_| End::Gone)?;
            if count == 0 {
                return Err(End::Gone);
            }
        }
    }

    /// Runs the service on a thread of its own. A panic there is this client's error and nobody else's.
    async fn ask(&self, request: Request) -> Vec<u8> {
        let service = self.service.clone();
        tokio::task::spawn_blocking(move || answer(&*service, request)).await.unwrap_or_else(|error| {
            tracing::error!(%error, "control request panicked");
            encode(&Line::<()>::Error(ApiError::new(Code::Internal, "the request was not finished").into()))
        })
    }

    /// Tells progress until the job ends; returns the last line.
    async fn watch(&mut self, id: JobId) -> Result<Vec<u8>, End> {
        let (begun, mut told, mut pause) = (Instant::now(), None::<(Instant, u64)>, LOOK_PAUSE_MIN);
        let mut meter = Meter::default();
        loop {
            let reply = self.ask(JobWatch { id }.into()).await;
            let job = match serde_json::from_slice::<Line<Job>>(&reply) {
                Ok(Line::Result { result }) if result.state == JobState::Running => result,
                _ => return Ok(reply),
            };
            let progress = meter.look(begun.elapsed(), &job);
            if told.is_none_or(|(at, done)| done != job.done_bytes || at.elapsed() >= PROGRESS_PAUSE_MAX) {
                told = Some((Instant::now(), job.done_bytes));
                self.send(&encode(&Line::<()>::Progress(progress))).await?;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LOOK_PAUSE_MAX);
        }
    }

    async fn send(&mut self, line: &[u8]) -> Result<(), End> {
        match timeout(self.config.reply_wait, self.stream.write_all(line)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }
}
