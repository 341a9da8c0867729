//! What is refused, and how that is said; what survives being written.

mod samples;

use netplan::{Plan, ReadError, TABLE_FIRST, read_yaml, source_tables};
use proptest::prelude::*;
use samples::{OFFICE, lawful, plan};

fn faults(json: &str) -> Vec<String> {
    let error = plan(json).check().expect_err(json);
    error.faults.iter().map(|fault| format!("{} = {}", fault.place, fault.found)).collect()
}

fn one(interface: &str) -> Vec<String> {
    faults(&format!(r#"{{"interfaces":[{{"name":"eth0",{interface}}}]}}"#))
}

fn static4(told: &str) -> Vec<String> {
    one(&format!(r#""ipv4":{{"static":{{{told}}}}}"#))
}

#[test]
fn an_address_that_no_host_can_have_is_refused() {
    for address in [
        "10.0.0.0/24",
        "10.0.0.255/24",
        "127.0.0.1/8",
        "224.0.0.1/24",
        "0.0.0.0/0",
        "240.0.0.1/8",
        "10.0.0.1/0",
        "::1/128",
        "2001:db8::1/64",
    ] {
        let found = static4(&format!(r#""addresses":["{address}"]"#));
        assert_eq!(found, [format!("interfaces[0].ipv4.addresses[0] = {address}")], "{address}");
    }
    for address in ["10.0.0.0/31", "10.0.0.1/32", "169.254.1.1/16", "10.0.0.1/30"] {
        let lawful = format!(
            r#"{{"interfaces":[{{"name":"eth0","ipv4":{{"static":{{"addresses":["{address}"]}}}}}}]}}"#
        );
        assert!(plan(&lawful).check().is_ok(), "{address}");
    }
}

#[test]
fn a_gateway_is_another_host_that_can_be_reached() {
    for gateway in ["10.0.1.1", "10.0.0.5", "10.0.0.0", "10.0.0.255", "2001:db8::1"] {
        let found = static4(&format!(r#""addresses":["10.0.0.5/24"],"gateway":"{gateway}""#));
        assert_eq!(found, [format!("interfaces[0].ipv4.gateway = {gateway}")]);
    }
    let error = plan(
        r#"{"interfaces":[{"name":"eth0","ipv4":{"static":{"addresses":["10.0.0.5/24"],"gateway":"10.1.0.1"}}}]}"#,
    );
    assert_eq!(
        error.check().unwrap_err().to_string(),
        "interfaces[0].ipv4.gateway: found 10.1.0.1: it must lie in the range of one of the interface's addresses: 10.0.0.0/24"
    );
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let found = faults(
        r#"{"interfaces":[
            {"name":"eth0","mac":"00:50:56:00:00:01","ipv4":{"static":{"addresses":["10.0.0.5/24"]}},"mtu":100,
             "routes":[{"to":"10.9.0.1/16","via":"10.0.0.1"},{"to":"::/0","via":"10.0.0.1"},{"to":"10.8.0.0/16","via":"10.2.0.1"}]},
            {"name":"eth0","mac":"00:50:56:00:00:01","ipv4":{"static":{"addresses":["10.0.0.5/16"]}}},
            {"name":"v","mac":"00:50:56:00:00:02","vlan":{"id":4095,"link":"eth7"},"ipv6":"automatic","mtu":1279}],
          "dns":["10.0.0.1","10.0.0.2","10.0.0.3","0.0.0.0"]}"#,
    );
    let expected = [
        "dns = 4",
        "dns[3] = 0.0.0.0",
        "interfaces[0].mtu = 100",
        "interfaces[0].routes[0].to = 10.9.0.1/16",
        "interfaces[0].routes[1].to = ::/0",
        "interfaces[0].routes[2].via = 10.2.0.1",
        "interfaces[2].vlan.id = 4095",
        "interfaces[2].vlan.link = eth7",
        "interfaces[2].vlan.mac = 00:50:56:00:00:02",
        "interfaces[2].mtu = 1279",
        "interfaces[1].name = eth0",
        "interfaces[1].mac = 00:50:56:00:00:01",
        "interfaces[1] = 10.0.0.5",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_network_without_any_way_in_is_refused() {
    assert_eq!(faults(r#"{"interfaces":[]}"#), ["interfaces = 0"]);
    assert_eq!(one(r#""mtu":1500"#), ["interfaces = no address at all"]);
    assert_eq!(static4(r#""addresses":[]"#), ["interfaces[0].ipv4.addresses = 0"]);
}

#[test]
fn sources_have_tables_where_ranges_overlap_or_two_gateways_lead_away() {
    let tables = source_tables(&plan(OFFICE).check().unwrap());
    let seen: Vec<_> = tables
        .iter()
        .map(|table| (table.interface, table.table, table.sources.len(), table.routes.len()))
        .collect();
    assert_eq!(
        seen,
        [(0, TABLE_FIRST, 1, 1), (1, TABLE_FIRST + 1, 2, 2)],
        "of IPv4 only: nothing contests the IPv6 of eth0"
    );
    let apart = r#"{"interfaces":[
        {"name":"eth0","ipv4":{"static":{"addresses":["10.0.0.5/16"],"gateway":"10.0.0.1"}}},
        {"name":"eth1","ipv4":{"static":{"addresses":["10.1.0.5/16"]}}}]}"#;
    assert_eq!(source_tables(&plan(apart).check().unwrap()), []);
}

#[test]
fn the_yaml_is_as_it_was() {
    let expected = include_str!("golden/office.yaml");
    let found = plan(OFFICE).check().unwrap().render_yaml();
    assert!(found == expected, "found:\n{found}");
}

#[test]
fn yaml_that_a_person_wrote_is_read() {
    let typed = "network:\n  version: 2\n  ethernets:\n    eth0:\n      addresses: [192.0.2.10/24]\n      routes:\n        - to: default\n          via: 192.0.2.1\n      nameservers: {addresses: [192.0.2.53]}\n    eth1: {dhcp4: true}\n";
    let wished = r#"{"interfaces":[{"name":"eth0","ipv4":{"static":{"addresses":["192.0.2.10/24"],"gateway":"192.0.2.1"}}},{"name":"eth1","ipv4":"automatic"}],"dns":["192.0.2.53"]}"#;
    assert_eq!(read_yaml(typed).unwrap().plan(), &plan(wished));
}

#[test]
fn yaml_that_says_more_than_a_plan_holds_is_refused() {
    let yaml = |network: &str| format!("network:\n  version: 2\n  ethernets:\n    eth0:\n{network}");
    for text in [
        "",
        "network: {}",
        "network: {version: 3, ethernets: {eth0: {dhcp4: true}}}",
        "network: {version: 2, renderer: NetworkManager, ethernets: {eth0: {dhcp4: true}}}",
        "network: {version: 2, wifis: {wlan0: {}}}",
        &yaml("      dhcp4: true\n      gateway4: 10.0.0.1\n"),
        &yaml("      dhcp4: true\n      addresses: [10.0.0.1/24]\n"),
        &yaml("      dhcp4: true\n      match: {name: 'en*'}\n"),
        &yaml("      dhcp4: true\n      id: 7\n"),
        &yaml("      addresses: [10.0.0.5/24]\n      routing-policy: [{from: 10.0.0.5/32, table: 7}]\n"),
        &yaml("      addresses: [10.0.0.5/24]\n      routes: [{to: default, via: 10.0.0.1, table: 100}]\n"),
        &"a".repeat(70_000),
    ] {
        assert!(read_yaml(text).is_err(), "{text:.200}");
    }
    let own = plan(OFFICE).check().unwrap().render_yaml();
    assert!(matches!(read_yaml(&own.replace("table: 101", "table: 102")), Err(ReadError::Tables)));
}

#[test]
fn yaml_with_a_bit_flipped_or_its_end_gone_never_panics() {
    let yaml = b"network: {version: 2, ethernets: {a: {dhcp6: true, addresses: [10.0.0.5/8], routes: [{to: default, via: 10.0.0.1}]}}}";
    for (_, decode) in netplan::DECODERS {
        (0..yaml.len()).for_each(|end| decode(&yaml[..end]));
        for bit in 0..yaml.len() * 8 {
            let mut flipped = yaml.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            decode(&flipped);
        }
    }
}

proptest! {
    #[test]
    fn a_checked_plan_reads_back_from_its_yaml_and_its_json(wished in lawful()) {
        let checked = wished.clone().check().map_err(|error| TestCaseError::fail(error.to_string()))?;
        let yaml = checked.render_yaml();
        let back = read_yaml(&yaml).map_err(|error| TestCaseError::fail(format!("{error}\n{yaml}")))?;
        let without_time = Plan { ntp: Vec::new(), ..checked.plan().clone() };
        prop_assert_eq!(back.plan(), &without_time);
        prop_assert_eq!(back.render_yaml(), yaml);
        let json = serde_json::to_string(&wished).unwrap();
        prop_assert_eq!(plan(&json), wished);
    }

    #[test]
    fn every_source_in_a_range_that_overlaps_has_a_way_of_its_own(wished in lawful()) {
        let checked = wished.check().unwrap();
        let tables = source_tables(&checked);
        for (at, own) in checked.plan().interfaces.iter().enumerate() {
            for (other, theirs) in checked.plan().interfaces.iter().enumerate().filter(|(other, _)| *other != at) {
                for address in own.addresses().filter(|own| theirs.addresses().any(|theirs| theirs.overlaps(*own))) {
                    let found = tables.iter().find(|table| table.interface == at);
                    let covered = found.is_some_and(|table| table.sources.iter().any(|source| source.address() == address.address()));
                    prop_assert!(covered, "{} of {at}, which overlaps with {other}", address);
                }
            }
        }
    }
}
