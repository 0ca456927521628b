//! Lights, presets, timers and entries of the activity as the service sends them: parts of its messages, and
//! the bodies of its REST responses.

use std::collections::BTreeMap;
use std::ops::Not;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::model::activity::{Action, Entry};
use crate::model::backup::Restored;
use crate::model::effect::{Effect, EffectKind, Speed};
use crate::model::level::Level;
use crate::model::lights::{Driver, Light, LightId, LightState, Lights};
use crate::model::presets::{Preset, Scene};
use crate::model::settings::{NamedSetting, SettingSource, Settings};
use crate::model::timers::{Day, TimeOfDay, Timer, TimerAction, Waiting, local_time};
use crate::model::warmth::Warmth;

/// What a light is.
#[derive(Debug, Serialize)]
pub struct LightDescription<'a> {
    name: &'a str,
    title: String,
    hidden: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    warmth: Option<Warmth>,
    gpio: u8,
    driver: Driver,
    frequency: u32,
    resolution: u32,
    simulated: bool,
    #[serde(serialize_with = "seconds")]
    transition: Duration,
    fastest: Speed,
    #[serde(rename = "new", skip_serializing_if = "Not::not")]
    is_new: bool,
}

impl<'a> LightDescription<'a> {
    /// A light in this state.
    pub fn new(light: &'a Light, state: &LightState) -> LightDescription<'a> {
        let settings = &state.settings;
        LightDescription {
            name: &light.name,
            title: light.title(settings).into(),
            hidden: settings.hidden,
            warmth: settings.warmth,
            gpio: light.gpio,
            driver: light.driver,
            frequency: light.frequency,
            resolution: light.resolution,
            simulated: light.is_simulated(),
            transition: settings.transition,
            fastest: light.fastest,
            is_new: state.is_new,
        }
    }
}

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

/// An effect with its speed.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct EffectFields {
    effect: EffectKind,
    speed: Speed,
}

impl From<Effect> for EffectFields {
    fn from(Effect { kind, speed }: Effect) -> EffectFields {
        EffectFields {
            effect: kind,
            speed,
        }
    }
}

/// The body that describes a light with its state.
#[derive(Debug, Serialize)]
pub struct LightResource<'a> {
    #[serde(flatten)]
    light: LightDescription<'a>,
    level: Level,
    #[serde(flatten)]
    effect: Option<EffectFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<f64>,
    fault: Option<String>,
}

impl LightResource<'_> {
    /// A light as it is now.
    pub fn of(lights: &Lights, light: LightId) -> LightResource<'_> {
        let state = lights.state(light);
        LightResource {
            light: LightDescription::new(lights.light(light), &state),
            level: state.level,
            effect: state.effect.map(EffectFields::from),
            left: state.remaining().map(tenths_of_seconds),
            fault: state.fault.map(|fault| fault.message.to_string()),
        }
    }

    /// Whether the light's driver fails.
    fn is_faulty(&self) -> bool {
        self.fault.is_some()
    }
}

/// A time in seconds, rounded to a tenth.
pub fn tenths_of_seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}

/// The body with all settings that may be changed while the service runs.
#[derive(Debug, Serialize)]
pub struct SettingsResource<'a> {
    /// Whether the settings file alone may change them.
    locked: bool,
    #[serde(flatten)]
    house: SettingResources,
    lights: BTreeMap<&'a str, SettingResources>,
}

type SettingResources = BTreeMap<&'static str, SettingResource>;

#[derive(Debug, Serialize)]
struct SettingResource {
    value: Value,
    source: SettingSource,
}

impl SettingsResource<'_> {
    /// The settings of the dimmer and of its lights.
    pub fn of<'a>(settings: &Settings, lights: &'a Lights) -> SettingsResource<'a> {
        let lights = lights.list().iter().map(|light| {
            let list = settings.light_list(&light.name);
            (light.name.as_str(), setting_resources(list))
        });
        SettingsResource {
            locked: settings.is_locked(),
            house: setting_resources(settings.house_list()),
            lights: lights.collect(),
        }
    }
}

fn setting_resources(list: Vec<NamedSetting>) -> SettingResources {
    let list = list.into_iter();
    list.map(|(name, value, source)| (name, SettingResource { value, source }))
        .collect()
}

/// The body that says what was restored from a backup.
#[derive(Debug, Serialize)]
pub struct RestoredResource<'a> {
    lights: usize,
    presets: usize,
    timers: usize,
    notes: &'a [String],
}

