//! The format of `levels.json`, with structures of its own: a change of a message or of the model does not
//! change the file. The single values (level, effect, speed, time, day) are written as the model serializes
//! them; a test pins that.
//!
//! The file is read entry by entry. What this version does not understand, because a newer one or a person
//! wrote it, is reported, and written back as it was.

mod entry;
mod kept;
mod kept_settings;

use std::collections::BTreeMap;
use std::io;
use std::mem;

use serde::Serialize;
use serde_json::Value;

use crate::model::backup::BackupContents;
use crate::model::lights::LightBackup;
use crate::model::presets::{Preset, PresetsByName};
use crate::model::settings::SetHere;
use crate::model::timers::Timer;
pub use entry::{Fields, Problems, quoted};
use entry::{KeptEntry, required, take};
pub use kept::KeptLight;
use kept::{KeptPreset, KeptTimer, read_preset};
use kept_settings::KeptSettings;

/// The version of the format that this program reads and writes.
const VERSION: u32 = 1;
/// The field with the settings that were set here.
pub const SETTINGS: &str = "settings";
/// The field that a backup has beside the state.
pub const BACKUP: &str = "backup";

/// The stored state.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KeptState {
    lights: BTreeMap<String, KeptEntry<KeptLight>>,
    presets: BTreeMap<String, KeptEntry<KeptPreset>>,
    timers: Vec<KeptEntry<KeptTimer>>,
    /// `None` in a file of a version without these.
    settings: Option<KeptSettings>,
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

    /// What a backup with this state sets the dimmer to.
    pub fn contents(&self) -> BackupContents {
        let lights = self.lights.iter();
        let lights = lights.map(|(name, entry)| {
            let KeptLight { level, last_on, .. } = entry.known;
            let effect = entry.known.effect();
            let light = LightBackup {
                level,
                effect,
                last_on,
            };
            (name.clone(), light)
        });
        BackupContents {
            lights: lights.collect(),
            presets: self.presets(),
            timers: self.timers(),
            settings: self.settings.as_ref().map(|kept| kept.known().clone()),
        }
    }

    /// What was set here.
    pub fn settings(&self) -> SetHere {
        self.contents().settings.unwrap_or_default()
    }

    pub fn set_settings(&mut self, here: &SetHere) {
        if self.settings.is_some() || *here != SetHere::default() {
            self.settings.get_or_insert_default().set(here);
        }
    }

    /// Takes those lights from another state that this one does not have, and that are wanted; and the settings, if
    /// this one has none.
    pub fn add_lights_of(&mut self, other: KeptState, is_wanted: impl Fn(&str) -> bool) {
        self.settings = self.settings.take().or(other.settings);
        for (name, light) in other.lights {
            if is_wanted(&name) && !self.has_light(&name) {
                self.lights.insert(name, light);
            }
        }
        for (name, light) in other.unread.lights {
            if is_wanted(&name) && !self.has_light(&name) {
                self.unread.lights.insert(name, light);
            }
        }
    }

    pub fn set_timers(&mut self, timers: &[Timer]) {
        let mut before = mem::take(&mut self.timers);
        for timer in timers {
            let known = KeptTimer::from(timer.clone());
            let is_same = |entry: &mut KeptEntry<KeptTimer>| {
                let mut then = entry.known.clone();
                then.next = known.next;
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

/// Parses the contents of a file, and says what of it is not understood.
///
/// # Errors
/// The bytes are not in the format of this version; the text says why.
pub fn from_json(bytes: &[u8]) -> Result<(KeptState, Problems), String> {
    read_state(fields_of(bytes)?)
}

/// The fields of a file.
///
/// # Errors
/// The bytes are not JSON, or no object; the text says why.
pub fn fields_of(bytes: &[u8]) -> Result<Fields, String> {
    // Some editors begin a file with a byte order mark.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(other) => Err(format!("it must be an object, not {}", quoted(&other))),
        Err(error) => Err(format!("not JSON: {error}")),
    }
}

/// Reads the fields of a file, and says what of them is not understood.
///
/// # Errors
/// They are not in the format of this version; the text says why.
pub fn read_state(mut fields: Fields) -> Result<(KeptState, Problems), String> {
    let version: Value = required(&fields, "version")?;
    if version != VERSION {
        let version = quoted(&version);
        return Err(format!(
            "its format is {version}, and this version reads {VERSION}"
        ));
    }
    fields.remove("version");
    // It says where a backup comes from, also one that somebody has copied to the state folder.
    fields.remove(BACKUP);
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
        let what = format!("timer {}", quoted(&value["name"]));
        match problems.read(&what, value, KeptTimer::read) {
            Ok(timer) => state.timers.push(timer),
            Err(unread) => state.unread.timers.push(unread),
        }
    }
    if fields.contains_key(SETTINGS) {
        let settings = take(&mut fields, SETTINGS)?;
        state.settings = Some(KeptSettings::read(settings, &mut problems));
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
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<&'a Fields>,
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
        settings,
        unread,
    } = state;
    let settings = settings.as_ref().map(KeptSettings::whole);
    let known = timers.iter().map(Part::Known);
    Ok(serde_json::to_vec(&LevelsFile {
        version: VERSION,
        lights: by_name(lights, &unread.lights),
        presets: by_name(presets, &unread.presets),
        timers: known
            .chain(unread.timers.iter().map(Part::Unread))
            .collect(),
        settings: settings.filter(|whole| !whole.is_empty()),
        unread: &unread.fields,
    })?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::timers::TimerAction;

    /// The state of a file of which everything is understood.
    fn understood(text: &str) -> KeptState {
        let (state, problems) = from_json(text.as_bytes()).unwrap();
        assert_eq!(problems.into_iter().collect::<Vec<_>>(), [""; 0]);
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
        let problems: Vec<_> = problems.into_iter().collect();
        let of = |name: &str| {
            let of_name = |problem: &&String| problem.contains(name);
            problems.iter().find(of_name).cloned().unwrap_or_default()
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
        let off = r#"{"version":1,"lights":{"led":{"level":0,"last_on":50}}}"#;
        let off = understood(off).light("led").unwrap().clone();
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
