//! The network of the appliance, for real: landfalld without rights to it, its keeper, netplan's generator and systemd-networkd in a network of their own, with a cable
//! to another one.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use control::api::NetworkState;
use landfall_tests::rig::is_root;
use landfall_tests::town::Town;

fn start(town: &mut Town) -> Result<()> {
    let retention = town.lab.directory("retention")?.display().to_string();
    let keeper = town.keeper_socket().display().to_string();
    town.start_keeper()?;
    town.start(&["--network", &keeper, "--name", "home", "--retention", &retention])
}

/// Kills the keeper, and starts it again; landfalld lives on and sees nothing of it.
fn restart_after_kill(town: &mut Town) -> Result<()> {
    town.keeper.take().context("it runs")?.kill()?;
    let gone = town.network(&["show"]).expect_err("nobody keeps the network").to_string();
    ensure!(gone.contains("LF-1905"), "{gone}");
    town.start_keeper()
}

/// eth0 has this address alone, and landfalld is reached at it from afar.
fn settles_at(town: &Town, address: &str) -> Result<()> {
    town.settles_at(address)?;
    town.reached_at(address, 9443)
}

fn ask(town: &Town, verb: &str, address: &str) -> Result<NetworkState> {
    let address = format!("{address}/24");
    let mut arguments = vec![verb, "--nic", "eth0", "--address", &address, "--gateway", "192.0.2.1"];
    arguments.extend((verb == "set").then_some("--yes"));
    town.network(&arguments)
}

/// Asks over a connection that is open already.
fn ask_over(stream: &UnixStream, line: &str) -> Result<String> {
    let mut writer = stream;
    writeln!(writer, "{line}")?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(answer)
}

#[test]
fn a_plan_is_tried_rolled_back_by_itself_or_kept_over_a_new_connection() -> Result<()> {
    if !is_root() {
        return Ok(());
    }
    let mut town = Town::build()?;
    start(&mut town)?;
    let nics = town.network(&["show"])?.nics;
    ensure!(nics.len() == 1 && nics[0].name == "eth0", "the interfaces: {nics:?}");
    ask(&town, "set", "192.0.2.10")?;
    settles_at(&town, "192.0.2.10")?;

    let old = UnixStream::connect(town.socket())?;
    let trying = ask(&town, "try", "192.0.2.20")?.trying.context("it is tried")?;
    let begun = Instant::now();
    ensure!(trying.left_seconds > 20, "{} s are left", trying.left_seconds);
    settles_at(&town, "192.0.2.20")?;
    let refused = ask_over(&old, r#"{"request":"network_keep"}"#)?;
    ensure!(refused.contains("LF-1904"), "a connection from before proves nothing: {refused}");
    let second = ask(&town, "try", "192.0.2.30").expect_err("one at a time").to_string();
    ensure!(second.contains("LF-1902"), "{second}");

    restart_after_kill(&mut town)?;
    ensure!(
        begun.elapsed() < netplan::TRIAL,
        "the machine is too slow for this test: the trial was over before the kill"
    );
    settles_at(&town, "192.0.2.10").context("what nobody kept is rolled back at the start")?;
    ensure!(town.network(&["show"])?.trying.is_none());

    ask(&town, "try", "192.0.2.20")?;
    settles_at(&town, "192.0.2.20")?;
    ensure!(town.network(&["keep"])?.trying.is_none());
    restart_after_kill(&mut town)?;
    settles_at(&town, "192.0.2.20").context("what was kept is there after a kill")?;

    let begun = Instant::now();
    ask(&town, "try", "192.0.2.40")?;
    settles_at(&town, "192.0.2.40")?;
    std::thread::sleep(netplan::TRIAL.saturating_sub(begun.elapsed()));
    settles_at(&town, "192.0.2.20").context("what nobody keeps is rolled back by itself")?;
    println!("rolled back by itself {:?} after it was tried", begun.elapsed());
    let late = town.network(&["keep"]).expect_err("it is too late").to_string();
    ensure!(late.contains("LF-1903"), "{late}");
    town.landfalld.take().context("it runs")?.stop(Duration::from_secs(30))?;
    Ok(())
}
