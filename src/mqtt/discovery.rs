//! What Home Assistant has to know of a light to show it by itself.

use serde_json::{Value, json};

use super::message::NO_EFFECT;
use super::topics::Topics;
use crate::model::effect::EffectKind;
use crate::model::lights::Light;

/// What discovery calls this program.
const ORIGIN: &str = "dimmer";

/// The message by which Home Assistant finds a light. Its keys are those that old and new versions
/// take: `supported_color_modes` alone is refused by 2024.3, and `color_mode` is going away.
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

/// A message, if it is the discovery of a dimmer's light, of whatever version.
pub fn ours(message: &[u8]) -> Option<Value> {
    let message: Value = serde_json::from_slice(message).ok()?;
    (message["origin"]["name"] == ORIGIN).then_some(message)
}
