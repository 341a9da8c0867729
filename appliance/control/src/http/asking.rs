//! The other end: how a request is written so that its route reads it again.

use serde_json::{Map, Value};

use super::route::{Method, PREFIX, Route};
use super::table::ROUTES;
use crate::api::Request;

/// A request as HTTP asks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// How.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// JSON; empty if there is none.
    pub body: Vec<u8>,
    /// It is followed until it ends.
    pub follow: bool,
}

/// Writes a request, as [`read_request`](super::read_request) reads it.
pub fn write_request(request: &Request) -> Written {
    let route = ROUTES.iter().find(|route| route.kind == request.kind()).expect("every request has a route");
    let mut fields = match serde_json::to_value(request) {
        Ok(Value::Object(fields)) => fields,
        _ => unreachable!("requests are JSON objects"),
    };
    fields.remove("request");
    let mut target = PREFIX.to_owned() + &path(route, &mut fields);
    fields.retain(|_, value| !value.is_null());
    if route.method == Method::Post {
        let body = serde_json::to_vec(&fields).expect("requests hold only what JSON can write");
        return Written { method: route.method, target, body, follow: false };
    }
    if !fields.is_empty() {
        target.push('?');
        target += &form(fields.iter().map(|(name, value)| (name.as_str(), text(value))));
    }
    let follow = matches!(request, Request::JobWatch(_));
    Written { method: route.method, target, body: Vec::new(), follow }
}

/// Puts fields in the place of the named parts of a path.
fn path(route: &Route, fields: &mut Map<String, Value>) -> String {
    let mut path = route.path.to_owned();
    for (name, number) in route.names() {
        let value = fields.remove(name).expect("named parts of a path are fields of its request");
        let mark = if number { "#" } else { "" };
        let escaped = form([("", text(&value))]).replace('+', "%20");
        path = path.replace(&format!("{{{mark}{name}}}"), escaped.trim_start_matches('='));
    }
    path
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn form<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> String {
    serde_urlencoded::to_string(pairs.into_iter().collect::<Vec<_>>())
        .expect("names and texts can be written")
}
