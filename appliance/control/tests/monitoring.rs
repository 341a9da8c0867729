//! What is shipped for Prometheus and Grafana names only numbers that are told, and says so in their words.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::collections::BTreeSet;
use std::path::Path;

use landfall_control::http::METRICS;

fn shipped(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    std::fs::read_to_string(root.join("image/monitoring").join(name)).unwrap()
}

/// Returns every name of ours in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let lawful = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    text.split(|letter| !lawful(letter)).filter(|word| word.starts_with("landfall_")).collect()
}

#[test]
fn rules_and_dashboard_name_only_what_is_told() {
    let told: BTreeSet<_> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(told.len(), METRICS.len(), "no two numbers have one name");
    for file in ["alerts.yml", "grafana-dashboard.json"] {
        let text = shipped(file);
        let unknown: Vec<_> = names(&text).difference(&told).copied().collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}");
        assert!(names(&text).len() > 8, "{file} names what it is about");
    }
    assert!(serde_json::from_str::<serde_json::Value>(&shipped("grafana-dashboard.json")).is_ok());
}

#[test]
fn every_alert_says_what_to_do() {
    let rules = shipped("alerts.yml");
    let of = |key: &str| rules.lines().filter(|line| line.trim_start().starts_with(key)).count();
    assert!(of("- alert:") > 8);
    for key in ["expr:", "summary:", "action:", "labels:"] {
        assert_eq!(of(key), of("- alert:"), "{key}");
    }
}
