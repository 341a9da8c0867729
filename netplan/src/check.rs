//! What a plan must be like: everything that is wrong with one is found at once.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use crate::cidr::Cidr;
use crate::error::{Fault, PlanError};
use crate::names::NicName;
use crate::plan::{Addressing, Interface, Plan, Static};

const INTERFACES_MAX: usize = 16;
const ADDRESSES_MAX: usize = 8;
const ROUTES_MAX: usize = 64;
/// The resolver of the C library asks no more.
const DNS_MAX: usize = 3;
const SEARCH_MAX: usize = 6;
/// Servers of time a plan may name.
pub const NTP_MAX: usize = 8;
const VLAN_ID_MAX: u16 = 4094;
/// Bytes of a packet: the least that IPv4 and IPv6 need (RFC 791, RFC 8200), the most of an Ethernet.
const MTU_MIN: u16 = 576;
const MTU_MIN_IPV6: u16 = 1280;
const MTU_MAX: u16 = 9216;

/// A plan that can work: nothing in it contradicts itself, and its interfaces stand in order, hardware before VLANs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked(Plan);

/// One of the families of addresses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Plan {
    /// Checks the plan. Errors: everything that is wrong with it.
    pub fn check(mut self) -> Result<Checked, PlanError> {
        let mut faults = Vec::new();
        self.check_whole(&mut faults);
        for (at, interface) in self.interfaces.iter().enumerate() {
            check_interface(&self, &format!("interfaces[{at}]"), interface, &mut faults);
        }
        check_once(&self, &mut faults);
        if !faults.is_empty() {
            return Err(PlanError { faults });
        }
        self.interfaces.sort_by_key(|interface| interface.vlan.is_some());
        Ok(Checked(self))
    }

    fn check_whole(&self, faults: &mut Vec<Fault>) {
        let counts = [
            ("interfaces", self.interfaces.len(), 1, INTERFACES_MAX),
            ("dns", self.dns.len(), 0, DNS_MAX),
            ("search", self.search.len(), 0, SEARCH_MAX),
            ("ntp", self.ntp.len(), 0, NTP_MAX),
        ];
        for (place, found, least, most) in counts {
            check_count(place, found, least, most, faults);
        }
        for (at, server) in self.dns.iter().enumerate() {
            if server.is_unspecified() || server.is_multicast() {
                faults.push(Fault::new(format!("dns[{at}]"), server, "it must be the address of one server"));
            }
        }
        let off =
            |interface: &Interface| interface.ipv4 == Addressing::Off && interface.ipv6 == Addressing::Off;
        if !self.interfaces.is_empty() && self.interfaces.iter().all(off) {
            faults.push(Fault::new("interfaces", "no address at all", "one of them must have ipv4 or ipv6"));
        }
    }
}

impl Checked {
    /// Returns the plan.
    pub fn plan(&self) -> &Plan {
        &self.0
    }

    /// Takes the plan out.
    pub fn into_plan(self) -> Plan {
        self.0
    }
}

fn check_count(place: &str, found: usize, least: usize, most: usize, faults: &mut Vec<Fault>) {
    if !(least..=most).contains(&found) {
        faults.push(Fault::new(place, found, format!("there must be {least} to {most}")));
    }
}

fn check_interface(plan: &Plan, place: &str, interface: &Interface, faults: &mut Vec<Fault>) {
    if let Some(tag) = &interface.vlan {
        let place = format!("{place}.vlan");
        if !(1..=VLAN_ID_MAX).contains(&tag.id) {
            faults.push(Fault::new(format!("{place}.id"), tag.id, format!("allowed is 1 to {VLAN_ID_MAX}")));
        }
        let carries = |other: &Interface| other.name == tag.link && other.vlan.is_none();
        if !plan.interfaces.iter().any(carries) {
            let allowed = "it must be an interface of this plan that is no VLAN itself";
            faults.push(Fault::new(format!("{place}.link"), &tag.link, allowed));
        }
        if let Some(mac) = interface.mac {
            faults.push(Fault::new(
                format!("{place}.mac"),
                mac,
                "a VLAN has the hardware address of its link",
            ));
        }
    }
    let least = if interface.ipv6 == Addressing::Off { MTU_MIN } else { MTU_MIN_IPV6 };
    if let Some(mtu) = interface.mtu.filter(|mtu| !(least..=MTU_MAX).contains(mtu)) {
        faults.push(Fault::new(format!("{place}.mtu"), mtu, format!("allowed is {least} to {MTU_MAX}")));
    }
    for (name, family, addressing) in
        [("ipv4", Family::V4, &interface.ipv4), ("ipv6", Family::V6, &interface.ipv6)]
    {
        if let Some(told) = addressing.told() {
            check_told(&format!("{place}.{name}"), family, told, faults);
        }
    }
    check_routes(place, interface, faults);
}

