//! A stream of changes over one connection: JSON, one message a line.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Incoming};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::client::Shared;
use super::connection::{ANSWER_LEN_MAX, Connection};
use super::endpoints::Endpoint;
use super::error::{Broken, EtcdError};
use super::message::{Streamed, Watched};
use super::rounds::Rounds;

/// Where streams of changes are asked for.
pub(super) const WATCH: &str = "/v3/watch";
/// How long one endpoint may take to begin one.
const BEGIN_WAIT: Duration = Duration::from_secs(4);
/// Messages that wait to be taken; then the cluster waits.
const WAITING_MAX: usize = 16;
/// Between two looks whether there is room for a message.
const ROOM_PAUSE: Duration = Duration::from_millis(10);
/// A stream that says nothing for so long has ended: its connection may be cut without a word.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// A stream of changes, until it is dropped.
pub(super) struct Stream {
    messages: Receiver<Watched>,
    heard: Instant,
    reading: AbortHandle,
}

/// What came of a stream.
pub(super) enum Came {
    /// Changes, or why there will be none.
    Message(Watched),
    /// Nothing, in this time.
    Nothing,
    /// The stream has ended; what comes behind it comes with another one.
    Ended,
}

impl Stream {
    /// Begins a stream at some endpoint; runs on the client's thread.
    pub(super) async fn begin(shared: Arc<Shared>, wanted: Bytes) -> Result<Self, EtcdError> {
        let mut rounds = Rounds::begin(&shared, WATCH)?;
        let lines = loop {
            let begun = Lines::begin(&shared, rounds.endpoint().1, wanted.clone());
            match timeout(BEGIN_WAIT, begun).await.unwrap_or(Err(Broken::Silent(BEGIN_WAIT))) {
                Ok(lines) => break lines,
                Err(broken) => rounds.failed(broken).await?,
            }
        };
        rounds.answered();
        let (sender, messages) = sync_channel(WAITING_MAX);
        let reading = tokio::spawn(read(lines, sender)).abort_handle();
        Ok(Self { messages, heard: Instant::now(), reading })
    }

    /// Waits for what comes next.
    pub(super) fn next(&mut self, wait: Duration) -> Came {
        match self.messages.recv_timeout(wait) {
            Ok(message) => {
                self.heard = Instant::now();
                Came::Message(message)
            }
            Err(RecvTimeoutError::Disconnected) => Came::Ended,
            Err(RecvTimeoutError::Timeout) if self.heard.elapsed() > SILENCE_MAX => Came::Ended,
            Err(RecvTimeoutError::Timeout) => Came::Nothing,
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

/// The lines of an answer that does not end.
struct Lines {
    body: Incoming,
    /// What has come of the next line.
    begun: Vec<u8>,
    /// As long as it lives, the connection does.
    _connection: Connection,
}

impl Lines {
    async fn begin(shared: &Shared, endpoint: &Endpoint, wanted: Bytes) -> Result<Self, Broken> {
        let mut connection = shared.dial(endpoint).await?;
        let response = connection.send(WATCH, wanted).await?;
        if !response.status().is_success() {
            return Err(Broken::Unable { message: format!("HTTP status {}", response.status()) });
        }
        Ok(Self { body: response.into_body(), begun: Vec::new(), _connection: connection })
    }

    /// Returns the next line; nothing at the end.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        loop {
            if let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') {
                let rest = self.begun.split_off(end + 1);
                return Ok(Some(std::mem::replace(&mut self.begun, rest)));
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            let Ok(data) = frame?.into_data() else { continue };
            if self.begun.len() + data.len() > ANSWER_LEN_MAX {
                return Err(Broken::TooLong(ANSWER_LEN_MAX));
            }
            self.begun.extend_from_slice(&data);
        }
    }
}

/// Hands on each message until the stream ends or nobody takes them.
async fn read(mut lines: Lines, sender: SyncSender<Watched>) {
    let ended = loop {
        let line = match lines.next().await {
            Ok(Some(line)) => line,
            Ok(None) => break "it closed the stream".to_owned(),
            Err(broken) => break broken.to_string(),
        };
        let mut message = match serde_json::from_slice::<Streamed<Watched>>(&line) {
            Ok(Streamed { result: Some(message), .. }) => message,
            Ok(Streamed { error: Some(error), .. }) => break error.message,
            Ok(_) => continue,
            Err(error) => break error.to_string(),
        };
        while let Err(refused) = sender.try_send(message) {
            match refused {
                TrySendError::Disconnected(_) => return,
                TrySendError::Full(back) => message = back,
            }
            sleep(ROOM_PAUSE).await;
        }
    };
    tracing::debug!(why = ended, "a watch of the cluster ended; it is begun anew");
}
