//! What both kinds of doors ask of TLS: version 1.3, a certificate of our authority and of one role, nothing resumed.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use rustls::version::TLS13;

use crate::verifier::Verifier;
use crate::{Credentials, LinkError, Role};

impl Credentials {
    /// Returns what a TLS server asks of its clients: TLS 1.3, and a certificate of our authority and of this role. Names
    /// of hosts don't count, and no session is resumed.
    ///
    /// # Errors
    /// [`LinkError::Credentials`].
    pub fn server_config(&self, clients: Role) -> Result<ServerConfig, LinkError> {
        let Self { authority, certified, provider, .. } = self;
        let verifier = Verifier::new(Arc::clone(authority), provider, clients)?;
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(provider)).with_protocol_versions(&[&TLS13]);
        let mut config = builder
            .map_err(|source| LinkError::Credentials { source })?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(Arc::clone(certified) as _);
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(config)
    }
}
