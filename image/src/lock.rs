//! Packages by name, version and hash, and the moment that every file of the image gets for its time.
//!
//! ```text
//! epoch 1790000000
//! bash 5.2.37-2 6f0c…
//! ```

use std::fmt;

use crate::{Error, Result};

/// One package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// Its name, without an architecture.
    pub name: String,
    /// Its version, as Debian writes it.
    pub version: String,
    /// SHA-256 of the archive, in hex.
    pub sha256: String,
}

/// All packages of an image, and of the programs that build it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// The time of all files, in seconds since 1970.
    pub epoch: u64,
    /// By name.
    pub packages: Vec<Package>,
}

impl Lock {
    /// Reads the text of a lock. Errors: a line that means nothing, no epoch, a package named twice.
    pub fn parse(text: &str) -> Result<Self> {
        let (mut epoch, mut packages) = (None, Vec::new());
        for (index, line) in text.lines().enumerate() {
            let words: Vec<_> = line.split_whitespace().collect();
            let wrong = |allowed| Error::List {
                list: "the lock".to_owned(),
                line: index + 1,
                found: line.to_owned(),
                allowed,
            };
            match words.as_slice() {
                [] => {}
                [first, ..] if first.starts_with('#') => {}
                ["epoch", seconds] => epoch = Some(seconds.parse().map_err(|_| wrong("seconds since 1970"))?),
                [name, version, hash] if is_hash(hash) => packages.push(Package {
                    name: (*name).to_owned(),
                    version: (*version).to_owned(),
                    sha256: (*hash).to_owned(),
                }),
                _ => return Err(wrong("`epoch SECONDS` or `NAME VERSION SHA256`")),
            }
        }
        packages.sort();
        let twice = packages.windows(2).find(|two| two[0].name == two[1].name);
        if let Some([one, other]) = twice {
            return Err(Error::Locked {
                package: one.name.clone(),
                found: other.version.clone(),
                locked: one.version.clone(),
            });
        }
        let epoch = epoch.ok_or(Error::Form {
            what: "the lock".to_owned(),
            expected: "complete",
            found: "it has no line `epoch SECONDS`".to_owned(),
        })?;
        Ok(Self { epoch, packages })
    }

    /// Compares what was had with what is wanted. Errors: the first package that differs, is missing, or is too much.
    pub fn check(&self, found: &[Package]) -> Result<()> {
        let say = |package: Option<&Package>| {
            package.map_or("nothing".to_owned(), |package| format!("{} {}", package.version, package.sha256))
        };
        let of = |list: &[Package], name: &str| list.iter().find(|package| package.name == name).cloned();
        for package in self.packages.iter().chain(found) {
            let (locked, had) = (of(&self.packages, &package.name), of(found, &package.name));
            if locked != had {
                return Err(Error::Locked {
                    package: package.name.clone(),
                    found: say(had.as_ref()),
                    locked: say(locked.as_ref()),
                });
            }
        }
        Ok(())
    }
}

impl fmt::Display for Lock {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "# The packages an image is made of, byte by byte; `scripts/image lock` writes this anew."
        )?;
        writeln!(out, "epoch {}", self.epoch)?;
        self.packages
            .iter()
            .try_for_each(|package| writeln!(out, "{} {} {}", package.name, package.version, package.sha256))
    }
}

fn is_hash(word: &str) -> bool {
    word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str, digit: &str) -> Package {
        Package { name: name.to_owned(), version: version.to_owned(), sha256: digit.repeat(64) }
    }

    #[test]
    fn a_lock_is_read_as_it_was_written() {
        let lock =
            Lock { epoch: 1_790_000_000, packages: vec![package("a", "1", "0"), package("b", "1:2", "f")] };
        assert_eq!(Lock::parse(&lock.to_string()).expect("it was written by us"), lock);
    }

    #[test]
    fn another_hash_a_missing_package_and_one_too_much_are_told_by_name() {
        let lock = Lock { epoch: 1, packages: vec![package("a", "1", "0"), package("b", "1", "1")] };
        lock.check(&[package("b", "1", "1"), package("a", "1", "0")]).expect("the order means nothing");
        let cases = [
            vec![package("a", "1", "0"), package("b", "1", "2")],
            vec![package("a", "1", "0")],
            vec![package("a", "1", "0"), package("b", "1", "1"), package("c", "1", "1")],
        ];
        for (found, name) in cases.iter().zip(["b", "b", "c"]) {
            let error = lock.check(found).expect_err("it differs").to_string();
            assert!(error.contains(&format!("package {name}:")), "{error}");
        }
    }

    #[test]
    fn lines_that_mean_nothing_are_refused_with_their_number() {
        for text in ["epoch 1\nbash 5", "epoch x", "epoch 1\nbash 5 12", "bash 5 0"] {
            Lock::parse(text).expect_err(text);
        }
        let twice = format!("epoch 1\na 1 {0}\na 2 {0}", "0".repeat(64));
        Lock::parse(&twice).expect_err("two versions of one package");
    }
}
