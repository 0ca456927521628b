//! Where a running service is: its URL, its password and its certificate.

use std::env;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, Uri};

use crate::platform::tls::{self, ClientStream};

/// Longest wait for the connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The variable with the service's password. No flag, as every user of a machine sees the command
/// lines of all processes.
const PASSWORD: &str = "DIMMER_PASSWORD";

/// The service to connect to.
#[derive(Debug, clap::Args)]
pub struct ServiceArgs {
    /// URL of the service
    #[arg(long, env = "DIMMER_URL", default_value = "http://localhost:5000")]
    pub url: String,

    /// PEM file that holds the certificate of an https service, or of its issuer
    #[arg(
        long,
        env = "DIMMER_CA",
        value_name = "FILE",
        default_value = tls::SYSTEM_CA
    )]
    pub ca: PathBuf,
}

impl ServiceArgs {
    /// Whether the URL is that of a service on this machine.
    pub fn is_local(&self) -> bool {
        let host = service_uri(&self.url).ok();
        let host = host.as_ref().and_then(Uri::host).unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

/// A service, with what a request to it needs.
pub struct Endpoint {
    /// The URL as it was given.
    pub url: String,
    /// The URL with the scheme http or https.
    uri: Uri,
    ca: PathBuf,
    /// The header with the password, if there is one.
    pub authorization: Option<HeaderValue>,
}

impl Endpoint {
    /// # Errors
    /// The URL or the password is not valid.
    pub fn new(service: &ServiceArgs) -> anyhow::Result<Endpoint> {
        Ok(Endpoint {
            url: service.url.clone(),
            uri: service_uri(&service.url)?,
            ca: service.ca.clone(),
            authorization: authorization(env::var_os(PASSWORD))?,
        })
    }

    /// The path of a route below the URL.
    pub fn path(&self, route: &str) -> String {
        format!("{}{route}", self.uri.path().trim_end_matches('/'))
    }

    /// The URL of the WebSocket.
    pub fn websocket(&self) -> String {
        let scheme = if self.is_encrypted() { "wss" } else { "ws" };
        format!("{scheme}://{}{}", self.host(), self.path("/ws"))
    }

    /// The host, with its port if the URL has one.
    pub fn host(&self) -> &str {
        self.uri.authority().map_or("", |host| host.as_str())
    }

    fn is_encrypted(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    /// Connects, with TLS if the scheme says so.
    ///
    /// # Errors
    /// The host cannot be reached, or the handshake fails.
    pub async fn connect(&self) -> anyhow::Result<Box<dyn ClientStream>> {
        let host = self.uri.host().context("the URL has no host")?;
        let host = host.trim_matches(['[', ']']);
        let (tls, default_port) = match self.is_encrypted() {
            true => {
                let config = tls::client_config(&self.ca);
                let config = config.with_context(|| format!("--ca {}", self.ca.display()))?;
                (Some(config), 443)
            }
            false => (None, 80),
        };
        let port = self.uri.port_u16().unwrap_or(default_port);
        tls::connect(host, port, tls)
            .await
            .map_err(|error| match tls::is_handshake_error(&error) {
                true => {
                    anyhow!(
                        "{error}; --ca names the PEM file with its certificate, or its issuer's"
                    )
                }
                false => error.into(),
            })
    }

    /// Gives up connecting after a while, and says what to do if that fails.
    ///
    /// # Errors
    /// The service cannot be reached.
    pub async fn reach<T>(
        &self,
        connecting: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        match timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(reached) => reached.map_err(|error| self.unreachable(&format!("{error:#}"))),
            Err(_) => Err(self.unreachable("no answer")),
        }
    }

    /// The error of a service that cannot be reached.
    pub fn unreachable(&self, reason: &str) -> anyhow::Error {
        let url = &self.url;
        anyhow!("cannot reach {url}: {reason}; start the service, or set --url")
    }

    /// The error of an answer that is a refusal.
    pub fn refusal(&self, status: StatusCode, body: &[u8]) -> anyhow::Error {
        let url = &self.url;
        match (status, &self.authorization) {
            (StatusCode::UNAUTHORIZED, Some(_)) => {
                anyhow!("{PASSWORD} is not the password of {url}")
            }
            (StatusCode::UNAUTHORIZED, None) => {
                anyhow!("{url} wants a password: set the variable {PASSWORD}")
            }
            _ => {
                let reason = String::from_utf8_lossy(body);
                anyhow!("{url} answered {status}: {}", reason.trim())
            }
        }
    }
}

/// What is wrong with an answer that no dimmer gives.
pub fn unexpected(url: &str) -> String {
    format!("{url} does not answer like dimmer; check --url")
}

/// The header with this password.
fn authorization(password: Option<OsString>) -> anyhow::Result<Option<HeaderValue>> {
    let Some(password) = password.filter(|password| !password.is_empty()) else {
        return Ok(None);
    };
    let bearer = [b"Bearer ", password.as_encoded_bytes()].concat();
    let mut bearer = HeaderValue::from_bytes(&bearer)
        .map_err(|_| anyhow!("{PASSWORD} must not have control characters"))?;
    bearer.set_sensitive(true);
    Ok(Some(bearer))
}

/// The URL of a service, with the scheme http or https.
fn service_uri(url: &str) -> anyhow::Result<Uri> {
    match url.split_once("://") {
        Some((scheme @ ("http" | "https" | "ws" | "wss"), rest)) if !rest.is_empty() => {
            let scheme = scheme.replace("ws", "http");
            format!("{scheme}://{rest}")
                .parse()
                .with_context(|| format!("{url:?} is not a valid URL"))
        }
        _ => bail!("the URL must be like http://raspberrypi.local:5000, not {url:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> Endpoint {
        Endpoint {
            url: url.into(),
            uri: service_uri(url).unwrap(),
            ca: PathBuf::new(),
            authorization: None,
        }
    }

    #[test]
    fn every_route_is_below_the_url_of_the_page() {
        for (url, websocket, path) in [
            ("http://pi:5000", "ws://pi:5000/ws", "/api/backup"),
            ("http://pi/a/", "ws://pi/a/ws", "/a/api/backup"),
            ("https://pi:5000", "wss://pi:5000/ws", "/api/backup"),
            ("wss://pi", "wss://pi/ws", "/api/backup"),
            ("ws://[::1]:1", "ws://[::1]:1/ws", "/api/backup"),
        ] {
            let endpoint = endpoint(url);
            assert_eq!(endpoint.websocket(), websocket);
            assert_eq!(endpoint.path("/api/backup"), path);
        }
        for broken in ["pi:5000", "http://", "ftp://pi", "httpx://pi"] {
            assert!(service_uri(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn only_an_address_of_this_machine_is_local() {
        let is_local = |url: &str| {
            let (url, ca) = (url.into(), PathBuf::new());
            ServiceArgs { url, ca }.is_local()
        };
        for url in ["http://localhost:5000", "https://127.0.0.2", "ws://[::1]:1"] {
            assert!(is_local(url), "{url}");
        }
        for url in [
            "http://pi.local",
            "http://localhost.example",
            "http://192.0.2.1",
            "pi",
        ] {
            assert!(!is_local(url), "{url}");
        }
    }
}
