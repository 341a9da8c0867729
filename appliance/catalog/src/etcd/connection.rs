//! One connection to one endpoint: HTTP/1.1, a request at a time.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::certificates::EtcdFiles;
use super::endpoints::{Endpoint, Scheme};
use super::error::Broken;
use super::message::Refusal;

/// How long connecting may take, the handshake included.
const CONNECT_WAIT: Duration = Duration::from_secs(2);
/// Bytes of the longest answer, and of the longest line of a stream.
pub(super) const ANSWER_LEN_MAX: usize = 512 << 20;

/// gRPC: the endpoint gave up, took too long, or has no leader. What was asked for may have happened.
const UNABLE: [i64; 3] = [1, 4, 14];

/// A connection that can be asked.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    authority: String,
}

/// What an endpoint says to a request, as it was read from its connection.
pub(super) enum Answered {
    /// Done; the body.
    Done(Vec<u8>),
    /// Refused.
    Refused(Refusal),
}

impl Connection {
    /// Connects to an endpoint.
    pub(super) async fn dial(endpoint: &Endpoint, files: Option<&EtcdFiles>) -> Result<Self, Broken> {
        timeout(CONNECT_WAIT, dial(endpoint, files)).await.map_err(|_| Broken::Silent(CONNECT_WAIT))?
    }

    /// Tells whether the other side has closed it.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Asks, and reads all of the answer.
    pub(super) async fn ask(&mut self, path: &str, body: Bytes) -> Result<Answered, Broken> {
        let response = self.send(path, body).await?;
        let status = response.status();
        let body = whole(response.into_body()).await?;
        if status.is_success() {
            return Ok(Answered::Done(body));
        }
        match serde_json::from_slice::<Refusal>(&body) {
            Ok(refusal) if UNABLE.contains(&refusal.code) => Err(Broken::Unable { message: refusal.message }),
            Ok(refusal) => Ok(Answered::Refused(refusal)),
            Err(_) => Err(Broken::Unable { message: format!("HTTP status {status}") }),
        }
    }

    /// Asks, and returns the answer as it begins.
    pub(super) async fn send(&mut self, path: &str, body: Bytes) -> Result<Response<Incoming>, Broken> {
        self.sender.ready().await?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(body))
            .expect("endpoints and paths are lawful in a request");
        Ok(self.sender.send_request(request).await?)
    }
}

async fn dial(endpoint: &Endpoint, files: Option<&EtcdFiles>) -> Result<Connection, Broken> {
    let socket =
        TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await.map_err(Broken::Connect)?;
    // A socket that can't be told to send at once works all the same.
    let _ = socket.set_nodelay(true);
    let authority = endpoint.authority();
    let sender = match (endpoint.scheme, files) {
        (Scheme::Http, _) => begin(socket).await?,
        (Scheme::Https, Some(files)) => {
            let connector = TlsConnector::from(Arc::new(files.config()?));
            let name = ServerName::try_from(endpoint.host.clone());
            let name = name.map_err(|error| Broken::Tls(io::Error::other(error)))?;
            begin(connector.connect(name, socket).await.map_err(Broken::Tls)?).await?
        }
        (Scheme::Https, None) => {
            let missing = "no certificates were given: --catalog-ca, --catalog-cert, --catalog-key";
            return Err(Broken::Tls(io::Error::other(missing)));
        }
    };
    Ok(Connection { sender, authority })
}

async fn begin<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, Broken>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // It ends with its sender; how is told to whoever asks.
    tokio::spawn(connection);
    Ok(sender)
}

async fn whole(mut body: Incoming) -> Result<Vec<u8>, Broken> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if bytes.len() + data.len() > ANSWER_LEN_MAX {
            return Err(Broken::TooLong(ANSWER_LEN_MAX));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}
