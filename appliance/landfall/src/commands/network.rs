//! `landfall network show|try|keep|set`

use std::fs::File;
use std::io::Read;
use std::path::Path;

use control::api::{NetworkKeep, NetworkSet, NetworkShow, NetworkState, NetworkTry};
use control::{ApiError, Code, ErrorReply};
use netplan::{Addressing, Interface, Kind, Plan, Static, read_yaml};

use super::Context;
use crate::arguments::{NetworkCommand, NicWish, PlanArguments};
use crate::paint::{Paint, Tone};
use crate::prompt::device_again;
use crate::screen::Ending;
use crate::table::{Cell, Column, Table};

/// Bytes a plan may have; a request has no more.
const PLAN_LEN_MAX: u64 = 60 << 10;

/// Carries out a command.
pub(super) fn run(context: &Context<'_>, command: NetworkCommand) -> Result<Ending, ErrorReply> {
    match command {
        NetworkCommand::Show { yaml: true } => return yaml(context),
        NetworkCommand::Show { yaml: false } => context.screen.show(&context.ask(NetworkShow {})?, lines)?,
        NetworkCommand::Try(wanted) => {
            let plan = plan(context, wanted)?;
            if !context.screen.is_json() {
                eprintln!(
                    "trying it; if the connection breaks: `landfall network keep` within 30 s, at the new address"
                );
            }
            context.screen.show(&context.ask(NetworkTry { plan })?, lines)?;
        }
        NetworkCommand::Keep => context.screen.show(&context.ask(NetworkKeep { opened: None })?, lines)?,
        NetworkCommand::Set { plan: wanted, yes } => {
            let plan = plan(context, wanted)?;
            let what = "The network changes at once; a mistake cuts you off, and stays. `landfall network try` does not.";
            device_again(context.screen, "network", yes, what)?;
            let set = NetworkSet { plan, confirm: "network".to_owned() };
            context.screen.show(&context.ask(set)?, lines)?;
        }
    }
    Ok(Ending::Done)
}

fn yaml(context: &Context<'_>) -> Result<Ending, ErrorReply> {
    let kept = context.ask(NetworkShow {})?.kept.map(Plan::check);
    let missing = || ApiError::new(Code::NetworkNothing, "there is no YAML").because("no plan was kept yet");
    let wrong =
        |error| ApiError::new(Code::BadReply, "the plan that is kept was not understood").because(error);
    let text = kept.ok_or_else(missing)?.map_err(wrong)?.render_yaml();
    context.screen.text(&text)?;
    Ok(Ending::Done)
}

fn plan(context: &Context<'_>, wanted: PlanArguments) -> Result<Plan, ErrorReply> {
    match (wanted.file, wanted.nic.name.clone()) {
        (Some(file), _) => read(&file),
        (None, _) => changed(context.ask(NetworkShow {})?, wanted.nic),
    }
}

/// Reads a plan: JSON if it begins like it, netplan YAML otherwise.
fn read(file: &Path) -> Result<Plan, ErrorReply> {
    let refused = |why: &dyn std::fmt::Display| {
        ErrorReply::from(
            ApiError::new(Code::NetworkPlan, format!("{} holds no network plan", file.display()))
                .because(why),
        )
    };
    let mut text = String::new();
    let read = match file.to_str() {
        Some("-") => std::io::stdin().take(PLAN_LEN_MAX + 1).read_to_string(&mut text),
        _ => File::open(file).and_then(|file| file.take(PLAN_LEN_MAX + 1).read_to_string(&mut text)),
    };
    read.map_err(|error| refused(&error))?;
    if text.len() as u64 > PLAN_LEN_MAX {
        return Err(refused(&format!("it has more than {PLAN_LEN_MAX} bytes")));
    }
    if !text.trim_start().starts_with('{') {
        return read_yaml(&text).map(|plan| plan.into_plan()).map_err(|error| refused(&error));
    }
    // What `network show --output json` writes is a plan and more.
    let state = serde_json::from_str::<NetworkState>(&text).ok().and_then(|state| state.kept);
    let plan = state.map_or_else(|| serde_json::from_str(&text), Ok).map_err(|error| refused(&error))?;
    let checked = plan.check().map_err(|error| refused(&error))?;
    Ok(checked.into_plan())
}

