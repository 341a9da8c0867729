//! The command line of `landfall plan`.

use std::str::FromStr;

use clap::Subcommand;
use control::api::PlanStep;
use units::{MachineName, Timestamp};

use crate::when::When;

/// How long a hook may take, unless it is said, in seconds.
const HOOK_SECONDS: u32 = 600;

const STEPS: &str = "\
STEP is one of, in the order in which they are done:
  machines:NAME,NAME   bring these machines home, all at the same time
  group:NAME           bring every member of a consistency group to one common point
  pause:TEXT           wait until a person says `landfall plan continue`
  hook:PROGRAM[/TIME]  run a program of the appliance's hook directory, killed after TIME (10m)

A hook is run without arguments; LANDFALL_PLAN and LANDFALL_RUN tell what it is about. Whenever landfalld was killed, the step
under way is carried out again: a hook must bear that.

Example:
  landfall plan create shop --step machines:db-01 --step 'pause:look at the database' --step group:web --step hook:switch-dns/2m";

/// What can be done with recovery plans.
#[derive(Debug, Subcommand)]
pub(crate) enum PlanCommand {
    /// List the plans
    #[command(after_help = "Example:\n  landfall plan list")]
    List,
    /// Show one plan, and what happened in its newest run
    #[command(after_help = "Example:\n  landfall plan show shop")]
    Show {
        /// The plan
        plan: MachineName,
    },
    /// Make a plan
    #[command(after_help = STEPS)]
    Create {
        /// Its name
        plan: MachineName,
        /// What is done, once for each step
        #[arg(long = "step", value_name = "STEP", required = true)]
        steps: Vec<PlanArgument>,
    },
    /// Delete a plan that is not being run
    #[command(after_help = "Examples:\n  landfall plan delete shop\n  landfall plan delete shop --yes")]
    Delete {
        /// The plan
        plan: MachineName,
        /// Don't ask for the name again
        #[arg(long)]
        yes: bool,
    },
    /// Carry a plan out, and follow it
    #[command(
        after_help = "It goes on if you leave with Ctrl-C, and whenever landfalld was killed. Exits with 6 when it waits \
                            for a person.\n\nExamples:\n  landfall plan run shop\n  \
                            landfall plan run shop --to 2026-11-20T14:00:00Z --yes"
    )]
    Run {
        /// The plan
        plan: MachineName,
        /// Take the newest points at or before this time; the latest without it
        #[arg(long, value_name = "TIME", value_parser = time)]
        to: Option<When>,
        /// Don't wait for the end; exits with 6
        #[arg(long)]
        no_wait: bool,
        /// Don't ask for the name again
        #[arg(long)]
        yes: bool,
    },
    /// Let a plan go on that waits for a person, and follow it
    #[command(after_help = "Example:\n  landfall plan continue shop")]
    Continue {
        /// The plan
        plan: MachineName,
        /// Don't wait for the end; exits with 6
        #[arg(long)]
        no_wait: bool,
    },
    /// End the run of a plan before its next step; jobs that it has started go on
    #[command(after_help = "Example:\n  landfall plan stop shop")]
    Stop {
        /// The plan
        plan: MachineName,
    },
}

/// A step as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlanArgument(pub(crate) PlanStep);

impl FromStr for PlanArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown =
            || format!("{text:?} is no step; write machines:, group:, pause: or hook: and what it is about");
        let (kind, what) = text.split_once(':').ok_or_else(unknown)?;
        let name = |name: &str| name.trim().parse::<MachineName>().map_err(|error| error.to_string());
        Ok(Self(match kind {
            "machines" => {
                PlanStep::Machines { machines: what.split(',').map(name).collect::<Result<_, _>>()? }
            }
            "group" => PlanStep::Group { group: name(what)? },
            "pause" => PlanStep::Pause { note: what.trim().to_owned() },
            "hook" => hook(what)?,
            _ => return Err(unknown()),
        }))
    }
}

fn hook(text: &str) -> Result<PlanStep, String> {
    let (program, seconds) = match text.split_once('/') {
        None => (text, HOOK_SECONDS),
        Some((program, time)) => {
            let span = units::parse_span(time).map_err(|error| error.to_string())?;
            (program, u32::try_from(span.as_secs()).unwrap_or(u32::MAX))
        }
    };
    Ok(PlanStep::Hook { program: program.to_owned(), seconds })
}

fn time(text: &str) -> Result<When, String> {
    match text.parse()? {
        When::Latest | When::Sequence(_) => Err(format!("{text:?} is not a time")),
        when @ (When::Time(_) | When::Ago(_)) => Ok(when),
    }
}

/// Returns the time that was typed, when it is `now`.
pub(crate) fn moment(when: When, now: Timestamp) -> Timestamp {
    match when {
        When::Time(time) => time,
        When::Ago(span) => now.before(span),
        When::Latest | When::Sequence(_) => now,
    }
}
