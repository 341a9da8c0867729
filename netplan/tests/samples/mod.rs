//! Plans for tests: some by hand, any by chance.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netplan::{Addressing, Cidr, HostName, Interface, Mac, NicName, Plan, Route, Server, Static, Tag};
use proptest::prelude::*;

/// Two NICs in overlapping ranges, each with a gateway, a VLAN, names and time.
pub(crate) const OFFICE: &str = r#"{
  "interfaces": [
    {"name": "eth0", "mac": "00:50:56:00:00:01",
     "ipv4": {"static": {"addresses": ["192.0.2.10/24"], "gateway": "192.0.2.1"}},
     "ipv6": {"static": {"addresses": ["2001:db8:0:1::10/64"], "gateway": "fe80::1"}}},
    {"name": "eth1", "mtu": 9000,
     "ipv4": {"static": {"addresses": ["192.0.2.130/24", "10.0.0.7/8"], "gateway": "192.0.2.129"}},
     "routes": [{"to": "198.51.100.0/24", "via": "10.0.0.1", "metric": 50}]},
    {"name": "vlan42", "vlan": {"id": 42, "link": "eth0"}, "ipv4": "automatic", "ipv6": "automatic"}
  ],
  "dns": ["192.0.2.53", "2001:db8::53"],
  "search": ["example.com"],
  "ntp": ["ntp.example.com", "192.0.2.123"]
}"#;

/// Reads a plan as the API takes it.
pub(crate) fn plan(json: &str) -> Plan {
    serde_json::from_str(json).unwrap()
}

/// Any plan that can work.
pub(crate) fn lawful() -> impl Strategy<Value = Plan> {
    let names = prop::collection::btree_set("[a-z][a-z0-9]{0,5}", 1..6);
    let rest = (
        prop::collection::vec(any::<u32>(), 0..3),
        prop::collection::vec("[a-z]{1,8}(\\.[a-z]{2,5})?", 0..3),
    );
    (names, rest, any::<[u64; 6]>()).prop_map(|(names, (dns, search), choices)| {
        let interfaces: Vec<Interface> =
            names.iter().enumerate().map(|(at, name)| interface(at as u8, name, choices[at % 6])).collect();
        let mut plan = Plan { interfaces, ..Plan::default() };
        plan.dns = dns.iter().map(|host| IpAddr::V4(Ipv4Addr::from(0x0a00_0000 | (host >> 9) | 1))).collect();
        plan.search = search.iter().map(|name| name.parse::<HostName>().unwrap()).collect();
        plan.ntp = search.iter().map(|name| name.parse::<Server>().unwrap()).collect();
        tag_some(&mut plan, choices[5]);
        plan.interfaces.sort_by_key(|interface| interface.vlan.is_some());
        dedupe(&mut plan.dns);
        dedupe(&mut plan.search);
        plan
    })
}

fn dedupe<T: Clone + PartialEq>(list: &mut Vec<T>) {
    let all = std::mem::take(list);
    for each in all {
        if !list.contains(&each) {
            list.push(each);
        }
    }
}

/// Addresses of even choices share a range, so that tables are needed.
fn interface(at: u8, name: &str, choice: u64) -> Interface {
    let mut interface =
        Interface::automatic(if name == "lo" { "lx" } else { name }.parse::<NicName>().unwrap());
    let shared = choice.is_multiple_of(2);
    let third = if shared { 0 } else { at + 1 };
    let (v4, v6) = (
        Ipv4Addr::new(10, 7, third, 10 + at),
        Ipv6Addr::new(0x2001, 0xdb8, 0, third.into(), 0, 0, 0, 0x10 + u16::from(at)),
    );
    let gateway = (choice & 4 != 0).then_some(IpAddr::V4(Ipv4Addr::new(10, 7, third, 1)));
    interface.ipv4 = match choice >> 4 & 3 {
        0 if at > 0 => Addressing::Off,
        1 => Addressing::Automatic,
        _ => {
            let prefix = if choice & 8 != 0 { 24 } else { 16 };
            Addressing::Static(Static { addresses: vec![Cidr::new(v4.into(), prefix).unwrap()], gateway })
        }
    };
    interface.ipv6 = match choice >> 6 & 3 {
        0 => Addressing::Off,
        1 => Addressing::Automatic,
        _ => Addressing::Static(Static {
            addresses: vec![Cidr::new(v6.into(), 64).unwrap()],
            gateway: (choice & 0x100 != 0).then(|| "fe80::1".parse().unwrap()),
        }),
    };
    if interface.ipv4.told().is_some() && choice & 0x200 != 0 {
        let via = IpAddr::V4(Ipv4Addr::new(10, 7, third, 2));
        interface.routes.push(Route {
            to: "198.51.100.0/24".parse().unwrap(),
            via,
            metric: (choice & 0x400 != 0).then_some(7),
        });
    }
    interface.mac = (choice & 0x800 != 0).then(|| format!("00:50:56:00:00:{at:02x}").parse::<Mac>().unwrap());
    interface.mtu = (choice & 0x1000 != 0).then_some(1400);
    interface
}

fn tag_some(plan: &mut Plan, choice: u64) {
    let link = plan.interfaces[0].name.clone();
    for (at, interface) in plan.interfaces.iter_mut().enumerate().skip(1) {
        if choice >> at & 1 == 1 {
            interface.mac = None;
            interface.vlan = Some(Tag { id: at as u16 + 100, link: link.clone() });
        }
    }
}
