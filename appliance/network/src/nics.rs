//! Which interfaces the machine has, as `/sys` tells.

use std::fs;
use std::path::Path;

use netplan::{Mac, NicName};

/// One interface of real or virtual hardware.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub name: NicName,
    /// Its hardware address.
    pub mac: Mac,
    /// A cable, or what stands for one, is plugged in; only known of one that is up.
    pub carrier: bool,
}

/// Lists the interfaces below a `/sys/class/net`, by name. What is made of others (VLANs, bridges, the loop) is left out.
pub fn list_nics(class: &Path) -> Vec<Nic> {
    let entries = fs::read_dir(class).into_iter().flatten().flatten();
    let mut nics: Vec<Nic> = entries.filter_map(|entry| nic(&entry.path())).collect();
    nics.sort_by(|one, other| one.name.cmp(&other.name));
    nics
}

fn nic(directory: &Path) -> Option<Nic> {
    let text = |file: &str| fs::read_to_string(directory.join(file)).ok().map(|text| text.trim().to_owned());
    // Ethernet (ARPHRD_ETHER in linux/if_arp.h) that is no VLAN, and no bridge.
    let ethernet = text("type").as_deref() == Some("1");
    let made_of_others =
        directory.join("bridge").exists() || text("uevent").is_some_and(|uevent| uevent.contains("DEVTYPE="));
    if !ethernet || made_of_others {
        return None;
    }
    let name = directory.file_name()?.to_str()?.parse().ok()?;
    let index = text("ifindex")?.parse().ok()?;
    Some(Nic {
        index,
        name,
        mac: text("address")?.parse().ok()?,
        carrier: text("carrier").as_deref() == Some("1"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_is_listed_and_what_is_made_of_it_is_not() {
        let class = tempfile::tempdir().expect("a directory can be made");
        let make = |name: &str, files: &[(&str, &str)]| {
            let directory = class.path().join(name);
            fs::create_dir(&directory).expect("it is new");
            files
                .iter()
                .for_each(|(file, text)| fs::write(directory.join(file), text).expect("it can be written"));
        };
        make(
            "eth1",
            &[
                ("type", "1\n"),
                ("ifindex", "2\n"),
                ("address", "00:50:56:00:00:02\n"),
                ("carrier", "1\n"),
                ("uevent", "INTERFACE=eth1\n"),
            ],
        );
        make("eth0", &[("type", "1\n"), ("ifindex", "3\n"), ("address", "00:50:56:00:00:01\n")]);
        make("lo", &[("type", "772\n"), ("address", "00:00:00:00:00:00\n")]);
        make(
            "vlan7",
            &[
                ("type", "1\n"),
                ("ifindex", "4\n"),
                ("address", "00:50:56:00:00:01\n"),
                ("uevent", "DEVTYPE=vlan\n"),
            ],
        );
        let seen: Vec<_> =
            list_nics(class.path()).into_iter().map(|nic| (nic.name.to_string(), nic.carrier)).collect();
        assert_eq!(seen, [("eth0".to_owned(), false), ("eth1".to_owned(), true)]);
    }
}
