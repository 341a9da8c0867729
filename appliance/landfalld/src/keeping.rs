//! Policies, expiry, pins and forecasts, in the words of the control interface.

use control::api::{
    Expiry, ExpiryStep, Keeping, Loss, MachineExpiry, MachinePolicy, Pin, Pins, PointPin, PointUnpin,
    Policies, Policy, PolicyChange, PolicyChanged, PolicySet, WhenFull,
};
use control::{ApiError, Code};
use inventory::CommitPolicy;
use retention::{Expired, ExpiryPlan, ExpiryReason, Hold, Holder, Kept};
use target::replica::State;
use target::{Forecast, Machine, MasterTarget};
use units::{ByteLen, MachineName, Sequence, Timestamp};

use crate::commits::{CommitBook, Commits};
use crate::failure::api_error;
use crate::report;

/// A budget from here on is none.
const NO_BUDGET: ByteLen = ByteLen(1 << 50);

/// Describes a policy: what is kept, and what becomes of a machine by itself.
pub(crate) fn policy(policy: &retention::Policy, commit: &CommitPolicy) -> Policy {
    Policy {
        rpo_seconds: policy.rpo_seconds,
        window_seconds: policy.window_seconds,
        application_seconds: policy.application_seconds,
        budget_bytes: (policy.budget < NO_BUDGET).then_some(policy.budget.0),
        when_full: match policy.when_full {
            retention::WhenFull::Shrink => WhenFull::Shrink,
            retention::WhenFull::Thin => WhenFull::Thin,
            retention::WhenFull::Pause => WhenFull::Pause,
        },
        commit: commit.by,
        commit_after_seconds: commit.after_seconds,
    }
}

/// Returns a policy as the catalog keeps it.
pub(crate) fn recorded(policy: &retention::Policy) -> inventory::Policy {
    inventory::Policy {
        rpo_seconds: policy.rpo_seconds,
        window_seconds: policy.window_seconds,
        application_seconds: policy.application_seconds,
        budget_bytes: (policy.budget < NO_BUDGET).then_some(policy.budget.0),
        when_full: match policy.when_full {
            retention::WhenFull::Shrink => inventory::WhenFull::Shrink,
            retention::WhenFull::Thin => inventory::WhenFull::Thin,
            retention::WhenFull::Pause => inventory::WhenFull::Pause,
        },
    }
}

fn changed(before: retention::Policy, change: &PolicyChange) -> retention::Policy {
    retention::Policy {
        rpo_seconds: change.rpo_seconds.unwrap_or(before.rpo_seconds),
        window_seconds: change.window_seconds.unwrap_or(before.window_seconds),
        application_seconds: change.application_seconds.unwrap_or(before.application_seconds),
        budget: change.budget_bytes.map_or(before.budget, ByteLen),
        when_full: match change.when_full {
            None => before.when_full,
            Some(WhenFull::Shrink) => retention::WhenFull::Shrink,
            Some(WhenFull::Thin) => retention::WhenFull::Thin,
            Some(WhenFull::Pause) => retention::WhenFull::Pause,
        },
    }
}

/// Describes the policies of some machines.
pub(crate) fn policies(
    node: &MasterTarget,
    machines: &[std::sync::Arc<Machine>],
    commits: &CommitBook,
    now: Timestamp,
) -> Policies {
    let own = |machine: &std::sync::Arc<Machine>| {
        let state = machine.shared.lock();
        let own = state.policy.is_some() || commits.own(machine).is_some();
        let policy = policy(&state.policy(), commits.of(machine));
        MachinePolicy { machine: machine.name.clone(), own, policy }
    };
    let default = policy(&node.defaults(), commits.default());
    Policies { time: now.into(), default, machines: machines.iter().map(own).collect() }
}

