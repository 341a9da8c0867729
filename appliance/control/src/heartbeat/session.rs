//! One connection of a server: reports up, orders down, outcomes up.

use std::time::Duration;

use inventory::{Ending, Finding, Order, PulseEvent};
use link::Seal;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::timeout;
use wire::heartbeat::{
    Cause, Command, Heard, Hello, Message, OutcomeTaken, PERIOD, Refusal, Refused, Statement, VERSIONS,
    Welcome, clipped,
};

use crate::clock::now;
use crate::heartbeat::frames::{FrameReader, ReadError, write};
use crate::heartbeat::gathering::{Gathering, ReplyGathering, Settled};
use crate::heartbeat::servers::{Entered, Outgoing};
use crate::heartbeat::{Context, Guest};

/// For `Hello` after the handshake.
const HELLO_WAIT: Duration = Duration::from_secs(10);
/// For anything from the server.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// For the server to take what is sent.
const WRITE_WAIT: Duration = Duration::from_secs(15);
/// Answers that wait to be written.
const ANSWERS_MAX: usize = 16;

/// Why this end refuses a connection, or ends it.
struct Rejection {
    refusal: Refusal,
    detail: String,
}

/// What the reading half works with.
struct Listening<'a> {
    context: &'a Context,
    entered: &'a mut Entered,
    answers: Sender<Outgoing>,
    reports: Gathering,
    replies: ReplyGathering,
}

/// Serves one connection until it ends. Orders are signed with `seal`, the key this connection was made with.
pub(crate) async fn serve<S>(context: Context, guest: Guest, seal: Seal, stream: S)
where
    S: AsyncRead + AsyncWrite + Send,
{
    let (reader, mut writer) = tokio::io::split(stream);
    let mut reader = FrameReader::new(reader);
    let rejection = match open(&mut reader).await {
        Ok(None) => return,
        Ok(Some((hello, version))) => {
            hold(&context, &guest, &seal, Opened { hello, version }, &mut reader, &mut writer).await
        }
        Err(rejection) => {
            let (cause, detail) = (cause_of(rejection.refusal), rejection.detail.clone());
            context.servers.note(&guest.identity, PulseEvent::Refused(Finding { cause, detail }));
            Some(rejection)
        }
    };
    if let Some(rejection) = rejection {
        tracing::warn!(server = %guest.identity, address = %guest.address, why = rejection.detail, "heartbeat refused");
        let _ = timeout(WRITE_WAIT, write(&mut writer, &rejection.message())).await;
    }
    let _ = timeout(WRITE_WAIT, writer.shutdown()).await;
}

/// Reads `Hello`, and agrees on a version. `None` if the peer has left.
async fn open<R: AsyncRead + Unpin>(reader: &mut FrameReader<R>) -> Result<Option<(Hello, u16)>, Rejection> {
    let hello = match timeout(HELLO_WAIT, reader.next(&mut Vec::new())).await {
        Err(_) => return Err(Rejection::new(Refusal::Silent, "no hello came within 10 s")),
        Ok(Err(ReadError::Lost(_)) | Ok(None)) => return Ok(None),
        Ok(Err(error)) => return Err(Rejection::new(Refusal::Malformed, error)),
        Ok(Ok(Some(Message::Hello(hello)))) => hello,
        Ok(Ok(Some(_))) => return Err(Rejection::new(Refusal::Malformed, "the first message is no hello")),
    };
    match VERSIONS.agree(hello.versions) {
        Ok(version) => Ok(Some((hello, version))),
        Err(skew) => Err(Rejection::new(Refusal::Version, skew)),
    }
}

/// What the two ends have said at the start.
struct Opened {
    hello: Hello,
    version: u16,
}

/// Holds a session that was opened until it ends; returns why, if this end ends it.
async fn hold<S>(
    context: &Context,
    guest: &Guest,
    seal: &Seal,
    opened: Opened,
    reader: &mut FrameReader<ReadHalf<S>>,
    writer: &mut WriteHalf<S>,
) -> Option<Rejection>
where
    S: AsyncRead + AsyncWrite + Send,
{
    let Opened { hello, version } = opened;
    let welcome = Welcome {
        version,
        period_ms: u32::try_from(PERIOD.as_millis()).expect("a period is short"),
        time: now(),
        software: clipped(context.software),
    };
    if write(writer, &Message::Welcome(welcome)).await.is_err() {
        return None;
    }
    let (mut entered, orders) = context.servers.enter(&guest.identity, guest.address, &hello, version);
    let open = match context.connected(guest.identity.clone(), hello.taken).await {
        Ok(open) => open,
        Err(detail) => return Some(Rejection::new(Refusal::Stopping, detail)),
    };
    tracing::info!(server = %guest.identity, address = %guest.address, software = %hello.software, "server connected");
    let (answers, answered) = channel(ANSWERS_MAX);
    let listening = Listening {
        context,
        entered: &mut entered,
        answers,
        reports: Gathering::default(),
        replies: ReplyGathering::default(),
    };
    // Both halves live as long as the connection, so that no frame is dropped in its middle.
    tokio::select! {
        ended = listening.run(reader) => ended,
        ended = speak(writer, seal, open, orders, answered) => ended,
    }
}

