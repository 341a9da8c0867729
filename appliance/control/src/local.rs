//! The way over the control socket: one blocking connection.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::api::{Progress, Request};
use crate::client::Transport;
use crate::code::Code;
use crate::desk::Reply;
use crate::error::{ApiError, ErrorReply};
use crate::line::{Line, decode_reply};

/// Bytes a reply line may have.
const REPLY_LEN_MAX: u64 = 256 << 20;
/// How long the server may take for one line; while a job is watched it speaks every 5 s.
const REPLY_WAIT: Duration = Duration::from_secs(300);

/// A connection to `landfalld`'s control socket.
#[derive(Debug)]
pub(crate) struct LocalSocket {
    socket: PathBuf,
    stream: BufReader<UnixStream>,
}

impl LocalSocket {
    /// Connects to the control socket. Errors: nobody answers, not allowed.
    pub(crate) fn connect(socket: &Path) -> Result<Self, ErrorReply> {
        let unreachable = |error: io::Error| {
            let code = match error.kind() {
                io::ErrorKind::PermissionDenied => Code::NotAuthorised,
                _ => Code::NotReachable,
            };
            let error =
                ApiError::new(code, format!("{} can't be reached", socket.display())).because(reason(&error));
            ErrorReply::from(error)
        };
        let stream = UnixStream::connect(socket).map_err(unreachable)?;
        stream.set_read_timeout(Some(REPLY_WAIT)).map_err(unreachable)?;
        stream.set_write_timeout(Some(REPLY_WAIT)).map_err(unreachable)?;
        Ok(Self { socket: socket.to_owned(), stream: BufReader::new(stream) })
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        let count = (&mut self.stream).take(REPLY_LEN_MAX).read_until(b'\n', &mut line)?;
        match line.pop() {
            Some(b'\n') => Ok(line),
            _ if count as u64 == REPLY_LEN_MAX => Err(io::Error::other("the answer is too long")),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn broken(&self, cause: &str) -> ApiError {
        let what = format!("the connection to {} broke", self.socket.display());
        ApiError::new(Code::Disconnected, what).because(cause)
    }
}

impl Transport for LocalSocket {
    fn ask(&mut self, request: Request, watcher: &mut dyn FnMut(&Progress)) -> Result<Reply, ErrorReply> {
        let mut line = serde_json::to_vec(&request).expect("requests hold only what JSON can write");
        line.push(b'\n');
        // A server that refuses the connection has spoken before it reads: what it said counts, not the failed write.
        let written = self.stream.get_mut().write_all(&line);
        loop {
            let line = self.receive().map_err(|error| {
                let cause = written.as_ref().err().unwrap_or(&error);
                ErrorReply::from(self.broken(&reason(cause)))
            })?;
            match decode_reply(&line)? {
                Line::Progress(progress) => watcher(&progress),
                Line::Result { result } => return Ok(result),
                Line::Error(error) => return Err(error),
            }
        }
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "there is no such socket: landfalld does not run, or serves another".to_owned()
        }
        io::ErrorKind::ConnectionRefused => "nobody answers: landfalld does not run".to_owned(),
        io::ErrorKind::PermissionDenied => "the control socket answers root and its own user only".to_owned(),
        io::ErrorKind::UnexpectedEof => "landfalld ended before it answered".to_owned(),
        io::ErrorKind::WouldBlock => "landfalld did not answer for 5 minutes".to_owned(),
        _ => error.to_string(),
    }
}
