//! Checks the values of single settings, in TOML or JSON. Each error names the setting, the value and what is allowed.

use std::fmt::Display;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use super::error::SettingError;
use crate::model::text::Name;
use crate::model::transition;
use crate::model::warmth::Warmth;

/// The most groups of a light.
pub const MAX_GROUPS: usize = 8;

/// The value of a setting, or the error, which names the setting in any case.
pub fn of<T>(setting: &str, value: Result<T, serde_json::Error>) -> Result<T, SettingError> {
    value.map_err(|error| {
        let text = in_words(&error.to_string());
        SettingError::Wrong(match text.contains(setting) {
            true => text,
            false => format!("{setting}: {text}"),
        })
    })
}

/// serde's message about a type, which calls it as people do.
pub fn in_words(message: &str) -> String {
    let words = [
        ("expected i64", "expected a whole number without quotes"),
        ("expected f64", "expected a number without quotes"),
        ("expected usize", "expected a whole number without quotes"),
        (
            "expected a boolean",
            "expected true or false without quotes",
        ),
    ];
    let replaced = |message: String, (name, words)| message.replace(name, words);
    words.into_iter().fold(message.to_owned(), replaced)
}

/// What an error says of a value that is not of the right type.
pub fn quoted(value: &Value) -> String {
    let name = match value {
        Value::String(text) => return format!("{text:?}"),
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "integer",
        Value::Array(_) => "array",
        Value::Object(_) => "table",
        Value::Null => "null",
    };
    format!("of type {name}")
}

/// The name for people of a light or a dimmer.
///
/// # Errors
/// It is no [`Name`].
pub fn title<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let title = String::deserialize(deserializer)?;
    match Name::new(&title) {
        Ok(_) => Ok(Some(title)),
        Err(error) => wrong("title", error),
    }
}

/// Kelvin, or a colour of CSS.
#[derive(Deserialize)]
#[serde(untagged)]
enum KelvinOrColour {
    Kelvin(i64),
    Other(Value),
}

/// The colour of an LED.
///
/// # Errors
/// It is neither a temperature in kelvin nor a colour of CSS.
pub fn warmth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Warmth>, D::Error> {
    let (warmth, text) = match KelvinOrColour::deserialize(deserializer)? {
        KelvinOrColour::Kelvin(kelvin) => (Warmth::from_kelvin(kelvin), kelvin.to_string()),
        KelvinOrColour::Other(value) => {
            let warmth = value.as_str().and_then(|text| text.parse().ok());
            (warmth, quoted(&value))
        }
    };
    warmth.map(Some).ok_or_else(|| {
        de::Error::custom(format!(
            "warmth must be the LED's colour, in kelvin from {} to {} as in warmth = 2700, or as in warmth = \"#ffa757\", not {text}",
            Warmth::MIN_KELVIN,
            Warmth::MAX_KELVIN
        ))
    })
}

/// The duty in percent at which a light begins.
///
/// # Errors
/// It is no number from 0 to 100.
pub fn min_duty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    percent(deserializer, "min_duty")
}

/// The duty in percent at level 100.
///
/// # Errors
/// It is no number from 0 to 100.
pub fn max_duty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    percent(deserializer, "max_duty")
}

fn percent<'de, D: Deserializer<'de>>(deserializer: D, setting: &str) -> Result<f64, D::Error> {
    let percent = f64::deserialize(deserializer)?;
    match (0.0..=100.0).contains(&percent) {
        true => Ok(percent),
        false => wrong(
            setting,
            format_args!("must be from 0 to 100, not {percent}"),
        ),
    }
}

/// The time of changes that name none.
///
/// # Errors
/// It is no number of seconds from 0 to 3600.
pub fn transition<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    transition::transition(f64::deserialize(deserializer)?).map_err(de::Error::custom)
}

/// The groups of a light.
///
/// # Errors
/// There are more than [`MAX_GROUPS`], or one has no valid name.
pub fn groups<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let groups = Vec::<String>::deserialize(deserializer)?;
    let count = groups.len();
    if count > MAX_GROUPS {
        return wrong(
            "groups",
            format_args!("must be at most {MAX_GROUPS}, not {count}"),
        );
    }
    let checked = groups
        .into_iter()
        .map(|group| check_name("each of groups", group));
    checked.collect()
}

/// Checks that a name can be part of topics and URLs. The error names the setting and what is allowed.
///
/// # Errors
/// It cannot.
pub fn check_name<E: de::Error>(setting: &str, name: String) -> Result<String, E> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    match (1..=32).contains(&name.len()) && name.bytes().all(allowed) {
        true => Ok(name),
        false => wrong(
            setting,
            format_args!("must be 1 to 32 of a-z, 0-9 and -, not {name:?}"),
        ),
    }
}

/// Degrees north.
///
/// # Errors
/// It is no number from -90 to 90.
pub fn latitude<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    degrees(deserializer, "latitude", 90.0)
}

/// Degrees east.
///
/// # Errors
/// It is no number from -180 to 180.
pub fn longitude<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    degrees(deserializer, "longitude", 180.0)
}

fn degrees<'de, D: Deserializer<'de>>(
    deserializer: D,
    setting: &str,
    max: f64,
) -> Result<Option<f64>, D::Error> {
    let degrees = f64::deserialize(deserializer)?;
    match (-max..=max).contains(&degrees) {
        true => Ok(Some(degrees)),
        false => wrong(
            setting,
            format_args!("must be from -{max} to {max} degrees, not {degrees}"),
        ),
    }
}

fn wrong<T, E: de::Error>(setting: &str, why: impl Display) -> Result<T, E> {
    Err(E::custom(format!("{setting} {why}")))
}
