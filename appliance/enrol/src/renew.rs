//! Renewing: a certificate becomes the next one for the same key.

use std::path::Path;

use link::{Credentials, Role};
use pki::PkiError;
use rustls::ClientConfig;
use wire::{ALPN_RENEW, EnrolAnswer, EnrolAsk, Renew};

use crate::EnrolError;
use crate::ask::Line;

/// Gets the next certificate for the key of a place, puts it there and lets the credentials use it; connections that are open go on.
///
/// # Errors
/// The server can't be reached or refuses, or the place can't be written: the old certificate stays.
pub fn renew(address: &str, credentials: &Credentials, place: &Path) -> Result<(), EnrolError> {
    let failed = |source: PkiError| EnrolError::Place { path: place.to_owned(), source };
    let request = pki::renewal_request(place).map_err(failed)?;
    let request = heapless::Vec::from_slice(&request).map_err(|_| EnrolError::Misfit)?;
    let mut line = Line::open(address, peer_config(credentials)?)?;
    let answer = line.ask(&EnrolAsk::Renew(Box::new(Renew { request })))?;
    let EnrolAnswer::Granted(granted) = answer else { return Err(EnrolError::Misfit) };
    pki::renew(place, &granted.certificate, &granted.authority).map_err(failed)?;
    credentials.reload().map_err(EnrolError::Own)
}

/// Returns what somebody with a certificate asks of TLS.
pub(crate) fn peer_config(credentials: &Credentials) -> Result<ClientConfig, EnrolError> {
    let config = credentials.client_config(&[Role::ConfigurationServer]);
    let mut config = config.map_err(EnrolError::Own)?;
    config.alpn_protocols = vec![ALPN_RENEW.to_vec()];
    Ok(config)
}
