//! The settings of MQTT.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, ensure};
use serde::{Deserialize, Deserializer, de};
use tokio_rustls::rustls::ClientConfig;

use super::credential;
use super::light::fit_name;
use crate::platform::host::{Authority, Host};
use crate::platform::tls;

/// Node name where the machine's own cannot be made into one.
const NODE: &str = "dimmer";

/// `[mqtt]` of `dimmer.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MqttFile {
    #[serde(deserialize_with = "broker")]
    broker: Broker,
    username: Option<String>,
    password_file: Option<PathBuf>,
    ca: Option<PathBuf>,
    #[serde(default, deserialize_with = "node")]
    node: Option<String>,
    #[serde(
        default = "discovery_prefix_default",
        deserialize_with = "discovery_prefix"
    )]
    discovery_prefix: String,
    #[serde(default)]
    fleet: bool,
}

/// How MQTT is spoken, and with whom.
#[derive(Debug, Clone)]
pub struct MqttConfig {
    /// Where the broker is.
    pub broker: Broker,
    /// What the broker wants to know; `None` for one that lets anyone in.
    pub login: Option<Login>,
    /// How TLS is spoken with it; `None`: not at all.
    pub tls: Option<Arc<ClientConfig>>,
    /// This dimmer's name among those of the broker: 1 to 32 of a-z, 0-9 and `-`.
    pub node: String,
    /// First part of the topics by which Home Assistant finds lights.
    pub discovery_prefix: String,
    /// Whether pages show the lights of the broker's other dimmers, too.
    pub fleet: bool,
}

/// The broker's address.
#[derive(Debug, Clone, PartialEq)]
pub struct Broker {
    /// Its name, or its address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether it speaks TLS.
    pub encrypted: bool,
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.encrypted { "mqtts" } else { "mqtt" };
        let (host, port) = (&self.host, self.port);
        match host.contains(':') {
            true => write!(f, "{scheme}://[{host}]:{port}"),
            false => write!(f, "{scheme}://{host}:{port}"),
        }
    }
}

/// A name and a password.
#[derive(Clone)]
pub struct Login {
    /// Whose.
    pub username: String,
    /// Empty where the broker wants none.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login of {:?}", self.username)
    }
}

impl MqttFile {
    /// Reads the files that the settings name.
    pub(super) fn load(self) -> anyhow::Result<MqttConfig> {
        let ca = self.ca.as_deref().unwrap_or(Path::new(tls::SYSTEM_CA));
        let tls = match self.broker.encrypted {
            true => Some(tls::client_config(ca).with_context(|| format!("ca {}", ca.display()))?),
            false => None,
        };
        let password_file = self.password_file.or_else(|| credential("mqtt-password"));
        Ok(MqttConfig {
            broker: self.broker,
            login: login(self.username, password_file.as_deref())?,
            tls,
            node: self.node.unwrap_or_else(own_name),
            discovery_prefix: self.discovery_prefix,
            fleet: self.fleet,
        })
    }
}

fn login(username: Option<String>, password_file: Option<&Path>) -> anyhow::Result<Option<Login>> {
    let password = match password_file {
        None => String::new(),
        Some(file) => {
            ensure!(username.is_some(), "password_file needs username beside it");
            let text = fs::read_to_string(file)
                .with_context(|| format!("password_file {} cannot be read", file.display()))?;
            text.trim_end_matches(['\r', '\n']).into()
        }
    };
    Ok(username.map(|username| Login { username, password }))
}

/// The machine's name, made fit to be a node's.
fn own_name() -> String {
    fit(&rustix::system::uname().nodename().to_string_lossy())
}

fn fit(host: &str) -> String {
    // Without its domain.
    let name = host.split('.').next().unwrap_or_default().to_lowercase();
    let allowed = |letter: char| match letter {
        'a'..='z' | '0'..='9' => letter,
        _ => '-',
    };
    let name: String = name.chars().map(allowed).take(32).collect();
    match name.trim_matches('-') {
        "" | GROUP => NODE.into(),
        name => name.into(),
    }
}

/// What stands in topics where a node would, so that it can be no node's name.
pub const GROUP: &str = "group";

fn broker<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Broker, D::Error> {
    let text = String::deserialize(deserializer)?;
    let parsed = text.split_once("://").and_then(|(scheme, rest)| {
        let encrypted = match scheme {
            "mqtt" => false,
            "mqtts" => true,
            _ => return None,
        };
        let authority: Authority = rest.trim_end_matches('/').parse().ok()?;
        let host = match authority.host {
            Host::Address(address) => address.to_string(),
            Host::Name(name) => name,
        };
        let usual = if encrypted { 8883 } else { 1883 };
        let port = authority.port.unwrap_or(usual);
        Some(Broker {
            host,
            port,
            encrypted,
        })
    });
    parsed.ok_or_else(|| {
        de::Error::custom(format!(
            "broker must be mqtt://host:port or mqtts://host:port, not {text:?}"
        ))
    })
}

fn node<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let node = fit_name("node", String::deserialize(deserializer)?)?;
    match node.as_str() {
        GROUP => Err(de::Error::custom("node must not be \"group\"")),
        _ => Ok(Some(node)),
    }
}

fn discovery_prefix_default() -> String {
    "homeassistant".into()
}

fn discovery_prefix<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let prefix = String::deserialize(deserializer)?;
    let forbidden = |letter: char| letter.is_control() || matches!(letter, '+' | '#');
    if (1..=64).contains(&prefix.len()) && !prefix.contains(forbidden) {
        Ok(prefix)
    } else {
        Err(de::Error::custom(format!(
            "discovery_prefix must be 1 to 64 bytes without + and #, not {prefix:?}"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<MqttFile, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn a_broker_is_an_address_with_the_usual_ports() {
        for (text, shown) in [
            ("mqtt://pi", "mqtt://pi:1883"),
            ("mqtts://pi.lan/", "mqtts://pi.lan:8883"),
            ("mqtt://10.0.0.9:1884", "mqtt://10.0.0.9:1884"),
            ("mqtts://[fd00::1]:8884", "mqtts://[fd00::1]:8884"),
        ] {
            let file = file(&format!("broker = {text:?}")).unwrap();
            assert_eq!(file.broker.to_string(), shown);
            assert!(!file.broker.host.contains(['[', ']']));
        }
    }

    #[test]
    fn a_machines_name_becomes_a_nodes() {
        for (host, node) in [
            ("raspberrypi", "raspberrypi"),
            ("Kitchen_Pi.lan", "kitchen-pi"),
            ("-Küche-", "k-che"),
            ("", "dimmer"),
            ("group", "dimmer"),
            (&"x".repeat(64), &"x".repeat(32)),
        ] {
            assert_eq!(fit(host), node);
        }
    }

    #[test]
    fn a_password_is_read_without_the_end_of_its_line_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        fs::write(&secret, "correct horse \n").unwrap();
        let config = file(&format!(
            "broker = \"mqtt://pi\"\nusername = \"ana\"\npassword_file = {secret:?}"
        ));
        let config = config.unwrap().load().unwrap();
        assert!(!format!("{config:?}").contains("horse"));
        assert_eq!(config.login.unwrap().password, "correct horse ");
    }

    #[test]
    fn a_password_without_a_name_is_an_error() {
        let file = file("broker = \"mqtt://pi\"\npassword_file = \"secret\"").unwrap();
        let error = file.load().unwrap_err().to_string();
        assert_eq!(error, "password_file needs username beside it");
    }
}
