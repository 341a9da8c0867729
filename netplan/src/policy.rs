//! Which source takes which way: where the ranges of two interfaces overlap, or both have a gateway, an answer must leave by the
//! interface whose address it carries, or its asker never sees it.

use std::net::IpAddr;

use crate::check::Checked;
use crate::cidr::Cidr;
use crate::plan::{Interface, Plan, Route};

/// The number of the first table of routes; the interface at place N has this one and N.
pub const TABLE_FIRST: u32 = 100;
/// What a gateway's metric rises by from one interface to the next, where several have one.
const METRIC_STEP: u32 = 100;

/// The routes of whatever carries an address of one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceTable {
    /// The place of the interface in the plan.
    pub interface: usize,
    /// The number of the table.
    pub table: u32,
    /// The addresses.
    pub sources: Vec<Cidr>,
    /// Ranges that are on the link.
    pub links: Vec<Cidr>,
    /// Ways beyond it.
    pub routes: Vec<Route>,
}

/// Returns the tables that a plan needs: none, unless interfaces are in each other's way. What DHCP gives is not known here, and has
/// none.
pub fn source_tables(plan: &Checked) -> Vec<SourceTable> {
    let plan = plan.plan();
    let mut tables = Vec::new();
    for (at, interface) in plan.interfaces.iter().enumerate() {
        let families: Vec<bool> =
            [true, false].into_iter().filter(|ipv4| contested(plan, at, interface, *ipv4)).collect();
        let of_them = |address: IpAddr| families.contains(&address.is_ipv4());
        let own: Vec<Cidr> = interface.addresses().filter(|own| of_them(own.address())).collect();
        if own.is_empty() {
            continue;
        }
        let mut links: Vec<Cidr> = own.iter().map(|own| own.range()).collect();
        links.sort_unstable();
        links.dedup();
        let gateways = interface.gateways().filter(|gateway| of_them(*gateway));
        let mut routes: Vec<Route> =
            gateways.map(|via| Route { to: everywhere(via), via, metric: None }).collect();
        routes.extend(interface.routes.iter().filter(|route| of_them(route.via)));
        let table = TABLE_FIRST + u32::try_from(at).expect("a plan has at most 16 interfaces");
        let host = |own: &Cidr| {
            Cidr::new(own.address(), everywhere_bits(own.address())).expect("it is as long as the address")
        };
        tables.push(SourceTable {
            interface: at,
            table,
            sources: own.iter().map(host).collect(),
            links,
            routes,
        });
    }
    tables
}

/// Returns the metric of an interface's gateway: none where it is the only one of its family.
pub(crate) fn gateway_metric(plan: &Plan, at: usize, gateway: IpAddr) -> Option<u32> {
    let same = |interface: &Interface| interface.gateways().any(|other| other.is_ipv4() == gateway.is_ipv4());
    let place = plan.interfaces[..at].iter().filter(|interface| same(interface)).count();
    let alone = plan.interfaces.iter().filter(|interface| same(interface)).count() == 1;
    let place = u32::try_from(place).expect("a plan has at most 16 interfaces");
    (!alone).then_some((place + 1) * METRIC_STEP)
}

/// Returns the range of all addresses of a family.
pub(crate) fn everywhere(of_family: IpAddr) -> Cidr {
    Cidr::new(of_family, 0).expect("no bits are never too many").range()
}

fn everywhere_bits(of_family: IpAddr) -> u8 {
    if of_family.is_ipv4() { 32 } else { 128 }
}

/// Tells whether another interface has addresses in the same ranges, or a gateway as well.
fn contested(plan: &Plan, at: usize, interface: &Interface, ipv4: bool) -> bool {
    let ranges = |interface: &Interface| -> Vec<Cidr> {
        interface.addresses().filter(|own| own.address().is_ipv4() == ipv4).collect()
    };
    let leads = |interface: &Interface| interface.gateways().any(|gateway| gateway.is_ipv4() == ipv4);
    let own = ranges(interface);
    let others = plan.interfaces.iter().enumerate().filter(|(other, _)| *other != at);
    others.into_iter().any(|(_, other)| {
        let overlap = ranges(other).iter().any(|theirs| own.iter().any(|own| own.overlaps(*theirs)));
        overlap || leads(interface) && leads(other)
    })
}
