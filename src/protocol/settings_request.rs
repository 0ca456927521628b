//! Reads a change of settings: of messages and of REST requests.

use serde_json::{Map, Value};

use super::fields::SETTINGS;
use super::input_error::InputError;
use crate::model::settings::SettingsChange;

/// The field with the settings of lights, beside those of the dimmer.
pub const OF_LIGHTS: &str = "lights";

/// The change in these fields.
///
/// # Errors
/// The lights, or one of them, are no object.
pub fn parse(mut fields: Map<String, Value>) -> Result<SettingsChange, InputError> {
    let lights = match fields.remove(OF_LIGHTS) {
        None => Map::new(),
        Some(Value::Object(lights)) => lights,
        Some(other) => {
            let why = format!("lights of settings must be an object, not {other}");
            return Err(InputError::malformed(why));
        }
    };
    let lights = lights.into_iter().map(|(name, values)| match values {
        Value::Object(values) => Ok((name, values)),
        other => Err(SETTINGS.malformed("an object", &other).of_light(&name)),
    });
    Ok(SettingsChange {
        lights: lights.collect::<Result<_, _>>()?,
        house: fields,
    })
}
