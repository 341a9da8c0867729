//! The lists of what goes in: `image/lists` and the tree of own files, `image/root`.
//!
//! ```text
//! packages.txt     PACKAGE            reason     what is unpacked, with all they depend on
//! files.txt        PATH               reason     files taken out of them, with the libraries they need
//! modules.txt      MODULE             reason     kernel modules, with those they need
//! directories.txt  MODE PATH          reason     empty directories
//! command-line.txt WORD               reason     the kernel's command line
//! ```

use std::path::{Path, PathBuf};

use crate::error::read_text;
use crate::{Error, Result};

/// A name in a list, and why it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// All lists.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Packages that are unpacked.
    pub packages: Vec<Line>,
    /// Files that are taken.
    pub files: Vec<Line>,
    /// Kernel modules that are taken.
    pub modules: Vec<Line>,
    /// Empty directories with their permission bits.
    pub directories: Vec<(u32, String)>,
    /// The kernel's command line.
    pub command_line: String,
    /// Where the own files are.
    pub own: PathBuf,
}

impl Recipe {
    /// Reads the lists below `image/`. Errors: one is missing, or has a line without a reason.
    pub fn read(home: &Path) -> Result<Self> {
        let list = |name: &str| {
            let path = home.join("lists").join(name);
            lines(name, &read_text(&path)?)
        };
        let directories = list("directories.txt")?.iter().map(directory).collect::<Result<_>>()?;
        let words: Vec<_> = list("command-line.txt")?.into_iter().map(|line| line.name).collect();
        Ok(Self {
            packages: list("packages.txt")?,
            files: list("files.txt")?,
            modules: list("modules.txt")?,
            directories,
            command_line: words.join(" "),
            own: home.join("root"),
        })
    }
}

/// Reads a list: a name and a reason on each line; `#` begins a remark. Errors: a name without a reason.
pub fn lines(list: &str, text: &str) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, reason)) = line.split_once(char::is_whitespace) else {
            return Err(Error::List {
                list: list.to_owned(),
                line: index + 1,
                found: line.to_owned(),
                allowed: "`NAME REASON`",
            });
        };
        lines.push(Line { name: name.to_owned(), reason: reason.trim().to_owned() });
    }
    Ok(lines)
}

fn directory(line: &Line) -> Result<(u32, String)> {
    let path = line.reason.split_whitespace().next().unwrap_or_default();
    match u32::from_str_radix(&line.name, 8) {
        Ok(mode) if mode <= 0o1777 => Ok((mode, path.to_owned())),
        _ => Err(Error::List {
            list: "directories.txt".to_owned(),
            line: 0,
            found: line.name.clone(),
            allowed: "`MODE PATH REASON`, with a mode such as 0755",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_in_a_list_without_a_reason() {
        let read = lines("files.txt", "# remark\n\nusr/bin/mount  mounts\n").expect("it has its form");
        assert_eq!(read, [Line { name: "usr/bin/mount".to_owned(), reason: "mounts".to_owned() }]);
        let error = lines("files.txt", "usr/bin/mount\n").expect_err("no reason").to_string();
        assert!(error.contains("files.txt, line 1"), "{error}");
    }

    #[test]
    fn the_lists_of_this_repository_can_be_read_and_name_nothing_twice() {
        let recipe = Recipe::read(Path::new(env!("CARGO_MANIFEST_DIR"))).expect("they are ours");
        for list in [&recipe.packages, &recipe.files, &recipe.modules] {
            let mut names: Vec<_> = list.iter().map(|line| &line.name).collect();
            names.sort();
            let twice = names.windows(2).find(|two| two[0] == two[1]);
            assert_eq!(twice, None);
        }
        assert!(recipe.command_line.contains("lockdown="), "{}", recipe.command_line);
    }
}
