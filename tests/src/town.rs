//! A network of its own: one end of a cable with a bus, systemd-networkd and programs of ours, and the far end.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use control::api::NetworkState;

use crate::binaries::Binaries;
use crate::command::{command, output, run};
use crate::lab::Lab;
use crate::process::Process;
use crate::rig::within;

/// How long the network may take to become what it was told.
const SETTLED_WITHIN: Duration = Duration::from_secs(20);

/// One end of a cable, a `/run` and a `/sys`, kept until it is killed.
const SETUP: &str = r#"
set -e
mount -t tmpfs tmpfs /run
mount -t sysfs -o ro sysfs /sys
mkdir -p /run/dbus /run/systemd/network
mkdir -p -m 0755 /run/systemd/netif/links /run/systemd/netif/leases
chown -R systemd-network: /run/systemd/netif
cat > /run/bus.conf <<BUS
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/>
<allow send_type="method_call"/><allow send_type="signal"/><allow send_type="method_return"/><allow send_type="error"/>
<allow receive_type="method_call"/><allow receive_type="signal"/><allow receive_type="method_return"/><allow receive_type="error"/>
</policy></busconfig>
BUS
ip link set lo up
ip link add eth0 type veth peer name far0
ip link set far0 netns "$1"
exec sleep 1000
"#;

/// The far end of the cable.
const FAR: &str = "ip link set far0 up && ip addr add 192.0.2.1/24 dev far0";

/// An appliance in a network of its own. All of it ends when it is dropped.
#[derive(Debug)]
pub struct Town {
    /// The directory of the test.
    pub lab: Lab,
    /// The programs.
    pub binaries: Binaries,
    /// `landfalld`, while it runs.
    pub landfalld: Option<Process>,
    /// The keeper of its network, while it runs.
    pub keeper: Option<Process>,
    far: Process,
    near: Process,
    /// The bus, and networkd.
    system: Vec<Process>,
}

impl Town {
    /// Builds it: `eth0` has a cable to the far end, which is 192.0.2.1/24, and no address yet. Errors: not root, or something is missing.
    pub fn build() -> Result<Self> {
        let (lab, binaries) = (Lab::new(None)?, Binaries::find()?);
        let far = Process::start("far", Path::new("unshare"), ["--net", "sleep", "1000"], lab.path())?;
        within(SETTLED_WITHIN, || apart(far.id()))?;
        let far_id = far.id().to_string();
        let near =
            ["--net", "--mount", "--uts", "--propagation", "private", "sh", "-c", SETUP, "setup", &far_id];
        let near = Process::start("near", Path::new("unshare"), near, lab.path())?;
        within(SETTLED_WITHIN, || apart(near.id()))?;
        let mut town = Self { lab, binaries, landfalld: None, keeper: None, far, near, system: Vec::new() };
        within(SETTLED_WITHIN, || run(town.near("ip").args(["link", "show", "eth0"])).map(drop))
            .with_context(|| town.near.last_words())?;
        let bus = ["dbus-daemon", "--config-file=/run/bus.conf", "--nofork", "--nopidfile"];
        town.system.push(town.begin("bus", &bus)?);
        within(SETTLED_WITHIN, || run(town.near("ls").arg("/run/dbus/system_bus_socket")).map(drop))?;
        town.system.push(town.begin("networkd", &["/lib/systemd/systemd-networkd"])?);
        within(SETTLED_WITHIN, || run(town.near("networkctl").arg("reload")).map(drop))?;
        run(town.far("sh").args(["-c", FAR]))?;
        Ok(town)
    }

    /// Returns what runs a program at the near end, where the appliance is.
    pub fn near(&self, program: &str) -> Command {
        let mut enter = command("nsenter");
        enter.args(self.enters()).arg(program);
        enter
    }

    /// Returns the arguments of `nsenter` that lead to the near end.
    pub fn enters(&self) -> Vec<String> {
        let near = self.near.id().to_string();
        ["--target", &near, "--net", "--mount", "--uts", "--"].map(str::to_owned).to_vec()
    }

    /// Returns what runs a program at the far end.
    pub fn far(&self, program: &str) -> Command {
        let mut enter = command("nsenter");
        enter.args(["--target", &self.far.id().to_string(), "--net", "--", program]);
        enter
    }

