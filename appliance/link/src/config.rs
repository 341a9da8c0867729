//! What both kinds of doors ask of TLS: version 1.3, a certificate of our authority and of certain roles, nothing resumed.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, NoServerSessionStorage};
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig};

use crate::verifier::Verifier;
use crate::{Credentials, LinkError, Role};

impl Credentials {
    /// Returns what a TLS server asks of its clients: TLS 1.3, and a certificate of our authority and of one of these roles. Names
    /// of hosts don't count, and no session is resumed.
    ///
    /// # Errors
    /// [`LinkError::Credentials`].
    pub fn server_config(&self, clients: &[Role]) -> Result<ServerConfig, LinkError> {
        self.config_for(Arc::new(Verifier::new(self, clients)?))
    }

    /// Returns what a TLS server asks of clients that have no certificate yet: TLS 1.3, and nothing else.
    ///
    /// # Errors
    /// [`LinkError::Credentials`].
    pub fn reception_config(&self) -> Result<ServerConfig, LinkError> {
        self.config_for(Arc::new(NoClientAuth))
    }

    /// Returns what a TLS client asks of its servers: TLS 1.3, and a certificate of our authority and of one of these roles. Names of
    /// hosts don't count, none is sent, and no session is resumed.
    ///
    /// # Errors
    /// [`LinkError::Credentials`].
    pub fn client_config(&self, servers: &[Role]) -> Result<ClientConfig, LinkError> {
        let verifier = Verifier::new(self, servers)?;
        let provider = Arc::clone(&self.provider);
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13]);
        let mut config = builder
            .map_err(|source| LinkError::Credentials { source })?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::clone(&self.certified) as _);
        config.resumption = Resumption::disabled();
        config.enable_sni = false;
        Ok(config)
    }

    fn config_for(&self, verifier: Arc<dyn ClientCertVerifier>) -> Result<ServerConfig, LinkError> {
        let provider = Arc::clone(&self.provider);
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13]);
        let mut config = builder
            .map_err(|source| LinkError::Credentials { source })?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::clone(&self.certified) as _);
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(config)
    }
}
