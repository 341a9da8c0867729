//! The two ways to get a link: accept a socket, or connect one.

use std::fmt;
use std::marker::PhantomData;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::{ClientConfig, ServerConfig};
use units::CertificateId;
use wire::{Framed, Message, heartbeat};

use crate::channel::Channel;
use crate::session::{Progress, Session};
use crate::standing::{Holder, Standing};
use crate::{Credentials, HandshakeCause, Limits, Link, LinkError, Peer, Role, holder_of};

/// The TCP port of the replication door.
pub const PORT: u16 = 9443;

/// How long a refused peer is given to read why.
const REFUSED_LINGER: Duration = Duration::from_millis(500);

/// Takes connections from source agents, as a master target.
#[derive(Clone)]
pub struct Acceptor {
    config: Arc<ServerConfig>,
    standing: Arc<dyn Standing>,
}

/// Makes connections of one protocol: to a master target, as a source agent, if nothing else is said.
pub struct Connector<M = Message> {
    config: Arc<ClientConfig>,
    protocol: PhantomData<fn() -> M>,
    standing: Arc<dyn Standing>,
}

impl Acceptor {
    /// Makes an acceptor for peers of role `source` with a certificate of our authority.
    ///
    /// # Errors
    /// [`LinkError::Credentials`].
    pub fn new(credentials: &Credentials) -> Result<Self, LinkError> {
        let mut config = credentials.server_config(&[Role::Source])?;
        config.alpn_protocols = vec![Message::ALPN.to_vec()];
        Ok(Self { config: Arc::new(config), standing: Arc::clone(credentials.standing()) })
    }

    /// Takes a connected socket through the handshake, within [`Limits::handshake`].
    ///
    /// # Errors
    /// [`LinkError::Handshake`], [`LinkError::HandshakeTimeout`] or a failed socket; the peer was told why where TLS
    /// has a word for it, and the socket is closed.
    pub fn accept(&self, socket: TcpStream, limits: &Limits) -> Result<Link, LinkError> {
        let deadline = Instant::now() + limits.handshake;
        let session = UnbufferedServerConnection::new(Arc::clone(&self.config)).map_err(LinkError::Tls)?;
        shake_hands(socket, Session::Server(session), deadline, limits, &self.standing)
    }
}

impl Connector<Message> {
    /// Makes a connector to peers of role `master-target` with a certificate of our authority.
    ///
    /// # Errors
    /// [`LinkError::Credentials`].
    pub fn new(credentials: &Credentials) -> Result<Self, LinkError> {
        Self::to(Role::MasterTarget, credentials)
    }
}

impl Connector<heartbeat::Message> {
    /// Makes a connector to peers of role `configuration-server` with a certificate of our authority.
    ///
    /// # Errors
    /// [`LinkError::Credentials`].
    pub fn to_controller(credentials: &Credentials) -> Result<Self, LinkError> {
        Self::to(Role::ConfigurationServer, credentials)
    }
}

impl<M: Framed> Connector<M> {
    fn to(role: Role, credentials: &Credentials) -> Result<Self, LinkError> {
        let mut config = credentials.client_config(&[role])?;
        config.alpn_protocols = vec![M::ALPN.to_vec()];
        let standing = Arc::clone(credentials.standing());
        Ok(Self { config: Arc::new(config), standing, protocol: PhantomData })
    }

    /// Connects to `host:port` and shakes hands, all within [`Limits::handshake`] but for the look-up of the name.
    ///
    /// The target may refuse us after this has returned: the first `receive` then tells why.
    ///
    /// # Errors
    /// [`LinkError::Address`], [`LinkError::Connect`], [`LinkError::Handshake`], [`LinkError::HandshakeTimeout`] or a
    /// failed socket.
    pub fn connect(&self, address: &str, limits: &Limits) -> Result<Link<M>, LinkError> {
        let deadline = Instant::now() + limits.handshake;
        let socket = connect_socket(address, deadline)?;
        // Any name will do: peers are known by their certificate's role, and no name is sent.
        let name = ServerName::try_from("landfall").expect("a lawful name");
        let session =
            UnbufferedClientConnection::new(Arc::clone(&self.config), name).map_err(LinkError::Tls)?;
        shake_hands(socket, Session::Client(session), deadline, limits, &self.standing)
    }
}

