//! Netplan YAML, read: what Landfall writes, and what a person who knows netplan would write for the same.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::check::Checked;
use crate::cidr::Cidr;
use crate::error::PlanError;
use crate::names::{HostName, Mac, NicName};
use crate::plan::{Addressing, Interface, Plan, Route, Static, Tag};
use crate::policy::everywhere;

/// Bytes a plan may have as YAML.
const YAML_LEN_MAX: usize = 64 << 10;

/// A decoder as fuzzing sees it.
pub type Decoder = fn(&[u8]);

/// Every decoder of this crate, by name, for fuzzing: each takes any bytes and must not panic.
pub const DECODERS: &[(&str, Decoder)] = &[("netplan-yaml", |bytes| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        drop(read_yaml(text));
    }
})];

/// Why a text is not the YAML of a plan.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is too long.
    #[error("the YAML has {found} bytes; allowed are {YAML_LEN_MAX}")]
    TooLong {
        /// How long it is, in bytes.
        found: usize,
    },
    /// It is not YAML, or holds what a plan can't.
    #[error("the YAML is not a plan: {0}")]
    Yaml(String),
    /// What it says of an interface is not what a plan can hold.
    #[error("{interface}: {what}")]
    Interface {
        /// Which interface.
        interface: NicName,
        /// What is wrong, and what is allowed.
        what: String,
    },
    /// It is a plan that can't work.
    #[error("the plan can't work: {0}")]
    Plan(#[from] PlanError),
    /// It has tables of routes other than those that Landfall makes for such a plan.
    #[error(
        "its tables, policies and metrics of routes are not those that Landfall makes for such a plan; leave them out"
    )]
    Tables,
}

