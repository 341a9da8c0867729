//! Why a session ends that the target does not want to go on with.

use link::LinkError;
use wire::{CheckError, Message, RefusalCode, Refused};

use crate::replica::{FailureKind, State};

/// Why a session ends.
#[derive(Debug, thiserror::Error)]
pub enum SessionEnd {
    /// The connection broke, or its bytes are no frames.
    #[error("the connection ended")]
    Link(#[from] LinkError),
    /// The source said goodbye, or closed between two frames.
    #[error("the source said goodbye")]
    Goodbye,
    /// We refuse to go on.
    #[error("refused as {code:?}: {detail}")]
    Refused {
        /// What kind of refusal.
        code: RefusalCode,
        /// For people.
        detail: String,
    },
}

impl SessionEnd {
    pub(crate) fn refused(code: RefusalCode, detail: impl Into<String>) -> Self {
        Self::Refused { code, detail: detail.into() }
    }

    /// Returns the message that tells the source.
    pub fn message(code: RefusalCode, detail: &str) -> Message {
        let mut text = heapless::String::new();
        for letter in detail.chars() {
            if text.push(letter).is_err() {
                break;
            }
        }
        Message::Refused(Box::new(Refused { code, detail: text }))
    }

    /// Says why a machine takes nothing now, if it does not.
    pub(crate) fn of_state(state: &State) -> Option<Self> {
        use retention::Lifecycle;
        if let Some((kind, what)) = &state.failure {
            let code = match kind {
                FailureKind::Damaged => RefusalCode::Damaged,
                FailureKind::Device | FailureKind::Full | FailureKind::Refused => RefusalCode::DeviceFailed,
            };
            return Some(Self::refused(
                code,
                format!("the machine is out: {what}; see `landfall status` at the target"),
            ));
        }
        match state.lifecycle {
            Lifecycle::Committed { at } => Some(Self::refused(
                RefusalCode::Fenced,
                format!(
                    "generation {} ended when sequence {at} was committed; `landfall reprotect` at the target begins another",
                    state.generation
                ),
            )),
            Lifecycle::Rewinding { .. } | Lifecycle::Rewound { .. } => Some(Self::refused(
                RefusalCode::Rewound,
                "the machine stands at an older recovery point: `landfall commit` or `landfall cancel` it first",
            )),
            _ if state.is_closed() => Some(Self::refused(
                RefusalCode::Rewound,
                "a failback has begun: wait for it, then commit or cancel",
            )),
            _ => None,
        }
    }
}

impl From<CheckError> for SessionEnd {
    fn from(error: CheckError) -> Self {
        Self::refused(error.refusal_code(), error.to_string())
    }
}
