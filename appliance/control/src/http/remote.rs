//! The way over HTTPS: one blocking connection to a configuration server, made anew when it broke.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST};
use hyper::{Request as HttpRequest, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::runtime::{self, Runtime};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::ALPN;
use super::asking::{Written, write_request};
use super::problem::Problem;
use super::route::Method;
use super::told::{TellEvents, Told};
use crate::api::{Progress, Request};
use crate::client::Transport;
use crate::code::Code;
use crate::desk::Reply;
use crate::error::{ApiError, ErrorReply};
use crate::reach::{Broken, unreachable};

/// How long connecting may take.
const CONNECT_WAIT: Duration = Duration::from_secs(20);
/// How long the server may say nothing; a followed job is told every 5 s.
const REPLY_WAIT: Duration = Duration::from_secs(300);
/// Bytes a reply may have.
const REPLY_LEN_MAX: usize = 256 << 20;

type Sender = SendRequest<Full<Bytes>>;

/// A way to a configuration server.
#[derive(Debug)]
pub struct Remote {
    /// `HOST:PORT`
    address: String,
    config: Arc<ClientConfig>,
    runtime: Runtime,
    sender: Option<Sender>,
}

impl Remote {
    /// Connects to `address`, which is `HOST:PORT`, with what `config` shows and trusts. Errors: nobody answers; the other side is not the one
    /// that is trusted, or does not let us in.
    pub fn connect(address: &str, mut config: ClientConfig) -> Result<Self, ErrorReply> {
        config.alpn_protocols = vec![ALPN.to_vec()];
        let runtime =
            runtime::Builder::new_current_thread().enable_io().enable_time().build().map_err(|error| {
                ErrorReply::from(ApiError::new(Code::Internal, "no request can be made").because(error))
            })?;
        let mut remote =
            Self { address: address.to_owned(), config: Arc::new(config), runtime, sender: None };
        remote.sender = Some(remote.dial()?);
        Ok(remote)
    }

    fn dial(&self) -> Result<Sender, ErrorReply> {
        let dialled =
            self.runtime.block_on(async { timeout(CONNECT_WAIT, dial(&self.address, &self.config)).await });
        match dialled {
            Ok(Ok(sender)) => Ok(sender),
            Ok(Err(broken)) => Err(unreachable(&self.address, broken)),
            Err(_) => Err(unreachable(&self.address, Broken::Silent(CONNECT_WAIT))),
        }
    }

    /// Asks once. Errors: the connection broke, so that it is not known what the other side did.
    fn try_ask(
        &mut self,
        written: &Written,
        key: &str,
        watcher: &mut dyn FnMut(&Progress),
    ) -> Result<Result<Reply, ErrorReply>, Broken> {
        let mut sender = match self.sender.take() {
            Some(sender) if !sender.is_closed() => sender,
            _ => match self.dial() {
                Ok(sender) => sender,
                Err(error) => return Ok(Err(error)),
            },
        };
        let request = request(&self.address, written, key);
        let answered = self.runtime.block_on(async {
            let response = timeout(REPLY_WAIT, sender.send_request(request))
                .await
                .map_err(|_| Broken::Silent(REPLY_WAIT))?;
            receive(response.map_err(Broken::Http)?, watcher).await
        })?;
        // What is followed is left before its body has ended: that connection can't be asked again.
        self.sender = (!written.follow).then_some(sender);
        Ok(answered)
    }
}

impl Transport for Remote {
    /// What changes something carries a key, so that it can be asked for again when the connection broke: it happens once.
    fn ask(&mut self, request: Request, watcher: &mut dyn FnMut(&Progress)) -> Result<Reply, ErrorReply> {
        let (written, key) = (write_request(&request), new_key());
        match self.try_ask(&written, &key, watcher) {
            Ok(answered) => answered,
            Err(Broken::Silent(wait)) => Err(unreachable(&self.address, Broken::Silent(wait))),
            Err(_) => self
                .try_ask(&written, &key, watcher)
                .unwrap_or_else(|broken| Err(unreachable(&self.address, broken))),
        }
    }
}

async fn dial(address: &str, config: &Arc<ClientConfig>) -> Result<Sender, Broken> {
    let socket = TcpStream::connect(address).await.map_err(Broken::Tcp)?;
    // A socket that can't be told to send at once works all the same.
    let _ = socket.set_nodelay(true);
    // The name is neither sent nor looked at: a peer is its role, signed by the authority that is trusted.
    let name = ServerName::try_from("landfall").expect("a name");
    let stream = TlsConnector::from(config.clone()).connect(name, socket).await.map_err(Broken::Tls)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(Broken::Http)?;
    tokio::spawn(connection);
    Ok(sender)
}

fn request(address: &str, written: &Written, key: &str) -> HttpRequest<Full<Bytes>> {
    let mut request = HttpRequest::builder()
        .method(written.method.as_str())
        .uri(&written.target)
        .header(HOST, address)
        .header(ACCEPT, if written.follow { "text/event-stream" } else { "application/json" });
    if written.method != Method::Get {
        request = request.header("idempotency-key", key);
    }
    if !written.body.is_empty() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    request.body(Full::from(written.body.clone())).expect("addresses and targets are lawful in a request")
}

async fn receive(
    response: Response<Incoming>,
    watcher: &mut dyn FnMut(&Progress),
) -> Result<Result<Reply, ErrorReply>, Broken> {
    let status = response.status();
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let followed = kind.starts_with("text/event-stream");
    let (mut body, mut bytes, mut events) = (response.into_body(), Vec::new(), TellEvents::default());
    while let Some(frame) = timeout(REPLY_WAIT, body.frame()).await.map_err(|_| Broken::Silent(REPLY_WAIT))? {
        let Ok(data) = frame.map_err(Broken::Http)?.into_data() else { continue };
        if bytes.len() + data.len() > REPLY_LEN_MAX {
            return Ok(Err(not_understood("it is too long")));
        }
        if !followed {
            bytes.extend_from_slice(&data);
            continue;
        }
        for told in events.take(&data) {
            match told {
                Ok(Told::Progress(progress)) => watcher(&progress),
                Ok(Told::Result(reply)) => return Ok(Ok(reply)),
                Ok(Told::Error(error)) => return Ok(Err(error)),
                Err(cause) => return Ok(Err(not_understood(&cause))),
            }
        }
    }
    if followed {
        return Err(Broken::Ended);
    }
    Ok(whole(status, bytes))
}

/// Reads a reply that came in one.
fn whole(status: StatusCode, bytes: Vec<u8>) -> Result<Reply, ErrorReply> {
    if status.is_success() {
        return Ok(Reply::from_json(bytes));
    }
    match serde_json::from_slice::<Problem>(&bytes) {
        Ok(problem) => Err(problem.into()),
        Err(_) => Err(not_understood(&format!("it is no problem of ours, of status {status}"))),
    }
}

fn not_understood(cause: &str) -> ErrorReply {
    ApiError::new(Code::BadReply, "the answer was not understood").because(cause).into()
}

/// Returns a key that no other request has.
fn new_key() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("{:x}-{nanos:x}-{:x}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}
