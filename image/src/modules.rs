//! Kernel modules and those they need.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::elf;
use crate::error::{read, write};
use crate::program::{Tools, run};
use crate::recipe::Line;
use crate::tree::Tree;
use crate::{Error, Result};

/// What depmod writes and the kernel's loader reads.
const TABLES: [&str; 8] = [
    "modules.alias.bin",
    "modules.builtin.alias.bin",
    "modules.builtin.bin",
    "modules.dep.bin",
    "modules.devname",
    "modules.order",
    "modules.softdep",
    "modules.symbols.bin",
];
/// What depmod wants to see.
const GIVEN: [&str; 3] = ["modules.builtin", "modules.builtin.modinfo", "modules.order"];

/// Returns the kernel's version: the one directory below `usr/lib/modules`. Errors: there is none, or more than one.
pub fn kernel_version(root: &Path) -> Result<String> {
    let directory = root.join("usr/lib/modules");
    let entries = fs::read_dir(&directory).map_err(Error::file(&directory, "read"))?;
    let mut names: Vec<_> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    match names.pop() {
        Some(name) if names.is_empty() => Ok(name),
        _ => Err(Error::Form {
            what: directory.display().to_string(),
            expected: "the directory of one kernel",
            found: "none, or several".to_owned(),
        }),
    }
}

/// Takes modules with those they need, unpacked, and the tables to find them by. What is built into the kernel is left out. Errors: one is
/// neither a file nor built in; a program fails.
pub fn take(tree: &mut Tree, root: &Path, owner: &str, list: &[Line]) -> Result<()> {
    let version = kernel_version(root)?;
    let home = root.join("usr/lib/modules").join(&version);
    let tools = Tools::of(root);
    let files = by_name(&home)?;
    let builtin = crate::error::read_text(&home.join("modules.builtin"))?;
    let builtin: BTreeSet<String> = builtin.lines().map(|line| name_of(Path::new(line))).collect();
    let stage = tempfile::tempdir().map_err(Error::file(&std::env::temp_dir(), "written"))?;
    let staged = stage.path().join("lib/modules").join(&version);
    let mut wanted: Vec<(String, String)> =
        list.iter().map(|line| (line.name.replace('-', "_"), "the list itself".to_owned())).collect();
    let mut taken = BTreeSet::new();
    while let Some((name, by)) = wanted.pop() {
        if builtin.contains(&name) || !taken.insert(name.clone()) {
            continue;
        }
        let missing = || Error::Missing { list: "modules.txt", wanted: name.clone(), by: by.clone() };
        let path = files.get(&name).ok_or_else(missing)?;
        let bytes = unpack(&tools, path)?;
        wanted.extend(depends(&name, &bytes)?.into_iter().map(|needed| (needed, name.clone())));
        let inside = path.strip_prefix(&home).unwrap_or(path).with_extension("");
        let place = staged.join(&inside);
        fs::create_dir_all(place.parent().unwrap_or(&place)).map_err(Error::file(&place, "written"))?;
        write(&place, &bytes)?;
        tree.file(&format!("usr/lib/modules/{version}/{}", inside.display()), 0o644, bytes, owner);
    }
    for name in GIVEN {
        write(&staged.join(name), &read(&home.join(name))?)?;
    }
    let mut depmod = tools.command_as("usr/bin/kmod", "depmod");
    run(depmod.arg("--basedir").arg(stage.path()).arg(&version))?;
    for name in TABLES {
        tree.file(&format!("usr/lib/modules/{version}/{name}"), 0o644, read(&staged.join(name))?, owner);
    }
    Ok(())
}

fn unpack(tools: &Tools, path: &Path) -> Result<Vec<u8>> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("xz") => run(tools.command("usr/bin/xz").args(["--decompress", "--stdout"]).arg(path)),
        _ => read(path),
    }
}

fn depends(name: &str, bytes: &[u8]) -> Result<Vec<String>> {
    let facts = elf::section(name, bytes, ".modinfo")?.unwrap_or_default();
    let facts = facts.split(|byte| *byte == 0).filter_map(|fact| std::str::from_utf8(fact).ok());
    let lists = facts.filter_map(|fact| fact.strip_prefix("depends="));
    let names = lists.flat_map(|list| list.split(',')).filter(|name| !name.is_empty());
    Ok(names.map(|name| name.replace('-', "_")).collect())
}

fn by_name(home: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let (mut files, mut directories) = (BTreeMap::new(), vec![home.join("kernel")]);
    while let Some(directory) = directories.pop() {
        let entries = fs::read_dir(&directory).map_err(Error::file(&directory, "read"))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                directories.push(path);
            } else {
                files.insert(name_of(&path), path);
            }
        }
    }
    Ok(files)
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').next().unwrap_or_default().replace('-', "_")
}
