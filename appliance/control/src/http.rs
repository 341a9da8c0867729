//! The API over HTTP/1.1: every request of [`api`](crate::api) has one route, every refusal is a problem with a code.
//!
//! A route turns path, query and body into a request and brings it before whoever answers: nothing is decided here. Bodies have
//! at most 64 KiB, and a connection that is slow to ask is closed.

mod asking;
mod connection;
mod events;
mod form;
mod keys;
mod metrics;
mod openapi;
mod problem;
mod remote;
mod reply;
mod respond;
mod route;
mod site;
mod table;
pub(crate) mod told;

/// A request as HTTP asks it.
pub use asking::{Written, write_request};
/// One connection served, and what is served behind the door on 443.
pub use connection::{ALPN, Api, Operators};
/// The numbers for Prometheus.
pub use metrics::{METRICS, Metric};
/// The document that describes the API, as it is served and as it follows from the code.
pub use openapi::{DOCUMENT, document};
/// A refusal as it travels.
pub use problem::Problem;
/// The way over HTTPS.
pub use remote::Remote;
/// Routes.
pub use route::{Method, PREFIX, Route, read_request};
/// Pages beside the API.
pub use site::{Page, Site};
/// The one table of routes.
pub use table::ROUTES;
