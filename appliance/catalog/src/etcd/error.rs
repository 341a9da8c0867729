//! Why a cluster did not answer, or not as it should.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a cluster did not answer, or not as it should.
#[derive(Debug, thiserror::Error)]
pub enum EtcdError {
    /// No endpoint answered in time.
    #[error(
        "no etcd endpoint answered {path} within {waited:.1?}; the last one tried was {endpoint}; look at `etcdctl endpoint health`"
    )]
    Away {
        /// What was asked for.
        path: &'static str,
        /// How long it was tried.
        waited: Duration,
        /// The last endpoint that was tried.
        endpoint: String,
        /// Why that one did not answer.
        source: Broken,
    },
    /// The cluster refuses.
    #[error("{endpoint} refuses {path}: {message} (code {code}){}", hint(message))]
    Refused {
        /// Who refuses.
        endpoint: String,
        /// What was asked for.
        path: &'static str,
        /// The code of gRPC.
        code: i64,
        /// What the cluster says.
        message: String,
    },
    /// An answer is none.
    #[error("{endpoint} answered {path} with what is no answer; is it an etcd of version 3.4 or later?")]
    NotUnderstood {
        /// Who answered.
        endpoint: String,
        /// What was asked for.
        path: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// Why one endpoint did not answer.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// A certificate or key can't be used.
    #[error("{} can't be used: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// Our certificate and our key don't fit, or TLS can't be set up.
    #[error("its certificates can't be used")]
    Certificates(#[source] rustls::Error),
    /// Nobody takes the connection.
    #[error("it can't be connected to")]
    Connect(#[source] io::Error),
    /// Its certificate is not good, or it does not take ours.
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    /// The connection broke.
    #[error("the connection broke")]
    Http(#[from] hyper::Error),
    /// It said nothing.
    #[error("it said nothing for {0:?}")]
    Silent(Duration),
    /// An answer is longer than any may be.
    #[error("its answer is longer than {0} bytes")]
    TooLong(usize),
    /// It can't answer now.
    #[error("it can't answer now: {message}")]
    Unable {
        /// What it says.
        message: String,
    },
    /// It answered only a moment ago that it could not.
    #[error("it was away a moment ago: {0}")]
    JustNow(String),
    /// The thread that speaks to it is gone.
    #[error("landfalld no longer speaks to it")]
    Stopped,
}

/// gRPC: something that was named is not there.
pub(super) const NOT_FOUND: i64 = 5;
/// gRPC: a revision is out of range.
pub(super) const OUT_OF_RANGE: i64 = 11;

impl EtcdError {
    /// Tells whether something that was named, as a lease, is not there.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { code: NOT_FOUND, .. })
    }

    /// Tells whether a revision is one that the cluster no longer has.
    pub(super) fn is_compacted(&self) -> bool {
        matches!(self, Self::Refused { code: OUT_OF_RANGE, message, .. } if message.contains("compacted"))
    }
}

/// Says what to do where the cluster's own words don't.
fn hint(message: &str) -> &'static str {
    if message.contains("database space exceeded") {
        "; compact and defragment it, then `etcdctl alarm disarm`"
    } else if message.contains("permission denied") || message.contains("auth") {
        "; the user of --catalog-cert needs the role to read and write the prefix landfall/"
    } else {
        ""
    }
}
