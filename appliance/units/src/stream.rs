//! Positions in a machine's stream and in its history.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident, $word:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        pub struct $name(pub u64);

        impl $name {
            /// Returns the one that follows.
            pub fn next(self) -> Self {
                Self(self.0.checked_add(1).expect(concat!("a ", $word, " never reaches 2^64")))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "{}", self.0)
            }
        }
    };
}

counter!(
    /// The position of a batch or marker in a machine's stream. The first is 1; 0 stands before it.
    Sequence,
    "sequence"
);
counter!(
    /// The number given to a machine's stream at each reprotect; an older one is refused for ever.
    Generation,
    "generation"
);
counter!(
    /// The number of an epoch of a machine's journal, from 1.
    EpochNumber,
    "epoch number"
);
