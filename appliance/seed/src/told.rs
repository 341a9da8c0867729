//! What was told, checked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use units::MachineName;

use crate::password::PasswordHash;
use crate::properties::{CLASS, PROPERTIES};
use crate::wiring::{Wiring, WiringError};

/// What an appliance was told before its first boot, or at its console.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Seed {
    /// Its name.
    pub hostname: Option<MachineName>,
    /// Which disk is to hold the history; nothing as long as nobody has said, which the console asks.
    pub retention: Option<Retention>,
    /// The network at the first boot; after that its plan alone counts.
    pub network: Option<Wiring>,
    /// The operator's password.
    pub password: Option<PasswordHash>,
    /// What the console asks at first boot.
    pub asked: Asked,
}

/// What the console asks at first boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// Everything: nothing came with the machine.
    #[default]
    Everything,
    /// The password, which has no usual value; what else was not told is as usual.
    Password,
    /// Nothing.
    Nothing,
}

/// Which disk is to hold the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retention {
    /// The one empty disk that may.
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
    pub allowed: String,
}

impl Seed {
    /// Reads what the properties say. Those of other classes are left alone. Returns nothing where none says anything. Errors: each that
    /// says what can't be, or that nobody knows.
    pub fn read(properties: &BTreeMap<String, String>) -> Result<Option<Self>, Vec<PropertyError>> {
        let told: BTreeMap<&str, &str> = properties.iter().filter_map(own).collect();
        if told.is_empty() {
            return Ok(None);
        }
        let mut wrong = Vec::new();
        for (key, found) in &told {
            if !PROPERTIES.iter().any(|property| property.key == *key) {
                wrong.push(error(key, found, "there is no such property"));
            }
        }
        let mut note = |error: PropertyError| wrong.push(error);
        let mut seed =
            Self { asked: Asked::Password, retention: Some(Retention::Automatic), ..Self::default() };
        if let Some(name) = told.get("hostname") {
            match name.to_ascii_lowercase().parse() {
                Ok(name) => seed.hostname = Some(name),
                Err(cause) => note(error("hostname", name, cause)),
            }
        }
        if let Some(name) = told.get("retention") {
            match retention(name) {
                Some(retention) => seed.retention = Some(retention),
                None => {
                    note(error("retention", name, "allowed is auto, none, or the name or path of a disk"));
                }
            }
        }
        if let Some(hash) = told.get("passwordhash") {
            match hash.parse() {
                Ok(hash) => (seed.password, seed.asked) = (Some(hash), Asked::Nothing),
                // It may be the password itself.
                Err(cause) => note(error("passwordhash", &format!("{} bytes", hash.len()), cause)),
            }
        }
        match Wiring::read(|key| told.get(key).copied()) {
            Ok(network) => seed.network = network,
            Err(WiringError { key, found, allowed }) => note(error(key, &found, allowed)),
        }
        if wrong.is_empty() { Ok(Some(seed)) } else { Err(wrong) }
    }
}

/// Returns the key of a property of ours without the class, and what it says, if it says anything.
fn own<'a>((name, value): (&'a String, &'a String)) -> Option<(&'a str, &'a str)> {
    let key = name.strip_prefix(CLASS)?.strip_prefix('.')?;
    Some((key, value.trim())).filter(|(_, value)| !value.is_empty() && *value != "null")
}

fn error(key: &str, found: &str, allowed: impl ToString) -> PropertyError {
    PropertyError {
        key: key.to_owned(),
        found: found.chars().take(64).collect(),
        allowed: allowed.to_string(),
    }
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

    const HASH: &str =
        "$argon2id$v=19$m=4096,t=3,p=4$c2FsdHNhbHRzYWx0$Do1MJFx/yTW/PFxUSEDH5kxMYpgUM7N8EYCJJMHHTCY";

    fn told(pairs: &[(&str, &str)]) -> Result<Option<Seed>, Vec<PropertyError>> {
        Seed::read(&pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn nothing_told_empty_and_null_are_the_same() {
        let keys: Vec<String> =
            PROPERTIES.iter().map(|property| format!("{CLASS}.{}", property.key)).collect();
        for nothing in ["", "  ", "null"] {
            let pairs: Vec<_> = keys.iter().map(|key| (key.as_str(), nothing)).collect();
            assert_eq!(told(&pairs), Ok(None));
        }
        assert_eq!(told(&[("vami.hostname", "of somebody else")]), Ok(None));
    }

    #[test]
    fn what_is_told_is_read_and_the_rest_is_as_usual() {
        let seed = told(&[
            ("landfall.hostname", "Home.Example"),
            ("landfall.retention", "disk:naa.5000c29f0a1b2c3d"),
            ("landfall.passwordhash", HASH),
            ("landfall.ip0", "192.0.2.10/24"),
        ]);
        let seed = seed.expect("all are right").expect("something is told");
        assert_eq!(seed.hostname.as_ref().map(MachineName::as_str), Some("home.example"));
        assert_eq!(seed.retention, Some(Retention::Disk("disk:naa.5000c29f0a1b2c3d".to_owned())));
        assert!(seed.password.as_ref().is_some_and(|hash| hash.is_of("swordfish")));
        assert_eq!((seed.network.is_some(), seed.asked), (true, Asked::Nothing));
        let text = serde_json::to_string(&seed).expect("it is kept as JSON");
        assert_eq!(serde_json::from_str::<Seed>(&text).expect("and read again"), seed);
        let usual = told(&[("landfall.hostname", "home")]).expect("it is right").expect("something is told");
        assert_eq!((usual.retention, usual.network), (Some(Retention::Automatic), None));
        assert_eq!((usual.asked, Seed::default().asked), (Asked::Password, Asked::Everything));
    }

    #[test]
    fn every_property_is_understood() {
        for property in PROPERTIES {
            let errors = told(&[(&format!("{CLASS}.{}", property.key), "?")]).expect_err(property.key);
            let [error] = errors.as_slice() else { panic!("one is wrong: {errors:?}") };
            assert_eq!(error.key, property.key);
            assert!(!error.allowed.contains("no such property"), "{error}");
        }
    }

    #[test]
    fn each_wrong_property_is_told_with_what_was_found_and_what_is_allowed() {
        let errors = told(&[
            ("landfall.hostname", "-home"),
            ("landfall.retention", "/dev/../etc/shadow"),
            ("landfall.passwordhash", "swordfish"),
            ("landfall.colour", "blue"),
        ]);
        let texts: Vec<_> = errors.expect_err("all are wrong").iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 4);
        for words in ["landfall.hostname: found `-home`; ", "no such property", "found `9 bytes`; allowed is"]
        {
            assert!(texts.iter().any(|text| text.contains(words)), "{words}: {texts:?}");
        }
        assert!(texts.iter().all(|text| !text.contains("swordfish")), "a password is not repeated");
    }
}
