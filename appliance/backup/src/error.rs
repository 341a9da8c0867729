//! Why a file is no backup, or can't be opened.

/// Why a file is no backup, or can't be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// It is something else, or cut off.
    #[error("it is no backup of Landfall, or is cut off")]
    Kind,
    /// It was made by a newer version.
    #[error("it has the form {found}, this version knows up to {known}")]
    Newer {
        /// Its form.
        found: u32,
        /// The newest that is known.
        known: u32,
    },
    /// It asks for more work than any backup does.
    #[error("it asks for more memory or time than a backup of Landfall does")]
    Cost,
    /// The passphrase is another, or the file was changed.
    #[error("the passphrase is another, or the file was changed or damaged")]
    Sealed,
    /// What was sealed makes no sense.
    #[error("what it holds can't be read")]
    Contents,
    /// A passphrase is too short.
    #[error("a passphrase has at least {} characters", crate::PASSPHRASE_LEN_MIN)]
    Short,
}
