//! The other dimmers of the broker: finds their lights, follows them, and sends what is asked of them.

use std::future;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{AsyncClient, Publish, SubscribeFilter};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{sleep, sleep_until};

use super::topics::Topics;
use super::{HEAR, ONLINE, discovery};
use crate::config::MqttConfig;
use crate::model::effect::EffectKind;
use crate::model::fleet::RemoteCommand;
use crate::model::hub::Hub;
use crate::model::level::Level;

/// Shortest time from one command to a light to the next: as often as an eye can tell.
const PAUSE: Duration = Duration::from_millis(60);
/// Longest title, in characters, as that of our own lights.
const MAX_TITLE: usize = 40;
/// Longest name of a node or a light, in bytes.
const MAX_NAME: usize = 32;

/// All dimmers of the broker but this.
pub struct Peers {
    hub: Arc<Hub>,
    /// This dimmer's own name.
    node: String,
    /// Of every light's discovery: `homeassistant/light/`.
    discovery: String,
}

/// What a dimmer tells of a light, in as far as it matters here.
#[derive(Deserialize)]
struct PeerState {
    state: String,
    brightness: Option<f64>,
    effect: Option<String>,
}

impl Peers {
    /// Those who are to be followed, if any.
    pub fn new(hub: &Arc<Hub>, config: &MqttConfig) -> Option<Peers> {
        config.fleet.then(|| Peers {
            hub: hub.clone(),
            node: config.node.clone(),
            discovery: format!("{}/light/", config.discovery_prefix),
        })
    }

    /// Where all lights are found.
    pub fn filter(&self) -> String {
        format!("{}+/+/config", self.discovery)
    }

    /// There is a new connection, on which the broker tells everything anew.
    pub fn connected(&self) {
        self.hub.fleet.clear();
    }

    /// Nobody can be reached.
    pub fn disconnected(&self) {
        self.hub.fleet.set_online("", false);
    }

    /// Takes what a message says of another dimmer.
    pub fn take(&self, message: &Publish) {
        let fleet = &self.hub.fleet;
        if let Some(rest) = message.topic.strip_prefix(&self.discovery) {
            let Some((node, light)) = rest.strip_suffix("/config").and_then(|it| self.names(it))
            else {
                return;
            };
            let name = format!("{node}/{light}");
            match title(&message.payload, node) {
                Some(title) => fleet.discovered(&name, title),
                None => fleet.removed(&name),
            }
        } else if let Some(rest) = message.topic.strip_prefix("dimmer/") {
            if let Some(node) = rest.strip_suffix("/status") {
                fleet.set_online(&format!("{node}/"), *message.payload == *ONLINE.as_bytes());
            } else if let Some(name) = rest.strip_suffix("/state")
                && let Some((level, effect)) = state(&message.payload)
            {
                fleet.reported(name, level, effect);
            }
        }
    }

    /// The names of a node and a light, if they are those of another dimmer.
    fn names<'a>(&self, name: &'a str) -> Option<(&'a str, &'a str)> {
        let allowed = |letter: u8| matches!(letter, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let fits = |name: &str| (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(allowed);
        let (node, light) = name.split_once('/')?;
        (fits(node) && fits(light) && node != self.node).then_some((node, light))
    }

    /// Follows the lights that are found, and sends what is asked of them: of each the newest, and
    /// never more than in every [`PAUSE`].
    pub async fn drive(&self, client: &AsyncClient) {
        let fleet = &self.hub.fleet;
        let mut watch = fleet.watch();
        loop {
            watch.mark_unchanged();
            for name in fleet.take_discovered() {
                follow(&name, client).await;
            }
            let asked = fleet.take_commands();
            for (name, asked) in &asked {
                let topic = format!("dimmer/{name}/set");
                // Fails only once nobody sends any more.
                let _ = client.publish(topic, HEAR, false, command(*asked)).await;
            }
            if !asked.is_empty() {
                // What is asked during the pause is seen after it.
                sleep(PAUSE).await;
                continue;
            }
            let next = fleet.settle();
            let over = async {
                match next {
                    Some(at) => sleep_until(at).await,
                    None => future::pending().await,
                }
            };
            tokio::select! {
                // Does not fail, as the hub holds its sender.
                _ = watch.changed() => {}
                () = over => {}
            }
        }
    }
}

/// Asks for what is told of a light and of its dimmer, which the broker has kept.
async fn follow(name: &str, client: &AsyncClient) {
    let Some((node, light)) = name.split_once('/') else {
        return;
    };
    let topics = Topics::new(node, "");
    let filters = [topics.state(light), topics.status()];
    let filters = filters.map(|topic| SubscribeFilter::new(topic, HEAR));
    let _ = client.subscribe_many(filters).await;
}

/// What people read, if the message is the discovery of a dimmer's light.
fn title(message: &[u8], node: &str) -> Option<String> {
    let message = discovery::ours(message)?;
    let title = message["name"].as_str()?.chars();
    let title = title.filter(|letter| !letter.is_control()).take(MAX_TITLE);
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

/// The command that asks for it.
fn command(asked: RemoteCommand) -> String {
    let mut command = match asked.level {
        None => json!({"state": "ON"}),
        Some(level) if level.is_off() => json!({"state": "OFF"}),
        Some(level) => json!({"state": "ON", "brightness": level}),
    };
    if let Some(transition) = asked.transition {
        command["transition"] = transition.as_secs_f64().into();
    }
    command.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_names_the_dimmer_and_has_no_more_than_40_characters_of_its_own() {
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
    fn a_state_that_cannot_be_is_none() {
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
