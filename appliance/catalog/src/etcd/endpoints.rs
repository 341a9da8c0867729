//! Where a cluster is: `https://db1:2379,https://db2:2379`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Endpoints a cluster may have.
const ENDPOINTS_MAX: usize = 16;

/// The endpoints of a cluster; each can be asked for everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints(Vec<Endpoint>);

/// One server of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) scheme: Scheme,
    /// A name, or an address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

/// How an endpoint is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// In the clear; only ever with this very machine.
    Http,
    /// Over TLS, with certificates on both sides.
    Https,
}

/// Why a text names no cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointsError {
    /// One of its parts is no endpoint.
    #[error("{found:?} is no endpoint of a cluster; write https://HOST:PORT, several with ',' between")]
    Form {
        /// The part, at most 64 characters of it.
        found: String,
    },
    /// Other machines are never spoken to in the clear.
    #[error("{found:?} would be spoken to in the clear; write https://, or http:// with 127.0.0.1 or [::1]")]
    InTheClear {
        /// The endpoint.
        found: String,
    },
    /// There are too many.
    #[error("a cluster has at most {ENDPOINTS_MAX} endpoints; these are {count}")]
    TooMany {
        /// How many there are.
        count: usize,
    },
}

impl Endpoints {
    /// Tells whether certificates are needed to speak to it.
    pub fn need_certificates(&self) -> bool {
        self.0.iter().any(|endpoint| endpoint.scheme == Scheme::Https)
    }

    pub(super) fn as_slice(&self) -> &[Endpoint] {
        &self.0
    }
}

impl FromStr for Endpoints {
    type Err = EndpointsError;

    fn from_str(text: &str) -> Result<Self, EndpointsError> {
        let endpoints = text.split(',').map(str::parse).collect::<Result<Vec<Endpoint>, _>>()?;
        match endpoints.len() {
            count if count > ENDPOINTS_MAX => Err(EndpointsError::TooMany { count }),
            _ => Ok(Self(endpoints)),
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointsError;

    fn from_str(text: &str) -> Result<Self, EndpointsError> {
        let form = || EndpointsError::Form { found: text.chars().take(64).collect() };
        let (scheme, place) = match text.split_once("://").ok_or_else(form)? {
            ("https", place) => (Scheme::Https, place),
            ("http", place) => (Scheme::Http, place),
            _ => return Err(form()),
        };
        let (host, port) = place.trim_end_matches('/').rsplit_once(':').ok_or_else(form)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(form)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let address = bare.parse::<IpAddr>();
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
        if address.is_err() && (bare.is_empty() || !bare.bytes().all(letter)) {
            return Err(form());
        }
        if scheme == Scheme::Http && !address.is_ok_and(|address| address.is_loopback()) {
            return Err(EndpointsError::InTheClear { found: text.chars().take(64).collect() });
        }
        Ok(Self { scheme, host: bare.to_owned(), port })
    }
}

impl Endpoint {
    /// Returns `HOST:PORT`, as requests name it.
    pub(super) fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(out, "{scheme}://{}", self.authority())
    }
}

impl fmt::Display for Endpoints {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<_> = self.0.iter().map(Endpoint::to_string).collect();
        out.write_str(&texts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_as_they_are_written() {
        for text in
            ["https://db1:2379", "https://db1.example:2379,https://[fd00::1]:2379", "http://127.0.0.1:1"]
        {
            assert_eq!(text.parse::<Endpoints>().unwrap().to_string(), text);
        }
        assert_eq!("https://[::1]:2379/".parse::<Endpoint>().unwrap().authority(), "[::1]:2379");
    }

    #[test]
    fn what_names_no_cluster_is_refused() {
        for text in
            ["", "db1:2379", "https://db1", "https://:1", "https://db1:0", "https://a b:1", "ftp://a:1"]
        {
            assert!(matches!(text.parse::<Endpoints>(), Err(EndpointsError::Form { .. })), "{text}");
        }
        let many = vec!["https://a:1"; 17].join(",");
        assert_eq!(many.parse::<Endpoints>(), Err(EndpointsError::TooMany { count: 17 }));
    }

    #[test]
    fn another_machine_is_never_spoken_to_in_the_clear() {
        for text in ["http://db1:2379", "http://localhost:2379", "http://10.0.0.1:2379"] {
            assert!(matches!(text.parse::<Endpoints>(), Err(EndpointsError::InTheClear { .. })), "{text}");
        }
    }
}
