//! Settings that were set here, as the file has them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::entry::{Fields, Problem, Problems, object};
use crate::model::settings::{SetHere, SetValues, SettingError, house_setting, light_setting};

/// The field with the settings of lights, by their names.
const LIGHTS: &str = "lights";

/// The settings, and the rest: what is not understood, and was not set since.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KeptSettings {
    known: SetHere,
    whole: Fields,
}

impl KeptSettings {
    pub fn read(whole: Fields, problems: &mut Problems) -> KeptSettings {
        let mut known = SetHere::default();
        for (name, value) in &whole {
            if name == LIGHTS {
                known.lights = read_lights(value, problems);
            } else {
                let setting = read(name, value, house_setting);
                let setting = problems.or_none_of("settings", setting);
                known.house.extend(setting);
            }
        }
        KeptSettings { known, whole }
    }

    /// What is understood.
    pub fn known(&self) -> &SetHere {
        &self.known
    }

    pub fn whole(&self) -> &Fields {
        &self.whole
    }

    /// Replaces what is known, and leaves the rest.
    pub fn set(&mut self, known: &SetHere) {
        if self.known == *known {
            return;
        }
        change(&mut self.whole, &self.known.house, &known.house);
        let mut lights = match self.whole.remove(LIGHTS) {
            Some(Value::Object(lights)) => lights,
            _ => Map::new(),
        };
        let none = SetValues::new();
        for name in self.known.lights.keys().chain(known.lights.keys()) {
            let of = |here: &SetHere| here.lights.get(name).unwrap_or(&none).clone();
            let mut light = match lights.remove(name) {
                Some(Value::Object(light)) => light,
                _ => Map::new(),
            };
            change(&mut light, &of(&self.known), &of(known));
            if !light.is_empty() {
                lights.insert(name.clone(), light.into());
            }
        }
        if !lights.is_empty() {
            self.whole.insert(LIGHTS.into(), lights.into());
        }
        self.known = known.clone();
    }
}

fn read_lights(value: &Value, problems: &mut Problems) -> BTreeMap<String, SetValues> {
    let mut known = BTreeMap::new();
    let lights = problems.or_none_of("settings of lights", object(value));
    for (light, values) in lights.into_iter().flatten() {
        let what = format!("settings of light {light:?}");
        let values = problems.or_none_of(&what, object(values));
        let mut set = SetValues::new();
        for (name, value) in values.into_iter().flatten() {
            set.extend(problems.or_none_of(&what, read(name, value, light_setting)));
        }
        if !set.is_empty() {
            known.insert(light.clone(), set);
        }
    }
    known
}

fn read(
    name: &str,
    value: &Value,
    check: fn(&str, &Value) -> Result<&'static str, SettingError>,
) -> Result<(&'static str, Value), Problem> {
    match check(name, value) {
        Ok(name) => Ok((name, value.clone())),
        Err(SettingError::Unknown(..)) => {
            Err(Problem::unknown(format!("unknown setting {name:?}")))
        }
        // A newer version may have more words.
        Err(error) if value.is_string() && ["curve", "on_start"].contains(&name) => {
            Err(Problem::unknown(error.to_string()))
        }
        Err(error) => Err(error.to_string().into()),
    }
}

/// Makes the change from some values to others.
fn change(whole: &mut Fields, from: &SetValues, to: &SetValues) {
    whole.retain(|name, _| !from.contains_key(name.as_str()) || to.contains_key(name.as_str()));
    let set = to
        .iter()
        .filter(|(name, value)| from.get(*name) != Some(*value));
    whole.extend(set.map(|(name, value)| ((*name).to_owned(), value.clone())));
}
