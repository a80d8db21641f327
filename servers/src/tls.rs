//! TLS, on either side of a connection: the second listener of a server, and the channels of the relay.
//! Certificates are read and everything is computed before the server listens. A handshake opens nothing and
//! keeps no other client waiting.
//!
//! Sessions are resumed only where a server is started with `--resumption`; otherwise each connection makes a
//! whole handshake.

use crate::Door;
use crate::tally::Tally;
use crate::witness::Seat;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache};
use rustls::{ClientConfig, HandshakeKind, RootCertStore, ServerConfig};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::transport::server::Connected;

/// Protocol names of ALPN (RFC 7301), as IANA has them.
pub(crate) const HTTP_1: &[u8] = b"http/1.1";
pub(crate) const HTTP_2: &[u8] = b"h2";
pub(crate) const SMTP: &[u8] = b"smtp";

/// Sessions that a server keeps to be resumed, at most.
const SESSIONS: usize = 1 << 14;

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// A file could not be opened or read.
    #[error("open {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// The error of open or read.
        source: io::Error,
    },
    /// A file holds something else.
    #[error("{} holds no {what} in PEM: {source}", path.display())]
    Pem {
        /// Which file.
        path: PathBuf,
        /// The kind of item that it should hold.
        what: &'static str,
        /// Where the parser stopped.
        source: pem::Error,
    },
    /// The file was read but cannot be used.
    #[error("{} cannot be used: {source}", path.display())]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// The error of rustls.
        source: rustls::Error,
    },
}

impl TlsError {
    /// The errno of the open or read that failed.
    pub(crate) fn errno(&self) -> Option<i32> {
        match self {
            TlsError::Read { source, .. } => source.raw_os_error(),
            TlsError::Pem { .. } | TlsError::Unusable { .. } => None,
        }
    }
}

/// Makes an accepted connection ready to be spoken on: with the TLS handshake, if it came in through the TLS
/// listener.
#[derive(Clone)]
pub(crate) struct Doorkeeper {
    acceptor: Option<TlsAcceptor>,
    tally: Arc<Tally>,
}

impl Doorkeeper {
    /// With the certificate and key of these files, if there is a TLS listener.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub(crate) fn new(
        files: Option<(&Path, &Path)>,
        protocols: &[&[u8]],
        resumption: bool,
        tally: &Arc<Tally>,
    ) -> Result<Self, TlsError> {
        let config = |(certificate, key)| server(certificate, key, protocols, resumption);
        let acceptor = files.map(config).transpose()?;
        Ok(Doorkeeper {
            acceptor: acceptor.map(|config| TlsAcceptor::from(Arc::new(config))),
            tally: tally.clone(),
        })
    }

    /// Whether there is a certificate to speak TLS with.
    pub(crate) fn speaks_tls(&self) -> bool {
        self.acceptor.is_some()
    }

    /// Does the TLS handshake with a client that came in through the TLS listener. There is no deadline: a
    /// client that never speaks is held, as by a server without time limits, and costs its descriptor.
    ///
    /// # Errors
    /// The client left, or does not speak TLS. Its connection is closed.
    pub(crate) async fn admit(&self, stream: TcpStream, door: Door) -> io::Result<Stream> {
        let seat = self.tally.seat().map(Arc::new);
        let bytes = match (door, &self.acceptor) {
            (Door::Tls, Some(acceptor)) => {
                // The last flight of a handshake and what follows it are several writes.
                stream.set_nodelay(true)?;
                let stream = acceptor.accept(stream).await?;
                let resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
                self.tally.count_handshake(resumed);
                Bytes::Tls(Box::new(stream))
            }
            _ => Bytes::Plain(stream),
        };
        Ok(Stream { bytes, seat })
    }
}

fn server(
    certificate: &Path,
    key: &Path,
    protocols: &[&[u8]],
    resumption: bool,
) -> Result<ServerConfig, TlsError> {
    let chain = certificates(certificate)?;
    let text = read(key)?;
    let secret = PrivateKeyDer::from_pem_slice(&text).map_err(|source| TlsError::Pem {
        path: key.into(),
        what: "private key",
        source,
    })?;
    let unusable = |source| TlsError::Unusable { path: certificate.into(), source };
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let mut config = builder.with_no_client_auth().with_single_cert(chain, secret).map_err(unusable)?;
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    if resumption {
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    } else {
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(config)
}

/// The TLS configuration of a client that trusts the certificates of a file, read now.
///
/// # Errors
/// See [`TlsError`]; with a full descriptor table the open fails.
pub(crate) fn client(trusted: &Path, protocol: &[u8]) -> Result<ClientConfig, TlsError> {
    let unusable = |source| TlsError::Unusable { path: trusted.into(), source };
    let mut roots = RootCertStore::empty();
    certificates(trusted)?
        .into_iter()
        .try_for_each(|certificate| roots.add(certificate))
        .map_err(unusable)?;
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    found
        .and_then(|found| if found.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(found) })
        .map_err(|source| TlsError::Pem { path: path.into(), what: "certificate", source })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { path: path.into(), source })
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// An accepted connection.
pub(crate) struct Stream {
    bytes: Bytes,
    /// Where its calls are counted.
    pub(crate) seat: Option<Arc<Seat>>,
}

/// With TLS or without.
enum Bytes {
    /// As accepted.
    Plain(TcpStream),
    /// After its handshake.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Does the same to either kind of stream.
macro_rules! either {
    ($stream:expr, $inner:ident => $does:expr) => {
        match &mut $stream.get_mut().bytes {
            Bytes::Plain($inner) => $does,
            Bytes::Tls($inner) => $does,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        either!(self, inner => Pin::new(inner).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, inner => Pin::new(inner).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, inner => Pin::new(inner).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, inner => Pin::new(inner).poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, inner => Pin::new(inner).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.bytes {
            Bytes::Plain(inner) => inner.is_write_vectored(),
            Bytes::Tls(inner) => inner.is_write_vectored(),
        }
    }
}

impl Connected for Stream {
    type ConnectInfo = Option<Arc<Seat>>;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.seat.clone()
    }
}
