//! The network as forms: one for each interface, one for servers.

use std::fmt::Display;

use netplan::{Addressing, Cidr, Interface, Plan, Static, read_address, read_list};

use crate::form::{Field, Form, text};
use crate::glance::{Glance, Nic};

const IPV4: &[&str] = &["DHCP", "static", "off"];
const IPV6: &[&str] = &["off", "automatic", "static"];
/// Places of the fields.
const WAY4: usize = 0;
const ADDRESS4: usize = 1;
const GATEWAY4: usize = 2;
const WAY6: usize = 3;
const ADDRESS6: usize = 4;
const GATEWAY6: usize = 5;

const ABOUT: &str = "Left and right choose DHCP, static or off. An address is written with the length of its prefix: 192.0.2.10/24. \
    A second interface is for sources that come by another network; it needs no gateway where the first has one.";

/// Returns the form of an interface, filled in as it is in the plan, or as is usual.
pub(crate) fn nic_form(nic: &Nic, place: usize, count: usize, plan: Option<&Plan>) -> Form {
    let found = plan.and_then(|plan| plan.interfaces.iter().find(|interface| interface.name == nic.name));
    let usual = if place == 0 { Addressing::Automatic } else { Addressing::Off };
    let (ipv4, ipv6) = found.map_or((&usual, &Addressing::Off), |found| (&found.ipv4, &found.ipv6));
    let link = if nic.carrier { "the cable is plugged in" } else { "no cable is plugged in" };
    let now = if nic.addresses.is_empty() { "none".to_owned() } else { nic.addresses.join(", ") };
    let about = format!("{} is {}; {link}. Its addresses now: {now}. {ABOUT}", nic.name, nic.mac);
    let (told4, told6) = (told(ipv4), told(ipv6));
    let at4 = match ipv4 {
        Addressing::Automatic => 0,
        Addressing::Static(_) => 1,
        Addressing::Off => 2,
    };
    let at6 = match ipv6 {
        Addressing::Off => 0,
        Addressing::Automatic => 1,
        Addressing::Static(_) => 2,
    };
    let fields = vec![
        Field::Choice { label: "IPv4", options: IPV4, at: at4 },
        text("IPv4 address", told4.0),
        text("IPv4 gateway", told4.1),
        Field::Choice { label: "IPv6", options: IPV6, at: at6 },
        text("IPv6 address", told6.0),
        text("IPv6 gateway", told6.1),
    ];
    Form::new(format!("Network interface {} of {count}: {}", place + 1, nic.name), about, fields)
}

fn told(addressing: &Addressing) -> (String, String) {
    let list = |told: &Static| told.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let gateway = |told: &Static| told.gateway.map(|gateway| gateway.to_string());
    addressing.told().map_or_else(Default::default, |told| (list(told), gateway(told).unwrap_or_default()))
}

/// Reads the form of an interface. A refusal marks the field.
pub(crate) fn read_nic(form: &mut Form, nic: &Nic) -> Option<Interface> {
    let ipv4 = addressing(form, WAY4, "DHCP", ADDRESS4, GATEWAY4);
    let ipv6 = addressing(form, WAY6, "automatic", ADDRESS6, GATEWAY6);
    let (ipv4, ipv6) = match (ipv4, ipv6) {
        (Ok(ipv4), Ok(ipv6)) => (ipv4, ipv6),
        (Err((field, why)), _) | (_, Err((field, why))) => {
            form.refuse(field, why);
            return None;
        }
    };
    let interface = Interface { ipv4, ipv6, ..Interface::automatic(nic.name.clone()) };
    // Alone it may have no address at all; together with the others it is judged when all are known.
    let alone = Plan { interfaces: vec![interface.clone()], ..Plan::default() };
    if let Err(error) = alone.check() {
        let fault = error.faults.iter().find(|fault| fault.place != "interfaces");
        if let Some(fault) = fault {
            let six = fault.place.contains("ipv6");
            let field = match (fault.place.contains("gateway"), six) {
                (true, true) => GATEWAY6,
                (true, false) => GATEWAY4,
                (false, true) => ADDRESS6,
                (false, false) => ADDRESS4,
            };
            form.refuse(field, format!("{}: {}", fault.found, fault.allowed));
            return None;
        }
    }
    Some(interface)
}

fn addressing(
    form: &Form,
    way: usize,
    automatic: &str,
    address: usize,
    gateway: usize,
) -> Result<Addressing, (usize, String)> {
    match form.value(way) {
        "off" => return Ok(Addressing::Off),
        chosen if chosen == automatic => return Ok(Addressing::Automatic),
        _ => {}
    }
    let addresses: Vec<Cidr> = list(form, address, str::parse)?;
    if addresses.is_empty() {
        return Err((address, "an address is needed, as in 192.0.2.10/24 or 2001:db8::10/64".to_owned()));
    }
    let written = Some(form.value(gateway)).filter(|written| !written.is_empty());
    let told = written.map(read_address).transpose().map_err(|error| (gateway, error.to_string()))?;
    Ok(Addressing::Static(Static { addresses, gateway: told }))
}

/// Returns the form of the servers of names and of time.
pub(crate) fn servers_form(glance: &Glance) -> Form {
    let plan = glance.plan.clone().unwrap_or_default();
    let list = |values: Vec<String>| values.join(", ");
    let about = "Addresses of servers of names, domains in which short names are looked for, and servers of time, each separated by \
        commas. What DHCP tells is used besides. Empty is fine: then only that is.";
    let fields = vec![
        text("DNS servers", list(plan.dns.iter().map(ToString::to_string).collect())),
        text("Search domains", list(plan.search.iter().map(ToString::to_string).collect())),
        text("NTP servers", list(plan.ntp.iter().map(ToString::to_string).collect())),
    ];
    Form::new("Names and time", about, fields)
}

/// Reads the servers into the plan that is kept. A refusal marks the field.
pub(crate) fn read_servers(form: &mut Form, glance: &Glance) -> Option<Plan> {
    let mut plan = glance.plan.clone().unwrap_or_default();
    let read = || -> Result<Plan, (usize, String)> {
        plan.dns = list(form, 0, read_address)?;
        plan.search = list(form, 1, str::parse)?;
        plan.ntp = list(form, 2, str::parse)?;
        plan.check().map(|plan| plan.into_plan()).map_err(|error| {
            let fault = &error.faults[0];
            let field = ["dns", "search", "ntp"].iter().position(|name| fault.place.starts_with(name));
            (field.unwrap_or(0), format!("{}: {}", fault.found, fault.allowed))
        })
    };
    match read() {
        Ok(plan) => Some(plan),
        Err((field, why)) => {
            form.refuse(field, why);
            None
        }
    }
}

fn list<T, E: Display>(
    form: &Form,
    field: usize,
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, (usize, String)> {
    read_list(form.value(field), read).map_err(|error| (field, error.to_string()))
}
