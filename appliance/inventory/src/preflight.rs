//! Preflight: what would go wrong is found before anything is touched. One table of rules, each a function of the facts.
//!
//! A rule that is met refuses some kinds of work, and is told as a warning otherwise.

use std::time::Duration;

use units::{Generation, MachineName, Rfc3339, Timestamp};
use wire::heartbeat::Cause;

use crate::{JobWork, Liveness};

/// How far a source's clock may be off before the times of its points mean something else than people think.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(15 * 60);
/// A certificate of which less than this part of its life is left is about to end: it should have been renewed at half.
const CERTIFICATE_LEFT_PART: u64 = 5;

/// What is known of a machine, its source and its group, as far as it is known. What is not known refuses nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreflightFacts {
    /// The machine.
    pub machine: MachineName,
    /// It is registered here.
    pub registered: bool,
    /// Why it is out, if it is.
    pub out: Option<String>,
    /// The generation that may write.
    pub generation: Generation,
    /// Its target disks that can't be used, each with why.
    pub disks: Vec<(String, String)>,
    /// How far back the policy wants it to reach, and how far it will, once that is known.
    pub window: Option<(Duration, Duration)>,
    /// Ranges of its history or disks that are damaged.
    pub damaged: usize,
    /// Its group, and how many others belong to it.
    pub group: Option<(MachineName, usize)>,
    /// What is known of its source; none on a server that hears no sources.
    pub source: Option<SourceFacts>,
}

/// What is known of the source of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceFacts {
    /// It has joined and was not revoked: when its certificate was issued, and when it ends.
    pub certificate: Option<(Rfc3339, Rfc3339)>,
    /// Whether it is heard; none before it was heard first.
    pub liveness: Option<Liveness>,
    /// Microseconds its clock is ahead of ours.
    pub ahead_micros: Option<i64>,
    /// The program it runs, and ours.
    pub software: Option<(String, String)>,
    /// The generation it writes in; none before it wrote.
    pub generation: Option<Generation>,
}

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The machine is in the inventory.
    Registered,
    /// The machine is in service.
    InService,
    /// Its target disks can be used.
    TargetDisks,
    /// Its source has joined.
    SourceJoined,
    /// Its source is heard.
    SourceHeard,
    /// The clocks agree.
    Clock,
    /// The programs have a version in common.
    Version,
    /// The programs are the same.
    SameVersion,
    /// Nothing older than the machine's generation writes.
    Generation,
    /// The source's certificate lasts.
    Certificate,
    /// The history reaches as far back as the policy wants.
    Window,
    /// Nothing of the history is damaged.
    Damage,
    /// The members of a group go together.
    GroupTogether,
}

/// A rule that is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The rule.
    pub rule: Rule,
    /// What was found.
    pub evidence: String,
}

impl Rule {
    /// Every rule, in the order in which they are looked at.
    pub const ALL: [Self; 13] = [
        Self::Registered,
        Self::InService,
        Self::TargetDisks,
        Self::SourceJoined,
        Self::SourceHeard,
        Self::Clock,
        Self::Version,
        Self::SameVersion,
        Self::Generation,
        Self::Certificate,
        Self::Window,
        Self::Damage,
        Self::GroupTogether,
    ];

    /// Tells whether such work is refused while the rule is not kept; otherwise it is a warning.
    pub fn refuses(self, work: &JobWork) -> bool {
        use JobWork::{Cancel, Commit, Failback, Reprotect, Resync};
        match self {
            Self::Registered | Self::InService => true,
            Self::TargetDisks => {
                matches!(work, Failback { .. } | Cancel | Commit | Reprotect { .. } | Resync)
            }
            // Points are named by the source's clock, and rounds are compared by it.
            Self::Clock | Self::Version | Self::Generation => matches!(work, Reprotect { .. } | Resync),
            Self::SourceJoined => matches!(work, Resync),
            // A source that is not heard may come back while the work waits for it.
            Self::SourceHeard
            | Self::Window
            | Self::Damage
            | Self::GroupTogether
            | Self::Certificate
            | Self::SameVersion => false,
        }
    }

