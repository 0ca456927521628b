//! Lights, presets and timers as the file has them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::entry::{Fields, Problem, Problems, object, optional, required, words};
use crate::model::effect::{Effect, EffectKind, Speed};
use crate::model::level::Level;
use crate::model::lights::LightState;
use crate::model::presets::Scene;
use crate::model::timers::{
    Daily, Day, MAX_OFFSET, TimeOfDay, Timer, TimerAction, Waiting, local_time,
};
use crate::model::transition::transition;

/// The stored state of a light.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeptLight {
    /// The level, or the one that the light was on its way to.
    pub level: Level,
    /// The last level above 0 that somebody chose.
    pub last_on: Level,
    #[serde(flatten)]
    effect: Option<KeptEffect>,
}

impl KeptLight {
    pub(super) const NAMES: [&str; 4] = ["level", "last_on", "effect", "speed"];

    /// The effect around the level.
    pub fn effect(&self) -> Option<Effect> {
        self.effect.map(Effect::from)
    }

    pub(super) fn read(fields: &Fields, problems: &mut Problems) -> Result<KeptLight, Problem> {
        problems.check_names(fields, &KeptLight::NAMES);
        let level: Level = required(fields, "level")?;
        let last_on = problems.or_none(optional(fields, "last_on"));
        let without = if level.is_off() { Level::FULL } else { level };
        Ok(KeptLight {
            level,
            last_on: last_on.unwrap_or(without),
            effect: problems.or_none(KeptEffect::read(fields)),
        })
    }
}

impl From<&LightState> for KeptLight {
    fn from(state: &LightState) -> KeptLight {
        let state = state.lasting();
        KeptLight {
            level: state.level,
            last_on: state.last_on(),
            effect: state.effect.map(KeptEffect::from),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct KeptEffect {
    effect: EffectKind,
    speed: Speed,
}

impl KeptEffect {
    fn read(fields: &Fields) -> Result<Option<KeptEffect>, Problem> {
        let Some(effect) = words(fields, "effect")? else {
            return Ok(None);
        };
        let speed = optional(fields, "speed")?.unwrap_or_default();
        Ok(Some(KeptEffect { effect, speed }))
    }
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

/// The level and effect of each light in a preset.
pub type KeptPreset = BTreeMap<String, KeptScene>;

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct KeptScene {
    level: Level,
    #[serde(flatten)]
    effect: Option<KeptEffect>,
}

impl KeptScene {
    pub const NAMES: [&str; 3] = ["level", "effect", "speed"];

    fn read(value: &Value, problems: &mut Problems) -> Result<KeptScene, Problem> {
        let fields = object(value)?;
        problems.check_names(fields, &KeptScene::NAMES);
        Ok(KeptScene {
            level: required(fields, "level")?,
            effect: problems.or_none(KeptEffect::read(fields)),
        })
    }
}

/// A scene that cannot be read leaves out its light.
pub fn read_preset(lights: &Fields, problems: &mut Problems) -> Result<KeptPreset, Problem> {
    let mut preset = KeptPreset::new();
    for (light, value) in lights {
        let scene = KeptScene::read(value, problems);
        let scene = problems.or_none_of(&format!("light {light:?}"), scene);
        preset.extend(scene.map(|scene| (light.clone(), scene)));
    }
    Ok(preset)
}

impl From<Scene> for KeptScene {
    fn from(scene: Scene) -> KeptScene {
        KeptScene {
            level: scene.level,
            effect: scene.effect.map(KeptEffect::from),
        }
    }
}

impl From<KeptScene> for Scene {
    fn from(kept: KeptScene) -> Scene {
        Scene {
            level: kept.level,
            effect: kept.effect.map(Effect::from),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeptTimer {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    light: Option<String>,
    #[serde(flatten)]
    daily: Option<KeptDaily>,
    #[serde(flatten)]
    action: KeptAction,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "to_seconds")]
    transition: Option<Duration>,
    /// The epoch if it cannot be computed now: version 0.1.0 wants a time.
    #[serde(serialize_with = "local")]
    pub next: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct KeptDaily {
    at: TimeOfDay,
    #[serde(skip_serializing_if = "is_zero")]
    offset: i16,
    #[serde(skip_serializing_if = "Option::is_none")]
    days: Option<Vec<Day>>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
enum KeptAction {
    Level { level: Level },
    On { on: bool },
    Recall { recall: String },
    Effect(KeptEffect),
}

impl KeptTimer {
    pub const NAMES: [&str; 12] = [
        "name",
        "light",
        "at",
        "offset",
        "days",
        "level",
        "on",
        "recall",
        "effect",
        "speed",
        "transition",
        "next",
    ];

    pub fn read(fields: &Fields, problems: &mut Problems) -> Result<KeptTimer, Problem> {
        problems.check_names(fields, &KeptTimer::NAMES);
        let daily = KeptDaily::read(fields)?;
        let next = optional(fields, "next")?;
        if daily.is_none() && next.is_none() {
            return Err(Problem::missing("at and next are missing"));
        }
        let seconds: Option<f64> = optional(fields, "transition")?;
        Ok(KeptTimer {
            name: required(fields, "name")?,
            light: optional(fields, "light")?,
            daily,
            action: KeptAction::read(fields)?,
            transition: seconds.map(transition).transpose()?,
            next: next.unwrap_or(Timestamp::UNIX_EPOCH),
        })
    }
}

impl KeptDaily {
    fn read(fields: &Fields) -> Result<Option<KeptDaily>, Problem> {
        let Some(at) = words(fields, "at")? else {
            return Ok(None);
        };
        let offset = optional(fields, "offset")?.unwrap_or(0);
        if !(-MAX_OFFSET..=MAX_OFFSET).contains(&offset) {
            let range = format!("-{MAX_OFFSET} to {MAX_OFFSET}");
            return Err(format!("offset must be from {range}, not {offset}").into());
        }
        let days = words(fields, "days")?;
        Ok(Some(KeptDaily { at, offset, days }))
    }
}

impl KeptAction {
    fn read(fields: &Fields) -> Result<KeptAction, Problem> {
        if let Some(level) = optional(fields, "level")? {
            return Ok(KeptAction::Level { level });
        }
        if let Some(on) = optional(fields, "on")? {
            return Ok(KeptAction::On { on });
        }
        if let Some(recall) = optional(fields, "recall")? {
            return Ok(KeptAction::Recall { recall });
        }
        let effect = KeptEffect::read(fields)?;
        effect
            .map(KeptAction::Effect)
            .ok_or_else(|| Problem::missing("level, on, recall and effect are missing"))
    }
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
            next: timer.next.unwrap_or(Timestamp::UNIX_EPOCH),
        }
    }
}

impl From<KeptTimer> for Timer {
    fn from(kept: KeptTimer) -> Timer {
        let is_known = kept.daily.is_none() || kept.next != Timestamp::UNIX_EPOCH;
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
            // The timers compute it again.
            next: is_known.then_some(kept.next).ok_or(Waiting::Place),
            is_new: false,
        }
    }
}

fn is_zero(offset: &i16) -> bool {
    *offset == 0
}

fn to_seconds<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_secs_f64()).serialize(serializer)
}

fn local<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&local_time(*time))
}