impl Listening<'_> {
    /// Reads until the connection ends; returns why, if this end ends it.
    async fn run<R: AsyncRead + Unpin>(mut self, reader: &mut FrameReader<R>) -> Option<Rejection> {
        let mut payload = Vec::new();
        loop {
            let message = match timeout(SILENCE_MAX, reader.next(&mut payload)).await {
                Err(_) => return Some(Rejection::new(Refusal::Silent, "nothing was heard for 15 s")),
                Ok(Ok(Some(message))) => message,
                Ok(Ok(None) | Err(ReadError::Lost(_))) => {
                    self.entered.ending = Ending::Closed;
                    return None;
                }
                Ok(Err(error)) => return Some(Rejection::new(Refusal::Malformed, error)),
            };
            match self.take(message, &payload).await {
                Ok(Some(())) => {}
                Ok(None) => return None,
                Err(rejection) => return Some(rejection),
            }
        }
    }

    /// Takes one message. `None` when the server says goodbye.
    async fn take(&mut self, message: Message, payload: &[u8]) -> Result<Option<()>, Rejection> {
        let malformed = |error| Rejection::new(Refusal::Malformed, error);
        match message {
            Message::Report(_) | Message::Machine(_) | Message::Job(_) | Message::Alarm(_) => {
                let whole = self.reports.take(message).map_err(|error| malformed(error.to_string()))?;
                let Some(report) = whole else { return Ok(Some(())) };
                let heard = Heard { number: report.head.number, time: now() };
                self.entered.heard(report, heard.time);
                Ok(self.answer(Message::Heard(heard)).await)
            }
            Message::Outcome(outcome) => {
                let whole =
                    self.replies.take(*outcome, payload).map_err(|error| malformed(error.to_string()))?;
                let Some(settled) = whole else { return Ok(Some(())) };
                self.settle(settled).await
            }
            Message::Goodbye => {
                self.entered.ending = Ending::Goodbye;
                Ok(None)
            }
            Message::Refused(refused) => {
                tracing::warn!(server = %self.entered.identity, why = %refused.detail, "server ends its heartbeat");
                self.entered.ending = Ending::Closed;
                Ok(None)
            }
            _ => Err(malformed("it sent a message that is the controller's to send".to_owned())),
        }
    }

    /// Keeps an outcome; only then the server is told that it may forget it.
    async fn settle(&mut self, settled: Settled) -> Result<Option<()>, Rejection> {
        let taken = OutcomeTaken { id: settled.id, ended: settled.verdict.is_end() };
        let kept = self.context.settle(self.entered.identity.clone(), settled).await;
        kept.map_err(|detail| Rejection::new(Refusal::Stopping, detail))?;
        Ok(self.answer(Message::OutcomeTaken(taken)).await)
    }

    async fn answer(&self, message: Message) -> Option<()> {
        self.answers.send(Outgoing::Message(message)).await.ok()
    }
}

/// Writes answers and orders until the connection ends; returns why, if this end ends it.
async fn speak<W: AsyncWrite + Unpin>(
    writer: &mut W,
    seal: &Seal,
    open: Vec<Order>,
    mut orders: Receiver<Outgoing>,
    mut answers: Receiver<Outgoing>,
) -> Option<Rejection> {
    let mut sent = 0;
    let mut open = open.into_iter();
    loop {
        let outgoing = match open.next() {
            Some(order) => Outgoing::Order(Box::new(order)),
            None => tokio::select! {
                Some(answer) = answers.recv() => answer,
                order = orders.recv() => match order {
                    Some(order) => order,
                    None => return Some(Rejection::new(Refusal::Full, "more is ordered than it takes; it may come again")),
                },
            },
        };
        let message = match outgoing {
            Outgoing::Message(message) => message,
            Outgoing::Replaced => {
                return Some(Rejection::new(
                    Refusal::Replaced,
                    "a newer connection of this server took over",
                ));
            }
            // One that was given while the connection began comes by both ways.
            Outgoing::Order(order) if order.sequence <= sent => continue,
            Outgoing::Order(order) => {
                sent = order.sequence;
                Message::Command(Box::new(signed(&order, seal)))
            }
        };
        match timeout(WRITE_WAIT, write(writer, &message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return None,
        }
    }
}

fn signed(order: &Order, seal: &Seal) -> Command {
    let statement = Statement {
        server: order.server.name.clone(),
        sequence: order.sequence,
        id: order.id,
        issued: order.issued.0,
        expires: order.expires.0,
        by: clipped(&order.by),
        instruction: (*order.instruction).clone(),
    };
    let signature = seal.sign(&statement.signed_bytes());
    let signature = heapless::Vec::from_slice(&signature).expect("a signature of P-256 has at most 72 bytes");
    Command { statement, signature }
}

fn cause_of(refusal: Refusal) -> Cause {
    match refusal {
        Refusal::Version => Cause::Version,
        Refusal::NotAuthorised => Cause::Certificate,
        Refusal::Malformed => Cause::Tls,
        Refusal::Silent => Cause::Process,
        Refusal::Replaced | Refusal::Stopping | Refusal::Full => Cause::Process,
    }
}

impl Rejection {
    fn new(refusal: Refusal, detail: impl std::fmt::Display) -> Self {
        Self { refusal, detail: detail.to_string() }
    }

    fn message(&self) -> Message {
        Message::Refused(Box::new(Refused {
            refusal: self.refusal,
            versions: VERSIONS,
            time: now(),
            detail: clipped(&self.detail),
        }))
    }
}
