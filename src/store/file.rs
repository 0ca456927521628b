//! The format of `levels.json`, with structures of its own: a change of a message or of the model does not
//! change the file. The single values (level, effect, speed, time, day) are written as the model serializes
//! them; a test pins that.
//!
//! The file is read entry by entry. What this version does not understand, because a newer one or a person
//! wrote it, is reported, and written back as it was.

use std::collections::BTreeMap;
use std::io;
use std::mem;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::model::effect::{Effect, EffectKind, Speed};
use crate::model::level::Level;
use crate::model::lights::{LightState, transition};
use crate::model::presets::{Preset, PresetsByName, Scene};
use crate::model::timers::{
    Daily, Day, MAX_OFFSET, TimeOfDay, Timer, TimerAction, Waiting, local_time,
};

/// The version of the format that this program reads and writes.
const VERSION: u32 = 1;

type Fields = Map<String, Value>;

/// The stored state.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KeptState {
    lights: BTreeMap<String, KeptEntry<KeptLight>>,
    presets: BTreeMap<String, KeptEntry<KeptPreset>>,
    timers: Vec<KeptEntry<KeptTimer>>,
    unread: Unread,
}

/// The parts of a file of which this version understands nothing.
#[derive(Debug, Clone, Default, PartialEq)]
struct Unread {
    /// Beside the lights, presets and timers.
    fields: Fields,
    lights: Fields,
    presets: Fields,
    timers: Vec<Value>,
}

/// An entry of which this version understands something.
#[derive(Debug, Clone, PartialEq)]
struct KeptEntry<T> {
    known: T,
    /// The whole entry, if there is more to it.
    whole: Option<Fields>,
}

impl<T: Serialize> KeptEntry<T> {
    fn new(known: T) -> KeptEntry<T> {
        KeptEntry { known, whole: None }
    }

    /// Replaces what is known, under these names, and leaves the rest of the entry.
    fn set(&mut self, known: T, names: &[&str]) {
        if let Some(whole) = &mut self.whole {
            whole.retain(|name, _| !names.contains(&name.as_str()));
            if let Ok(Value::Object(fields)) = serde_json::to_value(&known) {
                whole.extend(fields);
            }
        }
        self.known = known;
    }
}

impl<T: Serialize> Serialize for KeptEntry<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.whole {
            Some(whole) => whole.serialize(serializer),
            None => self.known.serialize(serializer),
        }
    }
}

impl KeptState {
    /// The state of the light of this name.
    pub fn light(&self, name: &str) -> Option<&KeptLight> {
        self.lights.get(name).map(|entry| &entry.known)
    }

    /// Whether there is an entry for the light of this name, understood or not.
    pub fn has_light(&self, name: &str) -> bool {
        self.lights.contains_key(name) || self.unread.lights.contains_key(name)
    }

    pub fn set_light(&mut self, name: &str, light: KeptLight) {
        self.unread.lights.remove(name);
        match self.lights.get_mut(name) {
            Some(entry) if entry.known == light => {}
            Some(entry) => entry.set(light, &KeptLight::NAMES),
            None => {
                self.lights.insert(name.into(), KeptEntry::new(light));
            }
        }
    }

    pub fn presets(&self) -> PresetsByName {
        let preset = |entry: &KeptEntry<KeptPreset>| -> Preset {
            let scenes = entry.known.iter();
            scenes
                .map(|(light, scene)| (light.clone(), (*scene).into()))
                .collect()
        };
        let presets = self.presets.iter();
        presets
            .map(|(name, entry)| (name.clone(), preset(entry)))
            .collect()
    }

    pub fn set_presets(&mut self, presets: &PresetsByName) {
        let mut before = mem::take(&mut self.presets);
        for (name, preset) in presets {
            let scenes = preset.iter();
            let known: KeptPreset = scenes
                .map(|(light, scene)| (light.clone(), (*scene).into()))
                .collect();
            let same = before.remove(name).filter(|entry| entry.known == known);
            let entry = same.unwrap_or_else(|| KeptEntry::new(known));
            self.presets.insert(name.clone(), entry);
            self.unread.presets.remove(name);
        }
    }