/// Connects to `host:port` before the deadline, but for the look-up of the name.
///
/// # Errors
/// [`LinkError::Address`] or [`LinkError::Connect`].
pub fn connect_socket(address: &str, deadline: Instant) -> Result<TcpStream, LinkError> {
    let found = address.to_socket_addrs().map(Vec::from_iter);
    let found = found.map_err(|source| LinkError::Address { address: address.to_owned(), source })?;
    connect_any(&found, deadline).map_err(|source| LinkError::Connect { address: address.to_owned(), source })
}

/// Connects to the first address that answers.
fn connect_any(addresses: &[SocketAddr], deadline: Instant) -> std::io::Result<TcpStream> {
    let mut failure = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
    for (tried, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        match TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))) {
            Ok(socket) => return Ok(socket),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn shake_hands<M: Framed>(
    socket: TcpStream,
    session: Session,
    deadline: Instant,
    limits: &Limits,
    standing: &Arc<dyn Standing>,
) -> Result<Link<M>, LinkError> {
    let address = socket.peer_addr().map_or_else(|_| "a peer".to_owned(), |address| address.to_string());
    let mut channel = Channel::new(socket, session)?;
    let mut early = Vec::new();
    let outcome =
        handshake(&mut channel, &mut early, deadline).and_then(|()| peer_of(channel.session(), M::ALPN));
    match outcome {
        Ok(peer) => Link::new(channel, Holder::new(peer, standing), early, *limits),
        Err(error) => {
            channel.wind_up(REFUSED_LINGER);
            Err(match error {
                LinkError::HandshakeTimeout { .. } => {
                    LinkError::HandshakeTimeout { peer: address, after: limits.handshake }
                }
                LinkError::Lost => LinkError::Handshake { cause: HandshakeCause::Closed },
                error => error,
            })
        }
    }
}

/// Exchanges messages until both sides may send data and ours are written. Data that comes early is kept in `early`.
fn handshake(channel: &mut Channel, early: &mut Vec<u8>, deadline: Instant) -> Result<(), LinkError> {
    loop {
        let progress = channel.step(&mut |plain| early.extend_from_slice(plain))?;
        let shaking = channel.session().is_handshaking();
        match progress {
            Progress::Stepped => continue,
            Progress::Closed if shaking => return Err(LinkError::Lost),
            _ if !shaking => {
                return channel.write_down_to(0, deadline.saturating_duration_since(Instant::now()));
            }
            _ => {}
        }
        if channel.is_full() {
            let reason = "a handshake message is longer than any of ours".to_owned();
            return Err(LinkError::Handshake { cause: HandshakeCause::NotTls { reason } });
        }
        channel.write()?;
        let ready = channel.wait(None, deadline)?;
        if Instant::now() >= deadline {
            return Err(LinkError::HandshakeTimeout { peer: String::new(), after: Duration::ZERO });
        }
        if ready.read {
            channel.read()?;
        }
    }
}

/// Returns who the peer is, once the handshake has checked its certificate.
fn peer_of(session: &Session, protocol: &[u8]) -> Result<(Peer, CertificateId), LinkError> {
    let refused = |cause| LinkError::Handshake { cause };
    if session.alpn_protocol() != Some(protocol) {
        return Err(refused(HandshakeCause::WrongProtocol));
    }
    let certificate = session.peer_certificates().and_then(<[_]>::first);
    holder_of(certificate.ok_or(refused(HandshakeCause::NoCertificate))?).map_err(refused)
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Acceptor").finish_non_exhaustive()
    }
}

impl<M> Clone for Connector<M> {
    fn clone(&self) -> Self {
        Self { config: Arc::clone(&self.config), standing: Arc::clone(&self.standing), protocol: PhantomData }
    }
}

impl<M> fmt::Debug for Connector<M> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Connector").finish_non_exhaustive()
    }
}