/// Changes a policy, or says what would go by it.
pub(crate) fn set(
    node: &MasterTarget,
    commits: &Commits,
    request: PolicySet,
) -> Result<PolicyChanged, ApiError> {
    let PolicySet { machine, change, plan_only, expiry_ok } = request;
    let failed = |error: target::TargetError| api_error(&error);
    let affected = affected(node, machine.as_ref()).map_err(failed)?;
    let found = machine.as_ref().map(|name| node.machine(name)).transpose().map_err(failed)?;
    let before = found.as_ref().map_or_else(|| node.defaults(), |machine| machine.shared.lock().policy());
    let commit = commits.change(found.as_deref(), &change)?;
    let after = if change.inherit { node.defaults() } else { changed(before, &change) };
    if change.inherit
        && (machine.is_none() || change != (PolicyChange { inherit: true, ..PolicyChange::default() }))
    {
        let what = "a machine takes the default policy as it is";
        return Err(ApiError::new(Code::PolicyValue, what).because("other values were given, or no machine"));
    }
    after
        .check()
        .map_err(|error| ApiError::new(Code::PolicyValue, "the policy is not changed").because(error))?;
    let mut goes = Vec::new();
    for name in &affected {
        let now = node.expiry_plan(name, None).map_err(failed)?;
        let then = node.expiry_plan(name, Some(after)).map_err(failed)?;
        if then.steps.len() > now.steps.len() {
            goes.push(expiry_of(name, &then));
        }
    }
    let (told_before, told_after) = (policy(&before, &commit.before), policy(&after, &commit.after));
    let answer = |done, goes| PolicyChanged {
        machine: machine.clone(),
        before: told_before,
        after: told_after,
        done,
        goes,
    };
    if plan_only {
        return Ok(answer(false, goes));
    }
    if !goes.is_empty() && !expiry_ok {
        let steps: usize = goes.iter().map(|each: &MachineExpiry| each.steps.len()).sum();
        let what = format!("the policy is not changed: {steps} epochs would go at once");
        return Err(ApiError::new(Code::PolicyExpires, what));
    }
    match &machine {
        _ if keeps_alike(&change) => {}
        Some(name) => node.set_policy(name, (!change.inherit).then_some(after)).map_err(failed)?,
        None => node.set_defaults(after).map_err(failed)?,
    }
    commits.carry_out(found.as_deref(), &commit)?;
    Ok(answer(true, goes))
}

/// Tells whether a change says nothing of what is kept, so that a machine which has the default goes on having it.
fn keeps_alike(change: &PolicyChange) -> bool {
    let rest = PolicyChange { commit: None, commit_after_seconds: None, ..*change };
    rest == PolicyChange::default()
}

/// Returns the machines whose policy a change is of: those that have none of their own, if it is of the default. One that is out
/// is left aside there.
fn affected(
    node: &MasterTarget,
    machine: Option<&MachineName>,
) -> Result<Vec<MachineName>, target::TargetError> {
    if let Some(name) = machine {
        return Ok(vec![node.machine(name)?.name.clone()]);
    }
    let machines = node.machines();
    let theirs = machines.iter().filter(|machine| {
        let state = machine.shared.lock();
        state.policy.is_none() && state.failure.is_none()
    });
    Ok(theirs.map(|machine| machine.name.clone()).collect())
}

/// Describes what goes of the history of some machines; one that is out is left aside.
pub(crate) fn expiry(
    node: &MasterTarget,
    machines: &[std::sync::Arc<Machine>],
    now: Timestamp,
) -> Result<Expiry, ApiError> {
    let in_service = machines.iter().filter(|machine| machine.shared.lock().failure.is_none());
    let plan = |machine: &std::sync::Arc<Machine>| {
        let plan = node.expiry_plan(&machine.name, None).map_err(|error| api_error(&error))?;
        Ok(expiry_of(&machine.name, &plan))
    };
    Ok(Expiry { time: now.into(), machines: in_service.map(plan).collect::<Result<_, ApiError>>()? })
}

fn expiry_of(name: &MachineName, plan: &ExpiryPlan) -> MachineExpiry {
    MachineExpiry {
        machine: name.clone(),
        steps: plan.steps.iter().map(step).collect(),
        held: plan.held.as_ref().map(held),
        wanting: plan.wanting.as_ref().map(kept),
    }
}

