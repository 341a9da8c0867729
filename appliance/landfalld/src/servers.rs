//! Tokens, and who belongs to this installation, as operators see them.

use std::sync::Arc;

use control::api::{self, JoinTokenMade, Rfc3339, ServerEntry, ServerRevoke, ServerToken};
use control::{ApiError, Code};
use inventory::{Holder, TOKEN_LIFE};
use registrar::{Registrar, RegistrarError};
use target::MasterTarget;
use units::MachineName;
use wire::{Identity, Role};

use crate::answers::now;
use crate::failure::catalog_failed;
use crate::group_point;
use crate::groups::Groups;
use crate::hearings::Hearings;
use crate::heartbeats::Heartbeats;
use crate::house::{Office, Sharing};
use crate::jobs::Jobs;
use crate::preflight::PreflightOffice;

/// Who joined this configuration server.
pub(crate) struct Servers {
    /// Gives out certificates.
    pub(crate) registrar: Arc<Registrar>,
    /// Hears them.
    pub(crate) heartbeats: Heartbeats,
    /// The consistency groups.
    pub(crate) groups: Arc<Groups>,
    /// Tells other configuration servers who is heard here, where there may be any.
    _hearings: Option<Hearings>,
}

impl Servers {
    /// Begins to manage whoever joined: group points are made from now on. Errors: the system starts no thread.
    pub(crate) fn begin(
        office: &Office,
        heartbeats: Heartbeats,
        node: &Arc<MasterTarget>,
    ) -> anyhow::Result<Self> {
        let (orders, heard) = (heartbeats.orders.clone(), heartbeats.servers.clone());
        let groups = Groups::new(office.catalog.clone(), node.clone(), orders, heard);
        group_point::make_when_due(&groups)?;
        let _hearings = match office.sharing {
            Sharing::Alone => None,
            Sharing::Fleet => {
                Some(Hearings::begin(office.catalog.clone(), node.name(), heartbeats.servers.clone())?)
            }
        };
        Ok(Self { registrar: office.registrar.clone(), heartbeats, groups, _hearings })
    }

    /// Has jobs give orders to sources from now on.
    pub(crate) fn order_by(&self, jobs: &Jobs) {
        // Whoever gave them before has given the same.
        drop(jobs.orders.set(self.heartbeats.orders.clone()));
    }

    /// Returns what preflight needs to know of them.
    pub(crate) fn preflight_office(&self) -> PreflightOffice {
        let (registrar, groups) = (self.registrar.clone(), self.groups.clone());
        PreflightOffice { registrar, heard: self.heartbeats.servers.clone(), groups }
    }

    /// Makes a join token.
    pub(crate) fn token(&self, request: ServerToken) -> Result<JoinTokenMade, ApiError> {
        let identity = Identity { role: request.role, name: request.name };
        let token = self.registrar.token(&identity, now());
        let token = token.map_err(|error| api_error("no token was made", &error))?;
        let expires = now().after(TOKEN_LIFE).into();
        Ok(JoinTokenMade { identity: identity.to_string(), expires, token: token.text().to_string() })
    }

    /// Lists who is or was enrolled.
    pub(crate) fn list(&self) -> Result<api::Servers, ApiError> {
        let servers = self.holders()?.iter().map(|holder| self.entry(holder)).collect();
        Ok(api::Servers { time: now().into(), servers })
    }

    /// Revokes every certificate of somebody.
    pub(crate) fn revoke(&self, own: &MachineName, request: ServerRevoke) -> Result<ServerEntry, ApiError> {
        let identity = self.find(&request)?;
        let what = format!("the certificates of {identity} were not revoked");
        let server = matches!(identity.role, Role::MasterTarget | Role::ConfigurationServer);
        if server && identity.name == *own {
            return Err(ApiError::new(Code::NotHere, what).because("it is this very server"));
        }
        let revoked = self.registrar.revoke(&identity, &request.reason, now());
        let holder = revoked.map_err(|error| api_error(&what, &error))?;
        self.heartbeats.forget(&identity);
        Ok(self.entry(&holder))
    }

    /// Finds the one holder of a name, and of a role if one was given.
    fn find(&self, request: &ServerRevoke) -> Result<Identity, ApiError> {
        let holders = self.holders()?;
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

    fn holders(&self) -> Result<Vec<Holder>, ApiError> {
        self.registrar.holders().map_err(|error| api_error("the servers can't be listed", &error))
    }

    fn entry(&self, holder: &Holder) -> ServerEntry {
        let current = holder.current();
        ServerEntry {
            role: holder.identity.role,
            name: holder.identity.name.clone(),
            enrolled: holder.enrolled,
            certificate: current.map(|issued| issued.id.to_string()),
            expires: current.map(|issued| issued.expires),
            revoked: holder
                .revoked
                .as_ref()
                .filter(|_| current.is_none())
                .map(|revoked| Rfc3339(revoked.at.0)),
            heartbeat: current.and_then(|_| self.heartbeats.of(&holder.identity)),
        }
    }
}

fn api_error(what: &str, error: &RegistrarError) -> ApiError {
    let code = match error {
        RegistrarError::Catalog(error) => return catalog_failed(what, error),
        RegistrarError::Unknown { .. } => Code::ServerUnknown,
        _ => Code::Internal,
    };
    let cause = std::error::Error::source(error)
        .map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
    ApiError::new(code, what).because(cause)
}
