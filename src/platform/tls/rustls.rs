//! TLS 1.3 by rustls.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, anyhow, bail};
use tokio::io::{self, AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
pub use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{RootCertStore, ServerConfig, version};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

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

/// Completes the TLS handshake with the server of this name.
///
/// # Errors
/// The connection ends, or the handshake fails.
pub async fn handshake(
    config: Arc<ClientConfig>,
    host: &str,
    stream: TcpStream,
) -> io::Result<client::TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    TlsConnector::from(config).connect(name, stream).await
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

/// What both files hold.
#[derive(Debug)]
struct CertificateFiles {
    config: Arc<ServerConfig>,
    /// The last certificate behind that of the service, if there is one: that of its authority.
    authority: Option<CertificateDer<'static>>,
}

/// The certificate of the service, with its key.
#[derive(Debug)]
pub struct Tls {
    cert: PathBuf,
    key: PathBuf,
    /// For new connections.
    files: Mutex<CertificateFiles>,
}

impl Tls {
    /// Reads both PEM files.
    ///
    /// # Errors
    /// A file cannot be read or used, or the key is not that of the certificate; the message is one line
    /// that names the setting and the file.
    pub fn load(cert: PathBuf, key: PathBuf) -> anyhow::Result<Tls> {
        let files = Mutex::new(read(&cert, &key)?);
        Ok(Tls { cert, key, files })
    }

    /// Reads both files again, for new connections; open connections are not affected.
    ///
    /// # Errors
    /// As [`Tls::load`]; the previous certificate then stays in use.
    pub fn reload(&self) -> anyhow::Result<()> {
        *self.files() = read(&self.cert, &self.key)?;
        Ok(())
    }

    /// The certificate of the authority in DER, which browsers are to trust; `None` if the file has only
    /// that of the service.
    pub fn authority(&self) -> Option<Vec<u8>> {
        self.files().authority.as_deref().map(<[u8]>::to_vec)
    }

    fn files(&self) -> MutexGuard<'_, CertificateFiles> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Completes the TLS handshake.
    ///
    /// # Errors
    /// The connection ends, or the handshake fails.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> io::Result<server::TlsStream<S>> {
        let config = self.files().config.clone();
        TlsAcceptor::from(config).accept(stream).await
    }
}

fn read(cert: &Path, key: &Path) -> anyhow::Result<CertificateFiles> {
    let setting = |name: &str, path: &Path| format!("{name} {}", path.display());
    let chain = certificates(cert).with_context(|| setting("tls_cert", cert))?;
    let authority = chain.iter().skip(1).next_back().cloned();
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
    Ok(CertificateFiles {
        config: Arc::new(config),
        authority,
    })
}
