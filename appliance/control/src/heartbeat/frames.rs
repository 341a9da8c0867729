//! Frames of the heartbeat on an asynchronous stream.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use wire::heartbeat::{HeartbeatError, Message, check};
use wire::{FrameError, HEADER_LEN, decode_body, decode_header, encode};

/// Why no frame can be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The connection is over.
    #[error("the connection was lost")]
    Lost(#[from] std::io::Error),
    /// What came is not a frame.
    #[error("it sent a malformed frame: {0}")]
    Frame(#[from] FrameError),
    /// What came breaks the rules.
    #[error("it sent what is against the rules: {0}")]
    Rules(#[from] HeartbeatError),
}

/// Reads frames.
pub(crate) struct FrameReader<R> {
    stream: R,
    /// The body of the last frame; its memory is used again.
    body: Vec<u8>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(stream: R) -> Self {
        Self { stream, body: Vec::new() }
    }

    /// Returns the next message, its payload in `payload`; `None` when the peer has closed the connection between two frames. Not to
    /// be dropped in the middle: what was read of a frame would be lost.
    pub(crate) async fn next(&mut self, payload: &mut Vec<u8>) -> Result<Option<Message>, ReadError> {
        let mut header = [0; HEADER_LEN];
        if self.stream.read(&mut header[..1]).await? == 0 {
            return Ok(None);
        }
        self.stream.read_exact(&mut header[1..]).await?;
        let header = decode_header::<Message>(&header)?;
        self.body.resize(header.body_len, 0);
        self.stream.read_exact(&mut self.body).await?;
        payload.resize(header.payload_len, 0);
        self.stream.read_exact(payload).await?;
        let message = decode_body(&header, &self.body)?;
        check(&message, payload.len())?;
        if self.body.capacity() > KEPT_LEN {
            self.body = Vec::new();
        }
        Ok(Some(message))
    }
}

/// Memory for bodies that is kept between frames; a thousand connections have it each.
const KEPT_LEN: usize = 4096;

/// Writes a message without a payload.
pub(crate) async fn write(stream: &mut (impl AsyncWrite + Unpin), message: &Message) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    encode(message, 0, &mut bytes);
    stream.write_all(&bytes).await?;
    stream.flush().await
}
