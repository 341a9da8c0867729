//! A machine that boots the appliance's image: QEMU with the devices that the OVF describes, all of it emulated.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::command::{command, run};
use crate::lab::{Lab, free_port};
use crate::process::Process;
use crate::rig::within;

/// Firmware of Debian's package `ovmf`.
const FIRMWARE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const SECURE_FIRMWARE: &str = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd";
/// How long the hypervisor may take to offer the serial line.
const LINE_MAX: Duration = Duration::from_secs(30);
/// How long one look for something on the machine's screen waits.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What a machine has, and keeps over its boots.
#[derive(Debug)]
pub struct Hardware {
    directory: PathBuf,
    /// The system disk.
    pub system: PathBuf,
    /// The retention disk.
    pub retention: PathBuf,
    /// What the firmware remembers.
    pub variables: PathBuf,
    /// Whether the firmware runs only what is signed.
    pub secure: bool,
    /// MiB of memory.
    pub memory: u32,
    told: Option<PathBuf>,
    /// More devices.
    pub devices: Vec<String>,
    /// Where 443 and 9443 of the machine are reached.
    pub doors: [u16; 2],
}

/// A running machine.
#[derive(Debug)]
pub struct Vm {
    process: Process,
    began: Instant,
    /// What came over the serial line.
    pub serial: PathBuf,
    monitor: PathBuf,
    doors: [u16; 2],
    line: UnixStream,
}

impl Hardware {
    /// Makes the disks of a machine: the system disk as a layer over `image`, and an empty one. Errors: they can't be made.
    pub fn new(lab: &Lab, image: &Path) -> Result<Self> {
        let at = |name: &str| lab.file(name);
        let (system, retention, variables) = (at("system.qcow2"), at("retention.raw"), at("variables.fd"));
        let layer = ["create", "-q", "-f", "qcow2", "-F", "raw", "-b"];
        run(command("qemu-img").args(layer).arg(image).arg(&system))?;
        run(command("qemu-img").args(["create", "-q", "-f", "raw"]).arg(&retention).arg("2G"))?;
        std::fs::copy("/usr/share/OVMF/OVMF_VARS_4M.fd", &variables).context("the firmware's variables")?;
        Ok(Self {
            directory: lab.path().to_owned(),
            system,
            retention,
            variables,
            secure: false,
            memory: 512,
            told: None,
            devices: Vec::new(),
            doors: [free_port()?, free_port()?],
        })
    }

    /// Lets the hypervisor tell properties, as it tells those of an OVF. Errors: they can't be written down.
    pub fn tell(&mut self, properties: &[(&str, &str)]) -> Result<()> {
        let property = |(key, value): &(&str, &str)| {
            format!("<Property oe:key=\"landfall.{key}\" oe:value=\"{value}\"/>")
        };
        let text = format!(
            "<Environment xmlns:oe=\"http://schemas.dmtf.org/ovf/environment/1\"><PropertySection>{}</PropertySection></Environment>",
            properties.iter().map(property).collect::<String>()
        );
        let place = self.directory.join("told.xml");
        std::fs::write(&place, text).context("what the hypervisor tells")?;
        self.told = Some(place);
        Ok(())
    }

    /// Switches it on. Errors: it can't be started.
    pub fn start(&self) -> Result<Vm> {
        let (serial, monitor) = (self.directory.join("serial.log"), self.directory.join("monitor.sock"));
        for socket in [&monitor, &line(&serial)] {
            let _ = std::fs::remove_file(socket);
        }
        let process = Process::start(
            "qemu",
            Path::new("qemu-system-x86_64"),
            self.arguments(&serial, &monitor),
            &self.directory,
        )?;
        let began = Instant::now();
        let mut connected = None;
        within(LINE_MAX, || {
            connected = Some(UnixStream::connect(line(&serial)).context("the serial line")?);
            Ok(())
        })?;
        let line = connected.context("it was just connected")?;
        let mut said = line.try_clone()?;
        // Not a log of the hypervisor's own: that has twice what it could not be rid of at once.
        let mut log = File::create(&serial).context("the serial log")?;
        std::thread::spawn(move || std::io::copy(&mut said, &mut log));
        Ok(Vm { process, began, serial, monitor, doors: self.doors, line })
    }

