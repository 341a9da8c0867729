//! Packages: had from the mirror that the machine uses, unpacked once and kept.
//!
//! ```text
//! CACHE/KEY/tree     all files of all packages
//! CACHE/KEY/owners   PACKAGE PATH
//! CACHE/KEY/lock     what was had
//! ```
//! A directory gets its name when it is complete: what was begun and not ended is never used.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::fmt::rfc2822;

use crate::error::{read_text, write};
use crate::hash::{hex, sha256, sha256_of};
use crate::lock::{Lock, Package};
use crate::program::{command, run};
use crate::{Error, Result};

/// The release of Debian that images are made of.
const SUITE: &str = "trixie";
/// Way of keeping things in the cache; another one has other keys.
const FORM: &str = "1";

/// Packages that lie unpacked.
#[derive(Clone, Debug)]
pub struct Packages {
    /// Where their files are.
    pub root: PathBuf,
    /// The package of each file.
    pub owners: BTreeMap<String, String>,
    /// What they are.
    pub lock: Lock,
}

/// Returns the cache that a user has if nothing else was said.
pub fn cache() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/root".into())).join(".cache");
    std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("landfall/image")
}

/// Returns the packages of a lock, from the cache or the mirror. Errors: the mirror has others by now; a program fails.
pub fn locked(cache: &Path, lock: &Lock) -> Result<Packages> {
    let key = hex(&sha256(format!("{FORM}\n{lock}").as_bytes()))[..16].to_owned();
    let place = cache.join(key);
    if !place.join("lock").exists() {
        let wanted: Vec<_> =
            lock.packages.iter().map(|package| format!("{}={}", package.name, package.version)).collect();
        let draft = unpack(cache, &wanted)?;
        let found = Lock::parse(&read_text(&draft.join("lock"))?)?;
        lock.check(&found.packages)?;
        keep(&draft, &place)?;
    }
    open(&place, lock.clone())
}

/// Makes a lock of what the mirror has today, with all that the wanted packages depend on. Errors: a program fails.
pub fn relock(cache: &Path, wanted: &[String]) -> Result<Lock> {
    let draft = unpack(cache, wanted)?;
    let lock = Lock::parse(&read_text(&draft.join("lock"))?)?;
    let key = hex(&sha256(format!("{FORM}\n{lock}").as_bytes()))[..16].to_owned();
    keep(&draft, &cache.join(key))?;
    Ok(lock)
}

fn open(place: &Path, lock: Lock) -> Result<Packages> {
    let owners = read_text(&place.join("owners"))?;
    let owners = owners.lines().filter_map(|line| line.split_once(' '));
    let owners = owners.map(|(package, path)| (path.to_owned(), package.to_owned())).collect();
    Ok(Packages { root: place.join("tree"), owners, lock })
}

/// Gives a draft its name. Another build may have been faster: then its work is used.
fn keep(draft: &Path, place: &Path) -> Result<()> {
    match fs::rename(draft, place) {
        Err(_) if place.join("lock").exists() => {
            fs::remove_dir_all(draft).map_err(Error::file(draft, "removed"))
        }
        renamed => renamed.map_err(Error::file(place, "named")),
    }
}

fn unpack(cache: &Path, wanted: &[String]) -> Result<PathBuf> {
    fs::create_dir_all(cache).map_err(Error::file(cache, "made"))?;
    let draft = tempfile::Builder::new().prefix(".draft-").tempdir_in(cache);
    let draft = draft.map_err(Error::file(cache, "written"))?;
    let root = draft.path().join("tree");
    let mut mmdebstrap = command("mmdebstrap");
    mmdebstrap.args(["--quiet", "--variant=extract", "--format=directory", "--architectures=amd64"]);
    mmdebstrap
        .args(["--aptopt=APT::Install-Recommends \"false\"", "--skip=cleanup/apt,cleanup/reproducible"]);
    mmdebstrap.arg(format!("--include={}", wanted.join(","))).arg(SUITE).arg(&root).args(sources()?);
    run(&mut mmdebstrap)?;
    let archives = root.join("var/cache/apt/archives");
    let mut packages = Vec::new();
    let mut owners = String::new();
    for archive in files_of(&archives, "deb")? {
        let package = describe(&archive)?;
        owners.extend(names_in(&archive)?.into_iter().map(|path| format!("{} {path}\n", package.name)));
        packages.push(package);
    }
    packages.sort();
    let lock = Lock { epoch: release_epoch(&root.join("var/lib/apt/lists"))?, packages };
    for done_with in [&archives, &root.join("var/lib/apt")] {
        fs::remove_dir_all(done_with).map_err(Error::file(done_with, "removed"))?;
    }
    write(&draft.path().join("owners"), owners.as_bytes())?;
    write(&draft.path().join("lock"), lock.to_string().as_bytes())?;
    Ok(draft.keep())
}