fn check_told(place: &str, family: Family, told: &Static, faults: &mut Vec<Fault>) {
    check_count(&format!("{place}.addresses"), told.addresses.len(), 1, ADDRESSES_MAX, faults);
    for (at, own) in told.addresses.iter().enumerate() {
        if let Some(allowed) = unfit(*own, family) {
            faults.push(Fault::new(format!("{place}.addresses[{at}]"), own, allowed));
        }
    }
    let Some(gateway) = told.gateway else { return };
    let place = format!("{place}.gateway");
    if Family::of(gateway) != family {
        faults.push(Fault::new(place, gateway, format!("it must be an address of {family}")));
    } else if told.addresses.iter().any(|own| own.address() == gateway) {
        faults.push(Fault::new(
            place,
            gateway,
            "it is the interface's own address; it must be another host's",
        ));
    } else if !reachable(gateway, told) {
        let ranges: Vec<_> = told.addresses.iter().map(|own| own.range().to_string()).collect();
        let allowed =
            format!("it must lie in the range of one of the interface's addresses: {}", ranges.join(", "));
        faults.push(Fault::new(place, gateway, allowed));
    }
}

/// Says why a host can't have the address, if it can't.
fn unfit(own: Cidr, family: Family) -> Option<String> {
    let address = own.address();
    if Family::of(address) != family {
        return Some(format!("it must be an address of {family}"));
    }
    let loopback_range =
        matches!(address, IpAddr::V4(address) if address.octets()[0] == 0 || address.octets()[0] >= 240);
    if address.is_unspecified() || address.is_multicast() || address.is_loopback() || loopback_range {
        return Some("no host can have it: it must be the address of one host".to_owned());
    }
    if own.prefix() == 0 {
        let most = if family == Family::V4 { 32 } else { 128 };
        return Some(format!("its prefix must be 1 to {most} bits long"));
    }
    let names_the_range = own.broadcast().is_some() && own.range().address() == address;
    (names_the_range || own.broadcast() == Some(address)).then(|| {
        format!("it stands for all of the range {}: it must be the address of one host in it", own.range())
    })
}

/// Tells whether a gateway can be reached over these addresses; one of IPv6 may be of the link itself.
fn reachable(gateway: IpAddr, told: &Static) -> bool {
    let of_the_link = matches!(gateway, IpAddr::V6(address) if address.is_unicast_link_local());
    let usable = |own: &&Cidr| {
        own.broadcast() != Some(gateway) && (own.broadcast().is_none() || own.range().address() != gateway)
    };
    of_the_link || told.addresses.iter().filter(usable).any(|own| own.contains(gateway))
}

fn check_routes(place: &str, interface: &Interface, faults: &mut Vec<Fault>) {
    check_count(&format!("{place}.routes"), interface.routes.len(), 0, ROUTES_MAX, faults);
    for (at, route) in interface.routes.iter().enumerate() {
        let place = format!("{place}.routes[{at}]");
        let family = Family::of(route.via);
        let addressing = if family == Family::V4 { &interface.ipv4 } else { &interface.ipv6 };
        if Family::of(route.to.address()) != family {
            faults.push(Fault::new(
                format!("{place}.to"),
                route.to,
                format!("it must be a range of {family}, as its via is"),
            ));
        } else if route.to.range() != route.to {
            let allowed = format!("it must be a range, as {} is", route.to.range());
            faults.push(Fault::new(format!("{place}.to"), route.to, allowed));
        }
        if route.to.prefix() == 0 && addressing.told().is_some_and(|told| told.gateway.is_some()) {
            faults.push(Fault::new(format!("{place}.to"), route.to, "the interface has a gateway already"));
        }
        let reached = match addressing {
            Addressing::Off => false,
            Addressing::Automatic => true,
            Addressing::Static(told) => reachable(route.via, told),
        };
        if !reached {
            let allowed = format!("it must lie in the range of one of the interface's addresses of {family}");
            faults.push(Fault::new(format!("{place}.via"), route.via, allowed));
        }
        if interface.routes[..at].iter().any(|before| before.to == route.to && before.metric == route.metric)
        {
            faults.push(Fault::new(
                format!("{place}.to"),
                route.to,
                "another route leads there with the same metric",
            ));
        }
    }
}

/// What may be there once only: names, hardware addresses, VLANs, addresses.
fn check_once(plan: &Plan, faults: &mut Vec<Fault>) {
    let mut seen = BTreeMap::<String, String>::new();
    let mut once = |place: String, what: &str, found: String| {
        if let Some(first) = seen.insert(format!("{what} {found}"), place.clone()) {
            faults.push(Fault::new(
                place,
                found,
                format!("{first} has it already; each {what} may be there once"),
            ));
        }
    };
    for (at, interface) in plan.interfaces.iter().enumerate() {
        let place = format!("interfaces[{at}]");
        once(format!("{place}.name"), "name", interface.name.to_string());
        if let Some(mac) = interface.mac {
            once(format!("{place}.mac"), "hardware address", mac.to_string());
        }
        if let Some(tag) = &interface.vlan {
            once(format!("{place}.vlan"), "VLAN", vlan_name(&tag.link, tag.id));
        }
        for own in interface.addresses() {
            once(place.clone(), "address", own.address().to_string());
        }
    }
}

fn vlan_name(link: &NicName, id: u16) -> String {
    format!("{id} on {link}")
}

impl Family {
    fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if *self == Self::V4 { "IPv4" } else { "IPv6" })
    }
}
