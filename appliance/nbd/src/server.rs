//! The server: a thread that lets clients in, and threads for each of them.

use std::collections::{BTreeMap, HashMap};
use std::io::{ErrorKind, PipeReader, PipeWriter};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use link::{Credentials, Role};
use rustix::event::{PollFd, PollFlags, poll};
use rustls::ServerConfig;

use crate::client;
use crate::listener::Listener;
use crate::socket::Socket;
use crate::transmission::lock;
use crate::{Exports, Limits, ServerError};

/// How long to wait after the system refused a connection, such as for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where a server listens.
#[derive(Clone, Debug)]
pub enum Listen {
    /// On a unix socket, which is made for our own user alone and removed at the end.
    Unix(PathBuf),
    /// On TCP, with nothing but TLS, and for clients with an operator's certificate of our authority.
    Tls {
        /// `HOST:PORT`; port 0 is any that is free.
        address: String,
        /// Our certificate, and the authority.
        credentials: Credentials,
    },
}

/// A server that lets clients in until it is dropped: then it ends every connection, and waits for what is being read.
pub struct Server {
    shared: Arc<Shared>,
    address: Option<SocketAddr>,
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

/// What all clients of a server share.
pub(crate) struct Shared {
    pub(crate) exports: Exports,
    pub(crate) limits: Limits,
    pub(crate) tls: Option<Arc<ServerConfig>>,
    stopping: AtomicBool,
    clients: Mutex<BTreeMap<u64, Client>>,
}

/// A connection, by the number of its coming.
struct Client {
    socket: Arc<Socket>,
    /// It has got through the handshake: it keeps its place.
    agreed: bool,
}

impl Server {
    /// Starts to listen and to let clients in.
    ///
    /// # Errors
    /// The address is taken or can't be had, the credentials are of no use, or no thread is left.
    pub fn start(listen: &Listen, exports: Exports, limits: Limits) -> Result<Self, ServerError> {
        assert!(limits.connections > 0 && limits.in_flight > 0, "a server has room for a client");
        let (listener, tls) = match listen {
            Listen::Unix(path) => (Listener::unix(path)?, None),
            Listen::Tls { address, credentials } => {
                let config = credentials.server_config(&[Role::Operator]);
                let config = config.map_err(|source| ServerError::Credentials { source })?;
                (Listener::tcp(address)?, Some(Arc::new(config)))
            }
        };
        let address = listener.tcp_address();
        let (stopping, clients) = (AtomicBool::new(false), Mutex::new(BTreeMap::new()));
        let shared = Arc::new(Shared { exports, limits, tls, stopping, clients });
        let start = |source| ServerError::Start { source };
        let (stopped, stop) = std::io::pipe().map_err(start)?;
        let run = {
            let shared = Arc::clone(&shared);
            move || shared.accept_until(&listener, &stopped)
        };
        let thread = std::thread::Builder::new().name("nbd-door".to_owned()).spawn(run).map_err(start)?;
        Ok(Self { shared, address, stop: Some(stop), thread: Some(thread) })
    }

    /// Returns the TCP address that is listened on; `None` for a unix socket.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Returns how many connections are open.
    pub fn connections(&self) -> usize {
        lock(&self.shared.clients).len()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.stop.take();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the door of the NBD server panicked");
        }
    }
}

impl Shared {
    /// Lets clients in until the other end of `stopped` is closed, then sends them away and waits for their threads.
    fn accept_until(self: &Arc<Self>, listener: &Listener, stopped: &PipeReader) {
        let mut threads: HashMap<u64, JoinHandle<()>> = HashMap::new();
        let mut next = 0;
        while wait_for_client(listener, stopped) {
            threads.retain(|_, thread| !thread.is_finished());
            match listener.accept() {
                Ok(socket) => {
                    next += 1;
                    threads.extend(self.admit(next, socket).map(|thread| (next, thread)));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => {
                    tracing::warn!(%error, "NBD client not accepted");
                    std::thread::sleep(ACCEPT_PAUSE);
                }
            }
        }
        lock(&self.clients).values().for_each(|client| client.socket.shut_down());
        for thread in threads.into_values() {
            if thread.join().is_err() {
                tracing::error!("a connection of the NBD server panicked");
            }
        }
    }

    fn admit(self: &Arc<Self>, number: u64, socket: Socket) -> Option<JoinHandle<()>> {
        let socket = Arc::new(socket);
        if !self.make_room() {
            tracing::warn!(limit = self.limits.connections, "NBD client turned away: too many connections");
            return None;
        }
        lock(&self.clients).insert(number, Client { socket: Arc::clone(&socket), agreed: false });
        let place = Place { shared: Arc::clone(self), number };
        let serve = move || client::serve(&place, &socket);
        let started = std::thread::Builder::new().name("nbd".to_owned()).spawn(serve);
        started.inspect_err(|error| tracing::warn!(%error, "no thread for an NBD client")).ok()
    }

    /// Tells whether there is room for one more. Where there is none, the oldest client that is still in its handshake gives
    /// way: nobody can keep others out without a certificate.
    fn make_room(&self) -> bool {
        let mut clients = lock(&self.clients);
        if clients.len() < self.limits.connections {
            return true;
        }
        let oldest = clients.iter().find(|(_, client)| !client.agreed).map(|(number, _)| *number);
        let gone = oldest.and_then(|number| clients.remove(&number));
        gone.is_some_and(|client| {
            client.socket.shut_down();
            true
        })
    }
}

/// The place of a client among others; given up when dropped, after a panic too.
pub(crate) struct Place {
    pub(crate) shared: Arc<Shared>,
    number: u64,
}

impl Place {
    /// Keeps the place until the client leaves.
    pub(crate) fn keep(&self) {
        if let Some(client) = lock(&self.shared.clients).get_mut(&self.number) {
            client.agreed = true;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.shared.clients).remove(&self.number);
    }
}

/// Waits for somebody at the door; `false` when the server stops.
fn wait_for_client(listener: &Listener, stopped: &PipeReader) -> bool {
    let mut events = [PollFd::new(listener, PollFlags::IN), PollFd::new(stopped, PollFlags::IN)];
    match poll(&mut events, None) {
        Ok(_) => events[1].revents().is_empty(),
        Err(rustix::io::Errno::INTR) => true,
        Err(error) => {
            tracing::error!(%error, "the NBD server can't wait for clients");
            std::thread::sleep(ACCEPT_PAUSE);
            true
        }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Server").field("exports", &self.shared.exports).finish_non_exhaustive()
    }
}
