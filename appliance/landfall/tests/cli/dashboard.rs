//! The page, as a browser shows it: headless Chromium draws what the appliance tells, and takes a picture of it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::fake::{Appliance, Fake};

/// A page that is served; ends when dropped.
struct Dashboard {
    program: Child,
    url: String,
}

impl Dashboard {
    fn start(appliance: &Appliance) -> Self {
        let mut program = Command::new(env!("CARGO_BIN_EXE_landfall"))
            .args(["dashboard", "--port", "0", "--output", "json", "--socket"])
            .arg(&appliance.socket)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(program.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let note: serde_json::Value = serde_json::from_str(&line).unwrap();
        Self { program, url: note["url"].as_str().unwrap().to_owned() }
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        self.program.kill().unwrap();
        self.program.wait().unwrap();
    }
}

fn chromium(profile: &Path, more: &[&str], url: &str) -> Output {
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"])
        .args(["--virtual-time-budget=6000", "--window-size=1400,1200"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(more)
        .arg(url)
        .output()
        .expect("chromium is installed by scripts/setup");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Returns what the page looks like once it is drawn, as HTML.
fn drawn(appliance: &Appliance, dashboard: &Dashboard) -> String {
    let profile = appliance.directory.path().join("profile");
    String::from_utf8(chromium(&profile, &["--dump-dom"], &dashboard.url).stdout).unwrap()
}

/// Takes a picture, for people to look at: it stays in the directory of the tests' results.
fn picture(appliance: &Appliance, dashboard: &Dashboard, name: &str, more: &[&str]) {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let profile = appliance.directory.path().join("profile");
    let screenshot = format!("--screenshot={}", path.display());
    chromium(&profile, &[&[screenshot.as_str()], more].concat(), &dashboard.url);
    assert!(std::fs::metadata(&path).unwrap().len() > 20_000, "{} shows something", path.display());
}

#[test]
fn the_page_shows_every_machine_what_is_wrong_and_what_to_do() {
    let appliance = Appliance::start(Fake::default());
    let dashboard = Dashboard::start(&appliance);
    let page = drawn(&appliance, &dashboard);
    assert!(page.contains(r#"data-health="failed""#), "{page}");
    for machine in ["web-01", "db-01", "old-01", "mail-01"] {
        assert!(page.contains(&format!(r#"data-machine="{machine}""#)), "{machine}: {page}");
    }
    for word in [
        "rewound",
        "<strong>Next: </strong>",
        "LF-1207",
        "identical",
        "disk 0 failed to flush",
        "free of",
        "RPO over time",
        "polygon",
        "class=\"gap\"",
        "data-alarm=\"rpo/web-01\"",
        "data-server=\"source/db-02\"",
        "it has not come back",
        "revoked",
    ] {
        assert!(page.contains(word), "{word}: {page}");
    }
    assert!(!page.contains("undefined") && !page.contains("NaN"), "{page}");
    picture(&appliance, &dashboard, "dashboard-light.png", &[]);
    picture(
        &appliance,
        &dashboard,
        "dashboard-dark.png",
        &["--force-dark-mode", "--blink-settings=preferredColorScheme=0"],
    );
}

#[test]
fn a_page_of_an_empty_appliance_says_how_to_begin() {
    let appliance = Appliance::start(Fake::empty());
    let page = drawn(&appliance, &Dashboard::start(&appliance));
    assert!(
        page.contains("no machines yet") && page.contains("landfall machine add NAME --disk PATH"),
        "{page}"
    );
}

#[test]
fn a_page_whose_appliance_is_gone_says_so() {
    let appliance = Appliance::start(Fake::well());
    let dashboard = Dashboard::start(&appliance);
    std::fs::remove_file(&appliance.socket).unwrap();
    let page = drawn(&appliance, &dashboard);
    assert!(page.contains("The appliance does not answer") && page.contains("LF-1001"), "{page}");
}

#[test]
fn a_dashboard_without_an_appliance_is_not_begun() {
    let missing = Path::new("/nowhere/control.sock");
    assert_eq!(crate::run(missing, "dashboard --port 0").status.code(), Some(4));
}
