//! Bringing the machine to a plan: netplan's generator makes files for networkd, and networkd takes them.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use netplan::Checked;

use crate::error::{NetworkError, failed};

/// Whatever brings a machine to a plan.
pub trait System: Send {
    /// Brings the machine to a plan, or to what it has without one. What is in place already is only done again if `anew`. What it
    /// does is not durable: a start begins without it. Errors: it was done partly or not at all.
    fn apply(&self, plan: Option<&Checked>, anew: bool) -> Result<(), NetworkError>;
}

/// A machine with netplan's generator and systemd-networkd. Everything that is written lies below `/run`, and is gone after a restart.
#[derive(Clone, Debug)]
pub struct Netplan {
    /// The root of the files, `/` on a real machine.
    pub root: PathBuf,
    /// netplan's generator; without one there, [`Netplan::GENERATORS`] are looked for.
    pub generator: Option<PathBuf>,
}

const YAML: &str = "run/netplan/60-landfall.yaml";
const BUS: &str = "run/dbus/system_bus_socket";
const NETWORKD: &str = "systemd-networkd.service";
const TIME: &str = "run/systemd/timesyncd.conf.d/60-landfall.conf";

impl Default for Netplan {
    fn default() -> Self {
        Self { root: PathBuf::from("/"), generator: None }
    }
}

impl Netplan {
    /// Where distributions have the generator.
    pub const GENERATORS: [&str; 2] = ["/usr/libexec/netplan/generate", "/lib/netplan/generate"];

    fn generator(&self) -> PathBuf {
        let usual = || Self::GENERATORS.iter().map(PathBuf::from).find(|path| path.exists());
        self.generator.clone().or_else(usual).unwrap_or_else(|| PathBuf::from(Self::GENERATORS[0]))
    }

    /// Lets networkd take its files anew: over the bus, or, where there is none, by the service manager. Before networkd was started there
    /// is nothing to do: it begins with what it finds.
    fn reload(&self) -> Result<(), NetworkError> {
        if self.root.join(BUS).exists() {
            return run(Path::new("networkctl"), &["reload".as_ref()]);
        }
        let systemctl = |verb: &str| run(Path::new("systemctl"), &[verb.as_ref(), NETWORKD.as_ref()]);
        if systemctl("is-active").is_err() { Ok(()) } else { systemctl("reload") }
    }

    /// Returns the VLANs networkd was told of, by the files that stand for them.
    fn vlans(&self) -> Vec<String> {
        let files = fs::read_dir(self.root.join("run/systemd/network")).into_iter().flatten().flatten();
        let name = |file: fs::DirEntry| {
            let file = file.file_name().into_string().ok()?;
            Some(file.strip_prefix("10-netplan-")?.strip_suffix(".netdev")?.to_owned())
        };
        files.filter_map(name).collect()
    }
}

impl System for Netplan {
    /// In order: 1. the YAML, 2. the files for networkd, 3. networkd takes them, 4. VLANs that are gone are deleted: networkd only makes
    /// them, 5. servers of time.
    fn apply(&self, plan: Option<&Checked>, anew: bool) -> Result<(), NetworkError> {
        let yaml = plan.map(Checked::render_yaml);
        let changed = replace(&self.root.join(YAML), yaml.as_deref())?;
        if changed || anew {
            let before = self.vlans();
            let root = self.root.as_os_str();
            run(&self.generator(), &["--root-dir".as_ref(), root])?;
            self.reload()?;
            let after = self.vlans();
            for gone in before.iter().filter(|vlan| !after.contains(vlan)) {
                // It may never have come to be: its link was not there.
                if let Err(error) = run(Path::new("networkctl"), &["delete".as_ref(), gone.as_ref()]) {
                    tracing::warn!(vlan = %gone, %error, "VLAN not deleted");
                }
            }
        }
        let servers: Vec<_> =
            plan.iter().flat_map(|plan| &plan.plan().ntp).map(ToString::to_string).collect();
        let time = format!(
            "# Written by Landfall; what is changed here is overwritten.\n[Time]\nNTP={}\n",
            servers.join(" ")
        );
        if replace(&self.root.join(TIME), (!servers.is_empty()).then_some(time.as_str()))? {
            let restart = ["try-restart".as_ref(), "systemd-timesyncd.service".as_ref()];
            if let Err(error) = run(Path::new("systemctl"), &restart) {
                tracing::warn!(%error, "time service not restarted");
            }
        }
        Ok(())
    }
}

/// Makes a file hold a text, or not be there. Returns whether it was otherwise before.
fn replace(path: &Path, text: Option<&str>) -> Result<bool, NetworkError> {
    let found = match fs::read_to_string(path) {
        Ok(found) => Some(found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => return Err(failed("read", path)(source)),
    };
    if found.as_deref() == text {
        return Ok(false);
    }
    let Some(text) = text else {
        fs::remove_file(path).map_err(failed("removed", path))?;
        return Ok(true);
    };
    let new = path.with_extension("new");
    let write = || {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        // netplan warns of files that others can read.
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?
            .write_all(text.as_bytes())?;
        if path.ends_with(TIME) {
            // The time service is a user of its own.
            fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        }
        fs::rename(&new, path)
    };
    write().map_err(failed("written", path))?;
    Ok(true)
}

/// Runs a program to its end, never through a shell.
fn run(program: &Path, arguments: &[&std::ffi::OsStr]) -> Result<(), NetworkError> {
    let failed = |said: String| NetworkError::Program { program: program.to_owned(), said };
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let words: Vec<_> = words.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    Err(failed(format!("{} ({})", words.join("; "), output.status)))
}
