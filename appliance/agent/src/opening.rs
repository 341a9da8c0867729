//! How a session is opened: `Hello` up, `Welcome` or `Refused` down.

use std::time::{Duration, Instant};

use link::{Connector, Credentials, Limits, Link, LinkError, Received};
use units::Timestamp;
use wire::heartbeat::{Hello, Message, VERSIONS, Welcome, check};

use crate::Diagnosis;
use crate::clock::{ControllerClock, Sent};

/// For `Welcome` after `Hello`.
const WELCOME_WAIT: Duration = Duration::from_secs(10);

/// A session that was opened.
pub(crate) struct Opened {
    pub(crate) link: Link<Message>,
    pub(crate) welcome: Welcome,
    pub(crate) credentials: Credentials,
    /// When `Hello` was sent.
    pub(crate) sent: Sent,
    /// When `Welcome` came.
    pub(crate) heard: Instant,
}

/// Connects, with the certificate that is in the directory now, and opens a session.
///
/// # Errors
/// The step that failed.
pub(crate) fn open(
    controller: &str,
    identity: &std::path::Path,
    hello: impl FnOnce(Timestamp) -> Hello,
    clock: &ControllerClock,
) -> Result<Opened, Diagnosis> {
    let failed = |error: &LinkError| {
        let distance = clock.distance(now(), Instant::now());
        Diagnosis::of_link(error, distance)
    };
    let credentials = Credentials::read(identity).map_err(|error| failed(&error))?;
    let connector = Connector::to_controller(&credentials).map_err(|error| failed(&error))?;
    let mut link = connector.connect(controller, &Limits::default()).map_err(|error| failed(&error))?;
    let sent = Sent { time: now(), at: Instant::now() };
    link.send(&Message::Hello(hello(sent.time)), &[]).map_err(|error| failed(&error))?;
    let received = link.receive(&mut Vec::new(), WELCOME_WAIT).map_err(|error| failed(&error))?;
    let heard = Instant::now();
    match received {
        Received::Message(message) => {
            let welcome = welcomed(message)?;
            Ok(Opened { link, welcome, credentials, sent, heard })
        }
        Received::TimedOut | Received::Woken => {
            Err(Diagnosis::ended("it takes the connection and says nothing"))
        }
        Received::Closed => Err(Diagnosis::ended("it closed the connection without a word")),
    }
}

fn welcomed(message: Message) -> Result<Welcome, Diagnosis> {
    if let Err(error) = check(&message, 0) {
        return Err(Diagnosis::ended(&format!("its answer is against the rules: {error}")));
    }
    match message {
        Message::Welcome(welcome) if (VERSIONS.oldest..=VERSIONS.newest).contains(&welcome.version) => {
            Ok(welcome)
        }
        Message::Refused(refused) => Err(Diagnosis::of_refusal(&refused)),
        _ => Err(Diagnosis::ended("it answers the opening with another message")),
    }
}

/// Returns our wall clock.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_system(std::time::SystemTime::now())
}
