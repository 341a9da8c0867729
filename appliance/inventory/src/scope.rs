//! Whose a record is, where several appliances share one catalog.

/// Whose records of a kind are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The installation's: every appliance knows the same ones.
    Installation,
    /// One appliance's: it is about what lies on its own volume or is done there, and another one knows nothing of it.
    Appliance,
}

/// The kinds of records that belong to the appliance they were made on: its machines and what is done with them.
const OF_APPLIANCES: &[&str] = &[
    "alarm",
    "commit-policy",
    "group",
    "group-member",
    "job",
    "job-claim",
    "keyed",
    "machine",
    "pending",
    "plan",
    "plan-run",
    "standing",
];

impl Scope {
    /// Returns whose the records of this kind are.
    pub fn of(kind: &str) -> Self {
        if OF_APPLIANCES.contains(&kind) { Self::Appliance } else { Self::Installation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Alarm, AuditEntry, AuditHead, CommitPolicy, Group, GroupMember, Hearing, Holder, Installation, Job,
        JobClaim, Keyed, Machine, Order, Pending, Plan, PlanRun, Record, Server, Standing, Token,
    };

    fn kinds<const N: usize>(kinds: [&'static str; N], scope: Scope) {
        for kind in kinds {
            assert_eq!(Scope::of(kind), scope, "{kind}");
        }
    }

    #[test]
    fn what_is_done_on_an_appliance_is_its_own_and_who_belongs_is_everybodys() {
        let own = [
            Alarm::KIND,
            CommitPolicy::KIND,
            Group::KIND,
            GroupMember::KIND,
            Job::KIND,
            JobClaim::KIND,
            Keyed::KIND,
            Machine::KIND,
            Pending::KIND,
            Plan::KIND,
            PlanRun::KIND,
            Standing::KIND,
        ];
        assert_eq!(own.len(), OF_APPLIANCES.len());
        kinds(own, Scope::Appliance);
        let shared = [
            AuditEntry::KIND,
            AuditHead::KIND,
            Hearing::KIND,
            Holder::KIND,
            Installation::KIND,
            Order::KIND,
            Server::KIND,
            Token::KIND,
        ];
        kinds(shared, Scope::Installation);
    }
}
