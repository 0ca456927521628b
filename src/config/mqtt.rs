//! The settings of the MQTT broker.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, ensure};
use serde::{Deserialize, Deserializer, de};

use super::credential::credential;
use crate::model::settings::check_name;
use crate::model::text::Name;
use crate::platform::host::{self, Authority, Host};
use crate::platform::tls::{self, ClientConfig};

/// Name of the node where the machine's name has no usable character.
const DEFAULT_NODE: &str = "dimmer";

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
    #[serde(default, deserialize_with = "area")]
    area: Option<String>,
    #[serde(default = "all_entities")]
    entities: Vec<Entity>,
}

/// What Home Assistant shows beside the lights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entity {
    /// A select that recalls presets.
    Preset,
    /// A number for each light: the speed of its effect.
    EffectSpeed,
    /// A number and a button for each light: its sleep timer.
    SleepTimer,
    /// A sensor for each light: whether its driver fails.
    Fault,
}

fn all_entities() -> Vec<Entity> {
    vec![
        Entity::EffectSpeed,
        Entity::SleepTimer,
        Entity::Fault,
        Entity::Preset,
    ]
}

/// The broker, and this dimmer's part in it.
#[derive(Debug, Clone)]
pub struct MqttConfig {
    /// The address of the broker.
    pub broker: Broker,
    /// The login; `None` for a broker without logins.
    pub login: Option<BrokerLogin>,
    /// The certificates that the broker's must match; `None` for a connection without TLS.
    pub tls: Option<Arc<ClientConfig>>,
    /// This dimmer's name on the broker, which no other dimmer has: 1 to 32 of a-z, 0-9 and `-`.
    pub node: String,
    /// First part of the topics by which Home Assistant discovers lights.
    pub discovery_prefix: String,
    /// Whether to show the lights of the broker's other dimmers, too.
    pub fleet: bool,
    /// The area that Home Assistant suggests for this dimmer.
    pub area: Option<String>,
    /// What Home Assistant shows beside the lights.
    pub entities: Vec<Entity>,
    /// Folder for what is kept from one run to the next.
    pub state_dir: PathBuf,
}

/// The address of a broker.
#[derive(Debug, Clone, PartialEq)]
pub struct Broker {
    /// Host name, or IP address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether to connect with TLS.
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

/// The login at a broker.
#[derive(Clone)]
pub struct BrokerLogin {
    /// User name.
    pub username: String,
    /// Password; empty for a user without one.
    pub password: String,
}

impl fmt::Debug for BrokerLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login of {:?}", self.username)
    }
}

impl MqttFile {
    /// Reads the password and the certificates.
    pub(super) fn load(self, state_dir: &Path) -> anyhow::Result<MqttConfig> {
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
            node: self.node.unwrap_or_else(default_node),
            discovery_prefix: self.discovery_prefix,
            fleet: self.fleet,
            area: self.area,
            entities: self.entities,
            state_dir: state_dir.into(),
        })
    }
}

fn login(
    username: Option<String>,
    password_file: Option<&Path>,
) -> anyhow::Result<Option<BrokerLogin>> {
    let password = match password_file {
        None => String::new(),
        Some(file) => {
            ensure!(username.is_some(), "password_file needs username beside it");
            let text = fs::read_to_string(file)
                .with_context(|| format!("password_file {} cannot be read", file.display()))?;
            text.trim_end_matches(['\r', '\n']).into()
        }
    };
    Ok(username.map(|username| BrokerLogin { username, password }))
}

fn default_node() -> String {
    node_name(&host::own_name())
}

/// The name of a node for a machine of this name.
fn node_name(machine: &str) -> String {
    // Without the domain.
    let label = machine.split('.').next().unwrap_or_default().to_lowercase();
    let allowed = |letter: char| match letter {
        'a'..='z' | '0'..='9' => letter,
        _ => '-',
    };
    let name: String = label.chars().map(allowed).take(32).collect();
    match name.trim_matches('-') {
        "" | GROUP => DEFAULT_NODE.into(),
        name => name.into(),
    }
}

/// The part of the topics of groups that stands in place of a node, so that no node may have this name.
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
        let default_port = if encrypted { 8883 } else { 1883 };
        let port = authority.port.unwrap_or(default_port);
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
    let node = check_name("node", String::deserialize(deserializer)?)?;
    match node.as_str() {
        GROUP => Err(de::Error::custom("node must not be \"group\"")),
        _ => Ok(Some(node)),
    }
}

