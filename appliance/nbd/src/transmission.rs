//! Requests of one connection, several at once.
//!
//! Threads take turns: one reads the next request, and lets the next thread read before it does what was asked. So replies
//! come in any order, and nothing is handed from thread to thread. A thread is started when all others are busy.

use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::Scope;

use blockdev::PageBuf;

use crate::ExportError;
use crate::image::{self, Image, lead, pieces};
use crate::negotiation::Agreed;
use crate::protocol::ProtocolError;
use crate::protocol::reply::{error_chunk, none_chunk, simple_reply, status_chunk};
use crate::protocol::request::{Action, Errno, REQUEST_LEN, Request, Stretch, Terms, decode_request};
use crate::read_reply::{ReadReply, Shape};
use crate::socket::Socket;
use crate::stream::{Input, Output};

/// Bytes that are read ahead for one wish of the client, at most.
const CACHE_LEN_MAX: u64 = 32 << 20;

/// One connection once its client may ask.
pub(crate) struct Transmission<'a> {
    socket: &'a Socket,
    input: Mutex<Option<Input>>,
    output: Mutex<Output>,
    /// Where replies that have to be whole are put together, one at a time.
    whole: Mutex<Vec<u8>>,
    image: &'a Image,
    terms: Terms,
    threads_max: usize,
    threads: AtomicUsize,
    /// Threads that wait for their turn to read.
    waiting: AtomicUsize,
}

