//! The API over HTTP/1.1: every request of [`api`](crate::api) has one route, every refusal is a problem with a code.
//!
//! A route turns path, query and body into a request and brings it before whoever answers: nothing is decided here. Bodies have
//! at most 64 KiB, and a connection that is slow to ask is closed.

mod connection;
mod events;
mod form;
mod keys;
mod metrics;
mod openapi;
mod problem;
mod reply;
mod respond;
mod route;
mod site;
mod table;

/// One connection served.
pub use connection::Api;
/// The numbers for Prometheus.
pub use metrics::{METRICS, Metric};
/// The document that describes the API, as it is served and as it follows from the code.
pub use openapi::{DOCUMENT, document};
/// A refusal as it travels.
pub use problem::Problem;
/// Routes.
pub use route::{Method, PREFIX, Route, read_request};
/// Pages beside the API.
pub use site::{Page, Site};
/// The one table of routes.
pub use table::ROUTES;
