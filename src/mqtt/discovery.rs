//! The messages by which Home Assistant discovers lights.

use serde_json::{Value, json};

use super::message::NO_EFFECT;
use super::topics::Topics;
use crate::model::effect::EffectKind;
use crate::model::lights::Light;

/// The name of this program in discovery messages.
const ORIGIN: &str = "dimmer";

/// The message by which Home Assistant discovers a light; `url` is that of the page. Old and new versions
/// accept its keys: 2024.3 refuses `supported_color_modes` alone, 2026.2 removed `color_mode`, and 2026.11
/// has `default_entity_id` in place of `object_id`.
pub fn message(light: &Light, node: &str, url: Option<&str>, topics: &Topics) -> String {
    let name = &light.name;
    let effects = EffectKind::ALL.map(EffectKind::name);
    let effects: Vec<_> = [NO_EFFECT].into_iter().chain(effects).collect();
    let version = env!("CARGO_PKG_VERSION");
    let mut message = json!({
        "schema": "json",
        "name": light.title,
        "unique_id": format!("dimmer_{node}_{name}"),
        "object_id": format!("{node}_{name}"),
        "default_entity_id": format!("light.{node}_{name}").replace('-', "_"),
        "command_topic": topics.set(name),
        "state_topic": topics.state(name),
        "availability_topic": topics.status(),
        "brightness": true,
        "brightness_scale": 100,
        "effect": true,
        "effect_list": effects,
        "device": {
            "identifiers": [format!("dimmer_{node}")],
            "name": node,
            "manufacturer": ORIGIN,
            "model": ORIGIN,
            "sw_version": version,
        },
        "origin": { "name": ORIGIN, "sw": version },
    });
    if let Some(url) = url {
        message["device"]["configuration_url"] = url.into();
    }
    message.to_string()
}

/// Parses the discovery message of a dimmer's light, of any version; `None` for any other message.
pub fn parse(message: &[u8]) -> Option<Value> {
    let message: Value = serde_json::from_slice(message).ok()?;
    (message["origin"]["name"] == ORIGIN).then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::lights::Lights;

    #[test]
    fn the_device_links_to_the_page_where_its_url_is_known() {
        let lights = Lights::led();
        let of = |url| {
            let topics = Topics::new("my-pi", "homeassistant");
            let text = message(&lights.list()[0], "my-pi", url, &topics);
            serde_json::from_str::<Value>(&text).unwrap()
        };
        let url = "http://my-pi.local:5000";
        let message = of(Some(url));
        assert_eq!(message["device"]["configuration_url"], url);
        assert_eq!(message["default_entity_id"], "light.my_pi_led");
        assert_eq!(of(None)["device"].get("configuration_url"), None);
    }
}
