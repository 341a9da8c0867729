//! One machine's replica: its journal on the retention volume and its target disks.
//!
//! Two halves that never wait for one another: the appender makes what is received durable, the applier brings the
//! target disks up to it and to any point of it. Both work through `blockdev`'s traits alone, so that the
//! simulator runs this very code.

mod append;
mod apply;
mod budget;
mod damage;
mod destage;
mod epochs;
mod error;
mod expire;
mod fetch;
mod join;
mod kept_index;
mod limits;
mod log_reader;
mod log_writer;
mod manifest_file;
mod original;
mod paths;
mod pins;
mod planted;
mod progress;
mod recover;
mod relocate;
mod resend;
mod rewind;
mod round;
mod scrub;
mod seed;
mod shared;
mod slot_file;
mod thinned;
mod transfer;
mod verify;
mod view;
mod view_reader;
mod work;

pub use append::{Appender, commit_all};
pub use apply::{Applier, Step};
pub use budget::ResidentBudget;
pub use damage::DamageChange;
pub(crate) use damage::{add_damage, is_same as is_same_damage};
pub use error::{FailureKind, ReplicaError};
pub use limits::ReplicaLimits;
pub(crate) use manifest_file::{load_manifests, save_manifest};
pub(crate) use paths::scrub as scrub_path;
pub use planted::Planted;
pub use progress::Progress;
pub use recover::{Replica, Setup, Unrecovered, list_machines, remove_machine, was_never_added};
pub use relocate::{read_head, relocate};
pub use resend::Resends;
pub use scrub::ScrubPace;
pub(crate) use scrub::{Bench, DiskPass, Findings, Paced, Progressed, ask};
pub use seed::SeedWork;
pub use shared::{Bell, Compared, EpochInfo, NotTaken, Received, Shared, Shrunk, State, Watcher, chain};
pub(crate) use slot_file::SlotFile;
pub use view::LiveView;
pub use view_reader::ViewReader;
pub use work::{Then, Work};
