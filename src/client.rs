//! The command line's side of `/ws`: set, get, watch and ping a running service.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, Uri};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::level::{Level, Step};
use crate::lights::Change;
use crate::tls;

/// Longest wait for the connection, and for each answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest silence of a service that is there: it sends a ping after 20 s.
const SILENCE: Duration = Duration::from_secs(40);
/// Pause between two pings.
const PING_PAUSE: Duration = Duration::from_millis(100);

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

/// What `dimmer set` sets a light to: a level, `+5`, `-5`, `on`, `off` or `toggle`.
#[derive(Debug, Clone)]
pub struct Setting(Change);

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Setting, String> {
        let change = match text {
            "on" => Change::On(true),
            "off" => Change::On(false),
            "toggle" => Change::Toggle,
            _ if text.starts_with(['+', '-']) => {
                let percent = text
                    .parse()
                    .map_err(|_| format!("a step is +N or -N percent, not {text:?}"))?;
                let step = Step::from_percent(percent).map_err(|error| format!("step {error}"))?;
                Change::Step(step)
            }
            _ => Change::Level(text.parse().map_err(|error| format!("level {error}"))?),
        };
        Ok(Setting(change))
    }
}

impl Setting {
    fn message(&self) -> Value {
        match self.0 {
            Change::Level(level) => json!({ "level": level }),
            Change::Step(step) => json!({ "step": step.percent() }),
            Change::On(on) => json!({ "on": on }),
            Change::Toggle => json!({"toggle": true}),
        }
    }
}

/// Changes a light and prints its new level.
///
/// # Errors
/// The service cannot be reached, or refuses.
pub async fn set(
    target: &Target,
    setting: Setting,
    light: Option<String>,
    transition: Option<f64>,
) -> anyhow::Result<()> {
    let mut client = Client::connect(target).await?;
    let (lights, mut levels) = client.greeting().await?;
    let light = light.unwrap_or_else(|| lights[0].clone());
    let mut message = setting.message();
    message["light"] = json!(light);
    if let Some(transition) = transition {
        message["transition"] = json!(transition);
    }
    client.say(message).await?;
    // The service does not echo a level to who set it, but it answers in order: once this echo is
    // back, so is whatever came of the change.
    client.say(json!({"echo": "done"})).await?;
    if let Change::Level(level) = setting.0 {
        levels.push((light.clone(), level));
    }
    loop {
        match client.answer().await? {
            Said { echo: Some(_), .. } => break,
            Said {
                error: Some(error), ..
            } => bail!(error),
            said => levels.extend(said.light.zip(said.level)),
        }
    }
    let mut newest = levels.into_iter().rev();
    match newest.find(|(name, _)| *name == light) {
        Some((name, level)) => print(format_args!("{name} {level}")),
        None => bail!("the service did not tell the level of {light}"),
    }
}

/// Prints the level of every light with its name, or of one light alone.
///
/// # Errors
/// The service cannot be reached, or there is no such light.
pub async fn get(target: &Target, light: Option<String>) -> anyhow::Result<()> {
    let mut client = Client::connect(target).await?;
    let (_, levels) = client.greeting().await?;
    match light {
        None => levels
            .iter()
            .try_for_each(|(name, level)| print(format_args!("{name} {level}"))),
        Some(light) => match levels.iter().find(|(name, _)| *name == light) {
            Some((_, level)) => print(format_args!("{level}")),
            None => bail!("no light is called {light:?}"),
        },
    }
}

/// Prints every level and every fault, until the service is gone.
///
/// # Errors
/// The service cannot be reached, or ends.
pub async fn watch(target: &Target) -> anyhow::Result<()> {
    let mut client = Client::connect(target).await?;
    loop {
        let said = client.hear(SILENCE).await?;
        if let (Some(light), Some(level)) = (said.light, said.level) {
            match said.by {
                Some(by) => print(format_args!("{light} {level} by {by}"))?,
                None => print(format_args!("{light} {level}"))?,
            }
        }
        if let Some(Fault { light, message }) = said.fault {
            match message {
                Some(message) => print(format_args!("{light} fault: {message}"))?,
                None => print(format_args!("{light} works again"))?,
            }
        }
    }
}

/// Measures round trips and prints them, with a summary, in milliseconds.
///
/// # Errors
/// The service cannot be reached, or does not answer.
pub async fn ping(target: &Target, count: u32) -> anyhow::Result<()> {
    let mut client = Client::connect(target).await?;
    client.greeting().await?;
    let mut times = Vec::new();
    for number in 1..=count {
        let start = Instant::now();
        client.say(json!({ "echo": number })).await?;
        while client.answer().await?.echo != Some(json!(number)) {}
        let time = start.elapsed().as_secs_f64() * 1000.0;
        print(format_args!("{number}: {time:.3} ms"))?;
        times.push(time);
        if number < count {
            sleep(PING_PAUSE).await;
        }
    }
    times.sort_by(f64::total_cmp);
    let share = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
    print(format_args!(
        "{count} round trips: min {:.3}, p50 {:.3}, p99 {:.3}, max {:.3} ms",
        share(0.0),
        share(0.5),
        share(0.99),
        share(1.0)
    ))
}

/// A line on standard output; an error rather than a panic once nobody reads it.
fn print(line: std::fmt::Arguments<'_>) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .context("cannot write to standard output")
}

/// A message of the service, in as far as the command line wants to know.
#[derive(Default, Deserialize)]
struct Said {
    hello: Option<Hello>,
    light: Option<String>,
    level: Option<Level>,
    by: Option<String>,
    fault: Option<Fault>,
    error: Option<String>,
    echo: Option<Value>,
}

#[derive(Deserialize)]
struct Hello {
    lights: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Fault {
    light: String,
    message: Option<String>,
}

/// A connection, with TLS or without.
trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// An open connection to a service.
struct Client {
    socket: WebSocketStream<Box<dyn Stream>>,
    url: String,
}

impl Client {
    async fn connect(target: &Target) -> anyhow::Result<Client> {
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
    async fn greeting(&mut self) -> anyhow::Result<(Vec<String>, Vec<(String, Level)>)> {
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

    async fn say(&mut self, message: Value) -> anyhow::Result<()> {
        let frame = Message::text(message.to_string());
        self.socket
            .send(frame)
            .await
            .with_context(|| format!("cannot send to {}", self.url))
    }

    /// The next message, which is due.
    async fn answer(&mut self) -> anyhow::Result<Said> {
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
    fn a_setting_is_a_level_a_step_or_a_word() {
        for (text, message) in [
            ("40", r#"{"level":40}"#),
            ("40.5", r#"{"level":40.5}"#),
            ("+5", r#"{"step":5.0}"#),
            ("-2.5", r#"{"step":-2.5}"#),
            ("on", r#"{"on":true}"#),
            ("off", r#"{"on":false}"#),
            ("toggle", r#"{"toggle":true}"#),
        ] {
            let setting: Setting = text.parse().unwrap();
            assert_eq!(setting.message().to_string(), message);
        }
        for (text, says) in [
            ("101", "level must be from 0 to 100, not 101"),
            ("bright", "level must be from 0 to 100, not \"bright\""),
            ("-101", "step must be from -100 to 100, not -101"),
            ("+x", "a step is +N or -N percent, not \"+x\""),
        ] {
            assert_eq!(text.parse::<Setting>().unwrap_err(), says);
        }
    }

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
