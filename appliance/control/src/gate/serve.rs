//! Accepting, and the life of each connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use link::Standing;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::gate::hello::{Entered, enter};
use crate::gate::places::{Place, Places};
use crate::gate::{Gate, GateError, GateLimits, Peer, Route};

/// How long to wait after the system refused a connection, such as for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long what blocks is given to end when the gate stops.
const STOP_WAIT: Duration = Duration::from_secs(2);
/// Threads for what blocks.
const BLOCKING_THREADS: usize = 64;

/// What all connections share.
struct Shared {
    routes: Vec<Route>,
    limits: GateLimits,
    standing: Arc<dyn Standing>,
}

/// Serves until stopped.
pub(crate) fn run(gate: Gate) -> Result<(), GateError> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("gate")
        .build()
        .map_err(GateError::Start)?;
    runtime.block_on(accept(gate))?;
    runtime.shutdown_timeout(STOP_WAIT);
    Ok(())
}

async fn accept(gate: Gate) -> Result<(), GateError> {
    let (limits, standing) = (gate.limits, Arc::clone(gate.standing()));
    let listener = TcpListener::from_std(gate.listener).map_err(GateError::Start)?;
    let places = Places::new(limits.handshakes, limits.handshakes_per_address);
    let room = Arc::new(Semaphore::new(limits.connections));
    let shared = Arc::new(Shared { routes: gate.routes, limits, standing });
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = gate.stop.stopped() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, address)) => match (places.take(address.ip()), Arc::clone(&room).try_acquire_owned())
            {
                (Some(place), Ok(permit)) => {
                    connections.spawn(live(Arc::clone(&shared), socket, address, place, permit));
                }
                _ => tracing::debug!(%address, "connection refused: too many"),
            },
            Err(error) => {
                tracing::warn!(%error, "connection not accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    connections.shutdown().await;
    Ok(())
}

/// One connection, from its first byte to its end.
async fn live(
    shared: Arc<Shared>,
    socket: TcpStream,
    address: SocketAddr,
    place: Place,
    permit: OwnedSemaphorePermit,
) {
    // A socket that can't be told to send at once is served all the same.
    let _ = socket.set_nodelay(true);
    let entered = timeout(shared.limits.handshake, enter(&shared.routes, socket, address)).await;
    drop(place);
    match entered {
        Ok(Ok(Entered { peer, serving })) => match peer {
            Some(peer) => tokio::select! {
                () = serving => {}
                () = revoked(&shared, &peer) => tracing::warn!(%address, peer = %peer.identity, "connection ended: revoked"),
            },
            None => serving.await,
        },
        Ok(Err(refused)) => tracing::info!(%address, error = %chain(&refused), "connection refused"),
        Err(_) => tracing::info!(%address, after = ?shared.limits.handshake, "no handshake in time"),
    }
    drop(permit);
}

/// Returns once the peer may no longer be here.
async fn revoked(shared: &Shared, peer: &Peer) {
    while shared.standing.check(&peer.identity, peer.certificate).is_ok() {
        sleep(shared.limits.standing_pause).await;
    }
}

/// An error and what is behind it, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
