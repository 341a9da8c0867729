//! The journal core, tried from outside: its bytes, its refusals, and its plans against a model.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

extern crate landfall_retention as retention;

mod epoch_index;
mod extent;
mod head;
mod model;
mod plans;
mod record;
mod scrub;
mod sets;
mod specimen;
mod superblock;
mod tail;
mod thinned;
mod views;
