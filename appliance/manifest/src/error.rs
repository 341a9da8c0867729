//! Why a text is not a manifest.

/// Why a text is not a manifest.
#[derive(Debug, thiserror::Error)]
pub enum FormError {
    /// Longer than any manifest.
    #[error("it has {found} bytes, a manifest has at most {most}")]
    Long {
        /// Bytes there are.
        found: usize,
        /// Bytes allowed.
        most: usize,
    },
    /// Not the five lines of a manifest.
    #[error("it is not the five lines of a manifest: line {line} is not what it should be")]
    Lines {
        /// The first line that is wrong, from 1.
        line: usize,
    },
    /// A line is not the JSON it should be.
    #[error("line {line} is not what a manifest has there")]
    Json {
        /// The line, from 1.
        line: usize,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// Another format, or a later version of it.
    #[error("its format is {found:?}, this program reads {known:?}")]
    Format {
        /// Found.
        found: String,
        /// What this build reads.
        known: &'static str,
    },
    /// Valid JSON, but not written as manifests are.
    #[error("it says the same as a manifest in other bytes: it was changed after it was written")]
    NotCanonical,
    /// What it says contradicts itself.
    #[error("it contradicts itself: {what}")]
    Contradiction {
        /// In what.
        what: &'static str,
    },
}
