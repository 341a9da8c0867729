//! Who asked for what: written down before it is done, and what came of it after.

use crate::api::{Failback, GroupFailback, PolicySet, Reprotect, Request};
use crate::authorise::action_of;
use crate::caller::Caller;
use crate::error::ApiError;

/// Something that is asked for and changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// What, as in `machine-remove`.
    pub action: String,
    /// With what: the name of a machine or server, a number; empty if with nothing in particular.
    pub subject: String,
}

/// Writes down who asked for what.
pub trait Audit: Send + Sync + 'static {
    /// Writes down that something is about to be done; durable on return. Errors: it can't be written; it must not be done then.
    fn begun(&self, caller: &Caller, deed: &Deed) -> Result<(), ApiError>;

    /// Writes down what came of it, or that it was refused; durable on return, if that can be.
    fn ended(&self, caller: &Caller, deed: &Deed, outcome: Result<(), &ApiError>);
}

impl Deed {
    /// Returns what a request does; nothing, if it only looks or plans.
    pub fn of(request: &Request) -> Option<Self> {
        let looks = action_of(request) == inventory::Action::Look;
        let plans = matches!(
            request,
            Request::Failback(Failback { plan_only: true, .. })
                | Request::GroupFailback(GroupFailback { plan_only: true, .. })
                | Request::Reprotect(Reprotect { plan_only: true, .. })
                | Request::PolicySet(PolicySet { plan_only: true, .. })
        );
        if looks || plans {
            return None;
        }
        let fields = serde_json::to_value(request).expect("requests hold only what JSON can write");
        let named = ["machine", "name", "subject", "id"].iter().find_map(|field| match &fields[*field] {
            serde_json::Value::String(name) => Some(name.clone()),
            serde_json::Value::Number(number) => Some(number.to_string()),
            _ => None,
        });
        let action = fields["request"].as_str().expect("a request says what it is").replace('_', "-");
        Some(Self { action, subject: named.unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{FailbackTo, MachineRemove, PolicyChange, StatusShow, ViewClose};

    #[test]
    fn what_changes_something_is_written_down_with_its_subject() {
        let name: units::MachineName = "web-01".parse().expect("a name");
        let of =
            |request: Request| Deed::of(&request).map(|deed| format!("{} {}", deed.action, deed.subject));
        let confirm = "web-01".to_owned();
        assert_eq!(
            of(MachineRemove { name: name.clone(), confirm }.into()).as_deref(),
            Some("machine-remove web-01")
        );
        assert_eq!(of(ViewClose { id: 7 }.into()).as_deref(), Some("view-close 7"));
        let set = |plan_only| PolicySet {
            machine: None,
            change: PolicyChange::default(),
            plan_only,
            expiry_ok: false,
        };
        assert_eq!(of(set(false).into()).as_deref(), Some("policy-set "));
        assert_eq!(of(set(true).into()), None);
        let failback = Failback {
            machine: name,
            to: FailbackTo::Latest,
            plan_only: true,
            inconsistent_ok: false,
            no_proof: false,
        };
        assert_eq!(of(failback.into()), None);
        assert_eq!(of(StatusShow {}.into()), None);
    }
}
