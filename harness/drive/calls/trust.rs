//! The certificate to trust: read from its file once, or for each call as careless programs do. Opens that
//! file and nothing else.

use super::super::tls::roots;
use super::course::Stop;
use crate::event::CallStep;
use crate::scenario::Certificate;
use rustls::ClientConfig;
use rustls::crypto::{CryptoProvider, ring};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Whom a caller trusts, and how it comes to know.
pub struct Trust {
    file: PathBuf,
    protocols: Vec<Vec<u8>>,
    provider: Arc<CryptoProvider>,
    cached: Option<Arc<ClientConfig>>,
}

impl Trust {
    /// Trust in the certificate of this PEM file; `protocols` are offered by ALPN.
    ///
    /// # Errors
    /// It is to be cached, and cannot be read.
    pub fn new(file: PathBuf, how: Certificate, protocols: &[&[u8]]) -> io::Result<Trust> {
        let protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let mut trust = Trust { file, protocols, provider: Arc::new(ring::default_provider()), cached: None };
        if how == Certificate::Cached {
            trust.cached = Some(trust.read()?);
        }
        Ok(trust)
    }

    /// What a handshake needs; reads the file where nothing is cached, and blocks as long as that takes.
    ///
    /// # Errors
    /// At `certificate`: the file cannot be opened, or is none.
    pub fn config(&self) -> Result<Arc<ClientConfig>, Stop> {
        match &self.cached {
            Some(config) => Ok(Arc::clone(config)),
            None => self.read().map_err(|e| Stop::io(CallStep::Certificate, &e)),
        }
    }

    fn read(&self) -> io::Result<Arc<ClientConfig>> {
        let unusable = |e: &dyn std::fmt::Display| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}: {e}", self.file.display()))
        };
        let roots = roots(&self.file)?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions();
        let mut config =
            builder.map_err(|e| unusable(&e))?.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols.clone_from(&self.protocols);
        // Every handshake is a whole one, as with clients that keep no sessions.
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Arc::new(config))
    }
}
