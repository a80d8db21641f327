//! TLS of clients, beside their sockets: bytes in, bytes out (rustls). A client checks the certificate only
//! if the scenario names one to trust: the server is on this machine.

use crate::scenario::Tls;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

/// Plaintext that is read at a time, bytes.
const CHUNK: usize = 16 * 1024;

/// The settings that the handshakes of a workload's clients share.
#[derive(Clone)]
pub struct Secure(Arc<ClientConfig>);

impl Secure {
    /// As a workload says, offering these protocols (ALPN, RFC 7301).
    ///
    /// # Errors
    /// The certificate to trust cannot be read, or is none.
    pub fn new(tls: &Tls, alpn: &[&str]) -> io::Result<Secure> {
        let alpn = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let config = config(tls, alpn).map_err(|e| match &tls.ca {
            Some(file) => named(file, e),
            None => e,
        });
        Ok(Secure(Arc::new(config?)))
    }

    /// The client's side of one connection, whose first bytes are to be sent.
    pub fn connect(&self) -> Box<Session> {
        let name = ServerName::try_from("localhost").expect("a name");
        let connection =
            ClientConnection::new(Arc::clone(&self.0), name).expect("every configuration has versions");
        Box::new(Session(connection))
    }
}

/// The configuration for a client's handshakes, offering these protocols (ALPN, RFC 7301).
///
/// # Errors
/// The certificate to trust cannot be read (with its errno), or is none.
pub fn config(tls: &Tls, alpn: Vec<Vec<u8>>) -> io::Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let invalid = |e: &dyn std::fmt::Display| io::Error::new(io::ErrorKind::InvalidData, e.to_string());
    let verifier: Arc<dyn ServerCertVerifier> = match &tls.ca {
        Some(file) => WebPkiServerVerifier::builder_with_provider(roots(file)?.into(), Arc::clone(&provider))
            .build()
            .map_err(|e| invalid(&e))?,
        None => Arc::new(Anybody(Arc::clone(&provider))),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| invalid(&e))?;
    let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.alpn_protocols = alpn;
    if !tls.resumption {
        config.resumption = Resumption::disabled();
    }
    Ok(config)
}

/// One connection's TLS.
pub struct Session(ClientConnection);

impl Session {
    /// Encrypts.
    pub fn send(&mut self, bytes: &[u8]) {
        // It is kept until the handshake is over; there is a bound, and what is beyond it is not sent.
        let _ = self.0.writer().write_all(bytes);
    }

    /// Appends what is to be sent.
    pub fn take(&mut self, out: &mut Vec<u8>) {
        while self.0.wants_write() {
            if self.0.write_tls(out).is_err() {
                return; // a vector takes everything
            }
        }
    }

    /// Whether the handshake is over.
    pub fn ready(&self) -> bool {
        !self.0.is_handshaking()
    }

    /// Decrypts what came; appends it to `plain`. True when the server has closed its side.
    ///
    /// # Errors
    /// The bytes that came are not TLS, or an alert.
    pub fn receive(&mut self, mut input: &[u8], plain: &mut Vec<u8>) -> Result<bool, String> {
        let first = input;
        while !input.is_empty() {
            let began = self.0.is_handshaking();
            // Every call is followed by one that takes the plaintext, so there is room.
            let read = self.0.read_tls(&mut input).map_err(|error| format!("TLS: {error}"));
            let processed =
                read.and_then(|_| self.0.process_new_packets().map_err(|error| failed(&error, first, began)));
            loop {
                let before = plain.len();
                plain.resize(before + CHUNK, 0);
                let read = self.0.reader().read(&mut plain[before..]);
                plain.truncate(before + *read.as_ref().unwrap_or(&0));
                match read {
                    Ok(0) => return Ok(true),
                    Ok(_) => {}
                    Err(_) => break, // nothing more for now
                }
            }
            processed?;
        }
        Ok(false)
    }
}

fn failed(error: &rustls::Error, input: &[u8], handshake: bool) -> String {
    // A server that speaks no TLS mostly says so in words.
    let plain = input.first().is_some_and(|&b| b.is_ascii_alphanumeric() || b == b'-' || b == b'+');
    match error {
        rustls::Error::InvalidMessage(_) if handshake && plain => {
            format!("no TLS: {}", super::dialogue::words(input))
        }
        error => format!("TLS: {error}"),
    }
}

/// A failure of the kernel with the file that it is about; others have it in their words.
fn named(file: &Path, error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(_) => io::Error::new(error.kind(), format!("{}: {error}", file.display())),
        None => error,
    }
}

/// The certificates of a PEM file, to trust.
///
/// # Errors
/// It cannot be opened (with its errno), or has none.
pub fn roots(file: &Path) -> io::Result<RootCertStore> {
    let unusable = |e: &dyn std::fmt::Display| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: {e}", file.display()))
    };
    let pem = std::fs::read(file)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots.add(certificate.map_err(|e| unusable(&e))?).map_err(|e| unusable(&e))?;
    }
    if roots.is_empty() { Err(unusable(&"no certificate in it")) } else { Ok(roots) }
}

/// Trusts every certificate; signatures are checked.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
