//! The network as it was told: of adapters whose names nobody knows before the first boot.

use std::net::IpAddr;

use netplan::{
    Addressing, Cidr, HostName, Interface, NicName, Plan, Server, Static, read_address, read_list,
};
use serde::{Deserialize, Serialize};

/// Adapters that can be told of.
pub const NICS_MAX: usize = 2;

/// The network as it was told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wiring {
    /// How each adapter gets addresses of IPv4 and IPv6, in the order of their names; nothing where it was not told.
    nics: [Option<(Addressing, Addressing)>; NICS_MAX],
    dns: Vec<IpAddr>,
    search: Vec<HostName>,
    ntp: Vec<Server>,
}

/// What of the network was told wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: found `{found}`; {allowed}")]
pub struct WiringError {
    /// The key of the property, without the class.
    pub key: &'static str,
    /// What was found.
    pub found: String,
    /// What is allowed.
    pub allowed: String,
}

/// Keys of an adapter: its addresses, its gateways.
const NIC_KEYS: [[&str; 2]; NICS_MAX] = [["ip0", "gateway0"], ["ip1", "gateway1"]];

impl Wiring {
    /// Reads what the properties say; `told` returns one by its key. Returns nothing where none says anything. Errors: the first that says
    /// what can't be.
    pub(crate) fn read<'a>(told: impl Fn(&str) -> Option<&'a str>) -> Result<Option<Self>, WiringError> {
        let keys = NIC_KEYS.iter().flatten().chain(&["dns", "search", "ntp"]);
        if keys.copied().all(|key| told(key).is_none()) {
            return Ok(None);
        }
        let text = |key| told(key).unwrap_or_default();
        let mut nics = [const { None }; NICS_MAX];
        for (nic, [address, gateway]) in nics.iter_mut().zip(NIC_KEYS) {
            *nic = addressing(address, told(address), gateway, told(gateway))?;
        }
        let wiring = Self {
            nics,
            dns: read_list(text("dns"), read_address).map_err(wrong("dns", text("dns")))?,
            search: read_list(text("search"), str::parse).map_err(wrong("search", text("search")))?,
            ntp: read_list(text("ntp"), str::parse).map_err(wrong("ntp", text("ntp")))?,
        };
        // What can't work is found now, with names that stand for those of the adapters.
        let names = ["eth0", "eth1"].map(|name| name.parse().expect("a name of an interface"));
        wiring.plan(&names).map(|_| Some(wiring))
    }

    /// Returns the plan for adapters of these names. The first asks DHCP where nothing was told of it, all others have no address. Errors:
    /// an adapter that was told of is not there; it can't work.
    pub fn plan(&self, names: &[NicName]) -> Result<Plan, WiringError> {
        for ([key, _], nic) in NIC_KEYS.iter().zip(&self.nics).skip(names.len()) {
            if nic.is_some() {
                let (found, allowed) =
                    (names.len().to_string() + " adapters", "there is no such adapter".to_owned());
                return Err(WiringError { key, found, allowed });
            }
        }
        let interfaces = names.iter().enumerate().map(|(place, name)| {
            let untold = if place == 0 { Addressing::Automatic } else { Addressing::Off };
            let told = self.nics.get(place).cloned().flatten();
            let (ipv4, ipv6) = told.unwrap_or((untold, Addressing::Off));
            Interface { ipv4, ipv6, ..Interface::automatic(name.clone()) }
        });
        let plan = Plan {
            interfaces: interfaces.collect(),
            dns: self.dns.clone(),
            search: self.search.clone(),
            ntp: self.ntp.clone(),
        };
        match plan.check() {
            Ok(plan) => Ok(plan.into_plan()),
            Err(error) => {
                let fault = error.faults.into_iter().next().expect("a refusal has a fault");
                Err(WiringError { key: key_of(&fault.place), found: fault.found, allowed: fault.allowed })
            }
        }
    }
}

/// Returns the property that said what is at this place of a plan.
fn key_of(place: &str) -> &'static str {
    let nic = NIC_KEYS.iter().enumerate().find(|(at, _)| place.starts_with(&format!("interfaces[{at}]")));
    match nic {
        Some((_, [_, gateway])) if place.contains("gateway") => gateway,
        Some((_, [address, _])) => address,
        None => ["dns", "search", "ntp"].into_iter().find(|key| place.starts_with(key)).unwrap_or("ip0"),
    }
}

fn wrong<E: std::fmt::Display>(key: &'static str, found: &str) -> impl FnOnce(E) -> WiringError {
    let found = found.chars().take(64).collect();
    move |error| WiringError { key, found, allowed: error.to_string() }
}

