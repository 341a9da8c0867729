//! Asks a cluster: any endpoint that answers, within a time.
//!
//! A request goes to the endpoint that answered last, then to the others, round and round until one answers or the time is over. So it
//! may be carried out more than once: whoever asks sees to it that this changes nothing.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::EtcdFiles;
use super::connection::{Answered, Connection};
use super::endpoints::{Endpoint, Endpoints};
use super::error::{Broken, EtcdError};
use super::message::Refusal;
use super::rounds::{CLUSTER_WAIT, Known, Rounds};

/// How long one endpoint may take to answer.
const ANSWER_WAIT: Duration = Duration::from_secs(4);
/// Connections that wait to be used again.
const IDLE_MAX: usize = 8;

/// Speaks to a cluster, on a thread of its own.
#[derive(Debug)]
pub(super) struct Client {
    shared: Arc<Shared>,
    runtime: Handle,
    /// The thread ends when this is dropped.
    _stop: oneshot::Sender<()>,
}

pub(super) struct Shared {
    pub(super) endpoints: Endpoints,
    files: Option<EtcdFiles>,
    known: Mutex<Known>,
    /// Connections that wait to be used again, and the places of their endpoints.
    idle: Mutex<Vec<(usize, Connection)>>,
}

impl Client {
    /// Makes a client; nobody is asked yet. Errors: the system starts no thread.
    pub(super) fn start(endpoints: Endpoints, files: Option<EtcdFiles>) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (handle, (stop, stopped)) = (runtime.handle().clone(), oneshot::channel::<()>());
        let run = move || {
            // It ends with the client, which has nothing to say.
            let _ = runtime.block_on(stopped);
        };
        std::thread::Builder::new().name("etcd".to_owned()).spawn(run)?;
        let shared = Arc::new(Shared { endpoints, files, known: Mutex::default(), idle: Mutex::default() });
        Ok(Self { shared, runtime: handle, _stop: stop })
    }

    /// Asks the cluster. Errors: nobody answered in time, and what was asked for may have happened or not, now or in a while; or the
    /// cluster refuses it, and nothing happened.
    pub(super) fn ask<Q: Serialize, A: DeserializeOwned + Send + 'static>(
        &self,
        path: &'static str,
        question: &Q,
    ) -> Result<A, EtcdError> {
        let body = serde_json::to_vec(question).expect("questions hold only what JSON can write");
        self.wait(path, move |shared| async move { shared.ask(path, body.into()).await })
    }

    /// Has work done by the client's thread, and waits for it; it keeps to the time by itself.
    pub(super) fn wait<A, F>(
        &self,
        path: &'static str,
        work: impl FnOnce(Arc<Shared>) -> F,
    ) -> Result<A, EtcdError>
    where
        A: Send + 'static,
        F: Future<Output = Result<A, EtcdError>> + Send + 'static,
    {
        let (done, ended) = sync_channel(1);
        let work = work(self.shared.clone());
        self.runtime.spawn(async move {
            // Whoever waited may have gone.
            drop(done.send(work.await));
        });
        let within = CLUSTER_WAIT + 2 * ANSWER_WAIT;
        match ended.recv_timeout(within) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                let endpoint = self.shared.endpoints.to_string();
                Err(EtcdError::Away { path, waited: within, endpoint, source: Broken::Stopped })
            }
        }
    }
}

impl Shared {
    async fn ask<A: DeserializeOwned>(&self, path: &'static str, body: Bytes) -> Result<A, EtcdError> {
        let mut rounds = Rounds::begin(self, path)?;
        let answered = loop {
            let (at, endpoint) = rounds.endpoint();
            match self.ask_one(at, endpoint, path, body.clone()).await {
                Ok(answered) => break answered,
                Err(broken) => rounds.failed(broken).await?,
            }
        };
        let endpoint = rounds.endpoint().1.to_string();
        rounds.answered();
        match answered {
            Answered::Refused(Refusal { code, message }) => {
                Err(EtcdError::Refused { endpoint, path, code, message })
            }
            Answered::Done(body) => serde_json::from_slice(&body)
                .map_err(|source| EtcdError::NotUnderstood { endpoint, path, source }),
        }
    }

    async fn ask_one(
        &self,
        at: usize,
        endpoint: &Endpoint,
        path: &'static str,
        body: Bytes,
    ) -> Result<Answered, Broken> {
        let asked = async {
            // A connection that was idle may have been closed by now, which is no reason to go elsewhere.
            if let Some(mut connection) = self.take_idle(at)
                && let Ok(answered) = connection.ask(path, body.clone()).await
            {
                self.keep_idle(at, connection);
                return Ok(answered);
            }
            let mut connection = self.dial(endpoint).await?;
            let answered = connection.ask(path, body).await?;
            self.keep_idle(at, connection);
            Ok(answered)
        };
        timeout(ANSWER_WAIT, asked).await.map_err(|_| Broken::Silent(ANSWER_WAIT))?
    }

    /// Connects to an endpoint.
    pub(super) async fn dial(&self, endpoint: &Endpoint) -> Result<Connection, Broken> {
        Connection::dial(endpoint, self.files.as_ref()).await
    }

    fn take_idle(&self, at: usize) -> Option<Connection> {
        let mut idle = self.idle();
        idle.retain(|(_, connection)| !connection.is_closed());
        let found = idle.iter().position(|(of, _)| *of == at)?;
        Some(idle.swap_remove(found).1)
    }

    fn keep_idle(&self, at: usize, connection: Connection) {
        let mut idle = self.idle();
        if idle.len() < IDLE_MAX {
            idle.push((at, connection));
        }
    }

    /// Returns what is known of the endpoints.
    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(usize, Connection)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Client").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}
