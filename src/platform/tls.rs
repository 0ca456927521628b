//! TLS, where a certificate is set: what is spoken inside is the same.
//!
//! The port is shared with plain HTTP, which is led to https: the first byte tells the two apart.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, anyhow, bail};
use tokio::io;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, version};
use tokio_rustls::server::TlsStream;

/// First byte of each TLS connection: a record of the handshake. No method of HTTP begins with it.
const HANDSHAKE: u8 = 0x16;

/// The certificates that a Debian system trusts.
pub const SYSTEM_CA: &str = "/etc/ssl/certs/ca-certificates.crt";

/// How to speak TLS with a server that a certificate of the PEM file `ca` vouches for.
///
/// # Errors
/// The file cannot be read, or holds no certificate.
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

/// All certificates of a PEM file.
fn certificates(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| anyhow!("{error}"))?;
    match certificates.is_empty() {
        true => bail!("must hold a certificate in PEM, and holds none"),
        false => Ok(certificates),
    }
}

/// A certificate with its key.
#[derive(Debug)]
pub struct Tls {
    cert: PathBuf,
    key: PathBuf,
    /// For the connections to come.
    config: Mutex<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads both PEM files.
    ///
    /// # Errors
    /// One cannot be read or used, or they do not belong together; the message is one line that names
    /// the setting and the file.
    pub fn load(cert: PathBuf, key: PathBuf) -> anyhow::Result<Tls> {
        let config = Mutex::new(read(&cert, &key)?);
        Ok(Tls { cert, key, config })
    }

    /// Reads them again, for new connections; those there are go on.
    ///
    /// # Errors
    /// As [`Tls::load`]; then the ones before are kept.
    pub fn reload(&self) -> anyhow::Result<()> {
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = read(&self.cert, &self.key)?;
        Ok(())
    }

    /// Shakes hands; `None` for a connection that does not speak TLS, of which nothing is taken.
    ///
    /// # Errors
    /// The connection ends, or the other end wants what this one does not.
    pub async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<Result<TlsStream<TcpStream>, TcpStream>> {
        let mut first = [0];
        stream.peek(&mut first).await?;
        if first != [HANDSHAKE] {
            return Ok(Err(stream));
        }
        let config = self
            .config
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        TlsAcceptor::from(config).accept(stream).await.map(Ok)
    }
}

fn read(cert: &Path, key: &Path) -> anyhow::Result<Arc<ServerConfig>> {
    let setting = |name: &str, path: &Path| format!("{name} {}", path.display());
    let certs = certificates(cert).with_context(|| setting("tls_cert", cert))?;
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| match error {
            pem::Error::NoItemsFound => anyhow!("must hold a private key in PEM, and holds none"),
            error => anyhow!("{error}"),
        })
        .with_context(|| setting("tls_key", key))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&version::TLS13])
        .context("no TLS 1.3")?
        .with_no_client_auth()
        .with_single_cert(certs, private)
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
