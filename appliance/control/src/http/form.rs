//! Path, query and body become one request, as strictly as a line of the control socket: nothing unknown, nothing twice.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use super::route::Asked;
use crate::code::Code;
use crate::error::ApiError;

/// A part of a path that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named<'a> {
    /// Its name.
    pub(super) name: &'static str,
    /// It is a number.
    pub(super) number: bool,
    /// What stands there, still escaped.
    pub(super) part: &'a str,
}

/// Reads a request. Errors: a field that is unknown, given twice, missing or not of its kind; a query beside a body.
pub(super) fn read<C: DeserializeOwned>(asked: &Asked<'_>) -> Result<C, ApiError> {
    if asked.body.is_empty() { from_query(asked) } else { from_body(asked) }
}

/// Everything is a form then: `a=1&b=2`, the named parts of the path after what was asked.
fn from_query<C: DeserializeOwned>(asked: &Asked<'_>) -> Result<C, ApiError> {
    let mut form = asked.query.to_owned();
    for named in &asked.named {
        if !form.is_empty() {
            form.push('&');
        }
        form += named.name;
        form.push('=');
        form += &escaped(named.part);
    }
    serde_urlencoded::from_str(&form).map_err(not_understood)
}

/// Everything is one JSON object then: the named parts of the path are put before its first field.
fn from_body<C: DeserializeOwned>(asked: &Asked<'_>) -> Result<C, ApiError> {
    if !asked.query.is_empty() {
        return Err(not_understood("a request with a body has nothing after a question mark"));
    }
    let Some(fields) = asked.body.trim_ascii_start().strip_prefix(b"{") else {
        return Err(not_understood("its body is not a JSON object"));
    };
    let mut object = b"{".to_vec();
    for named in &asked.named {
        serde_json::to_writer(&mut object, named.name).expect("names of fields can be written");
        object.push(b':');
        object.extend(value(named)?);
        object.push(b',');
    }
    if fields.trim_ascii_start().first() == Some(&b'}') && !asked.named.is_empty() {
        object.pop();
    }
    object.extend(fields);
    serde_json::from_slice(&object).map_err(not_understood)
}

/// Returns a part of the path as JSON.
fn value(named: &Named<'_>) -> Result<Vec<u8>, ApiError> {
    let form = format!("{}={}", named.name, escaped(named.part));
    let mut pairs = serde_urlencoded::from_str::<Vec<(String, String)>>(&form).map_err(not_understood)?;
    let (_, text) = pairs.pop().expect("one pair was written");
    let written = if named.number {
        let number: u64 = text.parse().map_err(not_understood)?;
        serde_json::to_vec(&number)
    } else {
        serde_json::to_vec(&text)
    };
    Ok(written.expect("texts and numbers can be written"))
}

/// Escapes what means something in a form but not in a path.
fn escaped(part: &str) -> Cow<'_, str> {
    if !part.contains(['+', '&']) {
        return part.into();
    }
    part.replace('+', "%2B").replace('&', "%26").into()
}

fn not_understood(cause: impl std::fmt::Display) -> ApiError {
    ApiError::new(Code::BadRequest, "the request was refused").because(cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Commit, JobWatch, PointList, Reprotect, ViewClose};

    fn asked<'a>(named: &[Named<'a>], query: &'a str, body: &'a str) -> Asked<'a> {
        Asked { named: named.to_vec(), query, body: body.as_bytes() }
    }

    fn machine(part: &str) -> Named<'_> {
        Named { name: "machine", number: false, part }
    }

    #[test]
    fn path_and_query_make_a_request() {
        let points: PointList =
            read(&asked(&[machine("web%2D01")], "limit=7&around=2026-11-20T14:03:07Z", "")).expect("lawful");
        assert_eq!((points.machine.as_str(), points.limit, points.around.is_some()), ("web-01", 7, true));
        let id = Named { name: "id", number: true, part: "4" };
        assert_eq!(read::<ViewClose>(&asked(&[id], "", "")).expect("lawful").id, 4);
        assert_eq!(read::<JobWatch>(&asked(&[id], "", " {} ")).expect("lawful").id.0, 4);
    }

    #[test]
    fn path_and_body_make_a_request() {
        let commit: Commit =
            read(&asked(&[machine("web-01")], "", r#" {"confirm":"web-01"}"#)).expect("lawful");
        assert_eq!((commit.machine.as_str(), commit.confirm.as_str()), ("web-01", "web-01"));
        assert!(read::<Reprotect>(&asked(&[machine("web-01")], "", "{}")).expect("lawful").disks.is_empty());
    }

    #[test]
    fn what_is_unknown_twice_or_of_another_kind_is_refused() {
        for (part, query, body) in [
            ("web-01", "limit=7&limit=8", ""),
            ("web-01", "machine=web-02", ""),
            ("web-01", "surprise=1", ""),
            ("web-01", "limit=-1", ""),
            ("web-01", "", r#"{"machine":"web-02"}"#),
            ("web-01", "limit=1", "{}"),
            ("web-01", "", "[]"),
            ("web-01", "", "{} {}"),
            ("web-01", "", r#"{"limit":"7"}"#),
            ("../etc", "", ""),
            ("a+b", "", ""),
            ("a&limit=1", "", ""),
            ("%ff", "", "{}"),
        ] {
            let error = read::<PointList>(&asked(&[machine(part)], query, body)).expect_err(query);
            assert_eq!(error.code, Code::BadRequest, "{part} {query} {body}");
        }
    }
}
