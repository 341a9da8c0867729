//! One connection to a configuration server, for questions and answers.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use link::connect_socket;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use wire::{EXPORTER_LABEL, EnrolAnswer, EnrolAsk, decode_answer, encode_ask, enrol_body_len};

use crate::EnrolError;

/// How long a connection, and each answer, may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection behind its handshake.
pub(crate) struct Line(StreamOwned<ClientConnection, TcpStream>);

impl Line {
    /// Connects and shakes hands.
    pub(crate) fn open(address: &str, config: ClientConfig) -> Result<Self, EnrolError> {
        let socket = connect_socket(address, Instant::now() + PATIENCE).map_err(EnrolError::Reach)?;
        let timed = socket.set_read_timeout(Some(PATIENCE)).and(socket.set_write_timeout(Some(PATIENCE)));
        timed.and(socket.set_nodelay(true)).map_err(EnrolError::Cut)?;
        // Any name will do: peers are known by their certificate's role, and no name is sent.
        let name = ServerName::try_from("landfall").expect("a lawful name");
        let strange = |source| EnrolError::Stranger { address: address.to_owned(), source };
        let session = ClientConnection::new(Arc::new(config), name).map_err(strange)?;
        let mut stream = StreamOwned::new(session, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).map_err(|error| match tls_error(&error) {
                Some(source @ rustls::Error::InvalidCertificate(_)) => strange(source),
                _ => EnrolError::Handshake(error),
            })?;
        }
        Ok(Self(stream))
    }

    /// Returns what a proof on this connection is bound to.
    pub(crate) fn exporter(&self) -> Result<[u8; 32], EnrolError> {
        let exported = self.0.conn.export_keying_material([0; 32], EXPORTER_LABEL, None);
        exported.map_err(|error| EnrolError::Handshake(io::Error::other(error)))
    }

    /// Asks, and returns what is granted or told. Errors: a refusal too.
    pub(crate) fn ask(&mut self, ask: &EnrolAsk) -> Result<EnrolAnswer, EnrolError> {
        let stream = &mut self.0;
        stream.write_all(&encode_ask(ask)).and_then(|()| stream.flush()).map_err(EnrolError::Cut)?;
        let mut prefix = [0; 2];
        stream.read_exact(&mut prefix).map_err(EnrolError::Cut)?;
        let mut body = vec![0; enrol_body_len(prefix)?];
        stream.read_exact(&mut body).map_err(EnrolError::Cut)?;
        match decode_answer(&body)? {
            EnrolAnswer::Refused(refused) => {
                Err(EnrolError::Refused { code: refused.code, detail: refused.detail.to_string() })
            }
            answer => Ok(answer),
        }
    }
}

fn tls_error(error: &io::Error) -> Option<rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).cloned()
}
