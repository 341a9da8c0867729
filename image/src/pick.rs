//! Files taken out of the packages: what the list names, what their links lead to, and the libraries they need.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use crate::elf;
use crate::error::read;
use crate::recipe::Line;
use crate::tree::Tree;
use crate::{Error, Result};

/// Where libraries are looked for.
const LIBRARIES: [&str; 2] = ["usr/lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/systemd"];
/// Bits of a mode that no file of an image has: set-user, set-group.
const SET_ID: u32 = 0o6000;
/// How many links may lead on.
const LINKS_MAX: usize = 8;

/// Takes files out of an unpacked tree.
#[derive(Debug)]
pub struct Picker<'a> {
    root: &'a Path,
    owners: &'a BTreeMap<String, String>,
}

impl<'a> Picker<'a> {
    /// Begins with the unpacked tree, and the package of each of its files.
    pub fn new(root: &'a Path, owners: &'a BTreeMap<String, String>) -> Self {
        Self { root, owners }
    }

    /// Takes all files of a list, with what they need. Errors: one is in no package.
    pub fn take(&self, tree: &mut Tree, list: &[Line]) -> Result<()> {
        list.iter().try_for_each(|line| self.with_needs(tree, &line.name, "the list itself"))
    }

    /// Takes the libraries that a program of ours needs. Errors: one is in no package.
    pub fn needs_of(&self, tree: &mut Tree, what: &str, bytes: &[u8]) -> Result<()> {
        let needs = elf::needs(what, bytes)?;
        if let Some(interpreter) = needs.interpreter {
            self.with_needs(tree, interpreter.trim_start_matches('/'), what)?;
        }
        needs.libraries.iter().try_for_each(|name| {
            let found = LIBRARIES.iter().map(|directory| format!("{directory}/{name}"));
            let found = found.into_iter().find(|path| self.root.join(path).exists());
            let missing = || Error::Missing { list: "a program", wanted: name.clone(), by: what.to_owned() };
            self.with_needs(tree, &found.ok_or_else(missing)?, what)
        })
    }

    fn with_needs(&self, tree: &mut Tree, path: &str, by: &str) -> Result<()> {
        let mut path = normal(Path::new(path));
        for _ in 0..LINKS_MAX {
            if tree.has(&path) {
                return Ok(());
            }
            let place = self.root.join(&path);
            let missing = || Error::Missing { list: "files.txt", wanted: path.clone(), by: by.to_owned() };
            let kind = fs::symlink_metadata(&place).map_err(|_| missing())?;
            let origin = self.owners.get(&path).map_or("landfall", String::as_str);
            if !kind.is_symlink() {
                let bytes = read(&place)?;
                tree.file(&path, kind.permissions().mode() & 0o777 & !SET_ID, bytes.clone(), origin);
                return if elf::is_elf(&bytes) { self.needs_of(tree, &path, &bytes) } else { Ok(()) };
            }
            let target = fs::read_link(&place).map_err(Error::file(&place, "read"))?;
            tree.link(&path, &target.display().to_string(), origin);
            path = if target.is_absolute() {
                normal(&target)
            } else {
                normal(&Path::new(&path).parent().unwrap_or(Path::new("")).join(target))
            };
        }
        Err(Error::Missing {
            list: "files.txt",
            wanted: path,
            by: format!("{by}, by links that go in a circle"),
        })
    }
}

/// Returns a path below the root as Debian keeps it: without `.` and `..`, and with `usr/` before the old top directories.
fn normal(path: &Path) -> String {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => drop(out.pop()),
            _ => {}
        }
    }
    let old = ["bin", "sbin", "lib", "lib64"].iter().any(|top| out.starts_with(top));
    if old { Path::new("usr").join(out).display().to_string() } else { out.display().to_string() }
}

/// Puts the own files in, over what is there: modes are 0644, links stay links. Errors: one can't be read.
pub fn overlay(tree: &mut Tree, own: &Path) -> Result<()> {
    descend(tree, own, own)
}

fn descend(tree: &mut Tree, top: &Path, directory: &Path) -> Result<()> {
    let entries = fs::read_dir(directory).map_err(Error::file(directory, "read"))?;
    for entry in entries {
        let place = entry.map_err(Error::file(directory, "read"))?.path();
        let name = place.strip_prefix(top).unwrap_or(&place).display().to_string();
        let kind = fs::symlink_metadata(&place).map_err(Error::file(&place, "read"))?;
        if kind.is_dir() {
            descend(tree, top, &place)?;
        } else if kind.is_symlink() {
            let target = fs::read_link(&place).map_err(Error::file(&place, "read"))?;
            tree.link(&name, &target.display().to_string(), "landfall");
        } else {
            tree.file(&name, 0o644, read(&place)?, "landfall");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_as_debian_keeps_them() {
        for (path, normalised) in [
            ("/lib64/ld.so", "usr/lib64/ld.so"),
            ("usr/lib/systemd/../../bin/udevadm", "usr/bin/udevadm"),
            ("/etc/./hosts", "etc/hosts"),
        ] {
            assert_eq!(normal(Path::new(path)), normalised);
        }
    }

    #[test]
    fn links_are_followed_circles_end_and_nothing_keeps_a_set_user_bit() {
        let root = tempfile::tempdir().expect("a directory");
        let bin = root.path().join("usr/bin");
        fs::create_dir_all(&bin).expect("a directory");
        fs::write(bin.join("real"), "text").expect("a file");
        fs::set_permissions(bin.join("real"), fs::Permissions::from_mode(0o4755)).expect("a mode");
        std::os::unix::fs::symlink("real", bin.join("name")).expect("a link");
        std::os::unix::fs::symlink("/bin/circle", bin.join("circle")).expect("a link");
        let (mut tree, owners) = (Tree::default(), BTreeMap::new());
        let picker = Picker::new(root.path(), &owners);
        let line = |name: &str| [Line { name: name.to_owned(), reason: "a test".to_owned() }];
        picker.take(&mut tree, &line("bin/name")).expect("both are there");
        assert_eq!(tree.get("usr/bin/real").map(|entry| entry.mode), Some(0o755));
        assert_eq!(tree.get("usr/bin/name").map(|entry| entry.bytes()), Some(b"real".as_slice()));
        picker.take(&mut tree, &line("usr/bin/none")).expect_err("it is nowhere");
        picker
            .take(&mut Tree::default(), &line("usr/bin/circle"))
            .expect("a circle is found in the tree at once");
    }
}
