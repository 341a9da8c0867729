//! A source of our own making that keeps to no rule: message by message, or byte by byte.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};
use link::{Connector, Credentials, Limits, Link, Received};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use units::{ByteLen, ByteOffset, DiskIndex, Generation, Hash, Sequence, Timestamp};
use wire::{Batch, DiskShape, Encoding, Extent, Hello, Message, RefusalCode, Welcome};

const ANSWER_MAX: Duration = Duration::from_secs(20);

/// One connection that says what it is told to say.
pub struct Client {
    link: Link,
    payload: Vec<u8>,
    /// The last ack that was heard.
    pub durable: Sequence,
}

impl Client {
    /// Connects with the certificates in `identity`. Errors: no connection, or a handshake that was refused.
    pub fn dial(address: &str, identity: &Path) -> Result<Self> {
        let credentials = Credentials::read(identity).context("reading the certificates")?;
        let link = Connector::new(&credentials)?.connect(address, &Limits::default())?;
        Ok(Self { link, payload: Vec::new(), durable: Sequence(0) })
    }

    /// Connects and opens a session. Errors: it is refused.
    pub fn open(address: &str, identity: &Path, hello: Hello) -> Result<(Self, Welcome)> {
        let mut client = Self::dial(address, identity)?;
        let welcome = client.welcome(hello)?;
        Ok((client, welcome))
    }

    /// Says hello and waits for the welcome. Errors: it is refused.
    pub fn welcome(&mut self, hello: Hello) -> Result<Welcome> {
        self.say(&Message::Hello(Box::new(hello)), &[])?;
        match self.hear(ANSWER_MAX)? {
            Some(Message::Welcome(welcome)) => {
                self.durable = welcome.durable;
                Ok(*welcome)
            }
            other => bail!("not welcomed: {other:?}"),
        }
    }

    /// Sends one message, right or wrong. Errors: the connection is gone.
    pub fn say(&mut self, message: &Message, payload: &[u8]) -> Result<()> {
        let parts: &[&[u8]] = if payload.is_empty() { &[] } else { &[payload] };
        self.link.send(message, parts)?;
        Ok(self.link.flush()?)
    }

    /// Returns the next message, or nothing if none comes in time. Errors: the connection is gone.
    pub fn hear(&mut self, limit: Duration) -> Result<Option<Message>> {
        Ok(match self.link.receive(&mut self.payload, limit)? {
            Received::Message(message) => {
                if let Message::Durable(ack) = &message {
                    self.durable = ack.upto;
                }
                Some(message)
            }
            Received::Closed => bail!("the target closed the connection"),
            Received::Woken | Received::TimedOut => None,
        })
    }

    /// Waits for an ack. Errors: it does not come.
    pub fn wait_durable(&mut self, upto: Sequence) -> Result<()> {
        let deadline = Instant::now() + ANSWER_MAX;
        while self.durable < upto {
            ensure!(Instant::now() < deadline, "no ack of {upto}");
            if let Some(Message::Refused(refused)) = self.hear(Duration::from_secs(1))? {
                bail!("refused: {refused:?}");
            }
        }
        Ok(())
    }

    /// Waits until it is refused, and returns the code and the words; nothing may be acked above `acked` meanwhile. Errors: it
    /// is not refused.
    pub fn refusal(&mut self, acked: Sequence) -> Result<(RefusalCode, String)> {
        let deadline = Instant::now() + ANSWER_MAX;
        loop {
            ensure!(Instant::now() < deadline, "it was not refused");
            match self.hear(Duration::from_secs(1))? {
                Some(Message::Refused(refused)) => {
                    return Ok((refused.code, refused.detail.as_str().to_owned()));
                }
                Some(Message::Durable(ack)) => {
                    ensure!(ack.upto <= acked, "{} was acked, which is wrong", ack.upto);
                }
                _ => {}
            }
        }
    }
}

/// Returns a hello of a machine with disks of these lengths, for a session of its own.
pub fn hello(machine: &str, lens: &[ByteLen]) -> Result<Hello> {
    let mut session = [0; 16];
    session[..8].copy_from_slice(&now().0.to_le_bytes());
    session[8..12].copy_from_slice(&std::process::id().to_le_bytes());
    Ok(Hello {
        machine: machine.parse()?,
        generation: Generation(0),
        session,
        connection: 0,
        connections: 1,
        acked: Sequence(0),
        disks: lens.iter().map(|len| DiskShape { len: *len }).collect(),
        software: "lab".try_into().expect("the name is short"),
    })
}

/// Returns a batch of these extents.
pub fn batch(sequence: u64, extents: &[Extent]) -> Message {
    let extents = extents.iter().cloned().collect();
    Message::Batch(Box::new(Batch { sequence: Sequence(sequence), time: now(), extents }))
}

/// Returns an extent of the first disk with its right hash, as it travels unencoded.
pub fn raw(start: u64, data: &[u8]) -> Extent {
    let (disk, start, len) = (DiskIndex(0), ByteOffset(start), ByteLen(data.len() as u64));
    Extent { disk, start, len, encoding: Encoding::Raw { hash: hash(data) } }
}

/// Returns an extent of `len` bytes of the first disk whose payload is a zstd frame, or is said to be one.
pub fn zstd(start: u64, len: u64, payload: &[u8]) -> Extent {
    let encoded_len = u32::try_from(payload.len()).expect("a payload is short");
    let encoding = Encoding::Zstd { encoded_len, hash: hash(payload) };
    Extent { disk: DiskIndex(0), start: ByteOffset(start), len: ByteLen(len), encoding }
}

/// Returns the hash of a payload.
pub fn hash(payload: &[u8]) -> Hash {
    Hash(*blake3::hash(payload).as_bytes())
}

fn now() -> Timestamp {
    Timestamp::from_system(SystemTime::now())
}

/// Opens a TLS connection for bytes that need not be frames. Errors: no connection, no handshake.
pub fn dial_raw(address: &str, identity: &Path) -> Result<StreamOwned<ClientConnection, TcpStream>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let chain = CertificateDer::pem_file_iter(identity.join("cert.pem"))?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(identity.join("key.pem"))?;
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(provider)));
    let mut config = config.with_client_auth_cert(chain, key)?;
    config.alpn_protocols = vec![b"landfall-repl/1".to_vec()];
    let name = ServerName::try_from("landfall").context("naming the target")?;
    let socket = TcpStream::connect(address).context("connecting")?;
    socket.set_read_timeout(Some(ANSWER_MAX))?;
    let mut stream = StreamOwned::new(ClientConnection::new(Arc::new(config), name)?, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).context("shaking hands")?;
    }
    Ok(stream)
}

/// Sends bytes, and returns everything the target says until it closes. Errors: it does not close in time.
pub fn exchange(stream: &mut StreamOwned<ClientConnection, TcpStream>, bytes: &[u8]) -> Result<Vec<u8>> {
    stream.write_all(bytes)?;
    stream.flush()?;
    let mut heard = Vec::new();
    match stream.read_to_end(&mut heard) {
        Ok(_) => Ok(heard),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(heard),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(heard),
        Err(error) => Err(error).context("waiting for the end"),
    }
}

/// Takes any certificate: this end is the one under suspicion.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken here".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
