//! What every catalog promises, asked of each; and what only one of them can be asked.

#![expect(clippy::unwrap_used, reason = "a test that meets an error fails")]
mod appliance;
mod cluster;
mod contract;
mod damage;
mod deaf;
mod etcd;
mod sqlite;
