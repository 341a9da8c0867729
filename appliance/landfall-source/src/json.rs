//! JSON lines for programs.

use serde_json::{Value, json};
use source::{Event, Point, Progress};

use crate::lines;

/// Returns one event as an object with a `type`.
pub(crate) fn event(event: &Event) -> Value {
    match event {
        Event::Connected { target, generation, durable } => {
            json!({"type": "connected", "target": target, "generation": generation.0, "durable": durable.0})
        }
        Event::Waiting { reason } => json!({"type": "waiting", "reason": reason}),
        Event::Warning { text } => json!({"type": "warning", "text": text}),
        Event::Progress(value) => progress(value),
        Event::Point(value) => point("point", value),
    }
}

/// Returns a recovery point under the type given.
pub(crate) fn point(kind: &str, point: &Point) -> Value {
    let roots: Vec<String> = point.roots.iter().map(ToString::to_string).collect();
    json!({
        "type": kind,
        "sequence": point.sequence.0,
        "generation": point.generation.0,
        "time": point.time.to_string(),
        "consistency": lines::consistency(point.consistency),
        "bytes_read": point.counters.read.0,
        "bytes_changed": point.counters.changed.0,
        "bytes_sent": point.counters.sent.0,
        "encoded_ratio": point.counters.ratio(),
        "seconds": point.took.as_secs_f64(),
        "bytes_per_second": lines::rate(point),
        "roots": roots,
    })
}

/// Returns a failure.
pub(crate) fn failure(error: &str, cause: Option<&str>, fix: &str) -> Value {
    json!({"type": "error", "error": error, "cause": cause, "fix": fix})
}

fn progress(progress: &Progress) -> Value {
    json!({
        "type": "progress",
        "stage": lines::stage(progress.stage),
        "bytes_total": progress.total.0,
        "bytes_done": progress.done.0,
        "bytes_sent": progress.sent.0,
        "bytes_per_second": progress.rate,
        "seconds_left": progress.left.map(|left| left.as_secs_f64()),
    })
}

/// Returns who this machine is now.
pub(crate) fn joined(identity: &str, until: &str) -> Value {
    json!({"type": "joined", "identity": identity, "until": until})
}
