//! What was told, checked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::properties::CLASS;

/// Letters of a host name, and of one of its labels (RFC 1123).
const NAME_LEN_MAX: usize = 253;
const LABEL_LEN_MAX: usize = 63;

/// What an appliance was told before its first boot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    /// Its name.
    pub hostname: Option<String>,
    /// Which disk is to hold the history.
    pub retention: Retention,
}

/// Which disk is to hold the history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retention {
    /// The one empty disk that may.
    #[default]
    Automatic,
    /// None yet: it is chosen later.
    Later,
    /// The one of this identity or path.
    Disk(String),
}

/// A property that says what can't be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("property {CLASS}.{key}: found `{found}`; {allowed}")]
pub struct PropertyError {
    /// Its key.
    pub key: String,
    /// What it says.
    pub found: String,
    /// What it may say.
    pub allowed: &'static str,
}

impl Seed {
    /// Reads what the properties say. Those of other classes are left alone. Errors: each that says what can't be, or that nobody knows.
    pub fn read(properties: &BTreeMap<String, String>) -> Result<Self, Vec<PropertyError>> {
        let (mut seed, mut wrong) = (Self::default(), Vec::new());
        for (name, value) in properties {
            let Some(key) = name.strip_prefix(CLASS).and_then(|rest| rest.strip_prefix('.')) else {
                continue;
            };
            let value = value.trim();
            if value.is_empty() || value == "null" {
                continue;
            }
            let refused = match key {
                "hostname" if is_host_name(value) => {
                    seed.hostname = Some(value.to_ascii_lowercase());
                    continue;
                }
                "hostname" => "allowed are labels of letters, digits and hyphens, with dots between",
                "retention" => match retention(value) {
                    Some(retention) => {
                        seed.retention = retention;
                        continue;
                    }
                    None => "allowed is auto, none, or the name or path of a disk",
                },
                _ => "there is no such property",
            };
            wrong.push(PropertyError { key: key.to_owned(), found: value.to_owned(), allowed: refused });
        }
        if wrong.is_empty() { Ok(seed) } else { Err(wrong) }
    }
}

fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=LABEL_LEN_MAX).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= NAME_LEN_MAX && text.split('.').all(label)
}

fn retention(text: &str) -> Option<Retention> {
    let disk = |text: &str| {
        text.len() <= 255 && text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains("..")
    };
    match text {
        "auto" => Some(Retention::Automatic),
        "none" => Some(Retention::Later),
        _ if disk(text) && (text.starts_with("disk:") || text.starts_with("/dev/")) => {
            Some(Retention::Disk(text.to_owned()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::properties::PROPERTIES;

    fn told(pairs: &[(&str, &str)]) -> Result<Seed, Vec<PropertyError>> {
        Seed::read(&pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn nothing_told_empty_and_null_are_the_same() {
        let keys: Vec<String> =
            PROPERTIES.iter().map(|property| format!("{CLASS}.{}", property.key)).collect();
        for nothing in ["", "  ", "null"] {
            let pairs: Vec<_> = keys.iter().map(|key| (key.as_str(), nothing)).collect();
            assert_eq!(told(&pairs), Ok(Seed::default()));
        }
        assert_eq!(told(&[("vami.hostname", "of somebody else")]), Ok(Seed::default()));
    }

    #[test]
    fn what_is_told_is_read() {
        let seed = told(&[
            ("landfall.hostname", "Home.Example"),
            ("landfall.retention", "disk:naa.5000c29f0a1b2c3d"),
        ]);
        let seed = seed.expect("both are right");
        assert_eq!(seed.hostname.as_deref(), Some("home.example"));
        assert_eq!(seed.retention, Retention::Disk("disk:naa.5000c29f0a1b2c3d".to_owned()));
    }

    #[test]
    fn each_wrong_property_is_told_with_what_was_found_and_what_is_allowed() {
        let errors = told(&[
            ("landfall.hostname", "-home"),
            ("landfall.retention", "/dev/../etc/shadow"),
            ("landfall.colour", "blue"),
        ]);
        let texts: Vec<_> = errors.expect_err("all are wrong").iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 3);
        assert!(
            texts.iter().any(|text| text.contains("landfall.hostname: found `-home`; allowed are")),
            "{texts:?}"
        );
        assert!(texts.iter().any(|text| text.contains("no such property")), "{texts:?}");
        for name in ["a..b", "a_b", "ä", &"a".repeat(64), &"a.".repeat(127)] {
            told(&[("landfall.hostname", name)]).expect_err(name);
        }
    }
}
