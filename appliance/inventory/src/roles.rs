//! Who may do what: one table, which is the code, the document (`landfall roles`) and the test.

use std::fmt;

use wire::Role;

/// Who asks, for this table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Root on the appliance itself, over the control socket; and what the appliance does of its own accord.
    Local,
    /// The fleet manager this appliance was joined to, by its commands.
    Manager,
    /// Whoever has a certificate of this role.
    Peer(Role),
}

/// What the table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It is done.
    Allowed,
    /// It is done once somebody local has confirmed it, or a day has passed without an objection.
    Confirmed,
    /// It is refused.
    Denied,
}

/// The subjects, in the order of the table's columns.
pub const SUBJECTS: [Subject; 7] = [
    Subject::Local,
    Subject::Peer(Role::Operator),
    Subject::Manager,
    Subject::Peer(Role::ConfigurationServer),
    Subject::Peer(Role::MasterTarget),
    Subject::Peer(Role::ProcessServer),
    Subject::Peer(Role::Source),
];

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// What is done.
    pub action: Action,
    /// Its name, as `landfall roles` shows it.
    pub name: &'static str,
    /// What it is.
    pub what: &'static str,
    /// Whether each of [`SUBJECTS`] may.
    pub verdicts: [Verdict; SUBJECTS.len()],
}

macro_rules! table {
    ($($name:literal $action:ident $verdicts:literal: $what:literal;)*) => {
        /// What can be done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Action {
            $(#[doc = $what] $action,)*
        }

        /// The table. In the short form, `+` is allowed, `?` allowed once confirmed, `-` denied.
        pub const ROLES: &[Row] = &[$(Row {
            action: Action::$action, name: $name, what: $what, verdicts: verdicts($verdicts),
        },)*];
    };
}

// Columns: local, operator, manager, configuration server, master target, process server, source.
table! {
    "look" Look                "+++----": "see machines, points, jobs, servers, alarms and metrics";
    "check" Check              "+++----": "verify, scrub and view recovery points; acknowledge alarms, cancel what waits to be confirmed";
    "protect" Protect          "+++----": "add machines, reprotect with other disks, resync, group, plan";
    "failback" Failback        "+++----": "bring a machine to a recovery point, and cancel that";
    "commit" Commit            "++?----": "accept a recovery point for good";
    "keep" Keep                "+++----": "pin points, set thresholds, keep more history, let go what the policy wants gone";
    "shorten" Shorten          "+??----": "keep less history: a shorter window, a smaller budget, a pin that ends earlier; reprotect what was committed";
    "unprotect" Unprotect      "+??----": "remove a machine and its history";
    "enrol" Enrol              "++-----": "make join tokens, revoke certificates";
    "administer" Administer    "+------": "back up and restore keys, rebuild the catalog, approve commands, join a manager";
    "network" Network          "++-----": "try, keep and set the network of the appliance";
    "renew" Renew              "-+-++++": "renew one's own certificate, hear whose were revoked";
    "report" Report            "---++++": "send heartbeats and take commands";
    "replicate" Replicate      "------+": "send the changes of one's own machine";
}

impl Subject {
    /// Tells whether the subject may do this.
    pub fn may(self, action: Action) -> Verdict {
        let row = ROLES.iter().find(|row| row.action == action).expect("every action has a row");
        let column =
            SUBJECTS.iter().position(|subject| *subject == self).expect("every subject has a column");
        row.verdicts[column]
    }
}

/// Returns the roles whose holders may do this by their certificate.
pub fn roles_for(action: Action) -> Vec<Role> {
    let may = |role: &Role| Subject::Peer(*role).may(action) != Verdict::Denied;
    Role::ALL.into_iter().filter(may).collect()
}

/// Reads the short form of a row.
const fn verdicts(text: &str) -> [Verdict; SUBJECTS.len()] {
    let (bytes, mut verdicts, mut at) = (text.as_bytes(), [Verdict::Denied; SUBJECTS.len()], 0);
    assert!(bytes.len() == SUBJECTS.len(), "a row has a verdict for each subject");
    while at < bytes.len() {
        verdicts[at] = match bytes[at] {
            b'+' => Verdict::Allowed,
            b'?' => Verdict::Confirmed,
            b'-' => Verdict::Denied,
            _ => panic!("a verdict is one of +?-"),
        };
        at += 1;
    }
    verdicts
}

impl fmt::Display for Subject {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Local => "local",
            Self::Manager => "manager",
            Self::Peer(role) => role.as_str(),
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Allowed => "yes",
            Self::Confirmed => "confirmed",
            Self::Denied => "-",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_has_a_column_and_every_action_one_row() {
        for role in Role::ALL {
            assert!(SUBJECTS.contains(&Subject::Peer(role)), "{role}");
        }
        for (at, row) in ROLES.iter().enumerate() {
            assert!(ROLES[..at].iter().all(|before| before.action != row.action), "{}", row.name);
            assert!(
                SUBJECTS.iter().any(|subject| subject.may(row.action) != Verdict::Denied),
                "{}",
                row.name
            );
        }
    }

    #[test]
    fn servers_and_sources_never_manage() {
        let managing = [
            Action::Look,
            Action::Check,
            Action::Protect,
            Action::Failback,
            Action::Commit,
            Action::Keep,
            Action::Shorten,
            Action::Unprotect,
            Action::Enrol,
            Action::Administer,
            Action::Network,
        ];
        for action in managing {
            assert_eq!(
                roles_for(action).iter().filter(|role| **role != Role::Operator).count(),
                0,
                "{action:?}"
            );
        }
        assert_eq!(roles_for(Action::Replicate), [Role::Source]);
    }

    #[test]
    fn a_manager_destroys_nothing_unconfirmed_and_hands_out_no_certificates() {
        for action in [Action::Commit, Action::Shorten, Action::Unprotect] {
            assert_eq!(Subject::Manager.may(action), Verdict::Confirmed, "{action:?}");
        }
        for action in [Action::Shorten, Action::Unprotect] {
            let operator = Subject::Peer(Role::Operator).may(action);
            assert_eq!(operator, Verdict::Confirmed, "nor does an operator from elsewhere: {action:?}");
        }
        for action in [Action::Enrol, Action::Administer, Action::Network] {
            assert_eq!(Subject::Manager.may(action), Verdict::Denied, "{action:?}");
        }
    }
}
