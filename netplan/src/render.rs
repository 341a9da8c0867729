//! Netplan YAML, written: for the renderer `networkd`, every text in quotes, the same bytes for the same plan.

use std::fmt::{Display, Write};

use crate::check::Checked;
use crate::plan::{Addressing, Interface, Kind, Plan, Route};
use crate::policy::{SourceTable, everywhere, gateway_metric, source_tables};

const HEAD: &str = "# Written by Landfall; what is changed here is overwritten.\nnetwork:\n  version: 2\n  renderer: networkd\n";

impl Checked {
    /// Renders the plan as netplan YAML. Servers of time are no part of it.
    pub fn render_yaml(&self) -> String {
        let (plan, tables) = (self.plan(), source_tables(self));
        let mut text = HEAD.to_owned();
        for (section, vlans) in [("ethernets", false), ("vlans", true)] {
            let of_section =
                plan.interfaces.iter().enumerate().filter(|(_, each)| each.vlan.is_some() == vlans);
            for (place, (at, interface)) in of_section.enumerate() {
                if place == 0 {
                    line(&mut text, 2, format_args!("{section}:"));
                }
                let table = tables.iter().find(|table| table.interface == at);
                render(&mut text, plan, at, interface, table);
            }
        }
        text
    }
}

fn render(text: &mut String, plan: &Plan, at: usize, interface: &Interface, table: Option<&SourceTable>) {
    line(text, 4, format_args!("{}:", quoted(&interface.name)));
    match interface.kind() {
        Kind::Nic(None) => {}
        Kind::Nic(Some(mac)) => {
            line(text, 6, format_args!("match:"));
            line(text, 8, format_args!("macaddress: {}", quoted(mac)));
            line(text, 6, format_args!("set-name: {}", quoted(&interface.name)));
        }
        Kind::Vlan(tag) => {
            line(text, 6, format_args!("id: {}", tag.id));
            line(text, 6, format_args!("link: {}", quoted(&tag.link)));
        }
    }
    let automatic = |addressing: &Addressing| *addressing == Addressing::Automatic;
    line(text, 6, format_args!("dhcp4: {}", automatic(&interface.ipv4)));
    line(text, 6, format_args!("dhcp6: {}", automatic(&interface.ipv6)));
    line(text, 6, format_args!("accept-ra: {}", automatic(&interface.ipv6)));
    let link_local = if interface.ipv6 == Addressing::Off { "[]" } else { "[\"ipv6\"]" };
    line(text, 6, format_args!("link-local: {link_local}"));
    if let Some(mtu) = interface.mtu {
        line(text, 6, format_args!("mtu: {mtu}"));
    }
    list(text, 6, "addresses", interface.addresses());
    if !plan.dns.is_empty() || !plan.search.is_empty() {
        line(text, 6, format_args!("nameservers:"));
        list(text, 8, "addresses", plan.dns.iter());
        list(text, 8, "search", plan.search.iter());
    }
    routes(text, plan, at, interface, table);
}

fn routes(text: &mut String, plan: &Plan, at: usize, interface: &Interface, table: Option<&SourceTable>) {
    let gateways = interface.gateways();
    let defaults =
        gateways.map(|via| Route { to: everywhere(via), via, metric: gateway_metric(plan, at, via) });
    let main: Vec<Route> = defaults.chain(interface.routes.iter().copied()).collect();
    if !main.is_empty() || table.is_some() {
        line(text, 6, format_args!("routes:"));
    }
    main.iter().for_each(|each| route(text, each, None));
    let Some(table) = table else { return };
    for link in &table.links {
        line(text, 8, format_args!("- to: {}", quoted(link)));
        line(text, 10, format_args!("scope: \"link\""));
        line(text, 10, format_args!("table: {}", table.table));
    }
    table.routes.iter().for_each(|each| route(text, each, Some(table.table)));
    line(text, 6, format_args!("routing-policy:"));
    for source in &table.sources {
        line(text, 8, format_args!("- from: {}", quoted(source)));
        line(text, 10, format_args!("table: {}", table.table));
    }
}

fn route(text: &mut String, route: &Route, table: Option<u32>) {
    line(text, 8, format_args!("- to: {}", quoted(route.to)));
    line(text, 10, format_args!("via: {}", quoted(route.via)));
    if let Some(metric) = route.metric {
        line(text, 10, format_args!("metric: {metric}"));
    }
    if let Some(table) = table {
        line(text, 10, format_args!("table: {table}"));
    }
}

fn list(text: &mut String, indent: usize, name: &str, values: impl Iterator<Item = impl Display>) {
    let values: Vec<String> = values.map(quoted).collect();
    if !values.is_empty() {
        line(text, indent, format_args!("{name}: [{}]", values.join(", ")));
    }
}

fn line(text: &mut String, indent: usize, content: std::fmt::Arguments<'_>) {
    writeln!(text, "{:indent$}{content}", "").expect("a text takes what is written to it");
}

/// Returns a text in quotes. Nothing that a plan holds needs more.
fn quoted(value: impl Display) -> String {
    let text = value.to_string();
    assert!(
        text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\'),
        "names and addresses are plain"
    );
    format!("\"{text}\"")
}
