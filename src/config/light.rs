//! The settings of one light.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use crate::model::effect::Speed;
use crate::model::level::{Curve, Level};
use crate::model::lights::{self, Driver, Light};
use crate::model::text::Name;
use crate::model::warmth::Warmth;

/// The most groups of a light.
const MAX_GROUPS: usize = 8;

/// One `[[light]]` of `dimmer.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LightConfig {
    /// The name for programs: 1 to 32 of a-z, 0-9 and `-`.
    #[serde(deserialize_with = "name")]
    pub name: String,
    /// The name for people: 1 to 40 characters; `None` for the name.
    #[serde(deserialize_with = "title")]
    pub title: Option<String>,
    /// Whether the page does not show the light.
    pub hidden: bool,
    /// The colour that the LED shines in, for the page.
    #[serde(deserialize_with = "warmth")]
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
    #[serde(deserialize_with = "min_duty")]
    pub min_duty: f64,
    /// Duty in percent at level 100: above `min_duty`, up to 100.
    #[serde(deserialize_with = "max_duty")]
    pub max_duty: f64,
    /// Duration of changes that name none.
    #[serde(deserialize_with = "transition")]
    pub transition: Duration,
    /// Whether effects may flash more than three times a second.
    pub allow_fast_strobe: bool,
    /// Level when the service starts.
    pub on_start: OnStart,
    /// The pin after the service has stopped.
    pub on_stop: OnStop,
    /// Groups of the light, named like lights: an MQTT command to a group changes its lights on all dimmers
    /// of the broker.
    #[serde(deserialize_with = "groups")]
    pub groups: Vec<String>,
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
        }
    }
}

impl LightConfig {
    /// The name for people.
    pub fn title(&self) -> &str {
        self.title.as_deref().unwrap_or(&self.name)
    }

    /// The light that these settings describe, with its driver, the frequency in Hz and the number of
    /// steps of the duty.
    pub fn light(&self, (driver, frequency, resolution): (Driver, u32, u32)) -> Light {
        Light {
            name: self.name.clone(),
            title: self.title().into(),
            hidden: self.hidden,
            warmth: self.warmth,
            gpio: self.gpio,
            driver,
            frequency,
            resolution,
            curve: self.curve,
            transition: self.transition,
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

    /// The duty, 0 to 1, for a brightness of 0 to 1: 0 for 0, otherwise between `min_duty` and
    /// `max_duty`.
    pub fn trimmed(&self, brightness: f64) -> f64 {
        if brightness > 0.0 {
            (self.min_duty + (self.max_duty - self.min_duty) * brightness) / 100.0
        } else {
            0.0
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

/// The level of a light when the service starts.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "WordOrNumber")]
pub enum OnStart {
    /// The stored level; 50 percent if there is none.
    Restore,
    /// This level.
    Level(Level),
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
    check_name("name", String::deserialize(deserializer)?)
}

/// Checks that a name can be part of topics and URLs. The error names the setting and what is allowed.
pub(super) fn check_name<E: de::Error>(setting: &str, name: String) -> Result<String, E> {
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
        .map(|group| check_name("each of groups", group))
        .collect()
}

fn title<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let title = String::deserialize(deserializer)?;
    match Name::new(&title) {
        Ok(_) => Ok(Some(title)),
        Err(error) => Err(de::Error::custom(format!("title {error}"))),
    }
}

/// Kelvin, or a colour of CSS.
#[derive(Deserialize)]
#[serde(untagged)]
enum KelvinOrColour {
    Kelvin(i64),
    Other(toml::Value),
}

fn warmth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Warmth>, D::Error> {
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
    Other(toml::Value),
}

fn gpio_number<'de, D: Deserializer<'de>>(deserializer: D, setting: &str) -> Result<u8, D::Error> {
    let text = match GpioText::deserialize(deserializer)? {
        GpioText::Number(number) => number.to_string(),
        GpioText::Other(value) => {
            return Err(de::Error::custom(format!(
                "{setting} must be a number from 0 to 27 without quotes, as in {setting} = 21, not {}",
                quoted(&value)
            )));
        }
    };
    parse_gpio(&text).map_err(|error| de::Error::custom(format!("{setting} {error}")))
}

/// What an error says of a value that is no number.
fn quoted(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => format!("{text:?}"),
        other => format!("of type {}", other.type_str()),
    }
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

/// A duty in percent. The error names the setting, the number and the range.
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
