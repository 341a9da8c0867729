//! What can go wrong at a source, what it means for the program's exit, and what helps.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use blockdev::{DeviceError, EngineError};
use enrol::EnrolError;
use link::{HandshakeCause, LinkError};
use units::{ByteLen, MachineName};
use wire::RefusalCode;

/// Why a source cannot go on.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SourceError {
    /// A step on the state directory failed.
    #[error("cannot {step} {}", .path.display())]
    State {
        /// What was tried, as a verb.
        step: &'static str,
        /// The directory or file.
        path: PathBuf,
        /// What the kernel said.
        source: Arc<io::Error>,
    },
    /// Another agent protects the machine with the same state directory.
    #[error("another agent protects {machine}: it holds the lock {}", .path.display())]
    Locked {
        /// The machine.
        machine: MachineName,
        /// The lock.
        path: PathBuf,
    },
    /// A disk cannot be opened.
    #[error("cannot open the disk {}", .path.display())]
    Device {
        /// The disk.
        path: PathBuf,
        /// Why.
        source: DeviceError,
    },
    /// A disk cannot be read any more. Nothing of the failed read was sent.
    #[error("cannot read the disk {}", .path.display())]
    Read {
        /// The disk.
        path: PathBuf,
        /// Why.
        source: DeviceError,
    },
    /// What is to be read instead of a disk has another size.
    #[error("{} has {found}, the disk {} has {expected}", .path.display(), .disk.display())]
    Snapshot {
        /// The snapshot.
        path: PathBuf,
        /// Its size.
        found: ByteLen,
        /// The disk.
        disk: PathBuf,
        /// Its size.
        expected: ByteLen,
    },
    /// Writes that an earlier agent held can't be let go.
    #[error("writes may still be held since an earlier agent was killed, and can't be let go")]
    Thaw {
        /// What the hook said.
        found: String,
    },
    /// The kernel's queue for reads failed.
    #[error("the queue of reads failed")]
    Engine(#[source] EngineError),
    /// The compressor cannot be made.
    #[error("the compressor cannot be made")]
    Compressor(#[source] Arc<io::Error>),
    /// No random numbers.
    #[error("the kernel gives no random numbers")]
    Random(#[source] Arc<io::Error>),
    /// The certificates cannot be used.
    #[error("the identity in {} cannot be used", .path.display())]
    Identity {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: Arc<LinkError>,
    },
    /// The certificate can't be kept good.
    #[error("the identity in {} cannot be kept good", .path.display())]
    Keeping {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: Arc<EnrolError>,
    },
    /// No connection, or one that broke.
    #[error("no connection to {target}")]
    Lost {
        /// The target.
        target: String,
        /// Why.
        source: Arc<LinkError>,
    },
    /// The target ended the session in order.
    #[error("{target} closed the session")]
    Closed {
        /// The target.
        target: String,
    },
    /// The target refused.
    #[error("{target} refused ({code:?})")]
    Refused {
        /// The target.
        target: String,
        /// What kind of refusal.
        code: RefusalCode,
        /// The target's words.
        detail: String,
    },
    /// The target does not keep the rules of the protocol.
    #[error("{target} does not keep to the protocol")]
    Protocol {
        /// The target.
        target: String,
        /// What it did.
        found: String,
    },
    /// The target was not reached in the time given.
    #[error("{target} was not reached within {} s", .waited.as_secs_f64())]
    Unreachable {
        /// The target.
        target: String,
        /// The time given.
        waited: Duration,
        /// The last failure.
        source: Box<Self>,
    },
    /// The operator asked to stop before it was done.
    #[error("stopped before a recovery point was durable")]
    Stopped,
}

/// What a failure means for whoever started the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It failed.
    Failed,
    /// The target refused; nothing was changed.
    Refused,
    /// The target was not reached.
    NotReachable,
    /// The certificate does not allow it.
    NotAuthorised,
}

/// Whether the same thing may work later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It may: the connection is gone, the target is stopping, full, busy or rewound.
    Later,
    /// Not before somebody changes something.
    Never,
}

