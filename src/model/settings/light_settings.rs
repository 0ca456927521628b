//! The settings of a light: [`LightSettings`].

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::SettingError;
use super::value::{self, groups, max_duty, min_duty, title, transition, warmth};
use crate::model::level::{Curve, Level};
use crate::model::warmth::Warmth;

/// The names of the settings of a light.
pub const LIGHT_SETTINGS: [&str; 9] = [
    "title",
    "hidden",
    "warmth",
    "curve",
    "min_duty",
    "max_duty",
    "transition",
    "on_start",
    "groups",
];

/// What the settings of a light are.
#[derive(Debug, Clone, PartialEq)]
pub struct LightSettings {
    /// The name for people: 1 to 40 characters; `None` for the name.
    pub title: Option<String>,
    /// Whether the page does not show the light.
    pub hidden: bool,
    /// The colour that the LED shines in, for the page.
    pub warmth: Option<Warmth>,
    /// The curve from levels to luminance.
    pub curve: Curve,
    /// Duty in percent, 0 to 100, below which the LED stays dark.
    pub min_duty: f64,
    /// Duty in percent at level 100: above `min_duty`, up to 100.
    pub max_duty: f64,
    /// Duration of changes that name none.
    pub transition: Duration,
    /// Level when the service starts, as after a power cut.
    pub on_start: OnStart,
    /// Groups of the light, which are set together by MQTT.
    pub groups: Vec<String>,
}

impl Default for LightSettings {
    fn default() -> LightSettings {
        LightSettings {
            title: None,
            hidden: false,
            warmth: None,
            curve: Curve::default(),
            min_duty: 0.0,
            max_duty: 100.0,
            transition: Duration::ZERO,
            on_start: OnStart::Restore,
            groups: Vec::new(),
        }
    }
}

impl LightSettings {
    /// The duty, 0 to 1, for a brightness of 0 to 1: 0 for 0, otherwise between `min_duty` and `max_duty`.
    pub fn duty(&self, brightness: f64) -> f64 {
        if brightness > 0.0 {
            (self.min_duty + (self.max_duty - self.min_duty) * brightness) / 100.0
        } else {
            0.0
        }
    }

    pub(super) fn set(&mut self, name: &str, value: &Value) -> Result<(), SettingError> {
        match name {
            "title" => self.title = value::of(name, title(value))?,
            "hidden" => self.hidden = value::of(name, bool::deserialize(value))?,
            "warmth" => self.warmth = value::of(name, warmth(value))?,
            "curve" => self.curve = value::of(name, Curve::deserialize(value))?,
            "min_duty" => self.min_duty = value::of(name, min_duty(value))?,
            "max_duty" => self.max_duty = value::of(name, max_duty(value))?,
            "transition" => self.transition = value::of(name, transition(value))?,
            "on_start" => self.on_start = value::of(name, OnStart::deserialize(value))?,
            "groups" => self.groups = value::of(name, groups(value))?,
            _ => return Err(SettingError::Unknown(name.into(), &LIGHT_SETTINGS)),
        }
        Ok(())
    }

    pub(super) fn get(&self, name: &str) -> Value {
        match name {
            "title" => json!(self.title),
            "hidden" => json!(self.hidden),
            "warmth" => json!(self.warmth),
            "curve" => json!(self.curve),
            "min_duty" => number(self.min_duty),
            "max_duty" => number(self.max_duty),
            "transition" => number(self.transition.as_secs_f64()),
            "on_start" => json!(self.on_start),
            _ => json!(self.groups),
        }
    }
}

/// A number as people write it: 100, not 100.0.
pub fn number(number: f64) -> Value {
    match number.fract() == 0.0 {
        true => json!(number as i64),
        false => json!(number),
    }
}

/// Checks the duties of the light of this name.
///
/// # Errors
/// `max_duty` is not above `min_duty`.
pub fn check_range(light: &str, min_duty: f64, max_duty: f64) -> Result<(), String> {
    match max_duty > min_duty {
        true => Ok(()),
        false => Err(format!(
            "max_duty of light {light} must be above its min_duty, {min_duty}, up to 100, not {max_duty}"
        )),
    }
}

/// The level of a light when the service starts.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "WordOrNumber", into = "Value")]
pub enum OnStart {
    /// The stored level; 50 percent if there is none.
    Restore,
    /// This level.
    Level(Level),
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "on_start must be \"restore\", \"off\" or a level"
)]
enum WordOrNumber {
    Word(String),
    Number(f64),
}

impl TryFrom<WordOrNumber> for OnStart {
    type Error = String;

    fn try_from(value: WordOrNumber) -> Result<OnStart, String> {
        match value {
            WordOrNumber::Word(word) if word == "restore" => Ok(OnStart::Restore),
            WordOrNumber::Word(word) if word == "off" => Ok(OnStart::Level(Level::OFF)),
            WordOrNumber::Word(word) => Err(format!(
                "on_start must be \"restore\", \"off\" or a level, not {word:?}"
            )),
            WordOrNumber::Number(percent) => Level::from_percent(percent)
                .map(OnStart::Level)
                .map_err(|error| format!("on_start {error}")),
        }
    }
}

impl From<OnStart> for Value {
    fn from(on_start: OnStart) -> Value {
        match on_start {
            OnStart::Restore => json!("restore"),
            OnStart::Level(Level::OFF) => json!("off"),
            OnStart::Level(level) => number(level.percent()),
        }
    }
}