    /// Returns the kinds of work that are refused while the rule is not kept.
    pub fn refused_kinds(self) -> Vec<&'static str> {
        let (to, over) = (units::Sequence(1), Generation(1));
        let all = [
            JobWork::Failback { to, prove: true },
            JobWork::Cancel,
            JobWork::Verify { to },
            JobWork::Commit,
            JobWork::Reprotect { over },
            JobWork::Resync,
            JobWork::Expire,
            JobWork::Scrub,
        ];
        all.iter().filter(|work| self.refuses(work)).map(JobWork::kind).collect()
    }

    /// Says what was found, if the rule is not kept.
    fn evidence(self, facts: &PreflightFacts, now: Timestamp) -> Option<String> {
        let source = facts.source.as_ref();
        match self {
            Self::Registered => {
                let what = || {
                    format!(
                        "a source named {} has joined, and no machine of this name was added",
                        facts.machine
                    )
                };
                (!facts.registered).then(what)
            }
            Self::InService => facts.out.clone(),
            Self::TargetDisks => facts.disks.first().map(|(path, why)| format!("{path}: {why}")),
            Self::SourceJoined => {
                let joined = source?.certificate.is_some();
                (facts.registered && !joined)
                    .then(|| "no source of this name has joined, or it was revoked".to_owned())
            }
            Self::SourceHeard => silent(source?),
            Self::Clock => skew(source?.ahead_micros?),
            Self::Version => match &source?.liveness {
                Some(Liveness::Lost(finding)) if finding.cause == Cause::Version => {
                    Some(finding.detail.clone())
                }
                _ => None,
            },
            Self::SameVersion => {
                let (theirs, ours) = source?.software.as_ref()?;
                (theirs != ours).then(|| format!("the source runs {theirs}, this server {ours}"))
            }
            Self::Generation => {
                let theirs =
                    source?.generation.filter(|theirs| theirs.0 > 0 && *theirs < facts.generation)?;
                Some(format!("the source writes generation {theirs}, the machine is at {}", facts.generation))
            }
            Self::Certificate => ending(source?.certificate?, now),
            Self::Window => {
                let (wanted, reach) = facts.window?;
                let text = || {
                    format!(
                        "it will reach {} s back, the policy wants {} s",
                        reach.as_secs(),
                        wanted.as_secs()
                    )
                };
                (reach < wanted).then(text)
            }
            Self::Damage => (facts.damaged > 0)
                .then(|| format!("{} ranges of its history or disks are damaged", facts.damaged)),
            Self::GroupTogether => {
                let (group, others) = facts.group.as_ref().filter(|(_, others)| *others > 0)?;
                Some(format!(
                    "it belongs to group {group} with {others} more; alone it leaves their common order"
                ))
            }
        }
    }
}

fn silent(source: &SourceFacts) -> Option<String> {
    let joined = source.certificate.is_some();
    match &source.liveness {
        Some(Liveness::Alive) => None,
        // A version that does not fit has a rule of its own.
        Some(Liveness::Lost(finding)) if finding.cause == Cause::Version => None,
        Some(Liveness::Lost(finding)) => Some(format!("it is lost ({}): {}", finding.cause, finding.detail)),
        Some(Liveness::Suspect) => Some("it was not heard for 15 s".to_owned()),
        None => joined.then(|| "it has joined and was never heard".to_owned()),
    }
}

fn skew(ahead_micros: i64) -> Option<String> {
    let off = Duration::from_micros(ahead_micros.unsigned_abs());
    let which = if ahead_micros < 0 { "behind" } else { "ahead" };
    (off > CLOCK_SKEW_MAX).then(|| format!("the source's clock is {} s {which}", off.as_secs()))
}

fn ending((issued, expires): (Rfc3339, Rfc3339), now: Timestamp) -> Option<String> {
    let (life, left) = (expires.0.since(issued.0), expires.0.since(now));
    let near = left.as_micros() * u128::from(CERTIFICATE_LEFT_PART) < life.as_micros();
    near.then(|| format!("it ends {expires}, and should have been renewed at half its life"))
}

