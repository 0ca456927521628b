//! The settings of one light.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use crate::model::effect::Speed;
use crate::model::level::Curve;
use crate::model::lights::{Driver, Light};
use crate::model::settings::{self, LightSettings, OnStart};
use crate::model::warmth::Warmth;

/// One `[[light]]` of `dimmer.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LightConfig {
    /// The name for programs: 1 to 32 of a-z, 0-9 and `-`.
    #[serde(deserialize_with = "name")]
    pub name: String,
    /// The name for people: 1 to 40 characters; `None` for the name.
    #[serde(deserialize_with = "settings::title")]
    pub title: Option<String>,
    /// Whether the page does not show the light.
    pub hidden: bool,
    /// The colour that the LED shines in, for the page.
    #[serde(deserialize_with = "settings::warmth")]
    pub warmth: Option<Warmth>,
    /// GPIO of the LED as a BCM number, 0 to 27.
    #[serde(deserialize_with = "gpio")]
    pub gpio: u8,
    /// GPIO of the button as a BCM number, 0 to 27, if there is a button.
    #[serde(deserialize_with = "button_gpio")]
    pub button_gpio: Option<u8>,
    /// Whether to take GPIOs that the device tree has given to another device.
    pub allow_shared_gpio: bool,
    /// The driver of the pin.
    pub driver: DriverChoice,
    /// PWM frequency in Hz; `None` for the driver's default.
    #[serde(deserialize_with = "frequency")]
    pub frequency: Option<u32>,
    /// The curve from levels to duties.
    pub curve: Curve,
    /// Whether the LED is wired to the supply voltage, so that it is on while the pin is low.
    pub invert: bool,
    /// Duty in percent, 0 to 100, below which the LED stays dark.
    #[serde(deserialize_with = "settings::min_duty")]
    pub min_duty: f64,
    /// Duty in percent at level 100: above `min_duty`, up to 100.
    #[serde(deserialize_with = "settings::max_duty")]
    pub max_duty: f64,
    /// Duration of changes that name none.
    #[serde(deserialize_with = "settings::transition")]
    pub transition: Duration,
    /// Whether effects may flash more than three times a second.
    pub allow_fast_strobe: bool,
    /// Level when the service starts.
    pub on_start: OnStart,
    /// The pin after the service has stopped.
    pub on_stop: OnStop,
    /// Groups of the light, named like lights: an MQTT command to a group changes its lights on all dimmers
    /// of the broker.
    #[serde(deserialize_with = "settings::groups")]
    pub groups: Vec<String>,
    /// The names of the settings that are in the file.
    #[serde(skip)]
    pub given: BTreeSet<String>,
}

impl Default for LightConfig {
    fn default() -> LightConfig {
        LightConfig {
            name: "led".into(),
            title: None,
            hidden: false,
            warmth: None,
            gpio: 21,
            button_gpio: None,
            allow_shared_gpio: false,
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
            given: BTreeSet::new(),
        }
    }
}

impl LightConfig {
    /// The settings that may be changed while the service runs.
    pub fn settings(&self) -> LightSettings {
        LightSettings {
            title: self.title.clone(),
            hidden: self.hidden,
            warmth: self.warmth,
            curve: self.curve,
            min_duty: self.min_duty,
            max_duty: self.max_duty,
            transition: self.transition,
            on_start: self.on_start,
            groups: self.groups.clone(),
        }
    }

    /// The light that these settings describe, with its driver, the frequency in Hz and the number of
    /// steps of the duty.
    pub fn light(&self, (driver, frequency, resolution): (Driver, u32, u32)) -> Light {
        Light {
            name: self.name.clone(),
            gpio: self.gpio,
            driver,
            frequency,
            resolution,
            fastest: self.fastest(),
            fallback: None,
        }
    }

    /// The highest speed of effects.
    pub fn fastest(&self) -> Speed {
        match self.allow_fast_strobe {
            true => Speed::MAX,
            false => Speed::SAFE,
        }
    }
}

/// The driver that the settings ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum DriverChoice {
    /// The best driver that this machine has for the GPIO.
    Auto,
    /// The kernel's PWM; without a channel for the GPIO, an error.
    KernelPwm,
    /// A thread that switches the pin; without a GPIO chip, an error.
    SoftwarePwm,
    /// No pin: the LED is simulated.
    Simulated,
}

/// The pin after the service has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnStop {
    /// The LED is off.
    Off,
    /// The pin keeps its duty, where the kernel drives it.
    Keep,
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    settings::check_name("name", String::deserialize(deserializer)?)
}

/// An integer in `range`. The error names the setting, the number and the range.
fn integer<'de, D: Deserializer<'de>>(
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

/// A BCM number, or what people write instead of one.
#[derive(Deserialize)]
#[serde(untagged)]
enum GpioText {
    Number(i64),
    Other(Value),
}

fn gpio_number<'de, D: Deserializer<'de>>(deserializer: D, setting: &str) -> Result<u8, D::Error> {
    let text = match GpioText::deserialize(deserializer)? {
        GpioText::Number(number) => number.to_string(),
        GpioText::Other(value) => {
            return Err(de::Error::custom(format!(
                "{setting} must be a number from 0 to 27 without quotes, as in {setting} = 21, not {}",
                settings::quoted(&value)
            )));
        }
    };
    parse_gpio(&text).map_err(|error| de::Error::custom(format!("{setting} {error}")))
}

/// Parses a BCM number. The error says what is allowed, and which GPIO a pin of the header is.
pub(super) fn parse_gpio(text: &str) -> Result<u8, String> {
    let number: Option<u8> = text.parse().ok();
    if let Some(gpio @ 0..=27) = number {
        return Ok(gpio);
    }
    let of_pin = number.and_then(gpio_of_pin);
    let hint = of_pin.map(|gpio| format!("; pin {text} of the header is GPIO {gpio}"));
    Err(format!(
        "must be from 0 to 27, not {text}{}",
        hint.unwrap_or_default()
    ))
}

/// The GPIO at a pin of the header whose number is none of a GPIO.
fn gpio_of_pin(pin: u8) -> Option<u8> {
    Some(match pin {
        28 => 1,
        29 => 5,
        31 => 6,
        32 => 12,
        33 => 13,
        35 => 19,
        36 => 16,
        37 => 26,
        38 => 20,
        40 => 21,
        _ => return None,
    })
}

fn gpio<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    gpio_number(deserializer, "gpio")
}

fn button_gpio<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    gpio_number(deserializer, "button_gpio").map(Some)
}

fn frequency<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    integer(deserializer, "frequency", 1..=100_000).map(|hz| Some(hz as u32))
}