impl SourceError {
    /// Tells whether trying again can help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Closed { .. } => Retry::Later,
            // A target that is killed in the middle of a handshake comes back.
            Self::Lost { source, .. } if source.is_temporary() || closed_in_handshake(source) => Retry::Later,
            Self::Refused { code, .. } if code.is_temporary() => Retry::Later,
            _ => Retry::Never,
        }
    }

    /// Tells what the failure means for the program's exit.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Refused { code: RefusalCode::NotAuthorised, .. } => Outcome::NotAuthorised,
            Self::Refused { .. } => Outcome::Refused,
            Self::Lost { source, .. } if matches!(**source, LinkError::Handshake { .. }) => {
                Outcome::NotAuthorised
            }
            Self::Unreachable { source, .. } if matches!(**source, Self::Refused { .. }) => Outcome::Refused,
            Self::Unreachable { .. } => Outcome::NotReachable,
            _ => Outcome::Failed,
        }
    }

    /// Says why, as far as it is known.
    pub fn cause(&self) -> Option<String> {
        match self {
            Self::Refused { detail, .. } => Some(detail.clone()),
            Self::Protocol { found, .. } | Self::Thaw { found } => Some(found.clone()),
            Self::Unreachable { source, .. } => {
                let cause = source.cause().map(|cause| format!(": {cause}")).unwrap_or_default();
                Some(format!("{source}{cause}"))
            }
            _ => {
                let mut next = std::error::Error::source(self);
                let mut causes = Vec::new();
                while let Some(cause) = next {
                    causes.push(cause.to_string());
                    next = cause.source();
                }
                (!causes.is_empty()).then(|| causes.join(": "))
            }
        }
    }

    /// Says what the operator can do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::State { .. } => "check that the directory given with --state can be written and has space",
            Self::Locked { .. } => "stop the other agent, or give each machine's agent its own --state",
            Self::Device { .. } => {
                "give the path of a block device with --disk, or of a raw image file with --allow-file as well"
            }
            Self::Read { .. } => {
                "check the disk (`dmesg`); start again when it can be read: nothing that was acked is lost"
            }
            Self::Snapshot { .. } => "have the hook name a snapshot of the whole disk",
            Self::Thaw { .. } => "run the hook with `thaw` by hand, see why it fails, then start again",
            Self::Engine(_) | Self::Compressor(_) | Self::Random(_) => {
                "start again; if it stays, report it with the log"
            }
            Self::Identity { .. } | Self::Keeping { .. } => {
                "join again: `landfall server token --role source --name MACHINE` at home, then `landfall-source join`"
            }
            Self::Lost { source, .. } if matches!(**source, LinkError::Handshake { .. }) => {
                "check that both identities come from one authority, are valid now and have the right roles"
            }
            Self::Lost { .. } | Self::Closed { .. } | Self::Unreachable { .. } => {
                "check the address given with --to, and that landfalld runs there and can be reached"
            }
            Self::Refused { code, .. } => refusal_fix(*code),
            Self::Protocol { .. } => "run the same version at both ends",
            Self::Stopped => "start again: it resumes where it was",
        }
    }
}

fn closed_in_handshake(error: &LinkError) -> bool {
    matches!(error, LinkError::Handshake { cause: HandshakeCause::Closed })
}

fn refusal_fix(code: RefusalCode) -> &'static str {
    match code {
        RefusalCode::LostHistory => {
            "start once with --resync: every leaf is compared, and what differs is sent"
        }
        RefusalCode::UnknownMachine => {
            "register it at the target: `landfall machine add MACHINE --disk PATH`"
        }
        RefusalCode::DiskMismatch => {
            "give every disk with --disk, in the order and with the sizes known at the target"
        }
        RefusalCode::Fenced => {
            "this machine was failed over or is protected from elsewhere; do not start this source again"
        }
        RefusalCode::NotAuthorised => "use the identity that was issued for this machine with role source",
        RefusalCode::Rewound => "commit or cancel the failback at the target",
        RefusalCode::Full => "give the retention volume more space, or shorten the retention window",
        RefusalCode::Busy => "stop the other source of this machine",
        RefusalCode::DeviceFailed | RefusalCode::Damaged => "see `landfall status` at the target",
        RefusalCode::Stopping | RefusalCode::Silent => "start again when the target runs",
        _ => "run the same version at both ends",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: RefusalCode) -> SourceError {
        SourceError::Refused { target: "box:9443".into(), code, detail: String::new() }
    }

    #[test]
    fn each_kind_of_failure_has_its_exit() {
        assert_eq!(refused(RefusalCode::Fenced).outcome(), Outcome::Refused);
        assert_eq!(refused(RefusalCode::NotAuthorised).outcome(), Outcome::NotAuthorised);
        assert_eq!(SourceError::Stopped.outcome(), Outcome::Failed);
        let closed = SourceError::Closed { target: "t".into() };
        for (source, outcome) in
            [(closed, Outcome::NotReachable), (refused(RefusalCode::Busy), Outcome::Refused)]
        {
            let (target, waited) = ("t".to_owned(), Duration::from_secs(1));
            assert_eq!(
                SourceError::Unreachable { target, waited, source: Box::new(source) }.outcome(),
                outcome
            );
        }
    }

    #[test]
    fn only_what_can_pass_by_itself_is_tried_again() {
        assert_eq!(refused(RefusalCode::Rewound).retry(), Retry::Later);
        assert_eq!(refused(RefusalCode::Fenced).retry(), Retry::Never);
        assert_eq!(refused(RefusalCode::LostHistory).retry(), Retry::Never);
        assert_eq!(SourceError::Closed { target: "t".into() }.retry(), Retry::Later);
    }
}