/// Why a connection ends before its client says so.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("the connection failed")]
    Io(#[from] io::Error),
    #[error("the client is no longer understood")]
    Protocol(#[from] ProtocolError),
}

impl<'a> Transmission<'a> {
    /// Prepares to serve what was agreed on.
    pub(crate) fn new(
        socket: &'a Socket,
        input: Input,
        output: Output,
        agreed: &'a Agreed,
        threads_max: usize,
    ) -> Self {
        assert!(threads_max > 0, "somebody has to do the work");
        let (input, output) = (Mutex::new(Some(input)), Mutex::new(output));
        let whole = Mutex::default();
        let (image, terms) = (&*agreed.offer.image, agreed.terms);
        let (threads, waiting) = (AtomicUsize::new(1), AtomicUsize::new(0));
        Self { socket, input, output, whole, image, terms, threads_max, threads, waiting }
    }

    /// Serves until the client leaves; returns once every request has been answered.
    pub(crate) fn run(&self) {
        std::thread::scope(|scope| self.work(scope));
        lock(&self.output).close();
    }

    /// What each thread does: its turn at reading, then what was asked.
    fn work<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) {
        let _ending = EndOnPanic(self.socket);
        let mut buffer = PageBuf::zeroed(0);
        while let Some(taken) = self.take(&mut buffer) {
            self.start_another(scope);
            if let Err(error) = self.finish(taken, &mut buffer) {
                tracing::debug!(%error, "NBD reply not sent");
                self.socket.shut_down();
                return;
            }
        }
    }

    /// Starts a thread if none is left to read, and there may be one more.
    fn start_another<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) {
        if self.waiting.load(Ordering::Acquire) > 0 {
            return;
        }
        let room = |threads| (threads < self.threads_max).then_some(threads + 1);
        if self.threads.fetch_update(Ordering::AcqRel, Ordering::Acquire, room).is_err() {
            return;
        }
        let started =
            std::thread::Builder::new().name("nbd".to_owned()).spawn_scoped(scope, || self.work(scope));
        if let Err(error) = started {
            tracing::warn!(%error, "no thread for more NBD requests at once");
        }
    }

    /// Takes the next request, with the bytes it brings; `None` when there will be none.
    fn take(&self, buffer: &mut PageBuf) -> Option<Taken> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let mut turn = lock(&self.input);
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        let input = turn.as_mut()?;
        match self.take_from(input, buffer) {
            Ok(ControlFlow::Continue(taken)) => return Some(taken),
            Ok(ControlFlow::Break(())) => {}
            Err(Broken::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "NBD connection ends"),
        }
        // Nobody reads after the end.
        *turn = None;
        None
    }

    fn take_from(&self, input: &mut Input, buffer: &mut PageBuf) -> Result<ControlFlow<(), Taken>, Broken> {
        let mut bytes = [0; REQUEST_LEN];
        input.read_exact(&mut bytes)?;
        let request = decode_request(bytes)?;
        let outcome = match request.check(&self.terms) {
            Ok(Action::Disconnect) => return Ok(ControlFlow::Break(())),
            Ok(Action::Write { stretch, durable }) => {
                let last = self.take_write(stretch, input, buffer)?;
                last.map(|last| Todo::Write { last, durable })
            }
            Ok(action) => Ok(Todo::Action(action)),
            Err(error) => {
                input.skip(request.payload_len() as usize)?;
                Err(error)
            }
        };
        Ok(ControlFlow::Continue(Taken { request, outcome }))
    }

    /// Writes what comes, piece by piece, but for the last one: that is left in the buffer, so that others can take their
    /// turn. After a failure the rest is read and dropped: the next request lies behind it.
    fn take_write(
        &self,
        stretch: Stretch,
        input: &mut Input,
        buffer: &mut PageBuf,
    ) -> io::Result<Result<Stretch, Errno>> {
        let mut before: Option<Stretch> = None;
        let mut outcome = Ok(());
        for piece in pieces(stretch) {
            if let Some(before) = before {
                outcome = outcome.and_then(|()| self.image.write(before, buffer).map_err(told));
            }
            let (start, len) = (lead(piece), piece.len.as_usize());
            image::show(buffer, self.image.granules_len(piece));
            input.read_exact(&mut buffer[start..start + len])?;
            before = Some(piece);
        }
        Ok(outcome.map(|()| before.expect("a stretch is not empty")))
    }

    /// Does what was asked, and replies.
    fn finish(&self, taken: Taken, buffer: &mut PageBuf) -> io::Result<()> {
        let Taken { request, outcome } = taken;
        let done = match outcome {
            Err(error) => Err(error),
            Ok(Todo::Write { last, durable }) => self.then_flush(self.image.write(last, buffer), durable),
            Ok(Todo::Action(action)) => match action {
                Action::Read { stretch, whole } => {
                    let Self { image, output, whole: memory, .. } = self;
                    let reply = ReadReply { image, output, memory, cookie: request.cookie, stretch };
                    return reply.send(Shape::of(&self.terms, whole), buffer);
                }
                Action::Status { stretch, one } => return self.reply_status(&request, stretch, one),
                Action::Zero { stretch, durable } => self.then_flush(self.image.zero(stretch), durable),
                Action::Trim { stretch, durable } => self.then_flush(self.image.trim(stretch), durable),
                Action::Flush => self.image.flush().map_err(told),
                Action::Cache { stretch } => self.read_ahead(stretch, buffer),
                Action::Write { .. } | Action::Disconnect => unreachable!("done while it was taken"),
            },
        };
        self.reply(&request, done)
    }

    fn then_flush(&self, outcome: Result<(), ExportError>, durable: bool) -> Result<(), Errno> {
        outcome.and_then(|()| if durable { self.image.flush() } else { Ok(()) }).map_err(told)
    }

    fn read_ahead(&self, stretch: Stretch, buffer: &mut PageBuf) -> Result<(), Errno> {
        let len = units::ByteLen(stretch.len.0.min(CACHE_LEN_MAX));
        pieces(Stretch { len, ..stretch })
            .try_for_each(|piece| self.image.read(piece, buffer).map(drop))
            .map_err(told)
    }

    fn reply_status(&self, request: &Request, stretch: Stretch, one: bool) -> io::Result<()> {
        match self.image.status(stretch) {
            Ok(spans) => {
                let spans = if one { &spans[..1] } else { &spans };
                lock(&self.output).send(&[&status_chunk(request.cookie, spans)])
            }
            Err(error) => self.reply(request, Err(told(error))),
        }
    }

    fn reply(&self, request: &Request, outcome: Result<(), Errno>) -> io::Result<()> {
        let cookie = request.cookie;
        let mut output = lock(&self.output);
        match (self.terms.structured, outcome) {
            (true, Ok(())) => output.send(&[&none_chunk(cookie)]),
            (true, Err(error)) => output.send(&[&error_chunk(cookie, error)]),
            (false, outcome) => output.send(&[&simple_reply(cookie, outcome.err())]),
        }
    }
}

/// A request that was taken.
struct Taken {
    request: Request,
    outcome: Result<Todo, Errno>,
}

/// What is left to do of it.
enum Todo {
    Action(Action),
    /// Write the last piece, which is in the buffer; `durable`: and flush.
    Write {
        last: Stretch,
        durable: bool,
    },
}

/// Returns what a client is told of a failure, and logs what it is not told.
pub(crate) fn told(error: ExportError) -> Errno {
    match &error {
        ExportError::ReadOnly => Errno::NotPermitted,
        ExportError::Full { .. } => Errno::NoSpace,
        ExportError::Failed { .. } => {
            tracing::warn!(error = &error as &dyn std::error::Error, "NBD request failed");
            Errno::Io
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A thread that panicks ends its connection: what it leaves behind serves to end the others only.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the connection when its thread panics: the other threads, and the client, would wait for ever.
struct EndOnPanic<'a>(&'a Socket);

impl Drop for EndOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.shut_down();
        }
    }
}
