//! A connection to a running service, with its password and its certificate.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, Uri};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::model::effect::{EffectKind, Speed};
use crate::model::level::Level;
use crate::platform::tls;

/// Longest wait for the connection, and for each answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest silence of a service that is there: it sends a ping after 20 s.
const SILENCE: Duration = Duration::from_secs(40);
/// The password of the service. No flag, as everybody on a machine sees the command lines.
const PASSWORD: &str = "DIMMER_PASSWORD";

/// Which service to talk to.
#[derive(Debug, clap::Args)]
pub struct Target {
    /// Where the service is
    #[arg(long, env = "DIMMER_URL", default_value = "http://localhost:5000")]
    pub url: String,

    /// Certificates, in PEM, of which one vouches for an https service, or is its own
    #[arg(
        long,
        env = "DIMMER_CA",
        value_name = "FILE",
        default_value = tls::SYSTEM_CA
    )]
    pub ca: PathBuf,
}

/// A message of the service, in as far as the command line wants to know.
#[derive(Default, Deserialize)]
pub struct Said {
    pub hello: Option<Hello>,
    pub light: Option<String>,
    pub level: Option<Level>,
    pub effect: Option<EffectKind>,
    pub speed: Option<Speed>,
    pub left: Option<f64>,
    pub presets: Option<Vec<String>>,
    pub timers: Option<Vec<Map<String, Value>>>,
    pub by: Option<String>,
    pub fault: Option<Fault>,
    pub error: Option<String>,
    pub echo: Option<Value>,
}

#[derive(Deserialize)]
pub struct Hello {
    pub lights: Vec<Named>,
}

#[derive(Deserialize)]
pub struct Named {
    pub name: String,
}

#[derive(Deserialize)]
pub struct Fault {
    pub light: String,
    pub message: Option<String>,
}

/// A connection, with TLS or without.
trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// An open connection to a service.
pub struct Client {
    socket: WebSocketStream<Box<dyn Stream>>,
    url: String,
}

impl Client {
    pub async fn connect(target: &Target) -> anyhow::Result<Client> {
        let url = target.url.clone();
        let request = request(&url, env::var_os(PASSWORD))?;
        let has_password = request.headers().contains_key(AUTHORIZATION);
        let connecting = async {
            let stream = stream(request.uri(), &target.ca).await?;
            anyhow::Ok(client_async(request, stream).await)
        };
        let connected = match timeout(PATIENCE, connecting).await {
            Ok(Err(error)) => return Err(unreachable(&url, &format!("{error:#}"))),
            Ok(Ok(connected)) => Ok(connected),
            Err(late) => Err(late),
        };
        match connected {
            Ok(Ok((socket, _))) => Ok(Client { socket, url }),
            Ok(Err(tungstenite::Error::Io(error))) => Err(unreachable(&url, &error.to_string())),
            Ok(Err(tungstenite::Error::Http(answer))) => {
                if answer.status() == StatusCode::UNAUTHORIZED {
                    match has_password {
                        true => bail!("{PASSWORD} is not the password of {url}"),
                        false => bail!("{url} wants a password: set the variable {PASSWORD}"),
                    }
                }
                let body = answer.body().as_deref().unwrap_or_default();
                let reason = String::from_utf8_lossy(body);
                bail!("{url} answered {}: {}", answer.status(), reason.trim())
            }
            Ok(Err(error)) => Err(unreachable(&url, &error.to_string())),
            Err(_) => Err(unreachable(&url, "no answer")),
        }
    }

    /// The names of all lights, and their levels.
    pub async fn greeting(&mut self) -> anyhow::Result<(Vec<String>, Vec<(String, Level)>)> {
        let Some(hello) = self.answer().await?.hello else {
            bail!("{} does not speak as dimmer does", self.url);
        };
        let names: Vec<_> = hello.lights.into_iter().map(|light| light.name).collect();
        let mut levels = Vec::new();
        while levels.len() < names.len() {
            let said = self.answer().await?;
            levels.extend(said.light.zip(said.level));
        }
        Ok((names, levels))
    }

    pub async fn say(&mut self, message: Value) -> anyhow::Result<()> {
        let frame = Message::text(message.to_string());
        self.socket
            .send(frame)
            .await
            .with_context(|| format!("cannot send to {}", self.url))
    }

