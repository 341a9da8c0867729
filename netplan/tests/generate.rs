//! The real netplan takes what is rendered, and makes of it the files for networkd that the plan means.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod samples;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use netplan::Checked;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use samples::{OFFICE, lawful, plan};

/// Where Debian 12 and 13 have it.
const GENERATE: [&str; 2] = ["/usr/libexec/netplan/generate", "/lib/netplan/generate"];

/// Runs netplan's generator over the plan in a root of its own; returns the files for networkd, by name.
fn generate(plan: &Checked) -> BTreeMap<String, String> {
    let root = tempfile::tempdir().unwrap();
    let etc = root.path().join("etc/netplan");
    std::fs::create_dir_all(&etc).unwrap();
    let yaml = plan.render_yaml();
    let file = etc.join("50-landfall.yaml");
    std::fs::write(&file, &yaml).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let program = GENERATE
        .iter()
        .find(|path| Path::new(path).exists())
        .expect("scripts/setup test installs netplan.io");
    let output = Command::new(program).arg("--root-dir").arg(root.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "netplan says {said:?} of\n{yaml}");
    let made = std::fs::read_dir(root.path().join("run/systemd/network")).unwrap().flatten();
    made.map(|entry| {
        let name = entry.file_name().into_string().unwrap();
        (name, std::fs::read_to_string(entry.path()).unwrap())
    })
    .collect()
}

fn has(files: &BTreeMap<String, String>, name: &str, lines: &[&str]) {
    let text = files.get(name).unwrap_or_else(|| panic!("{name} is not among {:?}", files.keys()));
    for line in lines {
        assert!(text.lines().any(|found| found == *line), "{name} lacks {line:?}:\n{text}");
    }
}

#[test]
fn networkd_is_told_what_the_plan_says() {
    let files = generate(&plan(OFFICE).check().unwrap());
    has(
        &files,
        "10-netplan-eth0.network",
        &[
            "Address=192.0.2.10/24",
            "Address=2001:db8:0:1::10/64",
            "Gateway=192.0.2.1",
            "Gateway=fe80::1",
            "DNS=192.0.2.53",
            "Domains=example.com",
            "IPv6AcceptRA=no",
            "VLAN=vlan42",
            "From=192.0.2.10/32",
            "Table=100",
        ],
    );
    has(&files, "10-netplan-eth0.link", &["PermanentMACAddress=00:50:56:00:00:01", "Name=eth0"]);
    has(
        &files,
        "10-netplan-eth1.network",
        &[
            "Name=eth1",
            "From=192.0.2.130/32",
            "From=10.0.0.7/32",
            "Table=101",
            "Destination=198.51.100.0/24",
            "Metric=50",
            "Metric=200",
        ],
    );
    has(&files, "10-netplan-vlan42.netdev", &["Kind=vlan", "Id=42"]);
    has(&files, "10-netplan-vlan42.network", &["DHCP=yes", "IPv6AcceptRA=yes"]);
}

#[test]
fn netplan_takes_every_plan_that_was_checked() {
    let mut runner = TestRunner::deterministic();
    for number in 0..60 {
        let wished = lawful().new_tree(&mut runner).unwrap().current();
        let names: Vec<_> = wished.interfaces.iter().map(|interface| interface.name.to_string()).collect();
        let addresses: Vec<_> =
            wished.interfaces.iter().flat_map(|each| each.addresses().collect::<Vec<_>>()).collect();
        let files = generate(&wished.check().unwrap());
        for name in names {
            assert!(files.contains_key(&format!("10-netplan-{name}.network")), "plan {number}: {name}");
        }
        let all: String = files.into_values().collect();
        for address in addresses {
            assert!(all.contains(&format!("Address={address}\n")), "plan {number}: {address}");
        }
    }
}
