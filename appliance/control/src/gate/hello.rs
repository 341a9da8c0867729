//! The handshake: the ALPN of the client's hello decides which certificate is asked for, and who serves.

use std::io;
use std::net::SocketAddr;

use link::holder_of;
use rustls::server::{Acceptor, ClientHello};
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;

use crate::gate::{LeadsTo, Peer, Route, Serving, Stream};

/// A connection that was let in: who is there, and how it is served.
pub(crate) struct Entered {
    /// Whoever has shown a certificate.
    pub(crate) peer: Option<Peer>,
    /// The service.
    pub(crate) serving: Serving,
}

/// Why a connection was not let in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// The client names no protocol of ours.
    #[error("it names no protocol of ours; it offers {offered}")]
    Protocol { offered: String },
    /// The handshake failed; the client was told where TLS has a word for it.
    #[error("the handshake failed")]
    Handshake(#[from] io::Error),
    /// The certificate does not say whose it is.
    #[error("its certificate is of no use")]
    Certificate(#[from] link::HandshakeCause),
}

/// Takes a connection through its handshake.
pub(crate) async fn enter(
    routes: &[Route],
    socket: TcpStream,
    address: SocketAddr,
) -> Result<Entered, Refused> {
    let started = LazyConfigAcceptor::new(Acceptor::default(), socket).await?;
    let route = route(routes, &started.client_hello())?;
    let (config, leads_to) = (route.config.clone(), route.leads_to.clone());
    let stream = started.into_stream(config).await?;
    match leads_to {
        LeadsTo::Reception(reception) => {
            Ok(Entered { peer: None, serving: reception.serve(address, stream) })
        }
        LeadsTo::Protocol(protocol) => {
            let peer = peer_of(&stream, address)?;
            Ok(Entered { peer: Some(peer.clone()), serving: protocol.serve(peer, stream) })
        }
    }
}

/// Returns the first of our protocols that the client offers.
fn route<'a>(routes: &'a [Route], hello: &ClientHello<'_>) -> Result<&'a Route, Refused> {
    let offered: Vec<_> = hello.alpn().into_iter().flatten().collect();
    let found = offered.iter().find_map(|wanted| routes.iter().find(|route| route.alpn == *wanted));
    found.ok_or_else(|| Refused::Protocol { offered: printable(&offered) })
}

fn printable(offered: &[&[u8]]) -> String {
    let names: Vec<_> = offered.iter().take(4).map(|name| name.escape_ascii().to_string()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn peer_of(stream: &Stream, address: SocketAddr) -> Result<Peer, link::HandshakeCause> {
    let certificates = stream.get_ref().1.peer_certificates();
    let certificate = certificates.and_then(<[_]>::first).ok_or(link::HandshakeCause::NoCertificate)?;
    let (identity, certificate) = holder_of(certificate)?;
    Ok(Peer { identity, address, certificate })
}