    fn arguments(&self, serial: &Path, monitor: &Path) -> Vec<String> {
        let file = |path: &Path, rest: &str| format!("file={},{rest}", path.display());
        let firmware = Path::new(if self.secure { SECURE_FIRMWARE } else { FIRMWARE });
        let [manage, replicate] = self.doors.map(|port| format!("hostfwd=tcp:127.0.0.1:{port}"));
        // Secure Boot needs the mode of the processor that only the firmware can enter.
        let machine = if self.secure { "q35,smm=on" } else { "q35" };
        let fixed = [
            "-accel",
            "tcg",
            "-cpu",
            "max",
            "-smp",
            "2",
            "-display",
            "none",
            "-nodefaults",
            "-machine",
            machine,
            "-uuid",
            "6c616e64-6661-4c6c-8001-000000000001",
            "-device",
            "pvscsi,id=scsi",
            "-device",
            "nvme,drive=system,serial=system,bootindex=0",
            "-device",
            "scsi-hd,bus=scsi.0,drive=retention,wwn=0x5000c29f0a1b2c3d,serial=retention",
            "-device",
            "vmxnet3,netdev=first,romfile=,mac=00:50:56:00:00:01",
            "-device",
            "virtio-balloon-pci,id=balloon",
        ];
        let mut arguments: Vec<String> = fixed.map(str::to_owned).to_vec();
        let mut add = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        if self.secure {
            add("-global", "driver=cfi.pflash01,property=secure,value=on".to_owned());
        }
        add("-m", self.memory.to_string());
        add("-drive", file(firmware, "if=pflash,unit=0,format=raw,readonly=on"));
        add("-drive", file(&self.variables, "if=pflash,unit=1,format=raw"));
        add("-drive", file(&self.system, "if=none,id=system,format=qcow2"));
        add("-drive", file(&self.retention, "if=none,id=retention,format=raw"));
        add("-netdev", format!("user,id=first,{manage}-:443,{replicate}-:9443"));
        add("-chardev", format!("socket,id=line,path={},server=on,wait=on", line(serial).display()));
        add("-serial", "chardev:line".to_owned());
        add("-qmp", format!("unix:{},server=on,wait=off", monitor.display()));
        if let Some(told) = &self.told {
            add("-fw_cfg", format!("name=opt/landfall/ovfenv,file={}", told.display()));
        }
        arguments.extend(self.devices.iter().cloned());
        arguments
    }
}

/// Returns the socket of the serial line whose log this is.
fn line(serial: &Path) -> PathBuf {
    serial.with_extension("sock")
}

impl Vm {
    /// Returns the screen that a terminal at the serial line shows now, 80×24.
    pub fn screen(&self) -> String {
        let mut terminal = vt100::Parser::default();
        terminal.process(&std::fs::read(&self.serial).unwrap_or_default());
        terminal.screen().contents()
    }

    /// Waits until the screen shows something and is drawn to its end, and returns it. Errors: not within `limit` from now, or the
    /// machine ended.
    pub fn wait_screen(&mut self, what: &str, limit: Duration) -> Result<String> {
        let begun = Instant::now();
        let mut before = String::new();
        loop {
            let screen = self.screen();
            if screen.contains(what) && screen == before {
                return Ok(screen);
            }
            before.clone_from(&screen);
            let ended = !self.process.is_running()?;
            ensure!(!ended && begun.elapsed() < limit, "the screen does not show {what:?}, but:\n{screen}");
            sleep(LOOK_EVERY);
        }
    }

    /// Types at the serial line. Errors: it is gone.
    pub fn types(&mut self, keys: &str) -> Result<()> {
        self.line.write_all(keys.as_bytes()).context("typing at the serial line")
    }

