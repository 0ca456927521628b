//! The other dimmers on the broker: discovers their lights, follows the states of these, and sends
//! commands to them.

use std::future;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tokio::time::{sleep, sleep_until};

use super::outbox::Outbox;
use super::topics::{ONLINE, PeerSubject, Topics};
use super::{discovery, topics};
use crate::config::MqttConfig;
use crate::model::effect::EffectKind;
use crate::model::fleet::RemoteCommand;
use crate::model::hub::Hub;
use crate::model::level::Level;
use crate::model::text::is_deceptive;

/// Shortest time between two commands to a light: the eye cannot tell more of them apart.
const COMMAND_INTERVAL: Duration = Duration::from_millis(60);
/// Longest title in characters: that of our own lights.
const MAX_TITLE: usize = 40;
/// Longest name of a node or a light in bytes.
const MAX_NAME: usize = 32;

/// All dimmers on the broker except this one.
pub struct Peers {
    hub: Arc<Hub>,
    /// This dimmer's own name.
    node: String,
    /// The prefix of all discovery topics: `homeassistant`.
    discovery_prefix: String,
}

/// The state of a light of another dimmer: the fields that matter here.
#[derive(Deserialize)]
struct PeerState {
    state: String,
    brightness: Option<f64>,
    effect: Option<String>,
}

impl Peers {
    /// The other dimmers, if the settings ask for these.
    pub fn new(hub: &Arc<Hub>, config: &MqttConfig) -> Option<Peers> {
        config.fleet.then(|| Peers {
            hub: hub.clone(),
            node: config.node.clone(),
            discovery_prefix: config.discovery_prefix.clone(),
        })
    }

    /// The topics where all lights are discovered.
    pub fn filter(&self) -> String {
        topics::all_discoveries(&self.discovery_prefix)
    }

    /// There is a new connection, on which the broker sends everything again.
    pub fn connected(&self) {
        self.hub.fleet.clear();
    }

    /// The connection has ended, so no other dimmer can be reached.
    pub fn disconnected(&self) {
        self.hub.fleet.set_online("", false);
    }

    /// Handles a message about another dimmer.
    pub fn handle(&self, topic: &str, payload: &[u8]) {
        let fleet = &self.hub.fleet;
        match PeerSubject::of(topic, &self.discovery_prefix) {
            Some(PeerSubject::Discovery { node, light })
                if node != self.node && is_name(node) && is_name(light) =>
            {
                let name = format!("{node}/{light}");
                match title(payload, node) {
                    Some(title) => fleet.discovered(&name, title),
                    None => fleet.removed(&name),
                }
            }
            Some(PeerSubject::Status(node)) => {
                fleet.set_online(&format!("{node}/"), payload == ONLINE.as_bytes());
            }
            Some(PeerSubject::State(name)) => {
                if let Some((level, effect)) = state(payload) {
                    fleet.reported(name, level, effect);
                }
            }
            Some(PeerSubject::Discovery { .. }) | None => {}
        }
    }

    /// Follows each discovered light, and sends the newest command to it, at most one in each
    /// [`COMMAND_INTERVAL`]; never returns.
    pub async fn run(&self, outbox: &Outbox) {
        let fleet = &self.hub.fleet;
        let mut watch = fleet.watch();
        loop {
            watch.mark_unchanged();
            for name in fleet.take_discovered() {
                follow(&name, outbox).await;
            }
            let commands = fleet.take_commands();
            for (name, command) in &commands {
                let Some((topics, light)) = topics_of(name) else {
                    continue;
                };
                let (topic, message) = (topics.set(light), command_message(*command));
                outbox.command(topic, message).await;
            }
            if !commands.is_empty() {
                // Commands during the pause are seen after it.
                sleep(COMMAND_INTERVAL).await;
                continue;
            }
            let next = fleet.settle();
            let settled = async {
                match next {
                    Some(at) => sleep_until(at).await,
                    None => future::pending().await,
                }
            };
            tokio::select! {
                // Cannot fail: the hub holds the sender.
                _ = watch.changed() => {}
                () = settled => {}
            }
        }
    }
}

/// Whether a node or a light may have this name.
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(allowed)
}

/// The topics of the dimmer in `node/light`, except those of its discovery, and the light.
fn topics_of(name: &str) -> Option<(Topics, &str)> {
    let (node, light) = name.split_once('/')?;
    Some((Topics::new(node, ""), light))
}

/// Subscribes to the states of a light and of its dimmer, which the broker retains.
async fn follow(name: &str, outbox: &Outbox) {
    let Some((topics, light)) = topics_of(name) else {
        return;
    };
    outbox
        .subscribe(vec![topics.state(light), topics.status()])
        .await;
}

/// The title of a light, if the message is the discovery of a dimmer's light.
fn title(message: &[u8], node: &str) -> Option<String> {
    let message = discovery::parse(message)?;
    let title = message["name"].as_str()?.chars();
    let title = title
        .filter(|letter| !is_deceptive(*letter))
        .take(MAX_TITLE);
    let (first, rest) = node.split_at_checked(1)?;
    let first = first.to_uppercase();
    Some(format!("{first}{rest}: {}", title.collect::<String>()))
}

fn state(message: &[u8]) -> Option<(Level, Option<EffectKind>)> {
    let state: PeerState = serde_json::from_slice(message).ok()?;
    let level = match state.state.as_str() {
        "ON" => Level::from_percent(state.brightness?).ok()?,
        _ => Level::OFF,
    };
    Some((
        level,
        state.effect.as_deref().and_then(EffectKind::from_name),
    ))
}

/// The message for a command.
fn command_message(command: RemoteCommand) -> String {
    let mut message = match command.level {
        None => json!({"state": "ON"}),
        Some(level) if level.is_off() => json!({"state": "OFF"}),
        Some(level) => json!({"state": "ON", "brightness": level}),
    };
    if let Some(transition) = command.transition {
        message["transition"] = transition.as_secs_f64().into();
    }
    message.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_names_the_dimmer_and_is_cut_after_40_characters() {
        let of = |name: &str, origin: &str| {
            let message = json!({"name": name, "origin": {"name": origin}}).to_string();
            title(message.as_bytes(), "attic")
        };
        assert_eq!(of("Desk\n", "dimmer").unwrap(), "Attic: Desk");
        let long = of(&"é".repeat(100), "dimmer").unwrap();
        assert_eq!(long, format!("Attic: {}", "é".repeat(40)));
        assert_eq!(of("Desk", "Zigbee2MQTT"), None);
        assert_eq!(title(b"", "attic"), None);
    }

    #[test]
    fn an_impossible_state_is_ignored() {
        let of = |text: &str| state(text.as_bytes());
        let on = of(r#"{"state":"ON","brightness":42.5,"effect":"candle"}"#).unwrap();
        assert_eq!((on.0.percent(), on.1), (42.5, Some(EffectKind::Candle)));
        let off = of(r#"{"state":"OFF","effect":"off"}"#);
        assert_eq!(off, Some((Level::OFF, None)));
        for text in [
            "",
            "[]",
            r#"{"state":"ON"}"#,
            r#"{"state":"ON","brightness":101}"#,
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