    pub fn timers(&self) -> Vec<Timer> {
        let timers = self.timers.iter();
        timers.map(|entry| entry.known.clone().into()).collect()
    }

    pub fn set_timers(&mut self, timers: &[Timer]) {
        let mut before = mem::take(&mut self.timers);
        for timer in timers {
            let known = KeptTimer::from(timer.clone());
            let is_same = |entry: &mut KeptEntry<KeptTimer>| {
                let next = known.next;
                let then = KeptTimer {
                    next,
                    ..entry.known.clone()
                };
                then == known
            };
            let same = before.extract_if(.., is_same).next();
            let mut entry = same.unwrap_or_else(|| KeptEntry::new(known.clone()));
            if entry.known != known {
                entry.set(known, &KeptTimer::NAMES);
            }
            self.timers.push(entry);
        }
        let is_replaced = |unread: &Value| timers.iter().any(|timer| unread["name"] == timer.name);
        self.unread.timers.retain(|unread| !is_replaced(unread));
    }
}

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
    const NAMES: [&str; 4] = ["level", "last_on", "effect", "speed"];

    /// The effect around the level.
    pub fn effect(&self) -> Option<Effect> {
        self.effect.map(Effect::from)
    }

    fn read(fields: &Fields, problems: &mut Problems) -> Result<KeptLight, String> {
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
    fn read(fields: &Fields) -> Result<Option<KeptEffect>, String> {
        let Some(effect) = optional(fields, "effect")? else {
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
type KeptPreset = BTreeMap<String, KeptScene>;

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct KeptScene {
    level: Level,
    #[serde(flatten)]
    effect: Option<KeptEffect>,
}

impl KeptScene {
    const NAMES: [&str; 3] = ["level", "effect", "speed"];

    fn read(value: &Value, problems: &mut Problems) -> Result<KeptScene, String> {
        let fields = object(value)?;
        problems.check_names(fields, &KeptScene::NAMES);
        Ok(KeptScene {
            level: required(fields, "level")?,
            effect: problems.or_none(KeptEffect::read(fields)),
        })
    }
}

/// A scene that cannot be read leaves out its light.
fn read_preset(lights: &Fields, problems: &mut Problems) -> Result<KeptPreset, String> {
    let mut preset = KeptPreset::new();
    for (light, value) in lights {
        let scene = KeptScene::read(value, problems).map(Some);
        let scene = problems.or_none(scene.map_err(|error| format!("light {light}: {error}")));
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
struct KeptTimer {
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
    next: Timestamp,
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
    const NAMES: [&str; 12] = [
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

    fn read(fields: &Fields, problems: &mut Problems) -> Result<KeptTimer, String> {
        problems.check_names(fields, &KeptTimer::NAMES);
        let daily = KeptDaily::read(fields)?;
        let next = optional(fields, "next")?;
        if daily.is_none() && next.is_none() {
            return Err("at and next are missing".into());
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
    fn read(fields: &Fields) -> Result<Option<KeptDaily>, String> {
        let Some(at) = optional(fields, "at")? else {
            return Ok(None);
        };
        let offset = optional(fields, "offset")?.unwrap_or(0);
        if !(-MAX_OFFSET..=MAX_OFFSET).contains(&offset) {
            return Err(format!(
                "offset must be from -{MAX_OFFSET} to {MAX_OFFSET}, not {offset}"
            ));
        }
        let days = optional(fields, "days")?;
        Ok(Some(KeptDaily { at, offset, days }))
    }
}

impl KeptAction {
    fn read(fields: &Fields) -> Result<KeptAction, String> {
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
            .ok_or_else(|| "level, on, recall and effect are missing".into())
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

/// What is not understood in a file: which entry and why, each in one line.
#[derive(Debug, Default)]
pub struct Problems(Vec<String>);

impl Problems {
    /// Reads an entry; all of it is kept if not all of it is understood.
    fn read<T>(
        &mut self,
        what: &str,
        value: Value,
        read: impl FnOnce(&Fields, &mut Problems) -> Result<T, String>,
    ) -> Result<KeptEntry<T>, Value> {
        let mut of_entry = Problems::default();
        let known = object(&value).and_then(|fields| read(fields, &mut of_entry));
        let known = of_entry.or_none(known.map(Some));
        let is_understood = of_entry.0.is_empty();
        let named = of_entry
            .0
            .into_iter()
            .map(|problem| format!("{what}: {problem}"));
        self.0.extend(named);
        match (known, value) {
            (Some(known), Value::Object(whole)) => Ok(KeptEntry {
                known,
                whole: (!is_understood).then_some(whole),
            }),
            (_, value) => Err(value),
        }
    }

    fn check_names(&mut self, fields: &Fields, known: &[&str]) {
        let unknown = fields.keys().filter(|name| !known.contains(&name.as_str()));
        self.0
            .extend(unknown.map(|name| format!("unknown field {name:?}")));
    }

    /// The value if there is one, and notes the problem otherwise.
    fn or_none<T>(&mut self, value: Result<Option<T>, String>) -> Option<T> {
        value.unwrap_or_else(|problem| {
            self.0.push(problem);
            None
        })
    }
}

impl IntoIterator for Problems {
    type Item = String;
    type IntoIter = std::vec::IntoIter<String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

fn object(value: &Value) -> Result<&Fields, String> {
    value
        .as_object()
        .ok_or_else(|| format!("must be an object, not {value}"))
}

fn optional<T: DeserializeOwned>(fields: &Fields, name: &str) -> Result<Option<T>, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => T::deserialize(value)
            .map(Some)
            .map_err(|error| format!("{name} is {value}: {error}")),
    }
}

fn required<T: DeserializeOwned>(fields: &Fields, name: &str) -> Result<T, String> {
    optional(fields, name)?.ok_or_else(|| format!("{name} is missing"))
}

/// Takes a part of the file out of its fields.
fn take<T: DeserializeOwned + Default>(fields: &mut Fields, name: &str) -> Result<T, String> {
    let value = optional(fields, name)?;
    fields.remove(name);
    Ok(value.unwrap_or_default())
}

/// Parses the contents of a file, and says what of it is not understood.
///
/// # Errors
/// The bytes are not in the format of this version; the text says why.
pub fn from_json(bytes: &[u8]) -> Result<(KeptState, Problems), String> {
    // Some editors begin a file with a byte order mark.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut fields: Fields = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let version: Value = required(&fields, "version")?;
    if version != VERSION {
        return Err(format!(
            "its format is {version}, and this version reads {VERSION}"
        ));
    }
    fields.remove("version");
    let (mut state, mut problems) = (KeptState::default(), Problems::default());
    for (name, value) in take::<Fields>(&mut fields, "lights")? {
        match problems.read(&format!("light {name:?}"), value, KeptLight::read) {
            Ok(light) => drop(state.lights.insert(name, light)),
            Err(unread) => drop(state.unread.lights.insert(name, unread)),
        }
    }
    for (name, value) in take::<Fields>(&mut fields, "presets")? {
        match problems.read(&format!("preset {name:?}"), value, read_preset) {
            Ok(preset) => drop(state.presets.insert(name, preset)),
            Err(unread) => drop(state.unread.presets.insert(name, unread)),
        }
    }
    for value in take::<Vec<Value>>(&mut fields, "timers")? {
        let what = format!("timer {}", value["name"]);
        match problems.read(&what, value, KeptTimer::read) {
            Ok(timer) => state.timers.push(timer),
            Err(unread) => state.unread.timers.push(unread),
        }
    }
    problems.check_names(&fields, &[]);
    state.unread.fields = fields;
    Ok((state, problems))
}

#[derive(Serialize)]
struct LevelsFile<'a> {
    version: u32,
    lights: BTreeMap<&'a str, Part<'a, KeptLight>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    presets: BTreeMap<&'a str, Part<'a, KeptPreset>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    timers: Vec<Part<'a, KeptTimer>>,
    #[serde(flatten)]
    unread: &'a Fields,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Part<'a, T: Serialize> {
    Known(&'a KeptEntry<T>),
    Unread(&'a Value),
}

fn by_name<'a, T: Serialize>(
    known: &'a BTreeMap<String, KeptEntry<T>>,
    unread: &'a Fields,
) -> BTreeMap<&'a str, Part<'a, T>> {
    let known = known
        .iter()
        .map(|(name, entry)| (&**name, Part::Known(entry)));
    let unread = unread
        .iter()
        .map(|(name, value)| (&**name, Part::Unread(value)));
    known.chain(unread).collect()
}

/// The contents of a file.
///
/// # Errors
/// None in practice: plain data always becomes JSON.
pub fn to_json(state: &KeptState) -> io::Result<Vec<u8>> {
    let KeptState {
        lights,
        presets,
        timers,
        unread,
    } = state;
    let known = timers.iter().map(Part::Known);
    Ok(serde_json::to_vec(&LevelsFile {
        version: VERSION,
        lights: by_name(lights, &unread.lights),
        presets: by_name(presets, &unread.presets),
        timers: known
            .chain(unread.timers.iter().map(Part::Unread))
            .collect(),
        unread: &unread.fields,
    })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The state of a file of which everything is understood.
    fn understood(text: &str) -> KeptState {
        let (state, problems) = from_json(text.as_bytes()).unwrap();
        assert_eq!(problems.0, [""; 0]);
        state
    }

    fn written(state: &KeptState) -> String {
        String::from_utf8(to_json(state).unwrap()).unwrap()
    }

    #[test]
    fn effects_presets_and_timers_are_written_as_they_are_read() {
        let text = concat!(
            r#"{"version":1,"lights":{"led":{"level":5,"last_on":5,"effect":"candle","speed":2}},"#,
            r#""presets":{"Film":{"desk":{"level":2,"effect":"blink","speed":1},"led":{"level":1}}},"#,
            r#""timers":[{"name":"1","at":"07:00","days":["mon"],"on":false,"next":"2100-01-04T07:00:00+00:00"},"#,
            r#"{"name":"2","light":"led","at":"sunset","offset":-30,"recall":"Film","next":"2100-01-04T18:00:00+00:00"},"#,
            r#"{"name":"3","effect":"sunrise","speed":1,"transition":60.5,"next":"2100-01-05T06:00:00+00:00"}]}"#
        );
        let state = understood(text);
        let light = state.light("led").unwrap();
        assert_eq!(light.effect().unwrap().kind.name(), "candle");
        assert_eq!(state.presets()["Film"]["led"].effect, None);
        let timers = state.timers();
        assert_eq!(timers[1].action, TimerAction::Recall("Film".into()));
        assert_eq!(timers[2].transition, Some(Duration::from_millis(60_500)));

        let mut again = KeptState::default();
        again.set_light("led", light.clone());
        again.set_presets(&state.presets());
        again.set_timers(&timers);
        assert_eq!(again, state);
        // The offset is the local zone's.
        let json = written(&again);
        assert_eq!(understood(&json), state);
        let start = &text[..text.find("2100").unwrap()];
        assert!(json.starts_with(start), "{json}");
    }

    #[test]
    fn an_effect_without_a_speed_has_normal_speed() {
        let text = r#"{"version":1,"lights":{"led":{"level":5,"last_on":5,"effect":"candle"}}}"#;
        let json = written(&understood(text));
        assert!(json.contains(r#""effect":"candle","speed":1"#), "{json}");
    }

    #[test]
    fn what_is_not_understood_is_reported_and_written_back_and_costs_nothing_else() {
        let text = concat!(
            "\u{feff}",
            r#"{"version":1,"scenes":[7],"lights":{"bad":{"level":142,"last_on":50},"#,
            r#""glow":{"level":9,"last_on":8,"effect":"aurora","speed":2},"#,
            r#""led":{"level":5,"last_on":5,"hue":120}},"presets":{"#,
            r#""Film":{"desk":{"level":2,"effect":"aurora"},"led":{"level":1}},"Old":{"led":{"level":3}},"Odd":7},"#,
            r#""timers":[{"name":"a","at":"07:00","days":["mon"],"on":false},"#,
            r#"{"name":"b","at":"07:00","days":["mon"],"effect":"aurora","next":"2100-01-04T07:00:00+00:00"},"#,
            r#"{"name":"c","at":"07:00","on":true,"if":"dark","next":"2100-01-04T07:00:00+00:00"},"#,
            r#"{"name":"d","on":true}]}"#
        );
        let (mut state, problems) = from_json(text.as_bytes()).unwrap();
        let of = |name: &str| {
            let of_name = |problem: &&String| problem.contains(name);
            problems.0.iter().find(of_name).cloned().unwrap_or_default()
        };
        assert!(of("\"bad\"").contains("level must be from 0 to 100, not 142"));
        assert!(of("\"glow\"").contains("effect is \"aurora\": unknown variant"));
        assert_eq!(of("\"led\""), "light \"led\": unknown field \"hue\"");
        assert!(of("\"Film\"").contains("aurora"));
        assert!(of("\"Odd\"").contains("must be an object, not 7"));
        assert_eq!(of("\"c\""), "timer \"c\": unknown field \"if\"");
        assert_eq!(of("\"d\""), "timer \"d\": at and next are missing");
        assert_eq!(of("scenes"), "unknown field \"scenes\"");

        assert_eq!(state.light("bad"), None);
        assert_eq!(state.light("glow").unwrap().level.percent(), 9.0);
        let names: Vec<_> = state.presets().into_keys().collect();
        assert_eq!(names, ["Film", "Old"]);
        assert_eq!(state.presets()["Film"].len(), 2);
        let timers = state.timers();
        let names: Vec<_> = timers.iter().map(|timer| &*timer.name).collect();
        assert_eq!(names, ["a", "c"]);
        assert!(timers[0].next.is_err(), "it has to be computed");

        let before: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap();
        state.set_presets(&state.presets());
        let mut moved = timers.clone();
        moved[1].next = Ok("2100-01-05T07:00:00Z".parse().unwrap());
        state.set_timers(&moved);
        let off = KeptLight {
            level: Level::OFF,
            last_on: Level::HALF,
            effect: None,
        };
        state.set_light("led", off.clone());
        let after: Value = serde_json::from_str(&written(&state)).unwrap();
        for part in [
            "/scenes",
            "/lights/bad",
            "/lights/glow",
            "/presets",
            "/timers/2",
        ] {
            let then = match part {
                "/timers/2" => before.pointer("/timers/1"),
                _ => before.pointer(part),
            };
            assert_eq!(after.pointer(part), then, "{part}");
        }
        assert_eq!(after["lights"]["led"]["hue"], 120);
        assert_eq!(after["lights"]["led"]["level"], 0);
        assert_eq!(after["timers"][1]["if"], "dark");
        let next = after["timers"][1]["next"].as_str().unwrap();
        assert_eq!(next.parse().ok(), moved[1].next.ok(), "{next}");

        // What somebody sets afterwards replaces it.
        for light in ["bad", "glow"] {
            state.set_light(light, off.clone());
        }
        state.set_presets(&PresetsByName::from([("Odd".into(), Preset::new())]));
        state.set_timers(&[Timer {
            name: "d".into(),
            ..timers[0].clone()
        }]);
        let after: Value = serde_json::from_str(&written(&state)).unwrap();
        assert_eq!(after["lights"]["bad"], after["lights"]["glow"]);
        assert_eq!(after["presets"], serde_json::json!({ "Odd": {} }));
        assert_eq!(after["timers"].as_array().unwrap().len(), 2, "d and b");
    }
}
