//! The lines of a reply, and the decoders of both directions.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::api::{Progress, Request};
use crate::code::Code;
use crate::desk::Reply;
use crate::error::{ApiError, ErrorReply};

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
    ("control-request", |bytes| drop(decode_request(bytes))),
    ("control-reply", |bytes| drop(decode_reply::<crate::api::Status>(bytes))),
];

/// Reads a request line, without its end. Errors: too long, not JSON, an unknown request or field, a value out of
/// its type.
pub fn decode_request(line: &[u8]) -> Result<Request, ApiError> {
    if line.len() >= REQUEST_LEN_MAX {
        return Err(ApiError::new(Code::RequestTooLong, "the request was refused"));
    }
    serde_json::from_slice(line)
        .map_err(|error| ApiError::new(Code::BadRequest, "the request was refused").because(error))
}

/// Reads a reply line. Errors: not JSON, or of another shape.
pub fn decode_reply<R: DeserializeOwned>(line: &[u8]) -> Result<Line<R>, ApiError> {
    serde_json::from_slice(line).map_err(|error| {
        ApiError::new(Code::BadReply, "landfalld's answer was not understood").because(error)
    })
}

/// Writes a line of a reply, with its end.
pub(crate) fn encode<R: Serialize>(line: &Line<R>) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(line).expect("replies hold only what JSON can write");
    bytes.push(b'\n');
    bytes
}

/// Writes the last line of a reply: the result, which is JSON already, or the error.
pub(crate) fn encode_reply(reply: Result<Reply, ApiError>) -> Vec<u8> {
    match reply {
        Ok(reply) => [br#"{"type":"result","result":"#, reply.json(), b"}\n"].concat(),
        Err(error) => encode(&Line::<()>::Error(error.into())),
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
        assert_eq!(decode_reply::<[u8; 2]>(&line).unwrap(), Line::Result { result: [1, 2] });
    }

    #[test]
    fn a_reply_may_gain_fields() {
        let line =
            br#"{"type":"error","code":"LF-7777","what":"w","cause":"c","fix":"f","exit":1,"since":"v9"}"#;
        assert!(matches!(decode_reply::<()>(line).unwrap(), Line::Error(error) if error.code == "LF-7777"));
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