impl<'a> From<&'a Restored> for RestoredResource<'a> {
    fn from(restored: &'a Restored) -> RestoredResource<'a> {
        RestoredResource {
            lights: restored.lights,
            presets: restored.presets,
            timers: restored.timers,
            notes: &restored.notes,
        }
    }
}

/// The body that says whether all drivers work.
#[derive(Debug, Serialize)]
pub struct HealthResource<'a> {
    /// Whether all drivers work.
    pub healthy: bool,
    /// The lights whose drivers fail.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<LightResource<'a>>,
    /// The lights whose drivers work, but are not the ones that were chosen at first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fallbacks: Vec<FallbackResource<'a>>,
}

/// A light on another driver than the one that was chosen at first.
#[derive(Debug, Serialize)]
struct FallbackResource<'a> {
    name: &'a str,
    /// Why the chosen driver is not in use, and what to do, in one line.
    reason: &'a str,
}

impl HealthResource<'_> {
    /// The health of all lights.
    pub fn of(lights: &Lights) -> HealthResource<'_> {
        let resources = lights.ids().map(|light| LightResource::of(lights, light));
        let faults: Vec<_> = resources.filter(LightResource::is_faulty).collect();
        let fallbacks = lights.ids().filter_map(|light| {
            let light = lights.light(light);
            Some(FallbackResource {
                name: &light.name,
                reason: light.fallback.as_deref()?,
            })
        });
        HealthResource {
            healthy: faults.is_empty(),
            faults,
            fallbacks: fallbacks.collect(),
        }
    }
}

/// The body that says what drives the pins, and what would be better.
#[derive(Debug, Default, Serialize)]
pub struct DoctorResource {
    /// The model of the machine; `None` if it does not say.
    pub machine: Option<String>,
    /// All lights, in the order of the settings.
    pub lights: Vec<DiagnosisResource>,
}

/// What drives the pin of a light, and what would be better.
#[derive(Debug, Serialize)]
pub struct DiagnosisResource {
    name: String,
    gpio: u8,
    /// The number of its pin on the header; `None` if that is not known.
    pin: Option<u8>,
    driver: Driver,
    frequency: u32,
    resolution: u32,
    /// Why the driver is not the one that was chosen at first, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    fallback: Option<String>,
    /// The best first.
    advice: Vec<AdviceResource>,
}

/// A line of advice.
#[derive(Debug, Serialize)]
pub struct AdviceResource {
    /// The name of the line in the report of `dimmer doctor`.
    pub kind: &'static str,
    /// What to do, or why there is nothing to do.
    pub text: String,
}

impl DiagnosisResource {
    /// A light as it is driven, with its pin on the header and with this advice.
    pub fn new(light: &Light, pin: Option<u8>, advice: Vec<AdviceResource>) -> DiagnosisResource {
        DiagnosisResource {
            name: light.name.clone(),
            gpio: light.gpio,
            pin,
            driver: light.driver,
            frequency: light.frequency,
            resolution: light.resolution,
            fallback: light.fallback.clone(),
            advice,
        }
    }
}

/// The body of every response to a request that cannot be carried out.
#[derive(Debug, Serialize)]
pub struct ErrorResource {
    /// What is wrong and what is allowed, in one line.
    pub error: String,
    /// Why a client is not served at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<RefusalCode>,
}

/// Why a client is not served, for the page to say in the words of its language.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// `Host` is not a name of this machine.
    Host,
    /// `Origin` is another site.
    Origin,
    /// A password is needed.
    Password,
    /// There are too many clients.
    MaxPages,
    /// There are too many clients from one address.
    MaxPagesPerAddress,
    /// A request for a WebSocket came without `Upgrade`, as behind a proxy that does not pass it on.
    Upgrade,
}

#[cfg(test)]
impl RefusalCode {
    /// All codes.
    pub const ALL: [RefusalCode; 6] = [
        RefusalCode::Host,
        RefusalCode::Origin,
        RefusalCode::Password,
        RefusalCode::MaxPages,
        RefusalCode::MaxPagesPerAddress,
        RefusalCode::Upgrade,
    ];
}

/// The level of the first light, in whole percent, for the clients of the tutorials.
#[derive(Debug, Serialize)]
pub struct LedResource {
    level: u8,
}

