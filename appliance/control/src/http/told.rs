//! Server-sent events, read: pieces of a stream in, what they tell out.

use super::problem::Problem;
use crate::api::Progress;
use crate::desk::Reply;
use crate::error::ErrorReply;

/// Bytes an event may have before its end is seen.
const EVENT_LEN_MAX: usize = 16 << 20;

/// What one event tells.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
    /// It goes on.
    Progress(Progress),
    /// What was asked for.
    Result(Reply),
    /// It failed.
    Error(ErrorReply),
}

/// Puts pieces of a stream together.
#[derive(Default)]
pub(crate) struct TellEvents {
    received: Vec<u8>,
}

impl TellEvents {
    /// Takes the next piece; returns what the events that it completes tell. Errors: why an event was not understood.
    pub(crate) fn take(&mut self, piece: &[u8]) -> Vec<Result<Told, String>> {
        self.received.extend_from_slice(piece);
        let mut told = Vec::new();
        while let Some(end) = self.received.windows(2).position(|pair| pair == b"\n\n") {
            let rest = self.received.split_off(end + 2);
            let event = std::mem::replace(&mut self.received, rest);
            told.extend(read(&event[..end]).transpose());
        }
        if self.received.len() > EVENT_LEN_MAX {
            told.push(Err("an event is too long".to_owned()));
        }
        told
    }
}

/// Reads one event; a comment alone tells nothing.
fn read(event: &[u8]) -> Result<Option<Told>, String> {
    let event = std::str::from_utf8(event).map_err(|error| error.to_string())?;
    let field = |wanted: &str| event.lines().find_map(|line| line.strip_prefix(wanted)?.strip_prefix(": "));
    let Some(data) = field("data") else { return Ok(None) };
    let told = match field("event") {
        Some("progress") => serde_json::from_str(data).map(Told::Progress),
        Some("result") => Ok(Told::Result(Reply::from_json(data.as_bytes().to_vec()))),
        Some("error") => serde_json::from_str::<Problem>(data).map(|problem| Told::Error(problem.into())),
        _ => return Ok(None),
    };
    told.map(Some).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = ": alive\n\nevent: progress\ndata: {\"job\":4,\"done_bytes\":1,\"total_bytes\":2,\"rate\":0,\"eta_seconds\":null}\n\n\
                          id: 7\nevent: result\ndata: {\"a\":1}\n\n";

    #[test]
    fn events_are_read_however_the_stream_is_cut() {
        let whole = TellEvents::default().take(STREAM.as_bytes());
        assert_eq!(whole.len(), 2);
        assert!(matches!(&whole[0], Ok(Told::Progress(progress)) if progress.job.0 == 4));
        assert!(matches!(&whole[1], Ok(Told::Result(reply)) if reply.json() == br#"{"a":1}"#));
        for cut in 0..STREAM.len() {
            let (head, tail) = STREAM.as_bytes().split_at(cut);
            let mut events = TellEvents::default();
            let told: Vec<_> = events.take(head).into_iter().chain(events.take(tail)).collect();
            assert_eq!(told, whole, "cut at {cut}");
        }
    }

    #[test]
    fn no_stream_makes_it_panic_or_grow_without_bound() {
        for bit in 0..STREAM.len() * 8 {
            let mut flipped = STREAM.as_bytes().to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            drop(TellEvents::default().take(&flipped));
        }
        let told = TellEvents::default().take(&vec![b'x'; EVENT_LEN_MAX + 1]);
        assert!(told[0].is_err());
    }
}
