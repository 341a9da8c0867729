//! Protected machines, as the configuration server knows them.

use serde::{Deserialize, Serialize};
use units::{Generation, MachineId, MachineName, Rfc3339, as_text};

use crate::Record;

/// A protected machine. What the head of its journal says is the truth; this is rebuilt from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Its name.
    pub name: MachineName,
    /// Its id, given once.
    #[serde(with = "as_text")]
    pub id: MachineId,
    /// The master target that keeps its history.
    pub server: MachineName,
    /// The generation it replicates under.
    #[serde(default)]
    pub generation: Generation,
    /// Its target disks, in its own order.
    #[serde(default)]
    pub disks: Vec<MachineDisk>,
    /// What is to be kept of it, if not what is kept of every machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// When it came to be known here.
    pub registered: Rfc3339,
    /// Somebody has ordered its removal, which is under way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leaving: bool,
}

/// What is to be kept of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The age of the newest recovery point that is still well, in seconds.
    pub rpo_seconds: u32,
    /// How far back recovery points reach, in seconds.
    pub window_seconds: u32,
    /// How old the newest application-consistent point may be, in seconds; 0 asks for none.
    pub application_seconds: u32,
    /// Most bytes of history; absent when only the volume limits it.
    #[serde(default)]
    pub budget_bytes: Option<u64>,
    /// What happens when there is no room for more.
    pub when_full: WhenFull,
}

/// What happens when there is no room for more history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenFull {
    /// The oldest epochs go.
    Shrink,
    /// Old epochs keep their start and their end, and lose what lies between; then the oldest go.
    Thin,
    /// Nothing more is acked: the source waits.
    Pause,
}

/// A target disk of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineDisk {
    /// Where it was last found on its master target.
    pub path: String,
    /// Its length, in bytes.
    pub len_bytes: u64,
}

impl Record for Machine {
    const KIND: &'static str = "machine";

    fn name(&self) -> String {
        self.name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use units::Timestamp;

    use super::*;

    #[test]
    fn a_machine_is_readable_and_older_ones_can_be_read() {
        let machine = Machine {
            name: "web-01".parse().unwrap(),
            id: MachineId([0xab; 16]),
            server: "mt1".parse().unwrap(),
            generation: Generation(2),
            disks: vec![MachineDisk { path: "/dev/sdb".into(), len_bytes: 1 << 30 }],
            policy: None,
            leaving: false,
            registered: Timestamp(1_700_000_000_000_000).into(),
        };
        let text = machine.encode();
        assert!(
            text.contains(r#""id":"abababab"#) && text.contains(r#""registered":"2023-11-14T22:13:20Z""#)
        );
        assert_eq!(Machine::decode(&machine.key(), &text).unwrap(), machine);
        let older = r#"{"name":"web-01","id":"00000000000000000000000000000001","server":"mt1","registered":"2023-11-14T22:13:20Z"}"#;
        assert_eq!(Machine::decode(&machine.key(), older).unwrap().disks, []);
    }

    #[test]
    fn a_machine_under_anothers_key_is_refused() {
        let text = r#"{"name":"web-02","id":"00000000000000000000000000000001","server":"mt1","registered":"2023-11-14T22:13:20Z"}"#;
        let error = Machine::decode(&"machine/web-01".parse().unwrap(), text).unwrap_err();
        assert!(matches!(error, crate::RecordError::Misplaced { .. }), "{error}");
    }
}