impl From<Level> for LedResource {
    fn from(level: Level) -> LedResource {
        // At most 100.
        let level = level.percent().round() as u8;
        LedResource { level }
    }
}

/// The body that describes a preset.
#[derive(Debug, Serialize)]
pub struct PresetResource<'a> {
    name: &'a str,
    lights: BTreeMap<&'a str, SceneResource>,
}

#[derive(Debug, Serialize)]
struct SceneResource {
    level: Level,
    #[serde(flatten)]
    effect: Option<EffectFields>,
}

impl PresetResource<'_> {
    /// A preset with its name.
    pub fn of<'a>(name: &'a str, preset: &'a Preset) -> PresetResource<'a> {
        let scene = |scene: &Scene| SceneResource {
            level: scene.level,
            effect: scene.effect.map(EffectFields::from),
        };
        let lights = preset.iter();
        PresetResource {
            name,
            lights: lights
                .map(|(light, it)| (light.as_str(), scene(it)))
                .collect(),
        }
    }
}

/// A timer.
#[derive(Debug, Serialize)]
pub struct TimerResource<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    light: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<TimeOfDay>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<i16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    days: Option<&'a [Day]>,
    #[serde(flatten)]
    action: TimerActionResource<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transition: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "local")]
    next: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<Waiting>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum TimerActionResource<'a> {
    Level { level: Level },
    On { on: bool },
    Recall { recall: &'a str },
    Effect(EffectFields),
}

impl<'a> From<&'a Timer> for TimerResource<'a> {
    fn from(timer: &'a Timer) -> TimerResource<'a> {
        let daily = timer.daily.as_ref();
        TimerResource {
            name: &timer.name,
            light: timer.light.as_deref(),
            at: daily.map(|daily| daily.at),
            offset: daily
                .map(|daily| daily.offset)
                .filter(|offset| *offset != 0),
            days: daily.and_then(|daily| daily.days.as_deref()),
            action: match &timer.action {
                TimerAction::Level(level) => TimerActionResource::Level { level: *level },
                TimerAction::On(on) => TimerActionResource::On { on: *on },
                TimerAction::Recall(preset) => TimerActionResource::Recall { recall: preset },
                TimerAction::Effect(effect) => TimerActionResource::Effect((*effect).into()),
            },
            transition: timer.transition.map(|time| time.as_secs_f64()),
            next: timer.next.ok(),
            waiting: timer.next.err(),
        }
    }
}

/// All timers, in the order in which they are due.
pub fn timers(timers: &[Timer]) -> Vec<TimerResource<'_>> {
    timers.iter().map(TimerResource::from).collect()
}

fn local<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(&local_time(*time)),
        None => serializer.serialize_none(),
    }
}

/// An entry of the activity: without the address of its actor.
#[derive(Debug, Serialize)]
pub struct EntryResource<'a> {
    /// Unix time in seconds.
    at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    who: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    via: Option<&'static str>,
    #[serde(flatten)]
    action: ActionResource<'a>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "what", rename_all = "lowercase")]
enum ActionResource<'a> {
    Joined,
    Left,
    Set {
        light: &'a str,
        level: Level,
    },
    Lights {
        lights: &'a BTreeMap<String, Level>,
    },
    Effect {
        light: &'a str,
        effect: Option<EffectKind>,
    },
    Flashed {
        light: &'a str,
    },
    Recalled {
        preset: &'a str,
    },
    Saved {
        preset: &'a str,
    },
    Forgot {
        preset: &'a str,
    },
    Timer {
        timer: &'a str,
    },
    Cancelled {
        timer: &'a str,
    },
    Settings {
        #[serde(skip_serializing_if = "Option::is_none")]
        light: Option<&'a str>,
    },
    Restored,
    Said {
        text: &'a str,
    },
    More {
        count: u64,
    },
}

