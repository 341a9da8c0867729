//! The TLS session without its socket. Bytes go in and come out of buffers of ours, so that a read can be large and
//! nothing is copied twice.

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus, WriteTraffic};
use rustls::{CommonState, Error};
use std::ops::Deref;

use crate::outbound::Outbound;

/// One end of a TLS connection.
pub(crate) enum Session {
    /// The end that connected.
    Client(UnbufferedClientConnection),
    /// The end that accepted.
    Server(UnbufferedServerConnection),
}

/// Where a step has led.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Plaintext came out.
    Plain,
    /// Handshake bytes were queued, or a step was taken that is of no interest.
    Stepped,
    /// A whole record is missing.
    Starved,
    /// The peer closed its direction; nothing more comes out.
    Closed,
}

/// What a step did with the bytes it was given.
pub(crate) struct Step {
    /// Bytes at the front that are used up, whatever else happened.
    pub(crate) used: usize,
    /// Where it has led.
    pub(crate) progress: Result<Progress, Error>,
}

impl Session {
    /// Takes one step: decrypts at most one record of `incoming`, gives its plaintext to `plain`, appends what the
    /// session itself has to say to `outgoing`.
    pub(crate) fn step(
        &mut self,
        incoming: &mut [u8],
        outgoing: &mut Outbound,
        plain: &mut dyn FnMut(&[u8]),
    ) -> Step {
        match self {
            Self::Client(client) => act(client.process_tls_records(incoming), outgoing, plain),
            Self::Server(server) => act(server.process_tls_records(incoming), outgoing, plain),
        }
    }

    /// Encrypts plaintext and appends it to `outgoing`. `seen` are the bytes that came and were found incomplete.
    pub(crate) fn encrypt(
        &mut self,
        plain: &[u8],
        seen: &mut [u8],
        outgoing: &mut Outbound,
    ) -> Result<(), Error> {
        self.when_writable(seen, outgoing, Output::Plain(plain))
    }

    /// Appends the end of our direction to `outgoing`.
    pub(crate) fn close(&mut self, seen: &mut [u8], outgoing: &mut Outbound) -> Result<(), Error> {
        self.when_writable(seen, outgoing, Output::CloseNotify)
    }

    /// Appends the alert a failed step has left, if any. A failed session must not look at incoming bytes again: the
    /// TLS library asserts it. It does not as long as it has something to write.
    pub(crate) fn alert(&mut self, outgoing: &mut Outbound) {
        while self.wants_write() && self.step(&mut [], outgoing, &mut |_| {}).progress.is_ok() {}
    }

    fn when_writable(
        &mut self,
        seen: &mut [u8],
        outgoing: &mut Outbound,
        output: Output<'_>,
    ) -> Result<(), Error> {
        loop {
            let written = match self {
                Self::Client(client) => write(client.process_tls_records(seen), outgoing, output)?,
                Self::Server(server) => write(server.process_tls_records(seen), outgoing, output)?,
            };
            if written {
                return Ok(());
            }
        }
    }
}

impl Deref for Session {
    type Target = CommonState;

    fn deref(&self) -> &CommonState {
        match self {
            Self::Client(client) => client,
            Self::Server(server) => server,
        }
    }
}

/// What is to be written.
#[derive(Clone, Copy)]
enum Output<'a> {
    Plain(&'a [u8]),
    CloseNotify,
}

fn act<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    outgoing: &mut Outbound,
    plain: &mut dyn FnMut(&[u8]),
) -> Step {
    let UnbufferedStatus { discard: mut used, state } = status;
    let progress = state.and_then(|state| match state {
        ConnectionState::ReadTraffic(mut traffic) => {
            while let Some(record) = traffic.next_record() {
                let record = record?;
                used += record.discard;
                plain(record.payload);
            }
            Ok(Progress::Plain)
        }
        ConnectionState::PeerClosed | ConnectionState::Closed => Ok(Progress::Closed),
        ConnectionState::WriteTraffic(_) | ConnectionState::BlockedHandshake => Ok(Progress::Starved),
        other => queue_own(other, outgoing).map(|()| Progress::Stepped),
    });
    Step { used, progress }
}

/// Queues what the session itself has to say. What is queued is sent in order, so it counts as sent.
fn queue_own<Data>(state: ConnectionState<'_, '_, Data>, outgoing: &mut Outbound) -> Result<(), Error> {
    match state {
        ConnectionState::EncodeTlsData(mut data) => append(outgoing, 0, |room| match data.encode(room) {
            Ok(len) => Ok(Written::Bytes(len)),
            Err(EncodeError::InsufficientSize(size)) => Ok(Written::Needs(size.required_size)),
            Err(EncodeError::AlreadyEncoded) => {
                Err(Error::General("a handshake message was taken twice".into()))
            }
        }),
        ConnectionState::TransmitTlsData(data) => {
            data.done();
            Ok(())
        }
        state => Err(Error::General(format!("the TLS session is in an unexpected state: {state:?}"))),
    }
}

/// Writes if the session can be written to now; if it has to say something itself first, queues that.
fn write<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    outgoing: &mut Outbound,
    output: Output<'_>,
) -> Result<bool, Error> {
    assert_eq!(status.discard, 0, "bytes that were seen hold nothing new");
    match status.state? {
        ConnectionState::WriteTraffic(mut traffic) => {
            write_traffic(&mut traffic, outgoing, output).map(|()| true)
        }
        ConnectionState::PeerClosed => Ok(false),
        ConnectionState::Closed => Err(Error::General("the TLS session is closed".into())),
        state => queue_own(state, outgoing).map(|()| false),
    }
}

fn write_traffic<Data>(
    traffic: &mut WriteTraffic<'_, Data>,
    outgoing: &mut Outbound,
    output: Output<'_>,
) -> Result<(), Error> {
    let estimate = match output {
        // Each record of up to 16 KiB adds a header of 5, a type of 1 and a tag of 16 bytes.
        Output::Plain(plain) => plain.len() + plain.len().div_ceil(RECORD_LEN) * 22,
        Output::CloseNotify => 0,
    };
    append(outgoing, estimate, |room| {
        let result = match output {
            Output::Plain(plain) => traffic.encrypt(plain, room),
            Output::CloseNotify => traffic.queue_close_notify(room),
        };
        match result {
            Ok(len) => Ok(Written::Bytes(len)),
            Err(EncryptError::InsufficientSize(size)) => Ok(Written::Needs(size.required_size)),
            Err(EncryptError::EncryptExhausted) => Err(Error::EncryptError),
        }
    })
}

/// Plaintext in a full record.
pub(crate) const RECORD_LEN: usize = 16 << 10;

enum Written {
    Bytes(usize),
    Needs(usize),
}

/// Lets `fill` write behind what is queued, into as much room as it asks for.
fn append(
    outgoing: &mut Outbound,
    estimate: usize,
    mut fill: impl FnMut(&mut [u8]) -> Result<Written, Error>,
) -> Result<(), Error> {
    let mut needed = estimate;
    loop {
        match fill(outgoing.room(needed))? {
            Written::Bytes(len) => {
                outgoing.filled(len);
                return Ok(());
            }
            Written::Needs(more) if more > needed => needed = more,
            Written::Needs(_) => return Err(Error::General("the TLS session asks for no more room".into())),
        }
    }
}