/// Returns the rules that are not kept, in the order of the table.
pub fn preflight(facts: &PreflightFacts, now: Timestamp) -> Vec<Broken> {
    let look = |rule: Rule| Some(Broken { rule, evidence: rule.evidence(facts, now)? });
    // Of a machine that is not there nothing else is known.
    let rules = if facts.registered { &Rule::ALL[1..] } else { &Rule::ALL[..1] };
    rules.iter().copied().filter_map(look).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Finding;

    const NOW: Timestamp = Timestamp(1_796_000_000_000_000);

    fn at(seconds: i64) -> Rfc3339 {
        Rfc3339(Timestamp(NOW.0.saturating_add_signed(seconds * 1_000_000)))
    }

    fn source() -> SourceFacts {
        let ours = "landfall 0.1.0".to_owned();
        SourceFacts {
            certificate: Some((at(-3600), at(6 * 86_400))),
            liveness: Some(Liveness::Alive),
            ahead_micros: Some(-899_000_000),
            software: Some((ours.clone(), ours)),
            generation: Some(Generation(3)),
        }
    }

    fn well() -> PreflightFacts {
        PreflightFacts {
            machine: "web-01".parse().unwrap(),
            registered: true,
            out: None,
            generation: Generation(3),
            disks: Vec::new(),
            window: Some((Duration::from_secs(86_400), Duration::from_secs(86_400))),
            damaged: 0,
            group: None,
            source: Some(source()),
        }
    }

    fn broken(facts: &PreflightFacts) -> Vec<Rule> {
        preflight(facts, NOW).into_iter().map(|broken| broken.rule).collect()
    }

    fn with_source(change: impl FnOnce(&mut SourceFacts)) -> Vec<Rule> {
        let mut source = source();
        change(&mut source);
        broken(&PreflightFacts { source: Some(source), ..well() })
    }

    fn lost(cause: Cause) -> Option<Liveness> {
        Some(Liveness::Lost(Finding { cause, detail: "why".to_owned() }))
    }

    #[test]
    fn a_machine_that_is_well_breaks_no_rule_and_what_is_not_known_breaks_none() {
        assert_eq!(broken(&well()), []);
        assert_eq!(broken(&PreflightFacts { source: None, window: None, ..well() }), []);
        let joined = SourceFacts { certificate: source().certificate, ..SourceFacts::default() };
        let rules = broken(&PreflightFacts { source: Some(joined), ..well() });
        assert_eq!(rules, [Rule::SourceHeard], "it has joined and never spoken");
    }

    /// Every rule of the table has a fact that breaks it, and that one alone.
    #[test]
    fn each_rule_is_broken_by_its_own_fact() {
        let mut seen = vec![
            broken(&PreflightFacts { registered: false, ..well() }),
            broken(&PreflightFacts { out: Some("a disk failed".to_owned()), ..well() }),
            broken(&PreflightFacts { disks: vec![("/dev/sdb".to_owned(), "gone".to_owned())], ..well() }),
            with_source(|source| source.certificate = None),
            with_source(|source| source.liveness = lost(Cause::Route)),
            with_source(|source| source.ahead_micros = Some(901_000_000)),
            with_source(|source| source.liveness = lost(Cause::Version)),
            with_source(|source| source.software = Some(("landfall 0.2.0".into(), "landfall 0.1.0".into()))),
            with_source(|source| source.generation = Some(Generation(2))),
            with_source(|source| source.certificate = Some((at(-6 * 86_400), at(86_000)))),
            broken(&PreflightFacts {
                window: Some((Duration::from_secs(9), Duration::from_secs(8))),
                ..well()
            }),
            broken(&PreflightFacts { damaged: 1, ..well() }),
            broken(&PreflightFacts { group: Some(("shop".parse().unwrap(), 1)), ..well() }),
        ];
        for rule in Rule::ALL {
            assert_eq!(seen.remove(0), [rule], "{rule:?}");
        }
    }

    #[test]
    fn a_clock_may_be_off_by_a_quarter_of_an_hour_either_way() {
        for (micros, fits) in
            [(900_000_000, true), (-900_000_000, true), (900_000_001, false), (i64::MIN, false)]
        {
            assert_eq!(with_source(|source| source.ahead_micros = Some(micros)).is_empty(), fits, "{micros}");
        }
    }

    #[test]
    fn what_brings_a_machine_home_is_refused_by_nothing_that_is_wrong_in_the_cloud() {
        let home =
            [JobWork::Failback { to: units::Sequence(1), prove: true }, JobWork::Cancel, JobWork::Commit];
        for rule in [Rule::SourceJoined, Rule::SourceHeard, Rule::Clock, Rule::Version, Rule::Generation] {
            assert!(home.iter().all(|work| !rule.refuses(work)), "{rule:?}");
        }
        assert_eq!(Rule::Clock.refused_kinds(), ["reprotect", "resync"]);
    }
}
