//! The door on 443: TCP, TLS 1.3, and the protocol that the client's ALPN names.
//!
//! A connection has five seconds to shake hands, and there is a bound on how many do so at once, from one address and from all;
//! so whoever opens connections and says nothing keeps nobody else out. Only a reception is reached without a certificate;
//! a client without ALPN, or with another, gets nothing. Connections that live are ended when their certificate is revoked.

mod hello;
mod places;
mod serve;

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use link::{Credentials, LinkError, Role, Standing};
use rustls::ServerConfig;
use tokio::net::TcpStream;
use units::CertificateId;
use wire::Identity;

use crate::server::Stop;

/// A connection behind its handshake.
pub type Stream = tokio_rustls::server::TlsStream<TcpStream>;
/// A connection being served, until it ends.
pub type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Whom a certificate speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Role and name.
    pub identity: Identity,
    /// Where it comes from.
    pub address: SocketAddr,
    /// The certificate it came with. It may have been renewed since.
    pub certificate: CertificateId,
}

/// Serves peers with a certificate.
pub trait Protocol: Send + Sync {
    /// Serves one connection until it ends. It is dropped at any await when the certificate is revoked or the gate stops. What
    /// blocks goes to `tokio::task::spawn_blocking`.
    fn serve(&self, peer: Peer, stream: Stream) -> Serving;
}

/// Serves guests that have no certificate yet.
pub trait Reception: Send + Sync {
    /// Serves one connection until it ends, within bounds of its own.
    fn serve(&self, address: SocketAddr, stream: Stream) -> Serving;
}

/// What one may do at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateLimits {
    /// Connections at once.
    pub connections: usize,
    /// Connections that shake hands at once.
    pub handshakes: usize,
    /// Of them, from one address.
    pub handshakes_per_address: usize,
    /// How long a handshake may take.
    pub handshake: Duration,
    /// Between two looks whether a peer was revoked.
    pub standing_pause: Duration,
}

impl Default for GateLimits {
    fn default() -> Self {
        Self {
            connections: 4096,
            handshakes: 256,
            handshakes_per_address: 64,
            handshake: Duration::from_secs(5),
            standing_pause: Duration::from_secs(5),
        }
    }
}

/// Why there is no gate.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// The address can't be listened on.
    #[error("the address {address} can't be listened on")]
    Bind {
        /// The address.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The certificate is of no use.
    #[error("the certificate for 443 can't be used")]
    Credentials(#[from] LinkError),
    /// The system refused what a server needs.
    #[error("443 can't be served")]
    Start(#[source] io::Error),
}

/// What an ALPN leads to.
pub(crate) struct Route {
    alpn: &'static [u8],
    config: Arc<ServerConfig>,
    leads_to: LeadsTo,
}

#[derive(Clone)]
enum LeadsTo {
    Protocol(Arc<dyn Protocol>),
    Reception(Arc<dyn Reception>),
}

/// The door on 443.
pub struct Gate {
    listener: TcpListener,
    address: SocketAddr,
    credentials: Credentials,
    routes: Vec<Route>,
    limits: GateLimits,
    stop: Stop,
}

impl Gate {
    /// Listens, and lets nobody in yet: that begins with [`Gate::run`].
    ///
    /// # Errors
    /// [`GateError::Bind`].
    pub fn bind(address: &str, credentials: Credentials, limits: GateLimits) -> Result<Self, GateError> {
        let failed = |source| GateError::Bind { address: address.to_owned(), source };
        let addresses: Vec<_> = address.to_socket_addrs().map_err(failed)?.collect();
        let listener = TcpListener::bind(&*addresses).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, credentials, routes: Vec::new(), limits, stop: Stop::default() })
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns what ends it.
    pub fn stop_handle(&self) -> Stop {
        self.stop.clone()
    }

    /// Serves a protocol to peers of some roles.
    ///
    /// # Errors
    /// [`GateError::Credentials`].
    pub fn with(
        mut self,
        alpn: &'static [u8],
        roles: &[Role],
        protocol: Arc<dyn Protocol>,
    ) -> Result<Self, GateError> {
        let config = self.credentials.server_config(roles)?;
        self.add(alpn, config, LeadsTo::Protocol(protocol));
        Ok(self)
    }

    /// Serves guests without a certificate.
    ///
    /// # Errors
    /// [`GateError::Credentials`].
    pub fn with_reception(
        mut self,
        alpn: &'static [u8],
        reception: Arc<dyn Reception>,
    ) -> Result<Self, GateError> {
        let config = self.credentials.reception_config()?;
        self.add(alpn, config, LeadsTo::Reception(reception));
        Ok(self)
    }

    fn add(&mut self, alpn: &'static [u8], mut config: ServerConfig, leads_to: LeadsTo) {
        assert!(self.routes.iter().all(|route| route.alpn != alpn), "an ALPN leads to one protocol");
        config.alpn_protocols = vec![alpn.to_vec()];
        self.routes.push(Route { alpn, config: Arc::new(config), leads_to });
    }

    /// Serves until stopped, on the calling thread.
    ///
    /// # Errors
    /// [`GateError::Start`]; what the system refuses later is waited out.
    pub fn run(self) -> Result<(), GateError> {
        serve::run(self)
    }

    fn standing(&self) -> &Arc<dyn Standing> {
        self.credentials.standing()
    }
}
