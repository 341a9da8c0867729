//! What can be looked at can be followed: server-sent events, for whoever accepts `text/event-stream`.
//!
//! A job is told as it goes on and ends with its result; block devices are told as something happens to them; anything else is
//! told anew every two seconds. An event is `progress`, `result`, or at the end `error`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::channel::{Channel, Sender};
use hyper::body::Bytes;
use hyper::{HeaderMap, Response};
use tokio::time::{sleep, timeout};

use super::problem::Problem;
use super::reply::{self, Body};
use crate::api::{AlarmEvents, AlarmWatch, DiskEvents, DiskWatch, JobWatch, Request};
use crate::caller::Caller;
use crate::desk::{Ask, Reply, ask_beside};
use crate::error::ErrorReply;
use crate::watch::{Seen, Watch};

/// Between two looks at what is told anew.
const ANEW_PAUSE: Duration = Duration::from_secs(2);
/// A client that takes no event for so long is given up.
const SEND_WAIT: Duration = Duration::from_secs(30);
/// After so many looks without news the client is told that the server lives.
const SILENT_LOOKS_MAX: u32 = 10;

/// One event.
struct Event {
    name: &'static str,
    id: Option<u64>,
    data: Vec<u8>,
    last: bool,
}

/// What one client follows.
pub(super) struct Following {
    ask: Arc<dyn Ask>,
    caller: Caller,
    what: What,
}

enum What {
    Job(Box<Watch>),
    Disks { after: Option<u64> },
    Alarms { after: Option<u64> },
    Anew { request: Request, pause: Duration },
}

impl Following {
    /// Begins to follow what a request asks for. `Last-Event-ID` says where a client had come to that was interrupted.
    pub(super) fn new(ask: Arc<dyn Ask>, caller: Caller, request: Request, headers: &HeaderMap) -> Self {
        let last = headers.get("last-event-id").and_then(|last| last.to_str().ok()?.parse().ok());
        let what = match request {
            Request::JobWatch(JobWatch { id }) => {
                What::Job(Box::new(Watch::new(ask.clone(), caller.clone(), id)))
            }
            Request::DiskWatch(DiskWatch { after }) => What::Disks { after: last.or(after) },
            Request::AlarmWatch(AlarmWatch { after }) => What::Alarms { after: last.or(after) },
            request => What::Anew { request, pause: Duration::ZERO },
        };
        Self { ask, caller, what }
    }

    /// Returns the next event, or nothing when there was none for a while.
    async fn next(&mut self) -> Result<Option<Event>, ErrorReply> {
        match &mut self.what {
            What::Job(watch) => match watch.next().await {
                Seen::Progress(progress) => Ok(Some(Event::of("progress", Reply::of(&progress).json()))),
                Seen::Ended(reply) => Ok(Some(Event { last: true, ..Event::of("result", reply?.json()) })),
            },
            What::Disks { after } => {
                let reply = ask_beside(&self.ask, &self.caller, DiskWatch { after: *after }.into()).await?;
                let events: DiskEvents = reply.read()?;
                *after = Some(events.newest);
                let event = Event { id: Some(events.newest), ..Event::of("result", reply.json()) };
                Ok((!events.events.is_empty()).then_some(event))
            }
            What::Alarms { after } => {
                let reply = ask_beside(&self.ask, &self.caller, AlarmWatch { after: *after }.into()).await?;
                let events: AlarmEvents = reply.read()?;
                *after = Some(events.newest);
                let event = Event { id: Some(events.newest), ..Event::of("result", reply.json()) };
                Ok((!events.alarms.is_empty()).then_some(event))
            }
            What::Anew { request, pause } => {
                sleep(std::mem::replace(pause, ANEW_PAUSE)).await;
                let reply = ask_beside(&self.ask, &self.caller, request.clone()).await?;
                Ok(Some(Event::of("result", reply.json())))
            }
        }
    }
}

impl Event {
    fn of(name: &'static str, data: &[u8]) -> Self {
        Self { name, id: None, data: data.to_vec(), last: false }
    }

    /// Writes the event; JSON of ours is one line.
    fn encode(&self) -> Bytes {
        let id = self.id.map_or_else(String::new, |id| format!("id: {id}\n"));
        let head = format!("{id}event: {}\ndata: ", self.name);
        [head.as_bytes(), &self.data, b"\n\n"].concat().into()
    }
}

/// Follows until it ends, fails, or the client leaves. Errors: what is to be followed can't be looked at.
pub(super) async fn follow(mut following: Following) -> Result<Response<Body>, ErrorReply> {
    let first = following.next().await?;
    let (sender, channel) = Channel::new(1);
    tokio::spawn(tell(following, first, sender));
    Ok(reply::stream(channel))
}

async fn tell(mut following: Following, first: Option<Event>, mut sender: Sender<Bytes, Infallible>) {
    let (mut told, mut silent) = (Ok(first), 0);
    loop {
        let (bytes, last) = match told {
            Ok(Some(event)) => (event.encode(), event.last),
            Ok(None) if silent < SILENT_LOOKS_MAX => (Bytes::new(), false),
            Ok(None) => (Bytes::from_static(b": nothing new\n\n"), false),
            Err(error) => {
                let problem = Reply::of(&Problem::new(error));
                (Event::of("error", problem.json()).encode(), true)
            }
        };
        silent = if bytes.is_empty() { silent + 1 } else { 0 };
        let sent =
            bytes.is_empty() || matches!(timeout(SEND_WAIT, sender.send_data(bytes)).await, Ok(Ok(())));
        if !sent || last {
            return;
        }
        told = following.next().await;
    }
}
