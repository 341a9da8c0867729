//! How long a link waits for its peer.

use std::time::Duration;

/// How long a link waits for its peer before it gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For the whole handshake, the connection of the socket included, however slowly bytes trickle in.
    pub handshake: Duration,
    /// For any byte from the peer. Whoever uses the link sends a `Ping` well before.
    pub silence: Duration,
    /// For the peer to take any byte of what is being sent.
    pub write_stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            silence: Duration::from_secs(15),
            write_stall: Duration::from_secs(15),
        }
    }
}
