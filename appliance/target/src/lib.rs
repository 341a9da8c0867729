//! driver: the master target.
//!
//! Sessions bring batches; the journal makes them durable; the applier brings the target disks up to them, and to any
//! point of the history. What this crate does not do: it opens no socket that has not been given to it, reads no
//! environment, and knows no command line.

/// One machine's replica, over `blockdev`'s traits.
pub mod replica;