/// Pairs of a map, in their order.
#[derive(Debug, PartialEq, Eq)]
struct Pairs<T>(Vec<(NicName, T)>);

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    network: Network,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Network {
    version: u8,
    #[serde(default)]
    renderer: Option<String>,
    #[serde(default)]
    ethernets: Pairs<Device>,
    #[serde(default)]
    vlans: Pairs<Device>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Device {
    #[serde(default, rename = "match")]
    found_by: Option<Match>,
    set_name: Option<NicName>,
    id: Option<u16>,
    link: Option<NicName>,
    #[serde(default)]
    dhcp4: bool,
    #[serde(default)]
    dhcp6: bool,
    accept_ra: Option<bool>,
    link_local: Option<Vec<String>>,
    mtu: Option<u16>,
    #[serde(default)]
    addresses: Vec<Cidr>,
    #[serde(default)]
    nameservers: NameServers,
    #[serde(default)]
    routes: Vec<Way>,
    #[serde(default)]
    routing_policy: Vec<Rule>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Match {
    macaddress: Mac,
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct NameServers {
    #[serde(default)]
    addresses: Vec<std::net::IpAddr>,
    #[serde(default)]
    search: Vec<HostName>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Way {
    to: String,
    via: Option<std::net::IpAddr>,
    metric: Option<u32>,
    table: Option<u32>,
    scope: Option<String>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    from: Cidr,
    table: u32,
}

/// Reads a plan from netplan YAML, and checks it. Tables and policies of routes must be those that Landfall makes itself, or absent.
/// Errors: it is no such YAML, or a plan that can't work.
pub fn read_yaml(text: &str) -> Result<Checked, ReadError> {
    let document = parse(text)?;
    let plan = plan_of(&document.network)?.check()?;
    if document.network.has_tables() {
        let own = parse(&plan.render_yaml()).expect("what this crate writes, it reads");
        if !document.network.same_tables(&own.network) {
            return Err(ReadError::Tables);
        }
    }
    Ok(plan)
}

fn parse(text: &str) -> Result<Document, ReadError> {
    if text.len() > YAML_LEN_MAX {
        return Err(ReadError::TooLong { found: text.len() });
    }
    let document: Document =
        serde_saphyr::from_str(text).map_err(|error| ReadError::Yaml(one_line(&error.to_string())))?;
    let network = &document.network;
    if network.version != 2 {
        return Err(ReadError::Yaml(format!("version {} found; allowed is 2", network.version)));
    }
    if let Some(other) = network.renderer.as_deref().filter(|renderer| *renderer != "networkd") {
        return Err(ReadError::Yaml(format!("renderer {other:?} found; allowed is networkd")));
    }
    Ok(document)
}

/// Returns the first line of a message: what follows it shows the place once more.
fn one_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().chars().take(200).collect()
}

fn plan_of(network: &Network) -> Result<Plan, ReadError> {
    let mut plan = Plan::default();
    for (vlans, Pairs(devices)) in [(false, &network.ethernets), (true, &network.vlans)] {
        for (name, device) in devices {
            plan.interfaces.push(device.interface(name, vlans)?);
            for server in &device.nameservers.addresses {
                if !plan.dns.contains(server) {
                    plan.dns.push(*server);
                }
            }
            for domain in &device.nameservers.search {
                if !plan.search.contains(domain) {
                    plan.search.push(domain.clone());
                }
            }
        }
    }
    Ok(plan)
}

impl Network {
    fn devices(&self) -> impl Iterator<Item = &(NicName, Device)> {
        self.ethernets.0.iter().chain(&self.vlans.0)
    }

    fn has_tables(&self) -> bool {
        let own = |device: &Device| {
            let made = |way: &Way| {
                way.table.is_some() || way.scope.is_some() || way.is_default() && way.metric.is_some()
            };
            !device.routing_policy.is_empty() || device.routes.iter().any(made)
        };
        self.devices().any(|(_, device)| own(device))
    }

    fn same_tables(&self, other: &Self) -> bool {
        let made = |network: &Self| -> BTreeMap<String, String> {
            let of = |device: &Device| {
                let ways = device.routes.iter().filter(|way| way.table.is_some() || way.is_default());
                format!("{:?} {:?}", ways.collect::<Vec<_>>(), device.routing_policy)
            };
            network.devices().map(|(name, device)| (name.to_string(), of(device))).collect()
        };
        made(self) == made(other)
    }
}

impl Device {
    fn interface(&self, name: &NicName, vlan: bool) -> Result<Interface, ReadError> {
        let refuse = |what: &str| ReadError::Interface { interface: name.clone(), what: what.to_owned() };
        let vlan = match (vlan, self.id, &self.link) {
            (true, Some(id), Some(link)) => Some(Tag { id, link: link.clone() }),
            (true, ..) => return Err(refuse("a VLAN has an id and a link")),
            (false, None, None) => None,
            (false, ..) => return Err(refuse("id and link are of VLANs, and stand under vlans")),
        };
        if self.set_name.as_ref().is_some_and(|set| set != name) {
            return Err(refuse("set-name is another than the name it stands under; allowed is the same"));
        }
        let known = |local: &String| local == "ipv6";
        if self.link_local.iter().flatten().any(|local| !known(local)) {
            return Err(refuse("link-local holds something else than ipv6, which alone is allowed"));
        }
        let told = |ipv4: bool, automatic: bool| -> Result<Addressing, ReadError> {
            let addresses: Vec<Cidr> =
                self.addresses.iter().filter(|own| own.address().is_ipv4() == ipv4).copied().collect();
            let gateways = self.main_routes().filter(|way| way.is_default());
            let gateway = gateways.filter_map(|way| way.via).find(|via| via.is_ipv4() == ipv4);
            match (automatic, addresses.is_empty()) {
                (true, true) => Ok(Addressing::Automatic),
                (true, false) => {
                    Err(refuse("it has DHCP and addresses of the same family; allowed is one of them"))
                }
                (false, true) => Ok(Addressing::Off),
                (false, false) => Ok(Addressing::Static(Static { addresses, gateway })),
            }
        };
        let ipv4 = told(true, self.dhcp4)?;
        let ipv6 = told(false, self.dhcp6 || self.accept_ra == Some(true))?;
        let mut routes = Vec::new();
        for way in self.main_routes() {
            let told = |via: std::net::IpAddr| if via.is_ipv4() { ipv4.told() } else { ipv6.told() };
            let gateway = |via| told(via).is_some_and(|told| told.gateway == Some(via));
            if !(way.is_default() && way.via.is_some_and(gateway)) {
                routes.push(
                    way.route().ok_or_else(|| refuse("a route has a range in `to`, and a host in `via`"))?,
                );
            }
        }
        let mac = self.found_by.as_ref().map(|found| found.macaddress);
        Ok(Interface { name: name.clone(), mac, vlan, ipv4, ipv6, routes, mtu: self.mtu })
    }

    fn main_routes(&self) -> impl Iterator<Item = &Way> {
        self.routes.iter().filter(|way| way.table.is_none())
    }
}

impl Way {
    fn is_default(&self) -> bool {
        matches!(self.to.as_str(), "default" | "0.0.0.0/0" | "::/0")
    }

    fn route(&self) -> Option<Route> {
        let via = self.via?;
        let to = if self.to == "default" { everywhere(via) } else { self.to.parse().ok()? };
        Some(Route { to, via, metric: self.metric })
    }
}

impl<T> Default for Pairs<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct InOrder<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for InOrder<T> {
            type Value = Pairs<T>;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("interfaces by name")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        from.deserialize_map(InOrder(PhantomData))
    }
}
