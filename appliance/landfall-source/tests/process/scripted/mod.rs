//! A target that plays by a script: it checks every rule of the protocol, keeps disks in memory, and can crash at any frame.

mod bench;
mod chance;
mod server;
mod store;

pub(crate) use bench::Bench;
pub(crate) use chance::Chance;
pub(crate) use server::Server;
pub(crate) use store::{LEAF, Store};
