//! One client: requests in, replies out, until it leaves or breaks a limit.

use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::api::{JobId, JobWatch, Request};
use crate::caller::Caller;
use crate::code::Code;
use crate::desk::{Ask, ask_beside};
use crate::error::ApiError;
use crate::line::{Line, REQUEST_LEN_MAX, decode_request, encode, encode_reply};
use crate::server::Config;
use crate::watch::{Seen, Watch};

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
    ask: Arc<dyn Ask>,
    caller: Caller,
    /// When the client came.
    opened: Instant,
    config: Config,
    /// Bytes received and not yet used; never longer than a request may be.
    received: Vec<u8>,
}

impl Conversation {
    pub(crate) fn new(stream: UnixStream, ask: Arc<dyn Ask>, caller: Caller, config: Config) -> Self {
        Self { stream, ask, caller, opened: Instant::now(), config, received: Vec::new() }
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
            Ok(request) => {
                encode_reply(ask_beside(&self.ask, &self.caller, request.came_by(self.opened)).await)
            }
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

    /// Tells progress until the job ends; returns the last line.
    async fn watch(&mut self, id: JobId) -> Result<Vec<u8>, End> {
        let mut watch = Watch::new(self.ask.clone(), self.caller.clone(), id);
        loop {
            match watch.next().await {
                Seen::Progress(progress) => self.send(&encode(&Line::<()>::Progress(progress))).await?,
                Seen::Ended(reply) => return Ok(encode_reply(reply)),
            }
        }
    }

    async fn send(&mut self, line: &[u8]) -> Result<(), End> {
        match timeout(self.config.reply_wait, self.stream.write_all(line)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }
}
