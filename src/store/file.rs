//! The format of `levels.json`, with structures of its own: a change of a message or of the model does not
//! change the file. The single values (level, effect, speed, time, day) are written as the model serializes
//! them; a test pins that.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::model::effect::{Effect, EffectKind, Speed};
use crate::model::level::Level;
use crate::model::lights::{LightState, transition};
use crate::model::presets::{Preset, PresetsByName, Scene};
use crate::model::timers::{Daily, Day, TimeOfDay, Timer, TimerAction, local_time};

/// The version of the format that this program reads and writes.
const VERSION: u32 = 1;

/// The stored state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct KeptState {
    /// The lights by name.
    pub lights: BTreeMap<String, KeptLight>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    presets: BTreeMap<String, BTreeMap<String, KeptScene>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    timers: Vec<KeptTimer>,
}

impl KeptState {
    pub fn presets(&self) -> PresetsByName {
        let presets = self.presets.iter();
        let preset = |scenes: &BTreeMap<String, KeptScene>| -> Preset {
            let scenes = scenes.iter();
            scenes
                .map(|(light, scene)| (light.clone(), (*scene).into()))
                .collect()
        };
        presets
            .map(|(name, scenes)| (name.clone(), preset(scenes)))
            .collect()
    }

    pub fn set_presets(&mut self, presets: &PresetsByName) {
        let preset = |preset: &Preset| {
            let scenes = preset.iter();
            scenes
                .map(|(light, scene)| (light.clone(), (*scene).into()))
                .collect()
        };
        let presets = presets.iter();
        self.presets = presets
            .map(|(name, scenes)| (name.clone(), preset(scenes)))
            .collect();
    }

    pub fn timers(&self) -> Vec<Timer> {
        self.timers.iter().cloned().map(Timer::from).collect()
    }

    pub fn set_timers(&mut self, timers: &[Timer]) {
        self.timers = timers.iter().cloned().map(KeptTimer::from).collect();
    }
}

/// The stored state of a light.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct KeptLight {
    /// The level, or the one that the light was on its way to.
    pub level: Level,
    /// The last level above 0 that somebody chose.
    pub last_on: Level,
    #[serde(flatten)]
    effect: Option<KeptEffect>,
}

impl KeptLight {
    /// The effect around the level.
    pub fn effect(&self) -> Option<Effect> {
        self.effect.map(Effect::from)
    }
}

impl From<&LightState> for KeptLight {
    fn from(state: &LightState) -> KeptLight {
        KeptLight {
            level: state.level,
            last_on: state.last_on(),
            effect: state.effect.map(KeptEffect::from),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct KeptEffect {
    effect: EffectKind,
    #[serde(default)]
    speed: Speed,
}

impl From<Effect> for KeptEffect {
    fn from(Effect { kind, speed }: Effect) -> KeptEffect {
        KeptEffect {
            effect: kind,
            speed,
        }
    }
}

impl From<KeptEffect> for Effect {
    fn from(KeptEffect { effect, speed }: KeptEffect) -> Effect {
        Effect {
            kind: effect,
            speed,
        }
    }
}

/// The level and effect of a light in a preset.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptScene {
    level: Level,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    effect: Option<EffectKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    speed: Option<Speed>,
}

impl From<Scene> for KeptScene {
    fn from(scene: Scene) -> KeptScene {
        KeptScene {
            level: scene.level,
            effect: scene.effect.map(|effect| effect.kind),
            speed: scene.effect.map(|effect| effect.speed),
        }
    }
}

impl From<KeptScene> for Scene {
    fn from(kept: KeptScene) -> Scene {
        let speed = kept.speed.unwrap_or_default();
        Scene {
            level: kept.level,
            effect: kept.effect.map(|kind| Effect { kind, speed }),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct KeptTimer {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    light: Option<String>,
    #[serde(flatten)]
    daily: Option<KeptDaily>,
    #[serde(flatten)]
    action: KeptAction,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "to_seconds",
        deserialize_with = "from_seconds"
    )]
    transition: Option<Duration>,
    #[serde(serialize_with = "local")]
    next: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct KeptDaily {
    at: TimeOfDay,
    #[serde(default, skip_serializing_if = "is_zero")]
    offset: i16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    days: Option<Vec<Day>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum KeptAction {
    Level { level: Level },
    On { on: bool },
    Recall { recall: String },
    Effect(KeptEffect),
}

impl From<Timer> for KeptTimer {
    fn from(timer: Timer) -> KeptTimer {
        KeptTimer {
            name: timer.name,
            light: timer.light,
            daily: timer.daily.map(|daily| KeptDaily {
                at: daily.at,
                offset: daily.offset,
                days: daily.days,
            }),
            action: match timer.action {
                TimerAction::Level(level) => KeptAction::Level { level },
                TimerAction::On(on) => KeptAction::On { on },
                TimerAction::Recall(recall) => KeptAction::Recall { recall },
                TimerAction::Effect(effect) => KeptAction::Effect(effect.into()),
            },
            transition: timer.transition,
            next: timer.next,
        }
    }
}

impl From<KeptTimer> for Timer {
    fn from(kept: KeptTimer) -> Timer {
        Timer {
            name: kept.name,
            light: kept.light,
            daily: kept.daily.map(|daily| Daily {
                at: daily.at,
                offset: daily.offset,
                days: daily.days,
            }),
            action: match kept.action {
                KeptAction::Level { level } => TimerAction::Level(level),
                KeptAction::On { on } => TimerAction::On(on),
                KeptAction::Recall { recall } => TimerAction::Recall(recall),
                KeptAction::Effect(effect) => TimerAction::Effect(effect.into()),
            },
            transition: kept.transition,
            next: kept.next,
        }
    }
}

fn is_zero(offset: &i16) -> bool {
    *offset == 0
}

fn to_seconds<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_secs_f64()).serialize(serializer)
}

fn from_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let Some(seconds) = Option::<f64>::deserialize(deserializer)? else {
        return Ok(None);
    };
    transition(seconds).map(Some).map_err(de::Error::custom)
}

fn local<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&local_time(*time))
}

