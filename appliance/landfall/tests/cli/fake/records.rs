//! What the fake service has on record.

use control::api::{CatalogCopy, CatalogMode, CatalogReport, KindCount};

use super::facts::now;

fn kinds(each: &[(&str, u64)]) -> Vec<KindCount> {
    each.iter().map(|(kind, count)| KindCount { kind: (*kind).to_owned(), count: *count }).collect()
}

pub(super) fn catalog() -> CatalogReport {
    let records = kinds(&[("certificate", 5), ("machine", 2), ("settings", 1)]);
    let path = "/mnt/retention/catalog.copy".to_owned();
    CatalogReport {
        time: now(),
        server: "home-01".parse().unwrap(),
        mode: CatalogMode::Current,
        trouble: None,
        installation: Some("0b".repeat(16)),
        revision: Some(1204),
        copy: CatalogCopy { path, revision: Some(1204), records: records.clone(), problem: None },
        records,
        missing: vec!["old-01".parse().unwrap()],
        found: vec!["web-01".parse().unwrap()],
    }
}

pub(super) fn catalog_in_trouble() -> CatalogReport {
    let trouble = "/var/lib/landfall/catalog.db is missing".to_owned();
    CatalogReport {
        mode: CatalogMode::Safe,
        trouble: Some(trouble),
        installation: None,
        revision: None,
        records: Vec::new(),
        missing: Vec::new(),
        ..catalog()
    }
}
