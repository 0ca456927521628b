//! TLS, for the service where a certificate is set, and for connections to other servers.
//!
//! The service accepts TLS and plain HTTP on the same port and redirects HTTP to https: the first byte
//! of a connection tells the two apart.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, anyhow, bail};
use tokio::io::{self, AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, version};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// First byte of every TLS connection: a handshake record. No HTTP method begins with it.
const HANDSHAKE: u8 = 0x16;

/// The certificates that a Debian system trusts.
pub const SYSTEM_CA: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The TLS settings of a client that trusts the certificates in the PEM file `ca`.
///
/// # Errors
/// The file cannot be read, or has no certificate.
pub fn client_config(ca: &Path) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(ca)?);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&version::TLS13])
        .context("no TLS 1.3")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// A connection to another server, with TLS or without.
pub trait ClientStream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> ClientStream for S {}

/// The TLS handshake with another server failed.
#[derive(Debug, thiserror::Error)]
#[error("the TLS handshake failed: {0}")]
pub struct HandshakeError(io::Error);

/// Connects to another server, with TLS if there are settings for it.
///
/// # Errors
/// The server cannot be reached, or the handshake fails, with a [`HandshakeError`] inside.
pub async fn connect(
    host: &str,
    port: u16,
    tls: Option<Arc<ClientConfig>>,
) -> io::Result<Box<dyn ClientStream>> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    let Some(config) = tls else {
        return Ok(Box::new(stream));
    };
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let connecting = TlsConnector::from(config).connect(name, stream).await;
    let stream = connecting.map_err(|error| io::Error::other(HandshakeError(error)))?;
    Ok(Box::new(stream))
}

/// Whether a [connection](connect) failed because of its TLS handshake.
pub fn is_handshake_error(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|inner| inner.is::<HandshakeError>())
}

/// All certificates of a PEM file.
fn certificates(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    require_regular(file)?;
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| anyhow!("{error}"))?;
    match certificates.is_empty() {
        true => bail!("must hold a certificate in PEM, and holds none"),
        false => Ok(certificates),
    }
}

/// Fails unless the file can be read to its end at once: all clients wait meanwhile, and a pipe may never end.
fn require_regular(file: &Path) -> anyhow::Result<()> {
    // What is wrong with a file that is not there, reading it says.
    match fs::metadata(file).is_ok_and(|metadata| !metadata.is_file()) {
        true => bail!("must be a regular file, and is not"),
        false => Ok(()),
    }
}

/// The certificate of the service, with its key.
#[derive(Debug)]
pub struct Tls {
    cert: PathBuf,
    key: PathBuf,
    /// For new connections.
    config: Mutex<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads both PEM files.
    ///
    /// # Errors
    /// A file cannot be read or used, or the key is not that of the certificate; the message is one line
    /// that names the setting and the file.
    pub fn load(cert: PathBuf, key: PathBuf) -> anyhow::Result<Tls> {
        let config = Mutex::new(read(&cert, &key)?);
        Ok(Tls { cert, key, config })
    }

    /// Reads both files again, for new connections; open connections are not affected.
    ///
    /// # Errors
    /// As [`Tls::load`]; the previous certificate then stays in use.
    pub fn reload(&self) -> anyhow::Result<()> {
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = read(&self.cert, &self.key)?;
        Ok(())
    }

    /// Completes the TLS handshake.
    ///
    /// # Errors
    /// The connection ends, or the handshake fails.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> io::Result<TlsStream<S>> {
        let config = self
            .config
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        TlsAcceptor::from(config).accept(stream).await
    }
}

/// Whether a connection begins with a TLS handshake, of which nothing is read.
///
/// # Errors
/// The connection ends.
pub async fn begins_with_handshake(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    stream.peek(&mut first).await?;
    Ok(first == [HANDSHAKE])
}

fn read(cert: &Path, key: &Path) -> anyhow::Result<Arc<ServerConfig>> {
    let setting = |name: &str, path: &Path| format!("{name} {}", path.display());
    let chain = certificates(cert).with_context(|| setting("tls_cert", cert))?;
    require_regular(key).with_context(|| setting("tls_key", key))?;
    let private_key = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| match error {
            pem::Error::NoItemsFound => anyhow!("must hold a private key in PEM, and holds none"),
            error => anyhow!("{error}"),
        })
        .with_context(|| setting("tls_key", key))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&version::TLS13])
        .context("no TLS 1.3")?
        .with_no_client_auth()
        .with_single_cert(chain, private_key)
        .with_context(|| {
            format!(
                "{} with {}",
                setting("tls_cert", cert),
                setting("tls_key", key)
            )
        })?;
    config.alpn_protocols = vec![b"http/1.1".into()];
    Ok(Arc::new(config))
}
