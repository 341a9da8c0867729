//! Who asks.

use std::fmt;

use units::MachineName;

use crate::api::JobId;

/// Who asks, as far as the way he came by has proved it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Caller {
    /// A user of the appliance itself, over the control socket.
    Local {
        /// His number.
        uid: u32,
    },
    /// An operator, by his certificate.
    Operator(MachineName),
    /// The fleet manager this appliance was enrolled at, by its certificate.
    Manager(MachineName),
    /// A job that goes on.
    Job(JobId),
    /// The appliance itself.
    System,
}

impl fmt::Display for Caller {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local { uid } => write!(out, "uid {uid}"),
            Self::Operator(name) => write!(out, "operator {name}"),
            Self::Manager(name) => write!(out, "manager {name}"),
            Self::Job(id) => write!(out, "job {id}"),
            Self::System => write!(out, "the appliance"),
        }
    }
}
