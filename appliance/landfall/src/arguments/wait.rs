//! What can be typed after `landfall wait`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use units::MachineName;

pub(crate) const EXAMPLES: &str = "\
Without a machine it waits for all of them. It ends early, with 1, when a machine is damaged or
out, and with 6 when the time is over; replication goes on either way.

Examples:
  landfall wait web-01 --until protected
  landfall wait --until well --timeout 30m && landfall failback web-01 --to latest --yes
  landfall wait web-01 --until idle";

/// What `wait` takes.
#[derive(Debug, Args)]
pub(crate) struct WaitArguments {
    /// The machine; every machine without it
    pub(crate) machine: Option<MachineName>,
    /// What to wait for: connected, protected, well, idle, rewound or committed
    #[arg(long, value_enum, value_name = "STATE", default_value_t = Until::Protected, hide_possible_values = true)]
    pub(crate) until: Until,
    /// Wait no longer than this
    #[arg(long, value_name = "TIME", value_parser = units::parse_span)]
    pub(crate) timeout: Option<Duration>,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Until {
    /// Its source is connected.
    Connected,
    /// It is seeded, and every round adds a recovery point.
    Protected,
    /// That, its source is connected, and its RPO is within the threshold.
    Well,
    /// No job for it is under way.
    Idle,
    /// Its target disks stand at a chosen recovery point.
    Rewound,
    /// That point was accepted.
    Committed,
}
