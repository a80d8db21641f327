//! A certificate of a test's own, and clients that trust it.

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use tempfile::TempDir;

/// A certificate for `localhost` and 127.0.0.1, in files.
pub struct Identity {
    folder: TempDir,
    made: rcgen::CertifiedKey<rcgen::KeyPair>,
    /// The options of a second listener, with the files.
    options: [String; 6],
}

impl Identity {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])
            .expect("made");
        let paths = ["certificate.pem", "key.pem"].map(|name| folder.path().join(name).display().to_string());
        std::fs::write(&paths[0], made.cert.pem()).expect("written");
        std::fs::write(&paths[1], made.signing_key.serialize_pem()).expect("written");
        let [certificate, key] = paths;
        let options =
            ["--tls-port".into(), "0".into(), "--certificate".into(), certificate, "--key".into(), key];
        Identity { folder, made, options }
    }

    /// Arguments of a server with a second listener.
    pub fn serve<'a>(&'a self, kind: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        [kind]
            .into_iter()
            .chain(self.options.iter().map(String::as_str))
            .chain(more.iter().copied())
            .collect()
    }

    pub fn certificate(&self) -> String {
        self.folder.path().join("certificate.pem").display().to_string()
    }

    pub fn key(&self) -> String {
        self.folder.path().join("key.pem").display().to_string()
    }

    /// Trusts nothing else.
    pub fn client_config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.made.cert.der().clone()).expect("a certificate");
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        builder
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth()
    }
}
