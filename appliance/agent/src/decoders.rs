//! Every decoder of this crate by name: a test elsewhere demands a fuzz target for each.

use crate::ledger::Ledger;

/// A function that takes any bytes and must neither panic nor allocate without bound.
pub type Decoder = fn(&[u8]);

/// The decoders of this crate.
pub const DECODERS: &[(&str, Decoder)] = &[("command-ledger", |bytes| drop(Ledger::decode(bytes)))];
