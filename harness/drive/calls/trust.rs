//! The trust of calls in a TLS peer: a certificate that is read from its file once, or for each call as
//! careless programs do; or anybody, as the server is on this machine. Opens that file and nothing else.

use super::super::tls::config;
use super::course::Stop;
use crate::event::CallStep;
use crate::scenario::{Certificate, Tls};
use rustls::ClientConfig;
use rustls::client::Resumption;
use std::io;
use std::sync::Arc;

/// The peers that a caller trusts, and how it learns of them.
pub struct Trust {
    tls: Tls,
    protocols: Vec<Vec<u8>>,
    /// The sessions of all handshakes, however often the certificate is read.
    sessions: Resumption,
    cached: Option<Arc<ClientConfig>>,
}

impl Trust {
    /// As a workload says; `protocols` are offered by ALPN.
    ///
    /// # Errors
    /// The certificate is to be cached, and cannot be read.
    pub fn new(tls: Tls, how: Certificate, protocols: &[&[u8]]) -> io::Result<Trust> {
        let protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let sessions = if tls.resumption { Resumption::default() } else { Resumption::disabled() };
        let mut trust = Trust { tls, protocols, sessions, cached: None };
        if how == Certificate::Cached {
            trust.cached = Some(trust.read()?);
        }
        Ok(trust)
    }

    /// The configuration for a handshake; reads the file where nothing is cached, and blocks as long as that
    /// takes.
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
        let mut config = config(&self.tls, self.protocols.clone())?;
        config.resumption = self.sessions.clone();
        Ok(Arc::new(config))
    }
}
