//! The settings of one light.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use crate::model::effect::Speed;
use crate::model::level::{Curve, Level};
use crate::model::lights::{self, Driver, Light};
use crate::model::text::Name;

/// Most groups that a light is in.
const MAX_GROUPS: usize = 8;

/// One `[[light]]` of `dimmer.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LightConfig {
    /// What people and programs call it: 1 to 32 of a-z, 0-9 and `-`.
    #[serde(deserialize_with = "name")]
    pub name: String,
    /// What people read instead, if it is anything else: 1 to 40 characters.
    #[serde(deserialize_with = "title")]
    pub title: Option<String>,
    /// Whether it is for programs alone, and not on the page.
    pub hidden: bool,
    /// BCM number of its GPIO, 0 to 27.
    #[serde(deserialize_with = "gpio")]
    pub gpio: u8,
    /// BCM number of the GPIO of its button, 0 to 27, if it has one.
    #[serde(deserialize_with = "button_gpio")]
    pub button_gpio: Option<u8>,
    /// What moves its pin.
    pub driver: DriverChoice,
    /// PWM frequency in Hz; `None` for the driver's own.
    #[serde(deserialize_with = "frequency")]
    pub frequency: Option<u32>,
    /// How its level becomes light.
    pub curve: Curve,
    /// Whether the LED is wired to the supply, so that a low pin lights it.
    pub invert: bool,
    /// Duty in percent, 0 to 100, where the light begins: the LED is dark below it.
    #[serde(deserialize_with = "min_duty")]
    pub min_duty: f64,
    /// Duty in percent of the full light: above `min_duty`, up to 100.
    #[serde(deserialize_with = "max_duty")]
    pub max_duty: f64,
    /// Time a change takes when it does not say.
    #[serde(deserialize_with = "transition")]
    pub transition: Duration,
    /// Whether its effects may flash more than three times a second.
    pub allow_fast_strobe: bool,
    /// Level when the service starts.
    pub on_start: OnStart,
    /// What the pin does when the service stops.
    pub on_stop: OnStop,
    /// Groups of lights that MQTT moves together, on all dimmers of a broker; named like lights.
    #[serde(deserialize_with = "groups")]
    pub groups: Vec<String>,
}

impl Default for LightConfig {
    fn default() -> LightConfig {
        LightConfig {
            name: "led".into(),
            title: None,
            hidden: false,
            gpio: 21,
            button_gpio: None,
            driver: DriverChoice::Auto,
            frequency: None,
            curve: Curve::default(),
            invert: false,
            min_duty: 0.0,
            max_duty: 100.0,
            transition: Duration::ZERO,
            allow_fast_strobe: false,
            on_start: OnStart::Restore,
            on_stop: OnStop::Off,
            groups: Vec::new(),
        }
    }
}

impl LightConfig {
    /// What people read.
    pub fn title(&self) -> &str {
        self.title.as_deref().unwrap_or(&self.name)
    }

    /// The light that these settings describe, moved by this driver with its frequency in Hz and its
    /// resolution.
    pub fn light(&self, (driver, frequency, resolution): (Driver, u32, u32)) -> Light {
        Light {
            name: self.name.clone(),
            title: self.title().into(),
            hidden: self.hidden,
            gpio: self.gpio,
            driver,
            frequency,
            resolution,
            transition: self.transition,
            fastest: self.fastest(),
        }
    }

    /// The highest speed that its effects may have.
    pub fn fastest(&self) -> Speed {
        match self.allow_fast_strobe {
            true => Speed::MAX,
            false => Speed::SAFE,
        }
    }

    /// The share of time the LED is on, 0 to 1, at a share of light of 0 to 1: none at none, all
    /// else between `min_duty` and `max_duty`.
    pub fn trimmed(&self, light: f64) -> f64 {
        if light > 0.0 {
            (self.min_duty + (self.max_duty - self.min_duty) * light) / 100.0
        } else {
            0.0
        }
    }
}

/// Which driver the settings ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum DriverChoice {
    /// The best that this machine has.
    Auto,
    /// A pwmchip of the kernel, or an error.
    KernelPwm,
    /// A thread that switches the pin, or an error.
    SoftwarePwm,
    /// No pin at all.
    Simulated,
}

/// Which level a light starts at.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "WordOrNumber")]
pub enum OnStart {
    /// The level it had; 50 percent the first time.
    Restore,
    /// This one.
    Level(Level),
}

/// What happens to a pin when the service stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnStop {
    /// The LED goes dark.
    Off,
    /// The pin keeps its duty, where the kernel drives it.
    Keep,
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    fit_name("name", String::deserialize(deserializer)?)
}

/// A name that fits topics and addresses, or an error that names the setting and what is allowed.
pub(super) fn fit_name<E: de::Error>(setting: &str, name: String) -> Result<String, E> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=32).contains(&name.len()) && name.bytes().all(allowed) {
        Ok(name)
    } else {
        Err(E::custom(format!(
            "{setting} must be 1 to 32 of a-z, 0-9 and -, not {name:?}"
        )))
    }
}

fn groups<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let groups = Vec::<String>::deserialize(deserializer)?;
    let count = groups.len();
    if count > MAX_GROUPS {
        return Err(de::Error::custom(format!(
            "groups must be at most {MAX_GROUPS}, not {count}"
        )));
    }
    groups
        .into_iter()
        .map(|group| fit_name("each of groups", group))
        .collect()
}

fn title<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let title = String::deserialize(deserializer)?;
    match Name::new(&title) {
        Ok(_) => Ok(Some(title)),
        Err(error) => Err(de::Error::custom(format!("title {error}"))),
    }
}

/// A whole number in `range`, or an error that names the setting, the number and the range.
fn whole<'de, D: Deserializer<'de>>(
    deserializer: D,
    setting: &str,
    range: std::ops::RangeInclusive<i64>,
) -> Result<i64, D::Error> {
    let number = i64::deserialize(deserializer)?;
    if range.contains(&number) {
        Ok(number)
    } else {
        Err(de::Error::custom(format!(
            "{setting} must be from {} to {}, not {number}",
            range.start(),
            range.end()
        )))
    }
}

fn gpio<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    whole(deserializer, "gpio", 0..=27).map(|gpio| gpio as u8)
}

fn button_gpio<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    whole(deserializer, "button_gpio", 0..=27).map(|gpio| Some(gpio as u8))
}

fn frequency<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    whole(deserializer, "frequency", 1..=100_000).map(|hz| Some(hz as u32))
}

/// A share of the duty in percent, or an error that names the setting, the number and the range.
fn percent<'de, D: Deserializer<'de>>(deserializer: D, setting: &str) -> Result<f64, D::Error> {
    let percent = f64::deserialize(deserializer)?;
    if (0.0..=100.0).contains(&percent) {
        Ok(percent)
    } else {
        Err(de::Error::custom(format!(
            "{setting} must be from 0 to 100, not {percent}"
        )))
    }
}

fn min_duty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    percent(deserializer, "min_duty")
}

fn max_duty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    percent(deserializer, "max_duty")
}

fn transition<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    lights::transition(f64::deserialize(deserializer)?).map_err(de::Error::custom)
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
