//! Preflight: gathers what is known of a machine, and says which rules are not kept.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use control::api::{self, PreflightFinding};
use control::{ApiError, Code, ErrorReply, heartbeat, retired_of};
use inventory::{
    Broken, Group, JobWork, PreflightFacts, Registration, Rule, SourceFacts, Undertaking, preflight,
};
use registrar::Registrar;
use target::MasterTarget;
use units::{ByteLen, Generation, MachineName};
use wire::{Identity, Role};

use crate::answers::now;
use crate::groups::Groups;

const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Who judges, by what this server knows.
pub(crate) struct Preflight {
    node: Arc<MasterTarget>,
    office: OnceLock<PreflightOffice>,
}

/// What a configuration server knows besides.
pub(crate) struct PreflightOffice {
    /// Who has joined.
    pub(crate) registrar: Arc<Registrar>,
    /// Who is heard.
    pub(crate) heard: heartbeat::Servers,
    /// Who belongs together.
    pub(crate) groups: Arc<Groups>,
}

impl Preflight {
    /// Judges by what the master target knows alone, until more is known.
    pub(crate) fn new(node: Arc<MasterTarget>) -> Self {
        Self { node, office: OnceLock::new() }
    }

    /// Judges by what the configuration server knows, too, from now on.
    pub(crate) fn know(&self, office: PreflightOffice) {
        // Whoever told it before has told the same.
        drop(self.office.set(office));
    }

    /// Refuses work that a rule refuses; touches nothing.
    pub(crate) fn check(&self, machine: &MachineName, work: &JobWork) -> Result<(), ApiError> {
        let broken = preflight(&self.facts(machine), now());
        let job = Undertaking::Job(work);
        // That a machine is not known, the master target says.
        let refused =
            broken.iter().find(|broken| broken.rule.refuses(job) && broken.rule != Rule::Registered);
        refused.map_or(Ok(()), |broken| {
            let what = format!("no {} of machine {machine} was begun", work.kind());
            Err(ApiError::new(code_of(broken), what).because(&broken.evidence))
        })
    }

    /// Refuses to register a machine; touches nothing. Every rule that refuses it is told, the first with its code.
    pub(crate) fn register(&self, machine: &MachineName, offered: Registration) -> Result<(), ApiError> {
        let facts = PreflightFacts { offered: Some(offered), ..self.facts(machine) };
        let mut broken = preflight(&facts, now());
        broken.retain(|broken| broken.rule.refuses(Undertaking::Registration));
        let Some((first, others)) = broken.split_first() else { return Ok(()) };
        let others = others.iter().map(|broken| format!("; also {} ({})", broken.evidence, code_of(broken)));
        let cause = first.evidence.clone() + &others.collect::<String>();
        let error = ApiError::new(code_of(first), format!("machine {machine} was not added"));
        Err(error.because(cause))
    }

    /// Judges one machine, or all of them and all who have joined as sources.
    pub(crate) fn look(&self, machine: Option<&MachineName>) -> api::Preflight {
        let names = match machine {
            Some(name) => BTreeSet::from([name.clone()]),
            None => self.everybody(),
        };
        let time = now();
        let of = |name: &MachineName| {
            preflight(&self.facts(name), time)
                .into_iter()
                .map(|broken| finding(name, broken))
                .collect::<Vec<_>>()
        };
        let findings = names.iter().flat_map(of).collect();
        api::Preflight {
            time: time.into(),
            machines: names.len() as u64,
            rules: Rule::ALL.len() as u64,
            findings,
        }
    }

    fn everybody(&self) -> BTreeSet<MachineName> {
        let mut names: BTreeSet<_> =
            self.node.machines().iter().map(|machine| machine.name.clone()).collect();
        if let Some(office) = self.office.get() {
            // Who can't be listed now is judged another time.
            let holders = office.registrar.holders().unwrap_or_default();
            let joined = holders
                .into_iter()
                .filter(|holder| holder.identity.role == Role::Source && holder.current().is_some());
            names.extend(joined.map(|holder| holder.identity.name));
        }
        names
    }

