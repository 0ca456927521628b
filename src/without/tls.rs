//! What stands in for rustls where dimmer is built without TLS: everything that needs it is refused.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::bail;
use tokio::io;
use tokio::net::TcpStream;

/// There are none.
#[derive(Debug)]
pub enum ClientConfig {}

/// There is none.
#[derive(Debug)]
pub enum Tls {}

/// Refuses.
///
/// # Errors
/// Always.
pub fn client_config(_: &Path) -> anyhow::Result<Arc<ClientConfig>> {
    bail!("this dimmer is built without TLS, the Cargo feature tls")
}

/// Is never called.
///
/// # Errors
/// None.
pub async fn handshake(config: Arc<ClientConfig>, _: &str, _: TcpStream) -> io::Result<TcpStream> {
    match *config {}
}

impl Tls {
    /// Refuses.
    ///
    /// # Errors
    /// Always.
    pub fn load(_: PathBuf, _: PathBuf) -> anyhow::Result<Tls> {
        bail!("tls_cert: this dimmer is built without TLS, the Cargo feature tls")
    }

    /// Is never called.
    ///
    /// # Errors
    /// None.
    pub fn reload(&self) -> anyhow::Result<()> {
        match *self {}
    }

    /// Is never called.
    pub fn authority(&self) -> Option<Vec<u8>> {
        match *self {}
    }

    /// Is never called.
    ///
    /// # Errors
    /// None.
    pub async fn accept<S>(&self, _: S) -> io::Result<S> {
        match *self {}
    }
}
