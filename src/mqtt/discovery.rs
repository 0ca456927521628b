//! The messages by which Home Assistant discovers lights.

use serde_json::{Value, json};

use super::message::NO_EFFECT;
use super::topics::Topics;
use crate::model::effect::EffectKind;
use crate::model::lights::Light;

/// The name of this program in discovery messages.
const ORIGIN: &str = "dimmer";

/// The message by which Home Assistant discovers a light. Old and new versions accept its keys: 2024.3
/// refuses `supported_color_modes` alone, and `color_mode` is deprecated.
pub fn message(light: &Light, node: &str, topics: &Topics) -> String {
    let name = &light.name;
    let effects = EffectKind::ALL.map(EffectKind::name);
    let effects: Vec<_> = [NO_EFFECT].into_iter().chain(effects).collect();
    let version = env!("CARGO_PKG_VERSION");
    json!({
        "schema": "json",
        "name": light.title,
        "unique_id": format!("dimmer_{node}_{name}"),
        "object_id": format!("{node}_{name}"),
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
    })
    .to_string()
}

/// Parses the discovery message of a dimmer's light, of any version; `None` for any other message.
pub fn parse(message: &[u8]) -> Option<Value> {
    let message: Value = serde_json::from_slice(message).ok()?;
    (message["origin"]["name"] == ORIGIN).then_some(message)
}
