//! Preflight: what would go wrong is found before anything is touched. One table of rules, each a function of the facts.
//!
//! A rule that is met refuses some kinds of work, and is told as a warning otherwise.

use std::time::Duration;

use units::{DISKS_MAX, Generation, MachineName, Rfc3339, Timestamp};
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
    /// What is wished for, where it is to be registered.
    pub offered: Option<Registration>,
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

/// A machine that is to be registered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registration {
    /// Who has its name already, if anybody.
    pub taken: Option<String>,
    /// Its target disks, as they are named.
    pub disks: Vec<String>,
    /// Those of them that can't be target disks.
    pub unfit: Vec<Unfit>,
}

/// A disk that can't be a target disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// How it is named.
    pub disk: String,
    /// The number of the rule that it breaks, among those of disks.
    pub code: u16,
    /// What shows it.
    pub why: String,
}

/// What is to be begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undertaking<'a> {
    /// A machine is registered.
    Registration,
    /// A job of one that is.
    Job(&'a JobWork),
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
    /// Nobody else has the name.
    NameFree,
    /// There are as many target disks as there may be, each once.
    DiskCount,
    /// Each of them can be one.
    DisksFit,
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
    /// The number of a narrower rule, where there is one.
    pub narrower: Option<u16>,
}

impl Rule {
    /// Every rule, in the order in which they are looked at.
    pub const ALL: [Self; 16] = [
        Self::Registered,
        Self::NameFree,
        Self::DiskCount,
        Self::DisksFit,
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

    /// Tells whether this is refused while the rule is not kept; otherwise it is a warning.
    pub fn refuses(self, undertaking: Undertaking<'_>) -> bool {
        match undertaking {
            Undertaking::Registration => matches!(
                self,
                Self::NameFree | Self::DiskCount | Self::DisksFit | Self::Clock | Self::Version
            ),
            Undertaking::Job(work) => self.refuses_job(work),
        }
    }

    fn refuses_job(self, work: &JobWork) -> bool {
        use JobWork::{Cancel, Commit, Failback, Reprotect, Resync};
        match self {
            Self::Registered | Self::InService => true,
            // They are looked at when a machine is registered.
            Self::NameFree | Self::DiskCount | Self::DisksFit => false,
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

    /// Returns the kinds of work that are refused while the rule is not kept; `add` is registration.
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
        let add = self.refuses(Undertaking::Registration).then_some("add");
        let refused = all.iter().filter(|work| self.refuses(Undertaking::Job(work)));
        add.into_iter().chain(refused.map(JobWork::kind)).collect()
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
                (!facts.registered && facts.offered.is_none()).then(what)
            }
            Self::NameFree => facts.offered.as_ref()?.taken.clone(),
            Self::DiskCount => count(&facts.offered.as_ref()?.disks),
            Self::DisksFit => {
                facts.offered.as_ref()?.unfit.first().map(|unfit| format!("{}: {}", unfit.disk, unfit.why))
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

/// Says what is wrong with the number of target disks.
fn count(disks: &[String]) -> Option<String> {
    if disks.is_empty() || disks.len() > DISKS_MAX {
        return Some(format!("{} disks are named, a machine has 1 to {DISKS_MAX}", disks.len()));
    }
    let twice = disks.iter().enumerate().find(|(at, disk)| disks[..*at].contains(disk));
    twice.map(|(_, disk)| format!("{disk} is named twice"))
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
    let look = |rule: Rule| {
        let evidence = rule.evidence(facts, now)?;
        let unfit = facts.offered.as_ref().and_then(|offered| offered.unfit.first());
        let narrower = unfit.filter(|_| rule == Rule::DisksFit).map(|unfit| unfit.code);
        Some(Broken { rule, evidence, narrower })
    };
    // Of a machine that is not there, and is not to be, nothing else is known.
    let known = facts.registered || facts.offered.is_some();
    let rules = if known { &Rule::ALL[1..] } else { &Rule::ALL[..1] };
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
            offered: None,
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

    fn offered(change: impl FnOnce(&mut Registration)) -> Vec<Rule> {
        let mut offered = Registration { disks: vec!["/dev/sdb".to_owned()], ..Registration::default() };
        change(&mut offered);
        broken(&PreflightFacts { registered: false, offered: Some(offered), ..well() })
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
            offered(|offered| offered.taken = Some("it is here".to_owned())),
            offered(|offered| offered.disks.push("/dev/sdb".to_owned())),
            offered(|offered| {
                let (disk, why) = ("/dev/sdb".to_owned(), "it is mounted".to_owned());
                offered.unfit.push(Unfit { disk, code: 1231, why });
            }),
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
            assert!(home.iter().all(|work| !rule.refuses(Undertaking::Job(work))), "{rule:?}");
        }
        assert_eq!(Rule::Clock.refused_kinds(), ["add", "reprotect", "resync"]);
    }

    #[test]
    fn a_machine_is_registered_only_with_a_free_name_and_disks_that_fit() {
        assert_eq!(offered(|_| {}), [], "all is well");
        for wrong in [0, DISKS_MAX + 1] {
            let disks: Vec<_> = (0..wrong).map(|at| format!("/dev/{at}")).collect();
            assert_eq!(offered(|offered| offered.disks = disks), [Rule::DiskCount], "{wrong}");
        }
        let refusing = Rule::ALL.into_iter().filter(|rule| rule.refuses(Undertaking::Registration));
        let expected = [Rule::NameFree, Rule::DiskCount, Rule::DisksFit, Rule::Clock, Rule::Version];
        assert_eq!(refusing.collect::<Vec<_>>(), expected);
        let (disk, why) = ("/dev/sdb".to_owned(), "it is mounted".to_owned());
        let offered =
            Registration { unfit: vec![Unfit { disk, code: 1231, why }], ..Registration::default() };
        let found = preflight(&PreflightFacts { offered: Some(offered), ..well() }, NOW);
        let fit = found.iter().find(|broken| broken.rule == Rule::DisksFit).unwrap();
        assert_eq!((fit.narrower, fit.evidence.as_str()), (Some(1231), "/dev/sdb: it is mounted"));
    }
}
