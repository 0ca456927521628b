//! Reads the body of a request to save a preset: [`PresetRequest`].

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::effect::{Effect, EffectKind, Speed};
use crate::model::level::Level;
use crate::model::presets::{Preset, Scene};

/// The body of a request to save a preset.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PresetRequest {
    lights: BTreeMap<String, SceneRequest>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SceneRequest {
    level: Level,
    effect: Option<EffectKind>,
    #[serde(default)]
    speed: Speed,
}

impl From<PresetRequest> for Preset {
    fn from(request: PresetRequest) -> Preset {
        let scene = |scene: SceneRequest| Scene {
            level: scene.level,
            effect: scene.effect.map(|kind| Effect {
                kind,
                speed: scene.speed,
            }),
        };
        let lights = request.lights.into_iter();
        lights.map(|(light, it)| (light, scene(it))).collect()
    }
}
