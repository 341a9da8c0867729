//! TEMP
use crate::error::SourceError;
#[derive(Debug)] pub struct Activity;
impl Activity { pub(crate) fn stamps(&self) -> Result<Vec<u64>, SourceError> { Ok(Vec::new()) } }
