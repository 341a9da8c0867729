//! The properties there are: one table, which the OVF declares and the appliance reads.

/// The class of all properties: a hypervisor hands `CLASS.KEY` to the guest.
pub const CLASS: &str = "landfall";

/// How a property is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text that everybody may see.
    Text,
    /// A text that nobody should see: it is not shown where it is typed, nor kept longer than needed.
    Secret,
}

/// A property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Property {
    /// Its key, without the class.
    pub key: &'static str,
    /// What it is called where it is asked for.
    pub label: &'static str,
    /// What to enter; less than 255 letters, as vCenter wants it.
    pub description: &'static str,
    /// How it is asked for.
    pub kind: Kind,
}

/// All properties, in the order in which they are asked for.
pub const PROPERTIES: &[Property] = &[
    Property {
        key: "hostname",
        label: "Host name",
        description: "Name of the appliance, such as landfall or landfall.example. Empty: landfall.",
        kind: Kind::Text,
    },
    Property {
        key: "retention",
        label: "Retention disk",
        description: "auto: the one empty disk that may hold the history is taken. none: it is chosen later. \
                      Or the name of a disk, such as disk:naa.5000c29f0a1b2c3d. Empty: auto.",
        kind: Kind::Text,
    },
];

const _: () = {
    let mut index = 0;
    while index < PROPERTIES.len() {
        assert!(PROPERTIES[index].description.len() < 255, "vCenter takes no longer text");
        index += 1;
    }
};
