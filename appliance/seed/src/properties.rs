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
        description: "Name of the appliance: small letters, digits, dots and hyphens, 63 at most. Empty: landfall.",
        kind: Kind::Text,
    },
    Property {
        key: "retention",
        label: "Retention disk",
        description: "auto: the one empty disk that may hold the history is taken. none: it is chosen later. \
                      Or the name of a disk, such as disk:naa.5000c29f0a1b2c3d. Empty: auto.",
        kind: Kind::Text,
    },
    Property {
        key: "ip0",
        label: "First adapter: addresses",
        description: "dhcp, off, or addresses with the lengths of their prefixes, such as 192.0.2.10/24, 2001:db8::10/64. Empty: dhcp.",
        kind: Kind::Text,
    },
    Property {
        key: "gateway0",
        label: "First adapter: gateways",
        description: "The way to everywhere else, one of each family, such as 192.0.2.1. Only together with addresses.",
        kind: Kind::Text,
    },
    Property {
        key: "ip1",
        label: "Second adapter: addresses",
        description: "As of the first adapter. Empty: off.",
        kind: Kind::Text,
    },
    Property {
        key: "gateway1",
        label: "Second adapter: gateways",
        description: "As of the first adapter; needless where the first has one.",
        kind: Kind::Text,
    },
    Property {
        key: "dns",
        label: "Servers of names",
        description: "Addresses, separated by commas; 3 at most. What DHCP tells is used besides.",
        kind: Kind::Text,
    },
    Property {
        key: "search",
        label: "Search domains",
        description: "Domains in which short names are looked for, separated by commas; 6 at most.",
        kind: Kind::Text,
    },
    Property {
        key: "ntp",
        label: "Servers of time",
        description: "Addresses or names, separated by commas; 8 at most. What DHCP tells is used besides.",
        kind: Kind::Text,
    },
    Property {
        key: "passwordhash",
        label: "Hash of the console's password",
        description: "An Argon2id hash, as written by: argon2 SALT -id -e. Empty: the console asks for a password at the first boot.",
        kind: Kind::Secret,
    },
];

const _: () = {
    let mut index = 0;
    while index < PROPERTIES.len() {
        assert!(PROPERTIES[index].description.len() < 255, "vCenter takes no longer text");
        index += 1;
    }
};
