//! TLS, for the service where a certificate is set, and for connections to other servers.
//!
//! The service accepts TLS and plain HTTP on the same port and redirects HTTP to https: the first byte
//! of a connection tells the two apart.

// The library, or what stands in for it where dimmer is built without TLS.
#[cfg_attr(not(feature = "tls"), path = "../without/tls.rs")]
mod rustls;

use std::sync::Arc;

use tokio::io::{self, AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

pub use rustls::{ClientConfig, Tls, client_config};

/// First byte of every TLS connection: a handshake record. No HTTP method begins with it.
const HANDSHAKE: u8 = 0x16;

/// The certificates that a Debian system trusts.
pub const SYSTEM_CA: &str = "/etc/ssl/certs/ca-certificates.crt";

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
    match rustls::handshake(config, host, stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(io::Error::other(HandshakeError(error))),
    }
}

/// Whether a [connection](connect) failed because of its TLS handshake.
pub fn is_handshake_error(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|inner| inner.is::<HandshakeError>())
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
