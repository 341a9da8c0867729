//! binary: what the appliance is in figures: `scripts/image --figures`. Boots what was built, twice, and holds each figure against its goal.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use landfall_tests::cleanup;
use landfall_tests::lab::Lab;
use landfall_tests::vm::{Hardware, Vm};
use serde_json::Value;

const BOOT_MAX: Duration = Duration::from_secs(600);
const MIB: f64 = (1 << 20) as f64;
/// What the kernel says first, and what process one does first.
const KERNEL: &str = "EFI stub: Loaded initrd";
const PROCESS_ONE: &str = "\x1b[!p";

/// When a boot got where, since power-on.
struct Boot {
    kernel: Duration,
    process_one: Duration,
    answer: Duration,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: the appliance has no figures\n  cause: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    cleanup::on_signals()?;
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("what the builder tells comes on standard input")?;
    let built: Value = serde_json::from_str(&text).context("what the builder tells")?;
    let lab = Lab::new(None)?;
    let disk = PathBuf::from(built["disk"].as_str().context("a disk")?);
    let mut hardware = Hardware::new(&lab, &disk)?;
    // Told all it needs: nobody sits at its console.
    hardware.tell(&[("hostname", "home")])?;
    let (first, vm) = boot(&hardware)?;
    vm.cut()?;
    let (later, vm) = boot(&hardware)?;
    // A minute of rest: what only the start needed is given back.
    std::thread::sleep(Duration::from_secs(60));
    let memory = vm.memory_used()? as f64 / MIB;
    vm.cut()?;
    let size = |name: &str| built[name].as_u64().unwrap_or_default() as f64 / MIB;
    let content = &built["content"];
    let count = |name: &str| content[name].as_array().map_or(0, Vec::len) as f64;
    row("OVA", size("ova_bytes"), "MiB", Some(34.0));
    row("  kernel", size("kernel_bytes"), "MiB", None);
    row("  root file system, compressed", size("root_bytes"), "MiB", None);
    row("  our programs, before that", size("programs_bytes"), "MiB", None);
    row("power-on to 443 answers", later.answer.as_secs_f64(), "s", Some(21.0));
    row("  firmware and boot loader", later.kernel.as_secs_f64(), "s", None);
    row("  kernel, root file system", (later.process_one - later.kernel).as_secs_f64(), "s", None);
    row("  services", (later.answer - later.process_one).as_secs_f64(), "s", None);
    row("the same, first boot", first.answer.as_secs_f64(), "s", None);
    row("memory in use at rest", memory, "MiB", Some(128.0));
    row("Debian packages", content["packages"].as_f64().unwrap_or_default(), "", Some(40.0));
    row("set-user files", count("setuid"), "", Some(0.0));
    row("shells, interpreters, scripts", count("shells"), "", Some(0.0));
    row("default credentials", count("credentials"), "", Some(0.0));
    Ok(())
}

fn boot(hardware: &Hardware) -> Result<(Boot, Vm)> {
    let begin = Instant::now();
    let mut vm = hardware.start()?;
    vm.wait_said(KERNEL, BOOT_MAX)?;
    let kernel = begin.elapsed();
    vm.wait_said(PROCESS_ONE, BOOT_MAX)?;
    let process_one = begin.elapsed();
    let answer = vm.wait_answer(BOOT_MAX)?;
    Ok((Boot { kernel, process_one, answer }, vm))
}

fn row(name: &str, figure: f64, unit: &str, most: Option<f64>) {
    let verdict = match most {
        Some(most) if figure <= most => format!("goal: at most {most}"),
        Some(most) => format!("MISSED: at most {most}"),
        None => String::new(),
    };
    println!("{name:<34} {figure:>10.1} {unit:<4} {verdict}");
}
