//! The server: bounded clients on one thread, the desk's work on others.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::caller::Caller;
use crate::code::Code;
use crate::conversation::Conversation;
use crate::desk::Desk;
use crate::error::ApiError;
use crate::line::{Line, encode};
use crate::socket::{ServerError, Socket};

/// Where the server listens, and its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The control socket.
    pub socket: PathBuf,
    /// Clients at once; one more is refused.
    pub clients_max: usize,
    /// How long a whole request may take to arrive.
    pub request_wait: Duration,
    /// How long a client may take to accept a reply.
    pub reply_wait: Duration,
}

/// How long clients are given to hear that the server stops.
const STOP_WAIT: Duration = Duration::from_secs(2);
/// How long to wait after the system refused a connection, such as for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A server that has its socket and is ready to run.
#[derive(Debug)]
pub struct Server {
    config: Config,
    socket: Socket,
    stop: Stop,
}

/// Ends a running server, from any thread. Clones end the same one.
#[derive(Clone, Debug)]
pub struct Stop(watch::Sender<bool>);

impl Default for Stop {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Config {
    /// Returns the usual limits for a server at `socket`: 32 clients, 30 s for a request and for a reply.
    pub fn at(socket: impl Into<PathBuf>) -> Self {
        let wait = Duration::from_secs(30);
        Self { socket: socket.into(), clients_max: 32, request_wait: wait, reply_wait: wait }
    }
}

impl Stop {
    /// Ends the server, at once or as soon as it runs.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Returns once the server is to end.
    pub(crate) async fn stopped(&self) {
        // The sender is here, so that the wait can only end with the wish.
        let _ = self.0.subscribe().wait_for(|stopping| *stopping).await;
    }
}

impl Server {
    /// Takes the socket. Errors: another server has it, something else is there, the system refuses.
    pub fn bind(config: Config) -> Result<Self, ServerError> {
        assert!(config.clients_max > 0, "a server has room for a client");
        let socket = Socket::take(&config.socket)?;
        Ok(Self { config, socket, stop: Stop::default() })
    }

    /// Returns what ends this server.
    pub fn stop_handle(&self) -> Stop {
        self.stop.clone()
    }

    /// Serves until stopped, on the calling thread; the desk works on up to `clients_max` further ones. Errors: the system
    /// refuses a descriptor at the start; later refusals are waited out.
    pub fn run(self, desk: Arc<Desk>) -> Result<(), ServerError> {
        let failed =
            |source| ServerError::Io { operation: "served", path: self.config.socket.clone(), source };
        let runtime = runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(self.config.clients_max)
            .thread_name("control")
            .build()
            .map_err(failed)?;
        runtime.block_on(async {
            let listener = self.socket.listener().and_then(UnixListener::from_std).map_err(failed)?;
            self.accept(listener, desk).await;
            Ok(())
        })?;
        runtime.shutdown_timeout(STOP_WAIT);
        Ok(())
    }

    async fn accept(&self, listener: UnixListener, desk: Arc<Desk>) {
        let places = Arc::new(Semaphore::new(self.config.clients_max));
        let mut clients = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = self.stop.stopped() => break,
                Some(_) = clients.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => match self.admit(&stream, &places) {
                    Ok((caller, place)) => {
                        let conversation =
                            Conversation::new(stream, desk.clone(), caller, self.config.clone());
                        let stopping = self.stop.0.subscribe();
                        clients.spawn(async move {
                            conversation.hold(stopping).await;
                            drop(place);
                        });
                    }
                    Err(error) => refuse(&stream, error),
                },
                Err(error) => {
                    tracing::warn!(%error, "control client not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        let _ = tokio::time::timeout(STOP_WAIT, clients.join_all()).await;
    }

    fn admit(
        &self,
        stream: &UnixStream,
        places: &Arc<Semaphore>,
    ) -> Result<(Caller, OwnedSemaphorePermit), ApiError> {
        let refused = |code| ApiError::new(code, "the connection was refused");
        let own = rustix::process::geteuid().as_raw();
        let uid = match stream.peer_cred() {
            Ok(peer) if peer.uid() == 0 || peer.uid() == own => peer.uid(),
            Ok(peer) => {
                tracing::warn!(uid = peer.uid(), "control client refused");
                return Err(refused(Code::NotAuthorised));
            }
            Err(error) => return Err(refused(Code::NotAuthorised).because(error)),
        };
        let place = places.clone().try_acquire_owned().map_err(|_| refused(Code::TooManyClients))?;
        Ok((Caller::Local { uid }, place))
    }
}

/// Says why and closes. A new connection's buffer is empty, so that the line fits without waiting.
fn refuse(stream: &UnixStream, error: ApiError) {
    if let Err(error) = stream.try_write(&encode(&Line::<()>::Error(error.into()))) {
        tracing::debug!(%error, "refused control client not told");
    }
}
