//! Who a certificate speaks for: a role and a name, written as a URI in its subject alternative names.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use units::MachineName;

/// Bytes of the longest identity as text.
const IDENTITY_LEN_MAX: usize = 96;

/// What the holder of a certificate may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Runs beside a protected machine and sends its writes.
    Source,
    /// Receives writes and keeps their history.
    MasterTarget,
    /// Stores and forwards between the two.
    ProcessServer,
    /// Knows every machine, server and job.
    ConfigurationServer,
    /// A person or their program.
    Operator,
}

/// The holder of a certificate, from the URI `landfall:<role>:<name>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// What it may be.
    pub role: Role,
    /// Which one it is; for a source, the machine it speaks for.
    pub name: MachineName,
}

/// Why a text is not an identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// No such role.
    #[error(
        "{found:?} is not a role; use source, master-target, process-server, configuration-server or operator"
    )]
    Role {
        /// The text given, at most 64 characters of it.
        found: String,
    },
    /// Not of the form of an identity.
    #[error("{found:?} is not an identity, expected landfall:<role>:<name>")]
    Form {
        /// The text given, at most 64 characters of it.
        found: String,
    },
    /// The name is not a machine name.
    #[error(transparent)]
    Name(#[from] units::NameError),
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] =
        [Self::Source, Self::MasterTarget, Self::ProcessServer, Self::ConfigurationServer, Self::Operator];

    /// Returns the role as it is written in certificates and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::MasterTarget => "master-target",
            Self::ProcessServer => "process-server",
            Self::ConfigurationServer => "configuration-server",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let role = Self::ALL.into_iter().find(|role| role.as_str() == text);
        role.ok_or_else(|| IdentityError::Role { found: shortened(text) })
    }
}

impl fmt::Display for Identity {
    /// Writes the URI.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "landfall:{}:{}", self.role, self.name)
    }
}

impl FromStr for Identity {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let parts = text.strip_prefix("landfall:").and_then(|rest| rest.split_once(':'));
        let (role, name) = parts.ok_or_else(|| IdentityError::Form { found: shortened(text) })?;
        Ok(Self { role: role.parse()?, name: name.parse()? })
    }
}

impl Serialize for Identity {
    /// As its URI.
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Identity {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = heapless::String::<IDENTITY_LEN_MAX>::deserialize(from)?;
        text.parse().map_err(D::Error::custom)
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_survives_being_written() {
        for role in Role::ALL {
            let identity = Identity { role, name: "web-01.example".parse().expect("a lawful name") };
            assert_eq!(identity.to_string().parse(), Ok(identity));
        }
    }

    #[test]
    fn what_is_no_identity_is_refused() {
        for text in [
            "",
            "landfall:",
            "landfall:source",
            "landfall:source:",
            "landfall:root:a",
            "landfall:source:a:b",
            "landfall:source:../x",
            "Landfall:source:a",
            "landfall:source:A",
        ] {
            assert!(text.parse::<Identity>().is_err(), "{text}");
        }
    }
}
