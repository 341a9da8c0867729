//! The list of what went in: CycloneDX 1.5, JSON. It names no moment and no random number.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::hash::{hex, sha256};
use crate::lock::Lock;
use crate::tree::{Node, Tree};

/// Returns the list of the packages that files were taken of, and of the programs of ours.
pub fn list(version: &str, tree: &Tree, lock: &Lock, programs: &[String]) -> Value {
    let used: BTreeSet<&str> = tree.iter().map(|(_, entry)| entry.origin.as_str()).collect();
    let packages = lock.packages.iter().filter(|package| used.contains(package.name.as_str()));
    let packages = packages.map(|package| {
        json!({
            "type": "library",
            "name": package.name,
            "version": package.version,
            "purl": format!("pkg:deb/debian/{}@{}?arch=amd64", package.name, package.version.replace('+', "%2B")),
            "hashes": [{ "alg": "SHA-256", "content": package.sha256 }],
        })
    });
    let own = programs.iter().filter_map(|path| match &tree.get(path)?.node {
        Node::File(bytes) => Some(json!({
            "type": "application",
            "name": path,
            "version": version,
            "hashes": [{ "alg": "SHA-256", "content": hex(&sha256(bytes)) }],
        })),
        Node::Directory | Node::Link(_) => None,
    });
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": { "type": "operating-system", "name": "landfall", "version": version } },
        "components": own.chain(packages).collect::<Vec<_>>(),
    })
}