fn area<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let area = Name::new(&String::deserialize(deserializer)?);
    let area = area.map_err(|error| de::Error::custom(format!("area {error}")))?;
    Ok(Some(area.into()))
}

fn discovery_prefix_default() -> String {
    "homeassistant".into()
}

fn discovery_prefix<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let prefix = String::deserialize(deserializer)?;
    let forbidden = |letter: char| letter.is_control() || matches!(letter, '+' | '#');
    if !(1..=64).contains(&prefix.len()) || prefix.contains(forbidden) {
        Err(de::Error::custom(format!(
            "discovery_prefix must be 1 to 64 bytes without + and #, not {prefix:?}"
        )))
    } else if prefix.split('/').any(str::is_empty) {
        Err(de::Error::custom(format!(
            "discovery_prefix must have something before, between and after each /, \
             as Home Assistant does not find it otherwise, unlike {prefix:?}"
        )))
    } else {
        Ok(prefix)
    }
}

#[cfg(test)]
impl MqttConfig {
    /// A dimmer of this name on a broker that does not exist.
    pub(crate) fn for_test(node: &str) -> MqttConfig {
        MqttConfig {
            broker: Broker {
                host: "127.0.0.1".into(),
                port: 9,
                encrypted: false,
            },
            node: node.into(),
            discovery_prefix: discovery_prefix_default(),
            login: None,
            tls: None,
            fleet: false,
            area: None,
            entities: all_entities(),
            state_dir: PathBuf::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<MqttFile, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn a_broker_is_a_url_with_the_usual_ports() {
        for (text, url) in [
            ("mqtt://pi", "mqtt://pi:1883"),
            ("mqtts://pi.lan/", "mqtts://pi.lan:8883"),
            ("mqtt://10.0.0.9:1884", "mqtt://10.0.0.9:1884"),
            ("mqtts://[fd00::1]:8884", "mqtts://[fd00::1]:8884"),
        ] {
            let file = file(&format!("broker = {text:?}")).unwrap();
            assert_eq!(file.broker.to_string(), url);
            assert!(!file.broker.host.contains(['[', ']']));
        }
    }

    #[test]
    fn the_entities_are_all_or_those_of_the_list() {
        let entities = |more: &str| {
            let file = file(&format!("broker = \"mqtt://pi\"\n{more}"));
            file.map(|file| file.entities)
        };
        assert_eq!(entities("").unwrap().len(), 4);
        assert_eq!(entities("entities = []").unwrap(), []);
        let some = entities("entities = [\"fault\", \"sleep-timer\"]").unwrap();
        assert_eq!(some, [Entity::Fault, Entity::SleepTimer]);
        let error = entities("entities = [\"color\"]").unwrap_err().to_string();
        assert!(error.contains("expected one of `preset`"), "{error}");
        let error = entities("area = \"\"").unwrap_err().to_string();
        assert!(
            error.contains("area must have 1 to 40 characters"),
            "{error}"
        );
    }

    #[test]
    fn a_machines_name_becomes_a_nodes_name() {
        for (machine, node) in [
            ("raspberrypi", "raspberrypi"),
            ("Kitchen_Pi.lan", "kitchen-pi"),
            ("-Küche-", "k-che"),
            ("", "dimmer"),
            ("group", "dimmer"),
            (&"x".repeat(64), &"x".repeat(32)),
        ] {
            assert_eq!(node_name(machine), node);
        }
    }

    #[test]
    fn a_password_is_read_without_its_line_end_and_never_printed() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        fs::write(&secret, "correct horse \n").unwrap();
        let config = file(&format!(
            "broker = \"mqtt://pi\"\nusername = \"ana\"\npassword_file = {secret:?}"
        ));
        let config = config.unwrap().load(folder.path()).unwrap();
        assert!(!format!("{config:?}").contains("horse"));
        assert_eq!(config.login.unwrap().password, "correct horse ");
    }

    #[test]
    fn a_password_without_a_user_name_is_an_error() {
        let file = file("broker = \"mqtt://pi\"\npassword_file = \"secret\"").unwrap();
        let error = file.load(Path::new("")).unwrap_err().to_string();
        assert_eq!(error, "password_file needs username beside it");
    }
}
