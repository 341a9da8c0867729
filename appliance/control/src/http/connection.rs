//! One connection: requests in, responses out, until the client leaves or is too slow.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog::{Catalog, CatalogError};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use wire::Role;

use super::keys::Keys;
use crate::caller::Caller;
use crate::desk::Ask;
use crate::gate::{Peer, Protocol, Serving, Stream};

/// How long a client may take to send the head of a request, or to begin the next one.
const HEAD_WAIT: Duration = Duration::from_secs(60);
/// Bytes the head of a request may have.
const HEAD_LEN_MAX: usize = 32 << 10;
/// Fields the head of a request may have.
const HEADERS_MAX: usize = 64;

/// The protocol, as TLS names it.
pub const ALPN: &[u8] = b"http/1.1";

/// The API, before whoever answers.
pub struct Api {
    pub(super) ask: Arc<dyn Ask>,
    pub(super) keys: Option<Arc<Keys>>,
}

impl Api {
    /// Returns the API of what `ask` answers, for whoever only looks: idempotency keys are not heeded.
    pub fn looking(ask: Arc<dyn Ask>) -> Arc<Self> {
        Arc::new(Self { ask, keys: None })
    }

    /// Returns the API of what `ask` answers; idempotency keys are kept in a catalog. Errors: the catalog can't be read.
    pub fn new(ask: Arc<dyn Ask>, catalog: Arc<dyn Catalog>) -> Result<Arc<Self>, CatalogError> {
        Ok(Arc::new(Self { ask, keys: Some(Arc::new(Keys::open(catalog)?)) }))
    }

    /// Serves one connection of `caller` until it ends. May be dropped at any moment: what was begun goes on and ends.
    pub async fn serve<S>(self: Arc<Self>, caller: Caller, stream: S)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let opened = Instant::now();
        let service = service_fn(|request| {
            let (api, caller) = (self.clone(), caller.clone());
            async move { Ok::<_, Infallible>(api.respond(&caller, opened, request).await) }
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_WAIT)
            .max_buf_size(HEAD_LEN_MAX)
            .max_headers(HEADERS_MAX)
            .serve_connection(TokioIo::new(stream), service)
            .await;
        if let Err(error) = served {
            tracing::debug!(%caller, %error, "HTTP connection ended");
        }
    }
}

/// What is served behind the door on 443, to operators.
pub struct Operators(pub Arc<Api>);

impl Protocol for Operators {
    fn serve(&self, peer: Peer, stream: Stream) -> Serving {
        assert!(peer.identity.role == Role::Operator, "the door lets in operators only");
        Box::pin(self.0.clone().serve(Caller::Operator(peer.identity.name), stream))
    }
}
