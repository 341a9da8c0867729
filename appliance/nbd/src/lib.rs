//! driver: an NBD server, for clients nobody here wrote.
//!
//! What is served is an [`Export`].
//!
//! Not here: what a recovery point is (`target`), who asks for one (`control`).

mod export;

/// What is served: a disk image that is read in granules, and perhaps written.
pub use export::{Allocation, Export, ExportError, PIECE_LEN_MAX, Span};