#[derive(Serialize, Deserialize)]
struct LevelsFile {
    version: u32,
    #[serde(flatten)]
    state: KeptState,
}

/// Parses the contents of a file.
///
/// # Errors
/// The bytes are not in the format of this version; the text says why.
pub fn from_json(bytes: &[u8]) -> Result<KeptState, String> {
    let file: LevelsFile = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    match file.version {
        VERSION => Ok(file.state),
        version => Err(format!(
            "its format is {version}, and this version reads {VERSION}"
        )),
    }
}

/// The contents of a file.
///
/// # Errors
/// None in practice: plain data always becomes JSON.
pub fn to_json(state: KeptState) -> io::Result<Vec<u8>> {
    let version = VERSION;
    Ok(serde_json::to_vec(&LevelsFile { version, state })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_presets_and_timers_are_written_as_they_are_read() {
        let text = concat!(
            r#"{"version":1,"lights":{"led":{"level":5,"last_on":5,"effect":"candle","speed":2}},"#,
            r#""presets":{"Film":{"desk":{"level":2,"effect":"blink","speed":1},"led":{"level":1}}},"#,
            r#""timers":[{"name":"1","at":"07:00","days":["mon"],"on":false,"next":"2100-01-04T07:00:00+00:00"},"#,
            r#"{"name":"2","light":"led","at":"sunset","offset":-30,"recall":"Film","next":"2100-01-04T18:00:00+00:00"},"#,
            r#"{"name":"3","effect":"sunrise","speed":1,"transition":60.5,"next":"2100-01-05T06:00:00+00:00"}]}"#
        );
        let state = from_json(text.as_bytes()).unwrap();
        let effect = state.lights["led"].effect().unwrap();
        assert_eq!(effect.kind.name(), "candle");
        assert_eq!(state.presets()["Film"]["led"].effect, None);
        let timers = state.timers();
        assert_eq!(timers[1].action, TimerAction::Recall("Film".into()));
        assert_eq!(timers[2].transition, Some(Duration::from_millis(60_500)));

        let mut again = KeptState {
            lights: state.lights.clone(),
            ..KeptState::default()
        };
        again.set_presets(&state.presets());
        again.set_timers(&timers);
        assert_eq!(again, state);
        // The offset is the local zone's.
        let json = String::from_utf8(to_json(again).unwrap()).unwrap();
        assert_eq!(from_json(json.as_bytes()).unwrap(), state);
        let start = &text[..text.find("2100").unwrap()];
        assert!(json.starts_with(start), "{json}");
    }

    #[test]
    fn an_effect_without_a_speed_has_normal_speed() {
        let text = r#"{"version":1,"lights":{"led":{"level":5,"last_on":5,"effect":"candle"}}}"#;
        let state = from_json(text.as_bytes()).unwrap();
        let json = String::from_utf8(to_json(state).unwrap()).unwrap();
        assert!(json.contains(r#""effect":"candle","speed":1"#), "{json}");
    }

    #[test]
    fn a_preset_with_an_unknown_field_is_refused() {
        let text = r#"{"version":1,"lights":{},"presets":{"Film":{"led":{"level":1,"hue":2}}}}"#;
        let error = from_json(text.as_bytes()).unwrap_err();
        assert!(error.contains("unknown field `hue`"), "{error}");
    }
}
