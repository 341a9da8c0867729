//! Where the programs under test are.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

/// The three programs.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// The appliance's agent.
    pub landfalld: PathBuf,
    /// The operator's command line.
    pub landfall: PathBuf,
    /// The source agent.
    pub landfall_source: PathBuf,
}

impl Binaries {
    /// Finds them beside the running program: in the profile's directory of `target`. Errors: they were not built.
    pub fn find() -> Result<Self> {
        let own = std::env::current_exe().context("finding the running program")?;
        let directory = own
            .ancestors()
            .skip(1)
            .find(|directory| !directory.ends_with("deps"))
            .context("the running program is in a directory")?;
        let find = |name: &str| {
            let path = directory.join(name);
            ensure!(
                path.is_file(),
                "{} is missing: build it first with `cargo build --workspace --bins`",
                path.display()
            );
            Ok(path)
        };
        Ok(Self {
            landfalld: find("landfalld")?,
            landfall: find("landfall")?,
            landfall_source: find("landfall-source")?,
        })
    }
}
