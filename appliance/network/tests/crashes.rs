//! Real files, a process that dies at each step: what the next start finds is the plan that was kept, and nothing half.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use netplan::{Checked, Plan, Which};
use network::{Directory, Network, NetworkError, Plans, System};

/// Names the directory, what to do and the step to die at; only this test's own children have it.
const CHILD: &str = "LANDFALL_TEST_NETWORK_CRASH";

fn plan(host: u8) -> Plan {
    let json = format!(
        r#"{{"interfaces":[{{"name":"eth0","ipv4":{{"static":{{"addresses":["192.0.2.{host}/24"]}}}}}}]}}"#
    );
    serde_json::from_str(&json).unwrap()
}

/// Writes the plan it was told into a file that stands for the network; it does not survive a power cut.
struct Wire(PathBuf);

impl System for Wire {
    fn apply(&self, plan: Option<&Checked>, _: bool) -> Result<(), NetworkError> {
        let text = plan.map_or_else(|| "none".to_owned(), Checked::render_yaml);
        std::fs::write(&self.0, text).unwrap();
        Ok(())
    }
}

/// Dies before or after the step of this number.
struct Dying<T> {
    inner: T,
    left: &'static Countdown,
}

struct Countdown(std::sync::atomic::AtomicU32);

impl Countdown {
    fn pass(&self) {
        if self.0.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) == 0 {
            std::process::abort();
        }
    }
}

impl<T> Dying<T> {
    fn around<R>(&self, work: impl FnOnce(&T) -> R) -> R {
        self.left.pass();
        let done = work(&self.inner);
        self.left.pass();
        done
    }
}

impl System for Dying<Wire> {
    fn apply(&self, plan: Option<&Checked>, anew: bool) -> Result<(), NetworkError> {
        self.around(|wire| wire.apply(plan, anew))
    }
}

impl Plans for Dying<Directory> {
    fn read(&self, which: Which) -> Result<Option<Checked>, NetworkError> {
        self.inner.read(which)
    }

    fn has_tried(&self) -> Result<bool, NetworkError> {
        self.inner.has_tried()
    }

    fn write_tried(&self, plan: &Checked) -> Result<(), NetworkError> {
        self.around(|plans| plans.write_tried(plan))
    }

    fn promote(&self) -> Result<(), NetworkError> {
        self.around(Plans::promote)
    }

    fn drop_tried(&self) -> Result<(), NetworkError> {
        self.around(Plans::drop_tried)
    }
}

fn open(directory: &Path) -> std::sync::Arc<Network> {
    let plans = Directory::open(&directory.join("plans")).unwrap();
    Network::open(Box::new(plans), Box::new(Wire(directory.join("wire")))).unwrap()
}

/// The child: does as it is told until it dies.
#[test]
#[ignore = "run by the test below, as a process of its own"]
fn child() {
    let told = std::env::var(CHILD).unwrap();
    let mut told = told.split('|');
    let directory = PathBuf::from(told.next().unwrap());
    let (what, at) = (told.next().unwrap().to_owned(), told.next().unwrap().parse().unwrap());
    let left: &'static Countdown = Box::leak(Box::new(Countdown(std::sync::atomic::AtomicU32::new(at))));
    let plans = Dying { inner: Directory::open(&directory.join("plans")).unwrap(), left };
    let wire = Dying { inner: Wire(directory.join("wire")), left };
    let network = Network::open(Box::new(plans), Box::new(wire)).unwrap();
    match what.as_str() {
        "keep" => {
            network.begin(plan(20)).unwrap();
            network.keep(Instant::now()).unwrap();
        }
        "cancel" => {
            network.begin(plan(20)).unwrap();
            network.cancel().unwrap();
        }
        "set" => network.set(plan(20)).unwrap(),
        other => panic!("{other} is nothing to do"),
    }
}

/// Runs a child that dies at a step. Returns whether it did.
fn dies(directory: &Path, what: &str, step: u32) -> bool {
    let told = format!("{}|{what}|{step}", directory.display());
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--ignored"])
        .env(CHILD, told)
        .output();
    !ended.unwrap().status.success()
}

#[test]
fn a_process_that_dies_at_any_step_leaves_the_plan_that_was_kept() {
    for (what, power_cut) in [("keep", true), ("keep", false), ("cancel", true), ("set", false)] {
        let kept_last = Cell::new(plan(10));
        let mut step = 0;
        loop {
            let root = tempfile::tempdir().unwrap();
            let first = open(root.path());
            first.set(plan(10)).unwrap();
            drop(first);
            let died = dies(root.path(), what, step);
            if power_cut {
                std::fs::remove_file(root.path().join("wire")).unwrap_or_default();
            }
            let after = open(root.path());
            let shown = after.show();
            let kept = shown.kept.unwrap();
            assert!(kept == plan(10) || kept == plan(20), "{what}, step {step}");
            assert_eq!(shown.trying, None, "{what}, step {step}");
            assert!(!root.path().join("plans/tried.json").exists(), "{what}, step {step}");
            let wire = std::fs::read_to_string(root.path().join("wire")).unwrap();
            assert_eq!(
                wire,
                kept.clone().check().unwrap().render_yaml(),
                "{what}, step {step}: the network is as kept"
            );
            let had = kept_last.replace(kept.clone());
            assert!(
                had == plan(10) || kept == plan(20),
                "{what}, step {step}: once it is kept at a step, so at later ones"
            );
            if !died {
                assert_eq!(kept == plan(20), what != "cancel", "{what} came to its end");
                break;
            }
            step += 1;
        }
        assert!(step >= 8, "{what}: {step} steps were tried");
    }
}
