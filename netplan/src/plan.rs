//! The model: what somebody wishes the network to be.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::cidr::Cidr;
use crate::names::{HostName, Mac, NicName, Server};

/// The network of one machine, as it is wished. Nothing is checked yet but each value by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = NetworkPlan))]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Its interfaces; 1 to 16.
    pub interfaces: Vec<Interface>,
    /// Servers of names; at most 3. DHCP may add others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(value_type = Vec<String>))]
    pub dns: Vec<IpAddr>,
    /// Domains in which short names are looked for; at most 6.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<HostName>,
    /// Servers of time; at most 8. They are no part of netplan's YAML.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(value_type = Vec<String>))]
    pub ntp: Vec<Server>,
}

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = NetworkInterface))]
#[serde(deny_unknown_fields)]
pub struct Interface {
    /// Its name.
    pub name: NicName,
    /// The hardware it is; found by the name when absent. Not for a VLAN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// It is a VLAN on another interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<Tag>,
    /// How it gets addresses of IPv4.
    #[serde(default)]
    pub ipv4: Addressing,
    /// How it gets addresses of IPv6.
    #[serde(default)]
    pub ipv6: Addressing,
    /// Ways beside the gateways; at most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Bytes of a packet; as the driver has it when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u16>,
}

/// How an interface gets addresses of one family.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = NetworkAddressing))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Addressing {
    /// Not at all.
    #[default]
    Off,
    /// From the network: DHCP; for IPv6, what routers announce, too.
    Automatic,
    /// As told.
    Static(Static),
}

/// Addresses as they are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = NetworkStatic))]
#[serde(deny_unknown_fields)]
pub struct Static {
    /// 1 to 8 addresses with their prefixes.
    #[cfg_attr(feature = "schema", schema(value_type = Vec<String>))]
    pub addresses: Vec<Cidr>,
    /// The way to everywhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub gateway: Option<IpAddr>,
}

/// A way beside the gateways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = NetworkRoute))]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Where it leads.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub to: Cidr,
    /// The next host on it.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub via: IpAddr,
    /// The lower, the sooner it is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
}

/// The place of a VLAN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = NetworkVlan))]
#[serde(deny_unknown_fields)]
pub struct Tag {
    /// Its number; 1 to 4094.
    pub id: u16,
    /// The interface that carries it.
    pub link: NicName,
}

/// What an interface is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// Hardware, found by its address or else by its name.
    Nic(Option<Mac>),
    /// A VLAN on another interface.
    Vlan(&'a Tag),
}

impl Interface {
    /// Returns an interface of this name that asks DHCP for an address of IPv4.
    pub fn automatic(name: NicName) -> Self {
        let (ipv4, ipv6) = (Addressing::Automatic, Addressing::Off);
        Self { name, mac: None, vlan: None, ipv4, ipv6, routes: Vec::new(), mtu: None }
    }

    /// Says what the interface is.
    pub fn kind(&self) -> Kind<'_> {
        self.vlan.as_ref().map_or(Kind::Nic(self.mac), Kind::Vlan)
    }

    /// Returns the addresses that are told, of both families.
    pub fn addresses(&self) -> impl Iterator<Item = Cidr> {
        [&self.ipv4, &self.ipv6]
            .into_iter()
            .filter_map(Addressing::told)
            .flat_map(|told| told.addresses.iter().copied())
    }

    /// Returns the gateways that are told, of both families.
    pub fn gateways(&self) -> impl Iterator<Item = IpAddr> {
        [&self.ipv4, &self.ipv6].into_iter().filter_map(Addressing::told).filter_map(|told| told.gateway)
    }
}

impl Addressing {
    /// Returns what is told, if anything.
    pub fn told(&self) -> Option<&Static> {
        match self {
            Self::Static(told) => Some(told),
            Self::Off | Self::Automatic => None,
        }
    }
}