    fn facts(&self, name: &MachineName) -> PreflightFacts {
        let office = self.office.get();
        let mut facts = PreflightFacts {
            machine: name.clone(),
            registered: false,
            offered: None,
            out: None,
            generation: Generation(0),
            disks: Vec::new(),
            window: None,
            damaged: 0,
            group: office.and_then(|office| group_of(&office.groups, name)),
            source: office.map(|office| source_of(office, name)),
        };
        let Ok(machine) = self.node.machine(name) else { return facts };
        let free = self.node.usage().map_or(ByteLen::ZERO, |usage| usage.free);
        let forecast = self.node.forecast(&machine, free);
        let state = machine.shared.lock();
        let path = |index: usize| machine.disks.get(index).map_or_else(String::new, |disk| disk.path.clone());
        let wanted = std::time::Duration::from_secs(state.policy().window_seconds.into());
        facts.registered = true;
        facts.out = state.failure.as_ref().map(|(_, why)| why.clone());
        facts.generation = machine.generation;
        facts.disks = state.sights.iter().map(|(index, why)| (path(*index), why.clone())).collect();
        facts.window = forecast.churn_per_hour.map(|_| (wanted, forecast.history_left));
        facts.damaged = state.damage.len();
        facts
    }
}

fn group_of(groups: &Groups, name: &MachineName) -> Option<(MachineName, usize)> {
    let rows = groups.table.list().ok()?.rows;
    let group: Group = rows.into_iter().map(|row| row.record).find(|group| group.machines.contains(name))?;
    Some((group.name, group.machines.len() - 1))
}

fn source_of(office: &PreflightOffice, name: &MachineName) -> SourceFacts {
    let identity = Identity { role: Role::Source, name: name.clone() };
    let holders = office.registrar.holders().unwrap_or_default();
    let holder = holders.iter().find(|holder| holder.identity == identity);
    let certificate = holder.and_then(|holder| holder.current());
    let certificate = certificate.map(|issued| (issued.id.issued().into(), issued.expires));
    let view = office.heard.show(&identity);
    let report = view.as_ref().and_then(|view| view.report.as_ref()).map(|(_, report)| report);
    let generation = report.and_then(|report| {
        report.machines.iter().find(|machine| machine.machine == *name).map(|machine| machine.generation)
    });
    let version = |software: &str| software.rsplit(' ').next().unwrap_or_default().to_owned();
    let speaks = view.as_ref().and_then(|view| view.speaks.as_ref());
    SourceFacts {
        certificate,
        liveness: view.as_ref().map(|view| view.liveness.clone()).filter(|_| speaks.is_some()),
        ahead_micros: report.and_then(|report| report.head.clock).map(|clock| clock.ahead_micros),
        software: speaks.map(|speaks| (version(&speaks.software), OWN_VERSION.to_owned())),
        generation,
    }
}

fn code_of(broken: &Broken) -> Code {
    if let Some(code) = broken.narrower.and_then(|number| Code::find(&number.to_string())) {
        return code;
    }
    match broken.rule {
        Rule::Registered => Code::NotInInventory,
        Rule::NameFree => Code::MachineExists,
        Rule::DiskCount => Code::DiskCount,
        Rule::DisksFit => Code::DiskKind,
        Rule::InService => Code::MachineFailed,
        Rule::TargetDisks => Code::TargetDisk,
        Rule::SourceJoined => Code::SourceNotJoined,
        Rule::SourceHeard => Code::SourceSilent,
        Rule::Clock => Code::ClockSkew,
        Rule::Version => Code::VersionSkew,
        Rule::SameVersion => Code::VersionOther,
        Rule::Generation => Code::GenerationOlder,
        Rule::Certificate => Code::CertificateEnds,
        Rule::Window => Code::WindowShort,
        Rule::Damage => Code::DamageKnown,
        Rule::GroupTogether => Code::GroupAlone,
    }
}

fn finding(machine: &MachineName, broken: Broken) -> PreflightFinding {
    let code = code_of(&broken);
    let Broken { rule, evidence, .. } = broken;
    let ErrorReply { code: number, cause, fix, .. } = ApiError::new(code, "").because(evidence).into();
    PreflightFinding {
        machine: machine.clone(),
        code: number,
        title: code.entry().title.to_owned(),
        evidence: cause,
        fix,
        refuses: rule.refused_kinds().into_iter().map(str::to_owned).collect(),
        retired: retired_of(code),
    }
}
