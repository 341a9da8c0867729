//! Joining: a token becomes a certificate.

use std::path::Path;

use pki::{CertificateFacts, Joining, PkiError};
use wire::{EnrolAnswer, EnrolAsk, Join, JoinToken};

use crate::EnrolError;
use crate::ask::Line;
use crate::pinned::{guest_config, is_authority};

/// The file that says where the configuration server is, as `HOST:PORT`.
pub const CONTROLLER_FILE: &str = "controller";

/// Joins the configuration server at `HOST:PORT` with a token, and puts key, certificate, the authority's certificate and the address
/// into a place; what was there before is replaced as a whole. After a crash the same call goes on with the same key, for which the
/// token still counts.
///
/// # Errors
/// The server can't be reached, is not the token's, or refuses; or the place can't be written. Nothing was changed there.
pub fn join(
    address: &str,
    token: &JoinToken,
    place: &Path,
    software: &str,
) -> Result<CertificateFacts, EnrolError> {
    let failed = |source: PkiError| EnrolError::Place { path: place.to_owned(), source };
    let joining = Joining::begin(place).map_err(failed)?;
    let mut line = Line::open(address, guest_config(token.authority))?;
    let proof = token.secret.proof(&line.exporter()?, joining.request());
    let request = heapless::Vec::from_slice(joining.request()).map_err(|_| EnrolError::Misfit)?;
    let mut told = heapless::String::new();
    // It is full, or all is in it.
    software.chars().all(|letter| told.push(letter).is_ok());
    let ask = EnrolAsk::Join(Box::new(Join { token: token.id, request, proof, software: told }));
    let EnrolAnswer::Granted(granted) = line.ask(&ask)? else { return Err(EnrolError::Misfit) };
    if !is_authority(&granted.authority, token.authority) {
        return Err(EnrolError::Misfit);
    }
    let further = [(CONTROLLER_FILE, &*format!("{address}\n"))];
    joining.finish(&token.identity, &granted.certificate, &granted.authority, &further).map_err(failed)?;
    CertificateFacts::read(place).map_err(failed)
}

/// Returns the address of the configuration server that a place was joined at.
///
/// # Errors
/// It says none.
pub fn controller_of(place: &Path) -> Result<String, EnrolError> {
    let path = place.join(CONTROLLER_FILE);
    let text = std::fs::read_to_string(&path);
    Ok(text.map_err(|source| EnrolError::Controller { path, source })?.trim().to_owned())
}
