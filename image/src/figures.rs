//! What can be counted in an image.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::tree::{Node, Tree};

/// Names of programs that run what somebody types or writes.
const SHELLS: [&str; 14] = [
    "ash", "bash", "busybox", "csh", "dash", "fish", "ksh", "mksh", "sh", "sulogin", "tcsh", "toybox",
    "yash", "zsh",
];
/// Beginnings of names of such programs.
const INTERPRETERS: [&str; 7] = ["python", "perl", "lua", "ruby", "node", "awk", "gawk"];

/// Counts of what is in the root file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Content {
    /// Files and links.
    pub files: usize,
    /// Bytes of all files.
    pub bytes: u64,
    /// Debian packages that at least one file is of.
    pub packages: usize,
    /// Paths of files that give their owner's or group's rights to whoever runs them.
    pub setuid: Vec<String>,
    /// Paths of shells and interpreters, and of scripts.
    pub shells: Vec<String>,
    /// Accounts with a password that somebody could know.
    pub credentials: Vec<String>,
}

/// Counts what is in a tree.
pub fn count(tree: &Tree) -> Content {
    let files = || tree.iter().filter(|(_, entry)| entry.node != Node::Directory);
    let packages: BTreeSet<_> =
        files().map(|(_, entry)| &entry.origin).filter(|name| *name != "landfall").collect();
    let named = |test: &dyn Fn(&str, &[u8]) -> bool| {
        let found = files().filter(|(path, entry)| test(path, entry.bytes()));
        found.map(|(path, _)| path.to_owned()).collect::<Vec<_>>()
    };
    Content {
        files: files().count(),
        bytes: files().map(|(_, entry)| entry.bytes().len() as u64).sum(),
        packages: packages.len(),
        setuid: files()
            .filter(|(_, entry)| entry.mode & 0o6000 != 0)
            .map(|(path, _)| path.to_owned())
            .collect(),
        shells: named(&|path, bytes| {
            let name = path.rsplit('/').next().unwrap_or(path);
            let program = path.contains("bin/") || path.starts_with("usr/lib/systemd/");
            bytes.starts_with(b"#!")
                || program
                    && (SHELLS.contains(&name) || INTERPRETERS.iter().any(|start| name.starts_with(start)))
        }),
        credentials: credentials(tree),
    }
}

/// A password field other than `*` or `!` is one that somebody could know, an empty one most of all.
fn credentials(tree: &Tree) -> Vec<String> {
    let mut open = Vec::new();
    for path in ["etc/shadow", "etc/passwd"] {
        let Some(entry) = tree.get(path) else { continue };
        for line in String::from_utf8_lossy(entry.bytes()).lines() {
            let mut fields = line.split(':');
            let (name, password) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
            let elsewhere = path == "etc/passwd" && password == "x";
            if !elsewhere && !password.starts_with(['*', '!']) {
                open.push(format!("{name} in {path}"));
            }
        }
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shells_scripts_set_user_bits_and_passwords_are_found() {
        let mut tree = Tree::default();
        tree.file("usr/bin/dash", 0o755, b"\x7fELF".to_vec(), "dash");
        tree.file("usr/sbin/tool", 0o4755, b"\x7fELF".to_vec(), "tool");
        tree.file("usr/lib/x/run", 0o755, b"#!/bin/sh\n".to_vec(), "tool");
        tree.file("usr/bin/python3.13", 0o755, b"\x7fELF".to_vec(), "python");
        tree.file("etc/shadow", 0o600, b"root:*:1:\nann::1:\nbob:$y$1:1:\n".to_vec(), "landfall");
        tree.file("etc/passwd", 0o644, b"root:x:0:0::/:/bin/sh\n".to_vec(), "landfall");
        let found = count(&tree);
        assert_eq!(found.setuid, ["usr/sbin/tool"]);
        assert_eq!(found.shells, ["usr/bin/dash", "usr/bin/python3.13", "usr/lib/x/run"]);
        assert_eq!(found.credentials, ["ann in etc/shadow", "bob in etc/shadow"]);
        assert_eq!((found.packages, found.files), (3, 6));
    }

    #[test]
    fn a_tree_without_them_has_none() {
        let mut tree = Tree::default();
        tree.file("usr/bin/tool", 0o755, b"\x7fELF".to_vec(), "tool");
        tree.link("etc/sh", "tool", "landfall");
        let found = count(&tree);
        assert_eq!((found.setuid.len(), found.shells.len(), found.credentials.len()), (0, 0, 0));
    }
}