/// Reads how an adapter gets its addresses: `dhcp`, `off`, or the addresses themselves, of both families.
fn addressing(
    address_key: &'static str,
    address: Option<&str>,
    gateway_key: &'static str,
    gateway: Option<&str>,
) -> Result<Option<(Addressing, Addressing)>, WiringError> {
    let gateways = read_list(gateway.unwrap_or_default(), read_address)
        .map_err(wrong(gateway_key, gateway.unwrap_or_default()))?;
    let needless = |key| {
        let allowed = "a gateway is only told together with addresses".to_owned();
        WiringError { key, found: gateway.unwrap_or_default().to_owned(), allowed }
    };
    let (ipv4, ipv6) = match address {
        None | Some("dhcp" | "off") if !gateways.is_empty() => return Err(needless(gateway_key)),
        None => return Ok(None),
        Some("dhcp") => return Ok(Some((Addressing::Automatic, Addressing::Off))),
        Some("off") => return Ok(Some((Addressing::Off, Addressing::Off))),
        Some(text) => {
            let told: Vec<Cidr> = read_list(text, str::parse).map_err(wrong(address_key, text))?;
            told.into_iter().partition::<Vec<_>, _>(|address| address.address().is_ipv4())
        }
    };
    let family = |addresses: Vec<Cidr>, four: bool| -> Result<Addressing, WiringError> {
        let mut of_family = gateways.iter().filter(|gateway| gateway.is_ipv4() == four).copied();
        let gateway = of_family.next();
        if of_family.next().is_some() || (addresses.is_empty() && gateway.is_some()) {
            return Err(needless(gateway_key));
        }
        Ok(if addresses.is_empty() {
            Addressing::Off
        } else {
            Addressing::Static(Static { addresses, gateway })
        })
    };
    Ok(Some((family(ipv4, true)?, family(ipv6, false)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &'static str)]) -> Result<Option<Wiring>, WiringError> {
        Wiring::read(|key| pairs.iter().find(|(name, _)| *name == key).map(|(_, value)| *value))
    }

    fn names(count: usize) -> Vec<NicName> {
        ["ens192", "ens224", "ens256"][..count].iter().map(|name| name.parse().expect("a name")).collect()
    }

    #[test]
    fn adapters_are_told_of_by_their_place_and_get_their_names_at_the_first_boot() {
        assert_eq!(read(&[]), Ok(None));
        let wiring = read(&[
            ("ip0", "192.0.2.10/24, 2001:db8::10/64"),
            ("gateway0", "192.0.2.1 2001:db8::1"),
            ("dns", "192.0.2.53"),
            ("ntp", "ntp.example.com"),
        ]);
        let wiring = wiring.expect("all is right").expect("something is told");
        let plan = wiring.plan(&names(3)).expect("it can work");
        assert_eq!(plan.interfaces[0].addresses().count(), 2);
        assert_eq!(plan.interfaces[0].gateways().count(), 2);
        assert_eq!(plan.interfaces[0].name.as_str(), "ens192");
        assert!(plan.interfaces[1..].iter().all(|nic| nic.ipv4 == Addressing::Off), "{plan:?}");
        assert_eq!((plan.dns.len(), plan.ntp.len()), (1, 1));
        let second = read(&[("ip1", "dhcp")]).expect("it is right").expect("something is told");
        let plan = second.plan(&names(2)).expect("it can work");
        assert!(plan.interfaces.iter().all(|nic| nic.ipv4 == Addressing::Automatic));
        assert_eq!(second.plan(&names(1)).expect_err("there is one alone").key, "ip1");
    }

    #[test]
    fn what_is_told_wrong_is_said_of_the_property_that_said_it() {
        for (pairs, key, words) in [
            (&[("ip0", "192.0.2.10")][..], "ip0", "192.0.2.10"),
            (&[("ip0", "dhcp"), ("gateway0", "192.0.2.1")], "gateway0", "together with addresses"),
            (&[("ip0", "192.0.2.10/24"), ("gateway0", "192.0.9.1")], "gateway0", "192.0.9.1"),
            (&[("ip0", "192.0.2.10/24"), ("gateway0", "192.0.2.1, 192.0.2.2")], "gateway0", "gateway"),
            (&[("ip1", "192.0.2.10/33")], "ip1", "192.0.2.10/33"),
            (&[("dns", "192.0.2.53, ns1")], "dns", "ns1"),
            (&[("search", "a..b")], "search", "a..b"),
            (&[("ntp", "-x-")], "ntp", "-x-"),
            (&[("dns", "192.0.2.1,192.0.2.2,192.0.2.3,192.0.2.4")], "dns", ""),
        ] {
            let error = read(pairs).expect_err(key);
            assert!(error.key == key && error.to_string().contains(words), "{error}");
        }
    }
}
