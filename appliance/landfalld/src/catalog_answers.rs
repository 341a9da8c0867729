//! Answers about the catalog, and keeps it up to what is there.

use control::api::{CatalogRebuild, CatalogRebuilt, CatalogReport, Concern, Health};
use control::{ApiError, Code};

use crate::answers::Answers;
use crate::records::Records;

impl Answers {
    /// Brings what is on record up to what is. What can't be done is told, and tried again with the next round.
    pub(crate) fn look_after(&self) {
        if let Err(error) = self.settle() {
            tracing::error!(error = %error, "the catalog is not up to date");
        }
    }

    /// Brings the records of machines up to what is on the volume.
    pub(crate) fn settle(&self) -> Result<(), ApiError> {
        self.records.as_ref().map_or(Ok(()), |records| records.settle(&self.node))
    }

    /// Says what is not well with the catalog.
    pub(crate) fn catalog_concerns(&self) -> Vec<Concern> {
        let Some(records) = &self.records else { return Vec::new() };
        let concern = |(health, what)| Concern { health, machine: None, what };
        let missing = match records.missing(&self.node) {
            Ok(missing) => missing.into_iter().map(|name| Concern {
                health: Health::Failed,
                what: format!(
                    "it is on record, and not on the retention volume; `landfall machine remove {name}` forgets it"
                ),
                machine: Some(name),
            }).collect(),
            Err(error) => vec![concern((Health::Failed, error.to_string()))],
        };
        records.problem().map(concern).into_iter().chain(missing).collect()
    }

    /// Says how the catalog stands.
    pub(crate) fn show_catalog(&self) -> Result<CatalogReport, ApiError> {
        self.records()?.show(&self.node)
    }

    /// Makes the catalog anew.
    pub(crate) fn rebuild_catalog(&self, wanted: &CatalogRebuild) -> Result<CatalogRebuilt, ApiError> {
        self.records()?.rebuild(&self.node, wanted)
    }

    fn records(&self) -> Result<&Records, ApiError> {
        let none = || ApiError::new(Code::NotHere, "this server keeps no catalog");
        self.records.as_deref().ok_or_else(none)
    }
}
