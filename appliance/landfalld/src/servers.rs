//! Tokens, and who belongs to this installation, as operators see them.

use control::api::{JoinTokenMade, Rfc3339, ServerEntry, ServerRevoke, ServerToken, Servers};
use control::{ApiError, Code};
use inventory::{Holder, TOKEN_LIFE};
use registrar::{Registrar, RegistrarError};
use units::MachineName;
use wire::{Identity, Role};

use crate::answers::now;

/// Makes a join token.
pub(crate) fn token(registrar: &Registrar, request: ServerToken) -> Result<JoinTokenMade, ApiError> {
    let identity = Identity { role: request.role, name: request.name };
    let token = registrar.token(&identity, now()).map_err(|error| api_error("no token was made", &error))?;
    let expires = now().after(TOKEN_LIFE).into();
    Ok(JoinTokenMade { identity: identity.to_string(), expires, token: token.text().to_string() })
}

/// Lists who is or was enrolled.
pub(crate) fn list(registrar: &Registrar) -> Result<Servers, ApiError> {
    let holders = registrar.holders().map_err(|error| api_error("the servers can't be listed", &error))?;
    Ok(Servers { time: now().into(), servers: holders.iter().map(entry).collect() })
}

/// Revokes every certificate of somebody.
pub(crate) fn revoke(
    registrar: &Registrar,
    own: &MachineName,
    request: ServerRevoke,
) -> Result<ServerEntry, ApiError> {
    let identity = find(registrar, &request)?;
    let what = format!("the certificates of {identity} were not revoked");
    let server = matches!(identity.role, Role::MasterTarget | Role::ConfigurationServer);
    if server && identity.name == *own {
        return Err(ApiError::new(Code::NotHere, what).because("it is this very server"));
    }
    let revoked = registrar.revoke(&identity, &request.reason, now());
    revoked.map(|holder| entry(&holder)).map_err(|error| api_error(&what, &error))
}

/// Finds the one holder of a name, and of a role if one was given.
fn find(registrar: &Registrar, request: &ServerRevoke) -> Result<Identity, ApiError> {
    let holders = registrar.holders().map_err(|error| api_error("the servers can't be listed", &error))?;
    let meant = |identity: &&Identity| {
        identity.name == request.name && request.role.is_none_or(|role| role == identity.role)
    };
    let found: Vec<_> = holders.iter().map(|holder| &holder.identity).filter(meant).collect();
    match *found.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(ApiError::new(Code::ServerUnknown, format!("{} is not enrolled", request.name))),
        _ => {
            let roles: Vec<_> = found.iter().map(|identity| identity.role.as_str()).collect();
            let what = format!("{} is enrolled as {}", request.name, roles.join(" and as "));
            Err(ApiError::new(Code::ServerUnknown, what).fixed_by("say which with --role"))
        }
    }
}

fn entry(holder: &Holder) -> ServerEntry {
    let current = holder.current();
    ServerEntry {
        role: holder.identity.role,
        name: holder.identity.name.clone(),
        enrolled: holder.enrolled,
        certificate: current.map(|issued| issued.id.to_string()),
        expires: current.map(|issued| issued.expires),
        revoked: holder.revoked.as_ref().filter(|_| current.is_none()).map(|revoked| Rfc3339(revoked.at.0)),
    }
}

fn api_error(what: &str, error: &RegistrarError) -> ApiError {
    let code = match error {
        RegistrarError::Unknown { .. } => Code::ServerUnknown,
        _ => Code::Internal,
    };
    let cause = std::error::Error::source(error)
        .map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
    ApiError::new(code, what).because(cause)
}