impl<'a> From<&'a Entry> for EntryResource<'a> {
    fn from(entry: &'a Entry) -> EntryResource<'a> {
        EntryResource {
            at: entry.at,
            who: entry.actor.name().map(|name| &**name),
            via: entry.actor.via().filter(|_| entry.actor.name().is_none()),
            action: match &entry.action {
                Action::Joined => ActionResource::Joined,
                Action::Left => ActionResource::Left,
                Action::Set { light, level } => ActionResource::Set {
                    light,
                    level: *level,
                },
                Action::SetTogether { levels } => ActionResource::Lights { lights: levels },
                Action::Effect { light, effect } => ActionResource::Effect {
                    light,
                    effect: *effect,
                },
                Action::Flashed { light } => ActionResource::Flashed { light },
                Action::PresetRecalled { preset } => ActionResource::Recalled { preset },
                Action::PresetSaved { preset } => ActionResource::Saved { preset },
                Action::PresetForgotten { preset } => ActionResource::Forgot { preset },
                Action::TimerAdded { timer } => ActionResource::Timer { timer },
                Action::TimerCancelled { timer } => ActionResource::Cancelled { timer },
                Action::SettingsChanged { light } => ActionResource::Settings {
                    light: light.as_deref(),
                },
                Action::Restored => ActionResource::Restored,
                Action::Said { text } => ActionResource::Said { text },
                Action::More { count } => ActionResource::More { count: *count },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::actor::Actor;

    #[test]
    fn a_light_on_another_driver_is_healthy_and_its_reason_is_given() {
        let desk = Light {
            fallback: Some("kernel-pwm: no".into()),
            ..Light::simulated("desk")
        };
        let state = LightState::new(Level::HALF, Level::HALF);
        let shelf = (Light::simulated("shelf"), state.clone());
        let lights = Lights::new(vec![(desk, state), shelf]);
        let health = serde_json::to_value(HealthResource::of(&lights)).unwrap();
        let fallbacks = json!([{ "name": "desk", "reason": "kernel-pwm: no" }]);
        assert_eq!(health, json!({ "healthy": true, "fallbacks": fallbacks }));
    }

    #[test]
    fn an_entry_names_its_client_or_its_input_and_no_address() {
        let address = std::net::Ipv4Addr::LOCALHOST.into();
        let client = |name: Option<&str>| Actor::Client {
            number: 1,
            address,
            name: name.map(Into::into),
        };
        let (light, preset, timer) = ("desk", "Film", "1");
        let level = Level::HALF;
        let effect = Some(EffectKind::Candle);
        for (actor, action, expected) in [
            (
                client(Some("Ana")),
                Action::Joined,
                json!({"who": "Ana", "what": "joined"}),
            ),
            (
                client(Some("Ana")),
                Action::Left,
                json!({"who": "Ana", "what": "left"}),
            ),
            (
                client(None),
                Action::Set {
                    light: light.into(),
                    level,
                },
                json!({"what": "set", "light": "desk", "level": 50}),
            ),
            (
                Actor::Api(address),
                Action::Effect {
                    light: light.into(),
                    effect,
                },
                json!({"via": "api", "what": "effect", "light": "desk", "effect": "candle"}),
            ),
            (
                Actor::Timer,
                Action::Effect {
                    light: light.into(),
                    effect: None,
                },
                json!({"via": "timer", "what": "effect", "light": "desk", "effect": null}),
            ),
            (
                Actor::Mqtt,
                Action::Flashed {
                    light: light.into(),
                },
                json!({"via": "mqtt", "what": "flashed", "light": "desk"}),
            ),
            (
                Actor::Button,
                Action::PresetRecalled {
                    preset: preset.into(),
                },
                json!({"via": "button", "what": "recalled", "preset": "Film"}),
            ),
            (
                client(None),
                Action::PresetSaved {
                    preset: preset.into(),
                },
                json!({"what": "saved", "preset": "Film"}),
            ),
            (
                client(None),
                Action::PresetForgotten {
                    preset: preset.into(),
                },
                json!({"what": "forgot", "preset": "Film"}),
            ),
            (
                client(None),
                Action::TimerAdded {
                    timer: timer.into(),
                },
                json!({"what": "timer", "timer": "1"}),
            ),
            (
                client(None),
                Action::TimerCancelled {
                    timer: timer.into(),
                },
                json!({"what": "cancelled", "timer": "1"}),
            ),
            (
                Actor::Api(address),
                Action::Restored,
                json!({"via": "api", "what": "restored"}),
            ),
            (
                client(None),
                Action::Said { text: "hi".into() },
                json!({"what": "said", "text": "hi"}),
            ),
            (
                client(None),
                Action::More { count: 7 },
                json!({"what": "more", "count": 7}),
            ),
        ] {
            let entry = Entry {
                at: 7,
                actor,
                action,
            };
            let mut sent = serde_json::to_value(EntryResource::from(&entry)).unwrap();
            assert_eq!(sent.as_object_mut().unwrap().remove("at"), Some(json!(7)));
            assert_eq!(sent, expected);
        }
    }
}
