//! Reading views, beside reading the disk itself through the same client.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use control::api::{Point, View};
use landfall_tests::appliance::Appliance;
use landfall_tests::command::{command, is_installed, run};
use landfall_tests::lab::Lab;
use landfall_tests::process::Process;
use landfall_tests::report::megabytes_per_second;

use crate::board::Board;

/// Read from the target disk nearly all of it; and from the history.
pub(crate) const VIEWS: [&str; 2] = ["view, 2 % differs", "view, all differs"];
/// The target disk as it is, past the page cache as views read it.
const RAW: &str = "nbdcopy of the raw disk";

/// Reads the views of two points, the nearer first, and the raw disk.
pub(crate) fn measure(
    board: &mut Board,
    appliance: &Appliance,
    machine: &str,
    points: [&Point; 2],
    lab: &Lab,
    target: &Path,
) -> Result<()> {
    if !VIEWS.iter().any(|name| board.wants(name)) {
        return Ok(());
    }
    if let Some(missing) = ["nbdcopy", "qemu-nbd"].into_iter().find(|name| !is_installed(name)) {
        VIEWS.iter().for_each(|name| board.skip(name, &format!("{missing} is not installed")));
        return Ok(());
    }
    for (series, point) in VIEWS.into_iter().zip(points) {
        let name = format!("{machine}@{}", point.sequence);
        let view: View = appliance.landfall(["point", "view", &name, "--no-wait"])?;
        let disk = view.disks.first().context("a view of one disk")?;
        board.note(series, read(&disk.uri, disk.len_bytes)?);
        let _: View = appliance.landfall(["point", "close", &view.id.to_string()])?;
    }
    let socket = lab.file("raw.sock");
    let options =
        ["--persistent", "--shared=16", "--read-only", "--format=raw", "--cache=none", "--aio=io_uring"];
    let arguments = options.map(Path::new).into_iter().chain([Path::new("--socket"), &socket, target]);
    let _server = Process::start("qemu-nbd", Path::new("qemu-nbd"), arguments, lab.path())?;
    wait_for(&socket)?;
    let len = std::fs::metadata(target)?.len();
    board.note(RAW, read(&format!("nbd+unix:///?socket={}", socket.display()), len)?);
    Ok(())
}

/// Reads a whole export and returns megabytes per second.
fn read(uri: &str, len: u64) -> Result<f64> {
    let begin = Instant::now();
    run(command("nbdcopy").args(["--connections=4", "--requests=16", uri, "null:"]))?;
    Ok(megabytes_per_second(len, begin.elapsed()))
}

fn wait_for(socket: &Path) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !socket.exists() {
        ensure!(Instant::now() < deadline, "nobody listens on {}", socket.display());
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
