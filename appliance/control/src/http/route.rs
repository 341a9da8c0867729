//! One route: a method, a path, and the request they stand for.

use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use super::form::{self, Named};
use super::openapi::{Described, describe};
use super::table::ROUTES;
use crate::api::{Call, Request};
use crate::code::Code;
use crate::error::ApiError;

/// What every path of the API begins with.
pub const PREFIX: &str = "/api/v1";

/// How something is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// It changes nothing.
    Get,
    /// It changes something, as its body says.
    Post,
    /// It takes something away.
    Delete,
}

/// One line of the table.
pub struct Route {
    /// How.
    pub method: Method,
    /// Where, below [`PREFIX`]. `{name}` stands for a part that is a text, `{#name}` for one that is a number.
    pub path: &'static str,
    /// The name of the request's type.
    pub kind: &'static str,
    pub(super) read: fn(&Asked<'_>) -> Result<Request, ApiError>,
    pub(super) describe: fn(&Route) -> Described,
}

/// What came with a method and a path.
pub(super) struct Asked<'a> {
    /// What stands for the parts of the path, still escaped.
    pub(super) named: Vec<Named<'a>>,
    /// What follows the question mark, if anything.
    pub(super) query: &'a str,
    /// The body; empty if there is none.
    pub(super) body: &'a [u8],
}

/// Where a path leads.
pub(super) enum Found<'a> {
    /// To a request.
    Route(&'static Route, Vec<Named<'a>>),
    /// To something that is asked for in another way, by one of these methods.
    OtherMethod(Vec<Method>),
    /// Nowhere.
    Nothing,
}

/// Returns the line of the table for requests of type `C`.
pub(super) const fn route<C>(method: Method, path: &'static str) -> Route
where
    C: Call + DeserializeOwned + ToSchema,
    C::Reply: ToSchema,
{
    Route { method, path, kind: C::KIND, read: read_as::<C>, describe: describe::<C> }
}

fn read_as<C: Call + DeserializeOwned>(asked: &Asked<'_>) -> Result<Request, ApiError> {
    form::read::<C>(asked).map(Into::into)
}

impl Method {
    /// Returns the method as HTTP writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

/// Finds the route of a method and of a path below [`PREFIX`].
pub(super) fn find<'a>(method: &str, path: &'a str) -> Found<'a> {
    let mut others = Vec::new();
    for route in ROUTES {
        match route.matches(path) {
            Some(named) if route.method.as_str() == method => return Found::Route(route, named),
            Some(_) => others.push(route.method),
            None => {}
        }
    }
    if others.is_empty() { Found::Nothing } else { Found::OtherMethod(others) }
}

/// Reads what is asked for with a method, a path with its query, and a body. Errors: nothing is there, or a request is not
/// understood.
pub fn read_request(method: &str, target: &str, body: &[u8]) -> Result<Request, ApiError> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    match path.strip_prefix(PREFIX).map(|below| find(method, below)) {
        Some(Found::Route(route, named)) => (route.read)(&Asked { named, query, body }),
        _ => Err(ApiError::new(Code::RouteUnknown, "there is nothing at this path")),
    }
}

impl Route {
    /// Returns the parts of the path that are named, with whether each is a number.
    pub(super) fn names(&self) -> impl Iterator<Item = (&'static str, bool)> {
        self.path.split('/').filter_map(placeholder)
    }

    fn matches<'a>(&self, path: &'a str) -> Option<Vec<Named<'a>>> {
        let (mut named, mut parts) = (Vec::new(), path.split('/'));
        for wanted in self.path.split('/') {
            let part = parts.next()?;
            match placeholder(wanted) {
                Some((name, number)) if !part.is_empty() => named.push(Named { name, number, part }),
                None if part == wanted => {}
                _ => return None,
            }
        }
        parts.next().is_none().then_some(named)
    }
}

fn placeholder(part: &'static str) -> Option<(&'static str, bool)> {
    let name = part.strip_prefix('{')?.strip_suffix('}')?;
    Some(name.strip_prefix('#').map_or((name, false), |name| (name, true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(method: &str, path: &str) -> Option<&'static str> {
        match find(method, path) {
            Found::Route(route, _) => Some(route.kind),
            _ => None,
        }
    }

    #[test]
    fn every_request_has_one_route_and_no_route_hides_another() {
        for kind in Request::KINDS {
            let routes: Vec<_> = ROUTES.iter().filter(|route| route.kind == *kind).collect();
            let [route] = routes.as_slice() else { panic!("{kind} has {} routes", routes.len()) };
            let path = route.path.replace("{#", "{").replace(['{', '}'], "");
            assert_eq!(kind_of(route.method.as_str(), &path), Some(*kind), "{path}");
        }
    }

    #[test]
    fn a_path_that_leads_nowhere_is_told_from_a_wrong_method() {
        assert!(matches!(find("GET", "/machines/"), Found::Nothing));
        assert!(matches!(find("GET", "/machines//points"), Found::Nothing));
        assert!(matches!(find("GET", ""), Found::Nothing));
        assert!(
            matches!(find("PUT", "/machines"), Found::OtherMethod(others) if others == [Method::Get, Method::Post])
        );
        let Found::Route(route, named) = find("DELETE", "/views/7") else { panic!("a view is closed so") };
        assert_eq!(
            (route.kind, named[0].name, named[0].number, named[0].part),
            ("ViewClose", "id", true, "7")
        );
    }
}