fn step(step: &Expired) -> ExpiryStep {
    let Expired { epoch, loss, reason } = step;
    let (loss, freed) = match loss {
        retention::Loss::Whole => (Loss::Whole, epoch.size()),
        retention::Loss::Redo => (Loss::Redo, epoch.redo),
        retention::Loss::End => (Loss::End, ByteLen::ZERO),
    };
    let reason = match reason {
        ExpiryReason::Age { closed_for } => {
            format!("closed {} s ago, before the window", closed_for.as_secs())
        }
        ExpiryReason::Size { journal } => format!("the journal takes {journal}, over its budget"),
        ExpiryReason::NoRoom => "the volume is full".to_owned(),
    };
    let (first, last, closed) = (epoch.first, epoch.last, epoch.closed.into());
    ExpiryStep { epoch: epoch.epoch, first, last, closed, loss, freed_bytes: freed.0, reason }
}

fn held(hold: &Hold) -> String {
    let sequence = hold.sequence;
    match hold.holder {
        Holder::Pin => format!("point #{sequence} is pinned"),
        Holder::View { .. } => format!("point #{sequence} is being viewed"),
        Holder::Newest { .. } => format!("point #{sequence} is the newest consistent one"),
    }
}

fn kept(kept: &Kept) -> String {
    match kept {
        Kept::Held(hold) => held(hold),
        Kept::Pause => "the policy is to pause".to_owned(),
        Kept::Nothing => "there is no sealed epoch".to_owned(),
    }
}

/// Describes what is wanted of a machine's history, and how that stands.
pub(crate) fn keeping(state: &State, commit: &CommitPolicy, forecast: Forecast, now: Timestamp) -> Keeping {
    let application = state.timeline.latest(wire::Consistency::Application);
    let lost = state.shrunk.map(|shrunk| match shrunk.loss {
        retention::Loss::Whole => "the oldest history went",
        retention::Loss::Redo => "the oldest history kept only its starts and ends of epochs",
        retention::Loss::End => "the oldest history kept only one point an hour",
    });
    let paused = state.full.as_ref().zip(state.kept.as_ref()).map(|(what, why)| {
        let why = kept(why);
        format!("its source waits: no room for {what}, and nothing goes, for {why}; make room, unpin, or change the policy")
    });
    Keeping {
        policy: policy(&state.policy(), commit),
        churn_bytes_per_hour: forecast.churn_per_hour.map(|churn| churn.0),
        history_left_seconds: forecast.history_left.as_secs(),
        application_age_seconds: application.map(|point| now.since(point.time).as_secs()),
        paused,
        shrunk: lost.map(|lost| format!("{lost} for want of room")),
        held: state.held.as_ref().map(held),
    }
}

/// Lists the pins of a machine.
pub(crate) fn pins(state: &State) -> Vec<Pin> {
    let pin = |pin: &retention::Pin| Pin {
        point: report::named(state, pin.sequence),
        until: pin.expires.map(Into::into),
        note: pin.note.clone(),
    };
    state.pins.iter().map(pin).collect()
}

fn pins_of(node: &MasterTarget, name: MachineName, now: Timestamp) -> Result<Pins, ApiError> {
    let machine = node.machine(&name).map_err(|error| api_error(&error))?;
    let pins = pins(&machine.shared.lock());
    Ok(Pins { machine: name, time: now.into(), pins })
}

/// Pins a point.
pub(crate) fn pin(
    node: &MasterTarget,
    request: PointPin,
    sequence: Sequence,
    now: Timestamp,
) -> Result<Pins, ApiError> {
    let expires = request.until.map(|until| until.0);
    let pin = retention::Pin { sequence, expires, note: request.note };
    node.pin(&request.machine, pin).map_err(|error| api_error(&error))?;
    pins_of(node, request.machine, now)
}

/// Unpins a point.
pub(crate) fn unpin(
    node: &MasterTarget,
    request: PointUnpin,
    sequence: Sequence,
    now: Timestamp,
) -> Result<Pins, ApiError> {
    node.unpin(&request.machine, sequence).map_err(|error| api_error(&error))?;
    pins_of(node, request.machine, now)
}