/// Returns the sources of packages: the mirrors that the machine itself uses, with the release that images are made of.
fn sources() -> Result<Vec<String>> {
    let mut targets = command("apt-get");
    targets.args(["indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"]);
    let targets = String::from_utf8_lossy(&run(&mut targets)?).into_owned();
    let own = read_text(Path::new("/etc/os-release"))?;
    let own = own.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).unwrap_or_default();
    let mut sources: Vec<String> = Vec::new();
    for target in targets.lines() {
        let words: Vec<_> = target.split_whitespace().collect();
        let [uri, release, "main"] = words.as_slice() else { continue };
        let suite = match release.strip_prefix(own) {
            Some(part @ ("" | "-security")) => format!("{SUITE}{part}"),
            _ => continue,
        };
        sources.push(format!("deb {uri} {suite} main"));
    }
    sources.sort();
    sources.dedup();
    if sources.is_empty() {
        return Err(Error::Form {
            what: "the package sources of this machine".to_owned(),
            expected: "those of a Debian system",
            found: "no archive with a component main".to_owned(),
        });
    }
    Ok(sources)
}

fn files_of(directory: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).map_err(Error::file(directory, "read"))?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|found| found == extension));
    files.sort();
    Ok(files)
}

fn describe(archive: &Path) -> Result<Package> {
    let fields =
        run(command("dpkg-deb").arg("--showformat=${Package} ${Version}").arg("--show").arg(archive))?;
    let fields = String::from_utf8_lossy(&fields).into_owned();
    let (name, version) = fields.split_once(' ').unwrap_or_default();
    Ok(Package { name: name.to_owned(), version: version.to_owned(), sha256: hex(&sha256_of(archive)?) })
}

/// Returns the paths of files and links in an archive, without a leading slash.
fn names_in(archive: &Path) -> Result<Vec<String>> {
    let listed = run(command("dpkg-deb").arg("--contents").arg(archive))?;
    let listed = String::from_utf8_lossy(&listed).into_owned();
    let name = |line: &str| {
        let path = line.split_whitespace().nth(5)?.strip_prefix("./")?;
        (!path.is_empty() && !path.ends_with('/')).then(|| path.to_owned())
    };
    Ok(listed.lines().filter_map(name).collect())
}

/// Returns the moment of the newest release file: the same for everybody who has the same packages.
fn release_epoch(lists: &Path) -> Result<u64> {
    let mut newest = 0;
    for list in release_files(lists)? {
        let text = read_text(&list)?;
        let dates = text.lines().filter_map(|line| line.strip_prefix("Date: "));
        let seconds = dates.filter_map(|date| rfc2822::parse(&date.replace("UTC", "+0000")).ok());
        let seconds = seconds.filter_map(|moment| u64::try_from(moment.timestamp().as_second()).ok());
        newest = seconds.fold(newest, u64::max);
    }
    if newest == 0 {
        return Err(Error::Form {
            what: lists.display().to_string(),
            expected: "lists of packages with a date",
            found: "none has a line `Date:`".to_owned(),
        });
    }
    Ok(newest)
}

fn release_files(lists: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(lists).map_err(Error::file(lists, "read"))?;
    let files = entries.flatten().map(|entry| entry.path());
    Ok(files.filter(|path| path.to_string_lossy().ends_with("Release")).collect())
}
