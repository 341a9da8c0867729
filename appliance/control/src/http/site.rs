//! Pages beside the API, on an operator's own machine: only looked at, only by whoever was told the address.
//!
//! Any program and any page in a browser of that machine can open connections to it. So the address carries a key, which the
//! browser then keeps; the host asked for must be this machine itself; and nothing is taken but `GET`.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{CONTENT_SECURITY_POLICY, COOKIE, HOST, HeaderValue, LOCATION, SET_COOKIE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::runtime;

use super::connection::Api;
use super::reply::{self, Body};
use super::route::{Method, PREFIX};
use crate::caller::Caller;
use crate::code::Code;
use crate::desk::Ask;
use crate::error::{ApiError, ErrorReply};

/// Threads that ask.
const ASKING_MAX: usize = 16;
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// A page, or what a page needs.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// Where it is.
    pub path: &'static str,
    /// What it is, as `Content-Type` says it.
    pub kind: &'static str,
    /// It.
    pub text: &'static str,
}

/// Pages, and the API that they look at.
pub struct Site {
    api: Arc<Api>,
    pages: &'static [Page],
    key: String,
    address: SocketAddr,
}

impl Site {
    /// Serves until the process ends, on the calling thread; whoever knows `key` may look. Errors: the system refuses.
    pub fn serve(
        listener: TcpListener,
        ask: Arc<dyn Ask>,
        pages: &'static [Page],
        key: String,
    ) -> Result<Infallible, std::io::Error> {
        let site = Arc::new(Self { api: Api::looking(ask), pages, key, address: listener.local_addr()? });
        let runtime = runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(ASKING_MAX)
            .build()?;
        listener.set_nonblocking(true)?;
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            loop {
                let (stream, _) = listener.accept().await?;
                tokio::spawn(site.clone().converse(stream));
            }
        })
    }

    async fn converse(self: Arc<Self>, stream: TcpStream) {
        let service = service_fn(|request| {
            let site = self.clone();
            async move { Ok::<_, Infallible>(site.respond(request).await) }
        });
        let connection =
            http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
        if let Err(error) = connection.await {
            tracing::debug!(%error, "page connection ended");
        }
    }

    async fn respond(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path();
        let mut response = if request.method() != "GET" {
            reply::other_method(path, &[Method::Get])
        } else if !self.is_ours(&request) {
            reply::problem(refused("the host asked for is not this machine"))
        } else if path == "/" && request.uri().query().is_some() {
            self.let_in(request.uri().query().unwrap_or_default())
        } else if !self.is_known(&request) {
            reply::problem(refused("the address without its key was asked for"))
        } else if let Some(page) = self.pages.iter().find(|page| page.path == path) {
            reply::text(page.kind, page.text)
        } else if path.starts_with(PREFIX) {
            self.api.respond(&Caller::System, std::time::Instant::now(), request).await
        } else {
            reply::problem(ApiError::new(Code::RouteUnknown, format!("there is nothing at {path}")).into())
        };
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, POLICY);
        response
    }

    /// Tells whether the browser means this machine: a name of somebody else that leads here is not one of ours.
    fn is_ours(&self, request: &Request<Incoming>) -> bool {
        let port = self.address.port();
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        [format!("127.0.0.1:{port}"), format!("localhost:{port}")].iter().any(|ours| ours == host)
    }

    fn is_known(&self, request: &Request<Incoming>) -> bool {
        let wanted = self.cookie();
        let cookies = request.headers().get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
        cookies.flat_map(|cookies| cookies.split("; ")).any(|cookie| same(cookie, &wanted))
    }

    fn cookie(&self) -> String {
        format!("landfall-{}={}", self.address.port(), self.key)
    }

    fn let_in(&self, query: &str) -> Response<Body> {
        if !same(query, &format!("key={}", self.key)) {
            return reply::problem(refused("the key is of another dashboard"));
        }
        let mut response = reply::text("text/plain", "");
        *response.status_mut() = StatusCode::SEE_OTHER;
        let cookie = format!("{}; HttpOnly; SameSite=Strict; Path=/", self.cookie());
        let cookie = HeaderValue::try_from(cookie).expect("a key is hexadecimal");
        response.headers_mut().insert(SET_COOKIE, cookie);
        response.headers_mut().insert(LOCATION, HeaderValue::from_static("/"));
        response
    }
}

/// Compares in a time that does not tell where two texts differ.
fn same(found: &str, wanted: &str) -> bool {
    let differing = found.bytes().zip(wanted.bytes()).fold(0, |all, (found, wanted)| all | (found ^ wanted));
    found.len() == wanted.len() && differing == 0
}

fn refused(cause: &str) -> ErrorReply {
    ApiError::new(Code::NotAuthorised, "the dashboard can't be shown")
        .because(cause)
        .fixed_by("open the address that `landfall dashboard` has written")
        .into()
}
