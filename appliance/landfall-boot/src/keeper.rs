//! The network: brought to the plan that is kept before anything uses it, and kept for programs without the rights to it.

use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use memory::{Memory, NETWORK, SEED};
use network::{Directory, Netplan, Network, list_nics, serve};
use seed::{Asked, Seed};

/// Where the kernel lists interfaces.
const NICS: &str = "/sys/class/net";

/// Brings the network to the plan that is kept. One that was tried when the power went is rolled back. Errors: it can't be brought there.
pub(crate) fn restore(memory: &Memory) -> Result<()> {
    open(memory).map(drop)
}

/// Brings the network to what was told, at the first boot, then serves wishes until it is ended. Errors: the socket can't be served; the
/// plans can't be had.
pub(crate) fn keep(memory: &Memory, socket: &Path) -> Result<()> {
    let network = open(memory)?;
    if network.show().kept.is_none()
        && let Err(error) = begin(memory, &network)
    {
        // Nobody is helped by an appliance that has no network for it: every adapter goes on asking DHCP.
        tracing::error!(error = format!("{error:#}"), "network that was told not set");
    }
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("{} can't be removed", socket.display()));
        }
        _ => {}
    }
    let listener =
        UnixListener::bind(socket).with_context(|| format!("{} can't be listened on", socket.display()))?;
    // The group of this process may connect; before this line its owner alone.
    std::fs::set_permissions(socket, Permissions::from_mode(0o660))
        .with_context(|| format!("{} can't be given to its group", socket.display()))?;
    Ok(serve(&listener, &network)?)
}

/// Sets the plan that follows from what came with the machine, if something did.
fn begin(memory: &Memory, network: &Network) -> Result<()> {
    let seed: Seed = memory.read(SEED)?.unwrap_or_default();
    if seed.asked == Asked::Everything {
        return Ok(());
    }
    let names: Vec<_> = list_nics(Path::new(NICS)).into_iter().map(|nic| nic.name).collect();
    let plan = seed.network.unwrap_or_default().plan(&names)?;
    Ok(network.set(plan)?)
}

fn open(memory: &Memory) -> Result<Arc<Network>> {
    let plans = Directory::open(&memory.path(NETWORK)).context("the network plans can't be had")?;
    Network::open(Box::new(plans), Box::new(Netplan::default()))
        .context("the network can't be brought to its plan")
}
