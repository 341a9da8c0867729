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
    /// When it came to be known here.
    pub registered: Rfc3339,
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
