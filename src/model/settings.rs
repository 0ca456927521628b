//! Settings that may be changed while the service runs: of a light, and of the dimmer.
//!
//! Each has one check, here, for the settings file and for every input. What has been set here beats the file, and is
//! kept in the state folder.

mod error;
mod light_settings;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::timers::Place;
pub use error::SettingError;
use light_settings::number;
pub use light_settings::{LIGHT_SETTINGS, LightSettings, OnStart, check_range};
pub use value::{
    MAX_GROUPS, check_name, groups, in_words, latitude, longitude, max_duty, min_duty, quoted,
    title, transition, warmth,
};

/// The settings of the dimmer, besides those of its lights.
pub const HOUSE_SETTINGS: [&str; 3] = ["title", "latitude", "longitude"];

/// Where the value of a setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SettingSource {
    /// Nobody has set it.
    Default,
    /// The settings file.
    File,
    /// Set while the service ran.
    Here,
}

/// What the settings of the dimmer are, besides those of its lights.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HouseSettings {
    /// The dimmer's name for people.
    pub title: Option<String>,
    /// Degrees north.
    pub latitude: Option<f64>,
    /// Degrees east.
    pub longitude: Option<f64>,
}

impl HouseSettings {
    /// The place that sunrise and sunset are computed for, if it is known.
    pub fn place(&self) -> Option<Place> {
        let (latitude, longitude) = self.latitude.zip(self.longitude)?;
        Some(Place {
            latitude,
            longitude,
        })
    }

    /// Checks what depends on more than one setting.
    ///
    /// # Errors
    /// Half of the place is missing.
    pub fn check(&self) -> Result<(), String> {
        match self.latitude.is_some() == self.longitude.is_some() {
            true => Ok(()),
            false => Err("latitude and longitude must both be set, or neither".into()),
        }
    }

    fn set(&mut self, name: &str, value: &Value) -> Result<(), SettingError> {
        match name {
            "title" => self.title = value::of(name, title(value))?,
            "latitude" => self.latitude = value::of(name, latitude(value))?,
            "longitude" => self.longitude = value::of(name, longitude(value))?,
            _ => return Err(SettingError::Unknown(name.into(), &HOUSE_SETTINGS)),
        }
        Ok(())
    }

    fn get(&self, name: &str) -> Value {
        match name {
            "title" => json!(self.title),
            "latitude" => json!(self.latitude.map(number)),
            _ => json!(self.longitude.map(number)),
        }
    }
}

/// Settings that have been set, by their names, as JSON that was checked.
pub type SetValues = BTreeMap<&'static str, Value>;

/// What has been set here.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SetHere {
    /// Of the dimmer.
    pub house: SetValues,
    /// Of each light, by its name; this dimmer may not have all of these lights.
    pub lights: BTreeMap<String, SetValues>,
}

/// A setting of the dimmer that has this value.
///
/// # Errors
/// There is no such setting, or the value is not allowed.
pub fn house_setting(name: &str, value: &Value) -> Result<&'static str, SettingError> {
    HouseSettings::default().set(name, value)?;
    Ok(known(&HOUSE_SETTINGS, name))
}

/// The same of a light.
///
/// # Errors
/// As [`house_setting`].
pub fn light_setting(name: &str, value: &Value) -> Result<&'static str, SettingError> {
    LightSettings::default().set(name, value)?;
    Ok(known(&LIGHT_SETTINGS, name))
}

fn known(names: &'static [&'static str], name: &str) -> &'static str {
    let found = names.iter().find(|known| **known == name);
    found.expect("a setting that can be set is known")
}

/// A change of settings: for each its new value, or `null` for that of the file or the default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SettingsChange {
    /// Of the dimmer.
    pub house: Map<String, Value>,
    /// Of each light, by its name.
    pub lights: BTreeMap<String, Map<String, Value>>,
}

