//! What the hypervisor tells: read once, checked, remembered; after that STATE counts alone.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use seed::{ENVIRONMENT_LEN_MAX, Seed, read_environment};

use crate::kept;

/// What it is remembered as.
pub(crate) const SEED: &str = "seed.json";
/// Where QEMU's `-fw_cfg name=opt/landfall/ovfenv,file=…` arrives.
const FIRMWARE: &str = "/sys/firmware/qemu_fw_cfg/by_name/opt/landfall/ovfenv/raw";
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// Takes what was told at the first boot, or at this one. What is told wrong is said, and counts as not told: the console asks.
pub(crate) fn seed(memory: &Path) -> Result<()> {
    let seed = match kept::read::<Seed>(memory, SEED)? {
        Some(seed) => seed,
        None => match told() {
            Ok(Some(seed)) => {
                kept::write(memory, SEED, &seed)?;
                seed
            }
            Ok(None) => Seed::default(),
            Err(error) => {
                eprintln!("landfall-boot: what the appliance was told is not used: {error:#}");
                Seed::default()
            }
        },
    };
    match seed.hostname {
        Some(name) => fs::write(HOST_NAME, name).context("the host name can't be set"),
        None => Ok(()),
    }
}

fn told() -> Result<Option<Seed>> {
    let Ok(bytes) = fs::read(FIRMWARE) else { return Ok(None) };
    anyhow::ensure!(bytes.len() <= ENVIRONMENT_LEN_MAX, "the hypervisor tells {} bytes", bytes.len());
    let properties = read_environment(&bytes)?;
    let seed = Seed::read(&properties).map_err(|errors| {
        anyhow::anyhow!(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    })?;
    Ok(Some(seed))
}
