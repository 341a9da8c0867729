//! How much clients may have under way, and how long they may take.

use std::time::Duration;

/// How much clients may have under way, and how long they may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; a client may open several. For one more the oldest that is still in its handshake is closed,
    /// or, if there is none, the new one.
    pub connections: usize,
    /// Requests of one connection at once, each on a thread of its own that is started when it is needed.
    pub in_flight: usize,
    /// For all that comes before the first request, TLS included, however slowly bytes trickle in.
    pub handshake: Duration,
    /// For a client to take any byte of what it is sent. A virtual machine may be halted for a while.
    pub write_stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 32,
            in_flight: 8,
            handshake: Duration::from_secs(10),
            write_stall: Duration::from_secs(300),
        }
    }
}