/// What the settings file says.
#[derive(Debug, Default)]
pub struct FileSettings {
    /// Whether nothing may be set here.
    pub locked: bool,
    /// Of the dimmer.
    pub house: HouseSettings,
    /// The names of those that are in the file.
    pub given: BTreeSet<String>,
    /// Of each light, by its name, with the names of those that are in the file.
    pub lights: BTreeMap<String, (LightSettings, BTreeSet<String>)>,
}

/// All settings: what has been set here is a watched value, like the lights.
pub struct Settings {
    file: FileSettings,
    here: watch::Sender<Arc<SetHere>>,
    /// Held while settings are changed, so that two changes do not lose one another.
    changing: Mutex<()>,
}

/// A setting: its name, its value and where that comes from.
pub type NamedSetting = (&'static str, Value, SettingSource);

impl Settings {
    /// The settings of the file, and those that were set here and kept on disk.
    pub fn new(file: FileSettings, here: SetHere) -> Settings {
        Settings {
            file,
            here: watch::Sender::new(Arc::new(here)),
            changing: Mutex::default(),
        }
    }

    /// Follows what has been set here.
    pub fn watch(&self) -> watch::Receiver<Arc<SetHere>> {
        self.here.subscribe()
    }

    /// What has been set here, even if it has no effect.
    pub fn here(&self) -> Arc<SetHere> {
        self.here.borrow().clone()
    }

    /// Whether nothing may be set here.
    pub fn is_locked(&self) -> bool {
        self.file.locked
    }

    /// The settings of the dimmer.
    pub fn house(&self) -> HouseSettings {
        let here = self.effective();
        let house = self.house_of(&here);
        house.unwrap_or_else(|_| self.file.house.clone())
    }

    /// The settings of the light of this name; and why something that was set here has no effect.
    pub fn light(&self, name: &str) -> (LightSettings, Option<String>) {
        let (set, problem) = self.set_values(name);
        let settings = self.light_with(name, &set);
        let settings = settings.unwrap_or_else(|_| self.file_light(name));
        (settings, problem)
    }

    /// The settings of the dimmer with their sources.
    pub fn house_list(&self) -> Vec<NamedSetting> {
        let (house, here) = (self.house(), self.effective());
        let list = HOUSE_SETTINGS.into_iter();
        list.map(|name| {
            let source = source(name, &here.house, &self.file.given);
            (name, house.get(name), source)
        })
        .collect()
    }

    /// The settings of the light of this name with their sources.
    pub fn light_list(&self, light: &str) -> Vec<NamedSetting> {
        let (settings, _) = self.light(light);
        let (set, _) = self.set_values(light);
        let none = BTreeSet::new();
        let given = self.file.lights.get(light).map(|(_, given)| given);
        let list = LIGHT_SETTINGS.into_iter();
        list.map(|name| {
            let source = source(name, &set, given.unwrap_or(&none));
            (name, settings.get(name), source)
        })
        .collect()
    }

    /// To be held from [`Settings::changed`] to [`Settings::replace`].
    pub(super) fn lock(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is set here after a change.
    ///
    /// # Errors
    /// The settings are locked, or a value is not allowed.
    pub(super) fn changed(&self, change: &SettingsChange) -> Result<SetHere, SettingError> {
        if self.is_locked() {
            return Err(SettingError::Locked);
        }
        let mut here = (*self.here()).clone();
        merge(&mut here.house, &change.house, house_setting)?;
        self.house_of(&here).map_err(SettingError::Wrong)?;
        for (light, values) in &change.lights {
            let of_light = |error| SettingError::OfLight(light.clone(), Box::new(error));
            let set = here.lights.entry(light.clone()).or_default();
            merge(set, values, light_setting).map_err(of_light)?;
            self.light_with(light, set).map_err(SettingError::Wrong)?;
            if set.is_empty() {
                here.lights.remove(light);
            }
        }
        Ok(here)
    }

    pub(super) fn replace(&self, here: SetHere) {
        self.here.send_if_modified(|before| {
            let differs = **before != here;
            *before = Arc::new(here);
            differs
        });
    }

    /// What has been set here and has an effect.
    fn effective(&self) -> Arc<SetHere> {
        match self.is_locked() {
            true => Arc::default(),
            false => self.here(),
        }
    }

    fn file_light(&self, name: &str) -> LightSettings {
        let of_file = self.file.lights.get(name);
        of_file.map_or_else(LightSettings::default, |(settings, _)| settings.clone())
    }

    /// What has been set here of a light, without a range that contradicts the file; and that error.
    fn set_values(&self, name: &str) -> (SetValues, Option<String>) {
        let here = self.effective();
        let mut set = here.lights.get(name).cloned().unwrap_or_default();
        let problem = self.light_with(name, &set).err().map(|error| {
            set.retain(|name, _| !["min_duty", "max_duty"].contains(name));
            format!("min_duty and max_duty that were set here have no effect: {error}")
        });
        (set, problem)
    }

    fn light_with(&self, name: &str, set: &SetValues) -> Result<LightSettings, String> {
        let mut settings = self.file_light(name);
        for (setting, value) in set {
            let set = settings.set(setting, value);
            set.map_err(|error| error.to_string())?;
        }
        check_range(name, settings.min_duty, settings.max_duty)?;
        Ok(settings)
    }

    fn house_of(&self, here: &SetHere) -> Result<HouseSettings, String> {
        let mut house = self.file.house.clone();
        for (setting, value) in &here.house {
            house
                .set(setting, value)
                .map_err(|error| error.to_string())?;
        }
        house.check()?;
        Ok(house)
    }
}

fn source(name: &str, here: &SetValues, given: &BTreeSet<String>) -> SettingSource {
    match (here.contains_key(name), given.contains(name)) {
        (true, _) => SettingSource::Here,
        (false, true) => SettingSource::File,
        (false, false) => SettingSource::Default,
    }
}

fn merge(
    set: &mut SetValues,
    change: &Map<String, Value>,
    check: fn(&str, &Value) -> Result<&'static str, SettingError>,
) -> Result<(), SettingError> {
    for (name, value) in change {
        if value.is_null() {
            // A name that is unknown is an error even then.
            match check(name, value) {
                Err(unknown @ SettingError::Unknown(..)) => return Err(unknown),
                _ => drop(set.remove(name.as_str())),
            }
        } else {
            set.insert(check(name, value)?, value.clone());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(file: LightSettings, given: &[&str], locked: bool) -> Settings {
        let given = given.iter().map(|name| (*name).to_owned()).collect();
        let file = FileSettings {
            locked,
            lights: [("led".to_owned(), (file, given))].into(),
            ..FileSettings::default()
        };
        Settings::new(file, SetHere::default())
    }

    fn change(light: &str, values: Value) -> SettingsChange {
        let Value::Object(values) = values else {
            panic!("{values}");
        };
        SettingsChange {
            lights: [(light.to_owned(), values)].into(),
            ..SettingsChange::default()
        }
    }

    fn refusal(settings: &Settings, values: Value) -> String {
        let refused = settings.changed(&change("led", values));
        refused.unwrap_err().to_string()
    }

    #[test]
    fn what_is_set_here_beats_the_file_until_it_is_reset() {
        let file = LightSettings {
            min_duty: 2.5,
            ..LightSettings::default()
        };
        let settings = settings(file, &["min_duty"], false);
        let source = |name: &str| {
            let list = settings.light_list("led");
            let found = list.into_iter().find(|(setting, ..)| *setting == name);
            let (_, value, source) = found.unwrap();
            (value, source)
        };
        assert_eq!(source("min_duty"), (json!(2.5), SettingSource::File));
        assert_eq!(source("curve"), (json!("linear"), SettingSource::Default));
        let values = json!({"min_duty": 4, "curve": "perceptual", "on_start": 30, "warmth": 2700});
        let here = settings.changed(&change("led", values)).unwrap();
        settings.replace(here);
        assert_eq!(source("min_duty"), (json!(4), SettingSource::Here));
        assert_eq!(source("curve"), (json!("perceptual"), SettingSource::Here));
        assert_eq!(source("on_start"), (json!(30), SettingSource::Here));
        let null = json!({"min_duty": null, "curve": null, "on_start": null, "warmth": null});
        let here = settings.changed(&change("led", null)).unwrap();
        settings.replace(here);
        assert_eq!(source("min_duty"), (json!(2.5), SettingSource::File));
        assert_eq!(*settings.here(), SetHere::default());
    }

    #[test]
    fn a_wrong_value_is_refused_in_the_words_of_the_settings_file() {
        let settings = settings(LightSettings::default(), &[], false);
        for (values, expected) in [
            (
                json!({"min_duty": 101}),
                "\"led\": min_duty must be from 0 to 100, not 101",
            ),
            (
                json!({"max_duty": "80"}),
                "\"led\": max_duty: invalid type: string \"80\", expected a number without quotes",
            ),
            (
                json!({"min_duty": 100}),
                "max_duty of light led must be above its min_duty, 100, up to 100, not 100",
            ),
            (
                json!({"title": ""}),
                "\"led\": title must have 1 to 40 characters, not 0",
            ),
            (
                json!({"transition": 3601}),
                "\"led\": transition must be from 0 to 3600 seconds, not 3601",
            ),
            (
                json!({"curve": "cubic"}),
                "\"led\": curve: unknown variant `cubic`, expected `linear` or `perceptual`",
            ),
            (
                json!({"on_start": "dawn"}),
                "\"led\": on_start must be \"restore\", \"off\" or a level, not \"dawn\"",
            ),
            (
                json!({"groups": ["A"]}),
                "\"led\": each of groups must be 1 to 32 of a-z, 0-9 and -, not \"A\"",
            ),
            (
                json!({"gpio": 18}),
                "\"led\": unknown setting \"gpio\"; there are title, hidden, warmth, curve, min_duty, max_duty, transition, on_start, groups",
            ),
            (
                json!({"gpio": null}),
                "\"led\": unknown setting \"gpio\"; there are title, hidden, warmth, curve, min_duty, max_duty, transition, on_start, groups",
            ),
        ] {
            assert_eq!(refusal(&settings, values), expected);
        }
        let warmth = refusal(&settings, json!({"warmth": true}));
        assert!(warmth.ends_with("not of type boolean"), "{warmth}");
    }

    #[test]
    fn a_place_is_set_as_a_whole() {
        let settings = settings(LightSettings::default(), &[], false);
        let house = |values: Value| SettingsChange {
            house: values.as_object().unwrap().clone(),
            ..SettingsChange::default()
        };
        let half = settings.changed(&house(json!({"latitude": 1.5})));
        let expected = "latitude and longitude must both be set, or neither";
        assert_eq!(half.unwrap_err().to_string(), expected);
        let here = settings.changed(&house(json!({"latitude": 1.5, "longitude": -46})));
        settings.replace(here.unwrap());
        assert_eq!(settings.house().place().unwrap().longitude, -46.0);
        let outside = settings.changed(&house(json!({"latitude": 91})));
        let expected = "latitude must be from -90 to 90 degrees, not 91";
        assert_eq!(outside.unwrap_err().to_string(), expected);
    }

    #[test]
    fn what_is_set_here_has_no_effect_where_the_file_locks_it_or_contradicts_it() {
        let here = SetHere {
            lights: [("led".into(), [("min_duty", json!(50))].into())].into(),
            ..SetHere::default()
        };
        for (max_duty, locked) in [(100.0, true), (40.0, false)] {
            let file = LightSettings {
                max_duty,
                ..LightSettings::default()
            };
            let settings = settings(file, &["max_duty"], locked);
            settings.replace(here.clone());
            let (led, problem) = settings.light("led");
            assert_eq!((led.min_duty, led.max_duty), (0.0, max_duty));
            assert_eq!(problem.is_some(), !locked);
            let list = settings.light_list("led");
            assert!(
                list.iter()
                    .all(|(.., source)| *source != SettingSource::Here)
            );
            assert_eq!(*settings.here(), here, "it is kept");
        }
    }
}
