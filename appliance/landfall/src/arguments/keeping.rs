//! What can be typed about policies, pins and sizes.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use units::{ByteLen, MachineName, Timestamp};

use crate::when::PointName;

/// What can be done with policies.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Show what is kept: the default, and the policy of each machine
    #[command(after_help = "Examples:\n  landfall policy show\n  landfall policy show web-01")]
    Show {
        /// Only this machine
        machine: Option<MachineName>,
    },
    /// Change what is kept of a machine, or of all that have no policy of their own
    #[command(after_help = POLICY_EXAMPLES)]
    Set(PolicyArguments),
}

const POLICY_EXAMPLES: &str = "\
Bounds: --rpo 10s to 7d; --window 1m to 366d; --application-every 1m to 31d, or none; --budget 64MiB to 1PiB.
A shorter window or a smaller budget deletes history: the plan is shown first, and must be agreed to.

When there is no room for more history:
  shrink  the oldest goes; status says how far the history reaches
  thin    old epochs keep the points at their ends and lose what lies between; then the oldest go
  pause   nothing goes: the source waits until there is room

What becomes by itself of a machine that stands at a recovery point, --commit-after 10s to 31d (4h if not said):
  none    nothing: `landfall commit` or `landfall cancel`
  commit  the point is accepted for good
  cancel  the target disks are brought back to the latest

Examples:
  landfall policy set web-01 --window 7d --when-full thin
  landfall policy set web-01 --window 2h --dry-run
  landfall policy set web-01 --commit commit --commit-after 4h
  landfall policy set web-01 --inherit
  landfall policy set --default --rpo 5m --application-every none";

/// What `policy set` takes.
#[derive(Debug, Args)]
pub(crate) struct PolicyArguments {
    /// The machine
    #[arg(required_unless_present = "default")]
    pub(crate) machine: Option<MachineName>,
    /// The policy of machines that have none of their own
    #[arg(long, conflicts_with = "machine")]
    pub(crate) default: bool,
    /// The age of the newest recovery point that is still well; twice as old is an alarm
    #[arg(long, value_name = "TIME", value_parser = units::parse_span)]
    pub(crate) rpo: Option<Duration>,
    /// How far back recovery points reach
    #[arg(long, value_name = "TIME", value_parser = units::parse_span)]
    pub(crate) window: Option<Duration>,
    /// How often a point must be application-consistent, or none
    #[arg(long, value_name = "TIME", value_parser = span_or_none)]
    pub(crate) application_every: Option<Duration>,
    /// Most bytes of history
    #[arg(long, value_name = "SIZE")]
    pub(crate) budget: Option<ByteLen>,
    /// What happens when there is no room for more
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) when_full: Option<WhenFull>,
    /// What becomes by itself of a machine that stands at a recovery point
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) commit: Option<CommitBy>,
    /// How long after it was brought there
    #[arg(long, value_name = "TIME", value_parser = units::parse_span)]
    pub(crate) commit_after: Option<Duration>,
    /// Take the default again
    #[arg(long, conflicts_with_all = ["default", "rpo", "window", "application_every", "budget", "when_full", "commit", "commit_after"])]
    pub(crate) inherit: bool,
    /// Show what would go, and change nothing
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
    /// Don't ask, though history goes
    #[arg(long)]
    pub(crate) yes: bool,
}

/// What happens when there is no room for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WhenFull {
    // Ordinary comments, as for `Output`.
    // The oldest goes.
    Shrink,
    // Old epochs lose what lies between their ends.
    Thin,
    // The source waits.
    Pause,
}

/// What becomes by itself of a machine that stands at a recovery point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CommitBy {
    // Somebody commits or cancels.
    None,
    // It is committed.
    Commit,
    // It is brought back to the latest.
    Cancel,
}

/// What `point pin` takes.
#[derive(Debug, Args)]
pub(crate) struct PinArguments {
    /// The machine and the point
    #[arg(value_name = "MACHINE@POINT")]
    pub(crate) point: PointName,
    /// Until when; without it, for ever
    #[arg(long, value_name = "TIME", conflicts_with = "for")]
    pub(crate) until: Option<Timestamp>,
    /// For how long
    #[arg(long, value_name = "SPAN", value_parser = units::parse_span)]
    pub(crate) r#for: Option<Duration>,
    /// Why, for people; at most 128 bytes
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) note: String,
}

/// What `retention size` takes.
#[derive(Debug, Args)]
pub(crate) struct SizeArguments {
    /// Bytes of disk that change in a second, as in 12MiB/s
    #[arg(long, value_name = "SIZE/s", value_parser = rate)]
    pub(crate) churn: ByteLen,
    /// How far back recovery points reach
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = units::parse_span)]
    pub(crate) window: Duration,
    /// A volume of this size: how far back does it reach?
    #[arg(long, value_name = "SIZE")]
    pub(crate) disk: Option<ByteLen>,
    /// How many times smaller compression makes the data, 1 to 100
    #[arg(long, value_name = "RATIO", default_value = "1", value_parser = compression)]
    pub(crate) compress: u32,
    /// How much of the churn is written over again within 15 minutes, 0 to 1
    #[arg(long, value_name = "RATIO", default_value = "0", value_parser = overwritten)]
    pub(crate) overwrite: u32,
}

fn span_or_none(text: &str) -> Result<Duration, units::ParseSpanError> {
    if text == "none" { Ok(Duration::ZERO) } else { units::parse_span(text) }
}

fn rate(text: &str) -> Result<ByteLen, String> {
    let refused = || format!("{text:?} is not a rate; write it as 12MiB/s, above zero");
    let size = text.strip_suffix("/s").ok_or_else(refused)?;
    size.parse().ok().filter(|size: &ByteLen| size.0 > 0).ok_or_else(refused)
}

fn compression(text: &str) -> Result<u32, String> {
    ratio(text, 1.0..=100.0, "1 to 100, as in 3.3")
}

fn overwritten(text: &str) -> Result<u32, String> {
    ratio(text, 0.0..=1.0, "0 to 1, as in 0.4")
}

/// Reads a ratio in thousandths.
fn ratio(text: &str, allowed: std::ops::RangeInclusive<f64>, told: &str) -> Result<u32, String> {
    let ratio: Option<f64> = text.parse().ok().filter(|ratio| allowed.contains(ratio));
    let thousandths = ratio.map(|ratio| (ratio * 1000.0).round());
    let whole = thousandths.and_then(|thousandths| format!("{thousandths:.0}").parse().ok());
    whole.ok_or_else(|| format!("{text:?} is not a ratio; allowed is {told}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_ratios_are_read_or_refused() {
        assert_eq!(rate("12MiB/s"), Ok(ByteLen::mib(12)));
        assert!(["12MiB", "0/s", "x/s", ""].iter().all(|text| rate(text).is_err()));
        assert_eq!(
            [compression("1"), compression("3.3"), overwritten("0.25")],
            [Ok(1000), Ok(3300), Ok(250)]
        );
        assert!(["0.9", "101", "x", "NaN", "inf"].iter().all(|text| compression(text).is_err()));
        assert!(["-0.1", "1.1"].iter().all(|text| overwritten(text).is_err()));
    }
}