    /// Says this, and returns all that came of it.
    ///
    /// # Errors
    /// The service refuses, or is gone.
    pub async fn ask(&mut self, message: Value) -> anyhow::Result<Vec<Said>> {
        self.say(message).await?;
        // It answers in order: once this echo is back, so is whatever came of the message.
        self.say(json!({"echo": "done"})).await?;
        let mut all = Vec::new();
        loop {
            match self.answer().await? {
                Said { echo: Some(_), .. } => return Ok(all),
                Said {
                    error: Some(error), ..
                } => bail!(error),
                said => all.push(said),
            }
        }
    }

    /// The next message, whenever it comes.
    pub async fn news(&mut self) -> anyhow::Result<Said> {
        self.hear(SILENCE).await
    }

    /// The next message, which is due.
    pub async fn answer(&mut self) -> anyhow::Result<Said> {
        self.hear(PATIENCE).await
    }

    /// The next message, unless there is silence for so long.
    async fn hear(&mut self, silence: Duration) -> anyhow::Result<Said> {
        loop {
            let Ok(frame) = timeout(silence, self.socket.next()).await else {
                bail!("{} does not answer", self.url);
            };
            match frame {
                Some(Ok(Message::Text(text))) => {
                    return serde_json::from_str(&text)
                        .with_context(|| format!("{} does not speak as dimmer does", self.url));
                }
                Some(Ok(Message::Close(_))) | None => bail!("{} closed the connection", self.url),
                Some(Ok(_)) => {}
                Some(Err(error)) => bail!("{} is gone: {error}", self.url),
            }
        }
    }
}

fn unreachable(url: &str, reason: &str) -> anyhow::Error {
    anyhow!("cannot reach {url}: {reason}; start the service, or set --url")
}

/// Connects to the host of this address, with TLS if it is `wss`.
async fn stream(address: &Uri, ca: &Path) -> anyhow::Result<Box<dyn Stream>> {
    let encrypted = address.scheme_str() == Some("wss");
    let host = address.host().context("there is no host in the address")?;
    let host = host.trim_matches(['[', ']']);
    let port = address
        .port_u16()
        .unwrap_or(if encrypted { 443 } else { 80 });
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    if !encrypted {
        return Ok(Box::new(stream));
    }
    let config = tls::trusting(ca).with_context(|| format!("--ca {}", ca.display()))?;
    let name = ServerName::try_from(host.to_owned())?;
    let connector = TlsConnector::from(config);
    let stream = connector
        .connect(name, stream)
        .await
        .context("no TLS; --ca names the file that vouches for it")?;
    Ok(Box::new(stream))
}

/// The request for the WebSocket, with the password if there is one.
fn request(url: &str, password: Option<OsString>) -> anyhow::Result<Request> {
    let mut request = address(url)?
        .into_client_request()
        .with_context(|| format!("the address {url:?} cannot be used"))?;
    if let Some(password) = password.filter(|password| !password.is_empty()) {
        let bearer = [b"Bearer ", password.as_encoded_bytes()].concat();
        let mut bearer = HeaderValue::from_bytes(&bearer)
            .map_err(|_| anyhow!("{PASSWORD} must not have control characters"))?;
        bearer.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, bearer);
    }
    Ok(request)
}

/// The WebSocket's address of a service's.
fn address(url: &str) -> anyhow::Result<String> {
    match url.split_once("://") {
        Some((scheme @ ("http" | "https" | "ws" | "wss"), rest)) if !rest.is_empty() => {
            let scheme = scheme.replace("http", "ws");
            Ok(format!("{scheme}://{}/ws", rest.trim_end_matches('/')))
        }
        _ => bail!("the address must be like http://raspberrypi.local:5000, not {url:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_that_of_the_page() {
        assert_eq!(address("http://pi:5000").unwrap(), "ws://pi:5000/ws");
        assert_eq!(address("http://pi/a/").unwrap(), "ws://pi/a/ws");
        assert_eq!(address("https://pi:5000").unwrap(), "wss://pi:5000/ws");
        assert_eq!(address("wss://pi").unwrap(), "wss://pi/ws");
        for broken in ["pi:5000", "http://", "ftp://pi", "httpx://pi"] {
            assert!(address(broken).is_err(), "{broken}");
        }
    }
}
