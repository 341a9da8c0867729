//! What the hypervisor tells: read once, checked, remembered; after that STATE counts alone.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use memory::{Memory, REFUSED, SEED};
use seed::{ENVIRONMENT_LEN_MAX, Seed, read_environment};

use crate::keeper;

/// Where QEMU's `-fw_cfg name=opt/landfall/ovfenv,file=…` arrives.
const FIRMWARE: &str = "/sys/firmware/qemu_fw_cfg/by_name/opt/landfall/ovfenv/raw";
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// Takes what was told at the first boot, or at this one, then the host name and the network. What is told wrong is said at the console
/// and counts as not told; a network that can't be brought to its plan is said, too: the boot goes on, so that somebody can mend it.
/// Errors: STATE can't be read or written.
pub(crate) fn seed(memory: &Memory) -> Result<()> {
    let seed = match memory.read::<Seed>(SEED)? {
        Some(seed) => seed,
        None => match told(Path::new(FIRMWARE)) {
            Ok(Some(seed)) => {
                memory.write(SEED, &seed)?;
                seed
            }
            Ok(None) => Seed::default(),
            Err(error) => {
                memory.write(REFUSED, &format!("{error:#}"))?;
                eprintln!("landfall-boot: what the appliance was told is not used: {error:#}");
                Seed::default()
            }
        },
    };
    if let Err(error) = keeper::restore(memory) {
        eprintln!("landfall-boot: {error:#}");
    }
    match seed.hostname {
        Some(name) => fs::write(HOST_NAME, name.as_str()).context("the host name can't be set"),
        None => Ok(()),
    }
}

fn told(place: &Path) -> Result<Option<Seed>> {
    let Ok(bytes) = fs::read(place) else { return Ok(None) };
    anyhow::ensure!(bytes.len() <= ENVIRONMENT_LEN_MAX, "the hypervisor tells {} bytes", bytes.len());
    let properties = read_environment(&bytes)?;
    let seed = Seed::read(&properties).map_err(|errors| {
        anyhow::anyhow!(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    })?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_wrong_is_said_in_full_and_none_of_it_is_used() {
        let place = tempfile::NamedTempFile::new().expect("a file");
        let tells = |properties: &str| {
            let text = format!("<Environment><PropertySection>{properties}</PropertySection></Environment>");
            fs::write(place.path(), text).expect("it can be written");
            told(place.path())
        };
        let right = "<Property oe:key=\"landfall.hostname\" oe:value=\"home\"/>";
        assert!(tells(right).expect("it is right").is_some());
        assert!(tells("").expect("it is right").is_none());
        let wrong = format!("{right}<Property oe:key=\"landfall.ip0\" oe:value=\"192.0.2.300/24\"/>");
        let error = tells(&wrong).expect_err("one is wrong").to_string();
        assert!(error.contains("property landfall.ip0: found `192.0.2.300/24`; "), "{error}");
        assert!(told(Path::new("/nowhere")).expect("nothing is told").is_none());
    }
}