    /// Starts a program at the near end. Errors: it can't be started.
    pub fn begin(&self, name: &str, words: &[impl AsRef<str>]) -> Result<Process> {
        let mut arguments = self.enters();
        arguments.extend(words.iter().map(|word| word.as_ref().to_owned()));
        Process::start(name, Path::new("nsenter"), arguments, self.lab.path())
    }

    /// Returns the control socket.
    pub fn socket(&self) -> PathBuf {
        self.lab.file("control.sock")
    }

    /// Starts the keeper of the network at the near end. Errors: it does not listen.
    pub fn start_keeper(&mut self) -> Result<()> {
        let path = |path: PathBuf| path.display().to_string();
        let program = self.binaries.landfalld.with_file_name("landfall-boot");
        let (memory, socket) = (path(self.lab.file("memory")), path(self.keeper_socket()));
        let words = [&path(program), "--memory", &memory, "network", "--socket", &socket];
        self.keeper = Some(self.begin("keeper", &words)?);
        let listens = within(SETTLED_WITHIN, || {
            let connected = UnixStream::connect(self.keeper_socket());
            connected.map(drop).context("the keeper of the network does not listen")
        });
        listens.with_context(|| self.keeper.as_ref().map(Process::last_words).unwrap_or_default())
    }

    /// Returns the socket of the keeper.
    pub fn keeper_socket(&self) -> PathBuf {
        self.lab.file("network.sock")
    }

    /// Starts `landfalld` at the near end, with more arguments. Errors: it does not answer.
    pub fn start(&mut self, more: &[&str]) -> Result<()> {
        let path = |path: PathBuf| path.display().to_string();
        let mut arguments = vec![path(self.binaries.landfalld.clone())];
        arguments.extend(["--state".to_owned(), path(self.lab.file("state"))]);
        arguments.extend(["--socket".to_owned(), path(self.socket())]);
        arguments.extend(more.iter().map(|&word| word.to_owned()));
        self.landfalld = Some(self.begin("landfalld", &arguments)?);
        let answers = within(Duration::from_secs(60), || {
            let mut landfall = command(&self.binaries.landfall);
            run(landfall.arg("--socket").arg(self.socket()).args(["status", "--output", "json"])).map(drop)
        });
        answers.with_context(|| self.landfalld.as_ref().map(Process::last_words).unwrap_or_default())
    }

    /// Runs `landfall network`. Errors: it fails.
    pub fn network(&self, arguments: &[&str]) -> Result<NetworkState> {
        let mut landfall = command(&self.binaries.landfall);
        landfall.arg("--socket").arg(self.socket()).args(["--output", "json", "network"]).args(arguments);
        Ok(serde_json::from_str(&run(&mut landfall)?)?)
    }

    /// Waits until eth0 has this address of IPv4 alone. Errors: it does not.
    pub fn settles_at(&self, address: &str) -> Result<()> {
        let settled = within(SETTLED_WITHIN, || {
            let found = run(self.near("ip").args(["-4", "-o", "addr", "show", "dev", "eth0"]))?;
            let alone = found.lines().count() == 1 && found.contains(&format!("inet {address}/24"));
            ensure!(alone, "eth0 has {found:?}, not {address}");
            Ok(())
        });
        settled.with_context(|| self.system.iter().map(Process::last_words).collect::<Vec<_>>().join("; "))
    }

    /// Waits until the far end reaches a port of an address. Errors: it does not.
    pub fn reached_at(&self, address: &str, port: u16) -> Result<()> {
        let open = format!("exec 3<>/dev/tcp/{address}/{port}");
        within(SETTLED_WITHIN, || {
            let reached = output(self.far("timeout").args(["2", "bash", "-c", &open]))?;
            ensure!(reached.status.success(), "{address}:{port} is not reached from afar");
            Ok(())
        })
    }
}

/// Fails as long as the process has our own network.
fn apart(id: u32) -> Result<()> {
    let network = |who: &str| std::fs::read_link(format!("/proc/{who}/ns/net"));
    ensure!(network(&id.to_string())? != network("self")?, "it is not apart yet");
    Ok(())
}