    /// Waits until the machine has switched itself off. Errors: not within `limit` from now.
    pub fn wait_off(mut self, limit: Duration) -> Result<()> {
        let begun = Instant::now();
        while self.process.is_running()? {
            ensure!(
                begun.elapsed() < limit,
                "after {limit:?} it is still on; its screen:\n{}",
                self.screen()
            );
            sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Returns where the machine's 443 is reached.
    pub fn manage(&self) -> String {
        format!("127.0.0.1:{}", self.doors[0])
    }

    /// Returns where the machine's 9443 is reached.
    pub fn replicate(&self) -> String {
        format!("127.0.0.1:{}", self.doors[1])
    }

    /// Waits until a TLS handshake on 443 gets as far as a certificate, and returns the time since it was switched on. Errors: not within
    /// `limit`, or the machine ended.
    pub fn wait_answer(&mut self, limit: Duration) -> Result<Duration> {
        loop {
            if self.answers() {
                return Ok(self.began.elapsed());
            }
            self.runs(limit, "443 does not answer")?;
        }
    }

    fn answers(&self) -> bool {
        // The forwarder of QEMU accepts before the machine does; only what comes back counts.
        let Ok(address) = self.manage().parse() else { return false };
        if TcpStream::connect_timeout(&address, LOOK_EVERY).is_err() {
            return false;
        }
        let mut client = command("timeout");
        client.args([
            "10",
            "openssl",
            "s_client",
            "-tls1_3",
            "-alpn",
            "http/1.1",
            "-connect",
            &self.manage(),
        ]);
        let said = crate::command::output(&mut client);
        said.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).contains("BEGIN CERTIFICATE"))
    }

    /// Waits until the serial line has said something, and returns all of it. Errors: not within `limit`, or the machine ended.
    pub fn wait_said(&mut self, what: &str, limit: Duration) -> Result<String> {
        loop {
            let said = self.said();
            if said.contains(what) {
                return Ok(said);
            }
            self.runs(limit, what)?;
        }
    }

    fn runs(&mut self, limit: Duration, missing: &str) -> Result<()> {
        if !self.process.is_running()? {
            bail!("the machine ended ({missing}): {} {}", self.said(), self.process.last_words());
        }
        ensure!(self.began.elapsed() < limit, "after {limit:?} still: {missing}; it said: {}", self.said());
        sleep(LOOK_EVERY);
        Ok(())
    }

    /// Returns what came over the serial line so far.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.serial).unwrap_or_default()).into_owned()
    }

    /// Asks the hypervisor (QMP). Errors: it refuses, or is gone.
    pub fn ask(&self, execute: &str, arguments: Value) -> Result<Value> {
        let stream = UnixStream::connect(&self.monitor).context("the hypervisor's socket")?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let mut stream = stream;
        let mut answer = Value::Null;
        for question in
            [json!({ "execute": "qmp_capabilities" }), json!({ "execute": execute, "arguments": arguments })]
        {
            writeln!(stream, "{question}")?;
            loop {
                let line = lines.next().context("the hypervisor is gone")??;
                let said: Value = serde_json::from_str(&line)?;
                if let Some(error) = said.get("error") {
                    bail!("{execute}: {error}");
                }
                if let Some(found) = said.get("return") {
                    answer = found.clone();
                    break;
                }
            }
        }
        Ok(answer)
    }

    /// Attaches a disk to the running machine. Errors: the hypervisor refuses.
    pub fn attach(&self, name: &str, image: &Path, wwn: &str) -> Result<()> {
        let file = json!({ "driver": "file", "filename": image, "node-name": format!("{name}-file") });
        self.ask("blockdev-add", json!({ "driver": "raw", "node-name": name, "file": file }))?;
        let device = json!({ "driver": "scsi-hd", "bus": "scsi.0", "drive": name, "id": format!("{name}-device"),
            "wwn": u64::from_str_radix(wwn, 16)?, "serial": name });
        self.ask("device_add", device).map(drop)
    }

    /// Takes a disk out of the running machine. Errors: the hypervisor refuses.
    pub fn detach(&self, name: &str) -> Result<()> {
        self.ask("device_del", json!({ "id": format!("{name}-device") })).map(drop)
    }

    /// Returns the bytes of memory that programs and kernel use, by the guest's own count. Errors: it does not say within a minute.
    pub fn memory_used(&self) -> Result<u64> {
        let balloon = |property: &str| json!({ "path": "/machine/peripheral/balloon", "property": property });
        let mut interval = balloon("guest-stats-polling-interval");
        interval["value"] = json!(1);
        self.ask("qom-set", interval)?;
        for _ in 0..300 {
            let told = self.ask("qom-get", balloon("guest-stats"))?;
            let stat = |name: &str| told["stats"][name].as_u64().filter(|bytes| *bytes != u64::MAX);
            if let (Some(total), Some(free)) = (stat("stat-total-memory"), stat("stat-available-memory")) {
                return Ok(total - free);
            }
            sleep(LOOK_EVERY);
        }
        bail!("the guest does not say how much memory it uses")
    }

    /// Cuts the power. Errors: it had ended.
    pub fn cut(self) -> Result<()> {
        self.process.kill().map(drop)
    }
}