/// Returns the plan that is kept with one interface as it is wished; before the first plan, the interfaces there are ask DHCP.
fn changed(state: NetworkState, wish: NicWish) -> Result<Plan, ErrorReply> {
    let refused = |why: String| {
        ErrorReply::from(
            ApiError::new(Code::NetworkPlan, "the network plan can't be changed so").because(why),
        )
    };
    let known: Vec<_> = state.nics.iter().map(|nic| nic.name.clone()).collect();
    let first = || {
        let names = state.nics.iter().filter_map(|nic| nic.name.parse().ok());
        Plan { interfaces: names.map(Interface::automatic).collect(), ..Plan::default() }
    };
    let mut plan = state.kept.clone().unwrap_or_else(first);
    let Some(name) = wish.name else { return Ok(plan) };
    if !plan.interfaces.iter().any(|interface| interface.name == name) {
        if !known.contains(&name.to_string()) {
            return Err(refused(format!("there is no interface {name}; there are {}", known.join(", "))));
        }
        plan.interfaces.push(Interface { ipv4: Addressing::Off, ..Interface::automatic(name.clone()) });
    }
    let interface = plan.interfaces.iter_mut().find(|interface| interface.name == name);
    let interface = interface.expect("it was there, or was added");
    if wish.dhcp {
        interface.ipv4 = Addressing::Automatic;
    }
    for (ipv4, addressing) in [(true, &mut interface.ipv4), (false, &mut interface.ipv6)] {
        let addresses: Vec<_> =
            wish.addresses.iter().copied().filter(|own| own.address().is_ipv4() == ipv4).collect();
        let gateway = wish.gateway.iter().copied().find(|gateway| gateway.is_ipv4() == ipv4);
        if !addresses.is_empty() {
            *addressing = Addressing::Static(Static { addresses, gateway });
        }
    }
    if !wish.dns.is_empty() {
        plan.dns = wish.dns;
    }
    if !wish.search.is_empty() {
        plan.search = wish.search;
    }
    if !wish.ntp.is_empty() {
        plan.ntp = wish.ntp;
    }
    plan.check().map(|plan| plan.into_plan()).map_err(|error| refused(error.to_string()))
}

fn lines(state: &NetworkState, paint: Paint) -> String {
    let mut text = match &state.kept {
        Some(plan) => format!("kept:\n{}", table(plan, state, paint)),
        None => {
            let nics: Vec<_> = state.nics.iter().map(|nic| format!("{} ({})", nic.name, nic.mac)).collect();
            format!("no plan is kept yet; the interfaces: {}\n", nics.join(", "))
        }
    };
    if let Some(trial) = &state.trying {
        let left = paint.tone(Tone::Warn, &format!("rolled back in {} s", trial.left_seconds));
        text += &format!(
            "\ntried, and {left} unless kept with `landfall network keep`:\n{}",
            table(&trial.plan, state, paint)
        );
    }
    text
}

fn table(plan: &Plan, state: &NetworkState, paint: Paint) -> String {
    let mut table = Table::new(["INTERFACE", "IS", "IPV4", "IPV6", "LINK"].map(Column::Text));
    for interface in &plan.interfaces {
        let is = match interface.kind() {
            Kind::Nic(Some(mac)) => mac.to_string(),
            Kind::Nic(None) => String::new(),
            Kind::Vlan(tag) => format!("VLAN {} on {}", tag.id, tag.link),
        };
        let nic = state.nics.iter().find(|nic| nic.name == interface.name.as_str());
        let link = match nic {
            Some(nic) if nic.carrier => Cell::toned(Tone::Good, "up"),
            Some(_) => Cell::toned(Tone::Warn, "down"),
            None => Cell::from(""),
        };
        let (ipv4, ipv6) = (addressing(&interface.ipv4), addressing(&interface.ipv6));
        table.row([interface.name.as_str().into(), is.into(), ipv4.into(), ipv6.into(), link]);
    }
    let mut text = table.render(paint);
    let list = |values: Vec<String>| values.join(", ");
    for (word, values) in [
        ("names", list(plan.dns.iter().map(ToString::to_string).collect())),
        ("search", list(plan.search.iter().map(ToString::to_string).collect())),
        ("time", list(plan.ntp.iter().map(ToString::to_string).collect())),
    ] {
        if !values.is_empty() {
            text += &format!("{word}: {values}\n");
        }
    }
    text
}

fn addressing(addressing: &Addressing) -> String {
    match addressing {
        Addressing::Off => String::new(),
        Addressing::Automatic => "automatic".to_owned(),
        Addressing::Static(told) => {
            let addresses: Vec<_> = told.addresses.iter().map(ToString::to_string).collect();
            let gateway = told.gateway.map(|gateway| format!(" by {gateway}")).unwrap_or_default();
            addresses.join(", ") + &gateway
        }
    }
}
