//! The lines of a reply, and the decoders of both directions.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::api::{Progress, Request};
use crate::code::Code;
use crate::desk::Reply;
use crate::error::{ApiError, ErrorReply};
use crate::http::read_request;
use crate::http::told::TellEvents;

/// Bytes a request line may have, its end included.
pub const REQUEST_LEN_MAX: usize = 64 << 10;

/// One line of a reply: any number of `progress`, then one `result` or `error`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Line<R> {
    /// The work goes on.
    Progress(Progress),
    /// The work is done.
    Result {
        /// What was asked for.
        result: R,
    },
    /// The request failed.
    Error(ErrorReply),
}

/// A decoder as fuzzing sees it.
pub type Decoder = fn(&[u8]);

/// Every decoder of this crate, by name, for fuzzing: each takes any bytes and must not panic.
pub const DECODERS: &[(&str, Decoder)] = &[
    ("http-request", http_request),
    ("http-events", |bytes| drop(TellEvents::default().take(bytes))),
    ("control-request", |bytes| drop(decode_request(bytes))),
    ("control-reply", |bytes| {
        if let Ok(Line::Result { result }) = decode_reply(bytes) {
            drop(result.read::<crate::api::Status>());
        }
    }),
];

/// Method, path and body stand on a line each.
fn http_request(bytes: &[u8]) {
    let mut parts = bytes.splitn(3, |byte| *byte == b'\n');
    let mut text = || parts.next().and_then(|part| std::str::from_utf8(part).ok());
    if let (Some(method), Some(target)) = (text(), text()) {
        drop(read_request(method, target, parts.next().unwrap_or_default()));
    }
}

/// Reads a request line, without its end. Errors: too long, not JSON, an unknown request or field, a value out of
/// its type.
pub fn decode_request(line: &[u8]) -> Result<Request, ApiError> {
    if line.len() >= REQUEST_LEN_MAX {
        return Err(ApiError::new(Code::RequestTooLong, "the request was refused"));
    }
    serde_json::from_slice(line)
        .map_err(|error| ApiError::new(Code::BadRequest, "the request was refused").because(error))
}

/// The result of a reply line, before anybody knows what it should be.
#[derive(Deserialize)]
struct Outcome<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

/// Reads a reply line; what a result holds is left as it is. Errors: not JSON, or of another shape.
pub(crate) fn decode_reply(line: &[u8]) -> Result<Line<Reply>, ApiError> {
    let wrong = |error| ApiError::new(Code::BadReply, "landfalld's answer was not understood").because(error);
    if let Ok(Outcome { kind: "result", result: Some(result) }) = serde_json::from_slice(line) {
        return Ok(Line::Result { result: Reply::from_json(result.get().as_bytes().to_vec()) });
    }
    match serde_json::from_slice::<Line<()>>(line).map_err(wrong)? {
        Line::Progress(progress) => Ok(Line::Progress(progress)),
        Line::Error(error) => Ok(Line::Error(error)),
        Line::Result { .. } => Ok(Line::Result { result: Reply::of(&()) }),
    }
}

/// Writes a line of a reply, with its end.
pub(crate) fn encode<R: Serialize>(line: &Line<R>) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(line).expect("replies hold only what JSON can write");
    bytes.push(b'\n');
    bytes
}

/// Writes the last line of a reply: the result, which is JSON already, or the error.
pub(crate) fn encode_reply(reply: Result<Reply, ErrorReply>) -> Vec<u8> {
    match reply {
        Ok(reply) => [br#"{"type":"result","result":"#, reply.json(), b"}\n"].concat(),
        Err(error) => encode(&Line::<()>::Error(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{FailbackTo, StatusShow};

    #[test]
    fn unknown_requests_fields_and_misspelt_values_are_refused() {
        for line in [
            "",
            "{}",
            "null",
            r#"{"request":"format_everything"}"#,
            r#"{"request":"status_show","verbose":true}"#,
            r#"{"request":"machine_show"}"#,
            r#"{"request":"machine_show","name":"../etc"}"#,
            r#"{"request":"machine_add","name":"a","disks":[{"path":"/dev/sdb","force":true}]}"#,
            r#"{"request":"failback","machine":"a","to":"yesterday"}"#,
            r#"{"request":"failback","machine":"a","to":{"time":"2026-02-30T00:00:00Z"}}"#,
            r#"{"request":"failback","machine":"a","to":"latest","plan_onyl":true}"#,
            r#"{"request":"commit","machine":"a","machine":"b","confirm":"a"}"#,
            r#"{"request":"status_show"} {"request":"status_show"}"#,
        ] {
            let error = decode_request(line.as_bytes()).expect_err(line);
            assert_eq!(error.code, Code::BadRequest, "{line}");
        }
    }

    #[test]
    fn the_longest_request_is_refused_before_it_is_parsed() {
        let line = vec![b' '; REQUEST_LEN_MAX];
        assert_eq!(decode_request(&line).expect_err("too long").code, Code::RequestTooLong);
    }

    #[test]
    fn the_ways_to_name_a_point_are_read() {
        let to = |text: &str| serde_json::from_str::<FailbackTo>(text).unwrap();
        assert_eq!(to(r#""latest""#), FailbackTo::Latest);
        assert_eq!(to(r#"{"sequence":7}"#), FailbackTo::Sequence(units::Sequence(7)));
        assert!(matches!(to(r#"{"time":"2026-11-20T14:03:07Z"}"#), FailbackTo::Time(_)));
        assert_eq!(decode_request(br#"{"request":"status_show"}"#).unwrap(), StatusShow {}.into());
    }

    #[test]
    fn a_result_that_was_encoded_before_reads_as_one() {
        let line = encode_reply(Ok(Reply::of(&[1, 2])));
        assert_eq!(line, encode(&Line::Result { result: [1, 2] }));
        assert_eq!(decode_reply(&line).unwrap(), Line::Result { result: Reply::of(&[1, 2]) });
        assert_eq!(
            decode_reply(br#"{"type":"result","result":null}"#).unwrap(),
            Line::Result { result: Reply::of(&()) }
        );
    }

    #[test]
    fn a_reply_may_gain_fields() {
        let line =
            br#"{"type":"error","code":"LF-7777","what":"w","cause":"c","fix":"f","exit":1,"since":"v9"}"#;
        assert!(matches!(decode_reply(line).unwrap(), Line::Error(error) if error.code == "LF-7777"));
    }

    #[test]
    fn no_decoder_panics_on_any_truncation_or_bit_flip() {
        let request = br#"{"request":"failback","machine":"web-01","to":{"time":"2026-11-20T14:03:07Z"},"plan_only":true}"#;
        for (_, decode) in DECODERS {
            for end in 0..request.len() {
                decode(&request[..end]);
            }
            for bit in 0..request.len() * 8 {
                let mut flipped = request.to_vec();
                flipped[bit / 8] ^= 1 << (bit % 8);
                decode(&flipped);
            }
        }
    }
}
