//! Commands and states in Home Assistant's JSON schema for lights: in percent for any MQTT program, and
//! in [`Format::HomeAssistant`] for Home Assistant itself.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use super::flash;
use crate::model::effect::{Effect, Speed};
use crate::model::level::Level;
use crate::model::lights::{Change, LightState};
use crate::protocol::fields::{self, BRIGHTNESS, EFFECT, FULL_PERMILLE, PERMILLE};
use crate::protocol::input_error::InputError;
use crate::protocol::light_change;

/// Home Assistant's name for no effect.
pub const NO_EFFECT: &str = "off";

/// A command to a light.
#[derive(Debug, PartialEq)]
pub struct LightCommand {
    /// To be executed in this order.
    pub changes: Vec<Change>,
    /// Duration of the changes; `None` for the light's own.
    pub transition: Option<Duration>,
    /// How long to flash after the changes; `None` for no flash.
    pub flash: Option<Duration>,
}

/// How a command is meant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Format {
    /// The brightness is in percent, and a command without an effect ends one.
    Plain,
    /// As Home Assistant means it: the brightness is in tenths of a percent, and another one does not end
    /// an effect.
    HomeAssistant {
        /// The speed of an effect.
        speed: Speed,
    },
}

const FIELDS: [&str; 5] = ["state", "brightness", "transition", "flash", "effect"];

impl LightCommand {
    /// Parses a command.
    ///
    /// # Errors
    /// The payload is not JSON, or a field is unknown, missing or has a value that is not allowed.
    pub fn parse(payload: &[u8], format: Format) -> Result<LightCommand, InputError> {
        LightCommand::of(&fields::object("a command", payload)?, format)
    }

    /// The command in these fields.
    ///
    /// # Errors
    /// A field is unknown, missing or has a value that is not allowed.
    pub fn of(fields: &Map<String, Value>, format: Format) -> Result<LightCommand, InputError> {
        if let Some(unknown) = fields.keys().find(|key| !FIELDS.contains(&key.as_str())) {
            let fields = FIELDS.join(", ");
            let message = format!("unknown field {unknown:?}; there are {fields}");
            return Err(InputError::malformed(message));
        }
        let transition = light_change::transition(fields)?;
        let flash = flash(fields)?;
        let (level, effect) = (format.level(fields)?, format.effect(fields)?);
        let has_effect = fields.contains_key(EFFECT.name);
        let on = match fields.get("state") {
            Some(Value::String(state)) if state == "ON" => true,
            Some(Value::String(state)) if state == "OFF" => false,
            Some(other) => {
                return Err(InputError::malformed(format!(
                    "state must be ON or OFF, not {other}"
                )));
            }
            None => {
                return Err(InputError::malformed(
                    "state must be ON or OFF, and is missing",
                ));
            }
        };
        let level = level.map(match format {
            Format::HomeAssistant { .. } if !has_effect => Change::Dim,
            _ => Change::Level,
        });
        let effect = effect.map(|effect| Change::Effect(Some(effect)));
        let changes = match (on, level, effect) {
            (false, ..) => vec![Change::On(false)],
            (true, None, None) if flash.is_some() => vec![],
            // Also ends an effect.
            (true, None, None) => vec![Change::On(true)],
            (true, level, effect) => level.into_iter().chain(effect).collect(),
        };
        Ok(LightCommand {
            changes,
            transition,
            flash: flash.filter(|_| on),
        })
    }
}

impl Format {
    fn level(self, fields: &Map<String, Value>) -> Result<Option<Level>, InputError> {
        let (field, most) = match self {
            Format::Plain => (&BRIGHTNESS, 100.0),
            Format::HomeAssistant { .. } => (&PERMILLE, FULL_PERMILLE),
        };
        let Some(value) = fields.get(field.name) else {
            return Ok(None);
        };
        Level::from_percent(field.number(value)? * 100.0 / most)
            .map(Some)
            .map_err(|error| InputError::out_of_range(field.name, error))
    }

    fn effect(self, fields: &Map<String, Value>) -> Result<Option<Effect>, InputError> {
        let Some(value) = fields.get(EFFECT.name) else {
            return Ok(None);
        };
        let speed = match self {
            Format::Plain => Speed::NORMAL,
            Format::HomeAssistant { speed } => speed,
        };
        let kind = EFFECT.effect(value, &NO_EFFECT.into())?;
        Ok(kind.map(|kind| Effect { kind, speed }))
    }
}

/// How long to flash, in seconds; from 1 to 60 whatever is asked for.
fn flash(fields: &Map<String, Value>) -> Result<Option<Duration>, InputError> {
    let Some(value) = fields.get("flash") else {
        return Ok(None);
    };
    let seconds = value.as_f64().ok_or_else(|| {
        InputError::malformed(format!("flash must be a number from 0 up, not {value}"))
    })?;
    let range = flash::SHORTEST.as_secs_f64()..=flash::LONGEST.as_secs_f64();
    Ok(Some(Duration::from_secs_f64(
        seconds.clamp(*range.start(), *range.end()),
    )))
}

/// The published state of a light.
#[derive(Debug, Serialize)]
struct StateMessage {
    state: &'static str,
    /// In percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    brightness: Option<f64>,
    /// Always present: Home Assistant would keep the last effect otherwise.
    effect: &'static str,
}

/// The message with the state of a light.
pub fn state(light: &LightState) -> String {
    let is_on = !light.level.is_off();
    let state = StateMessage {
        state: if is_on { "ON" } else { "OFF" },
        // Other dimmers and programs may take what is rounded to 0 for off.
        brightness: is_on.then(|| light.level.percent().max(1.0)),
        effect: light.effect.map_or(NO_EFFECT, |effect| effect.kind.name()),
    };
    // Cannot fail: there is no map with keys that are not text.
    serde_json::to_string(&state).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::effect::EffectKind;

    fn level(percent: f64) -> Level {
        Level::from_percent(percent).unwrap()
    }

    #[test]
    fn each_command_of_home_assistant_is_parsed() {
        let breathe = Change::Effect(Some(Effect {
            kind: EffectKind::Breathe,
            speed: Speed::NORMAL,
        }));
        let seconds = |seconds| Some(Duration::from_secs_f64(seconds));
        for (text, changes, transition, flash) in [
            (r#"{"state":"ON"}"#, vec![Change::On(true)], None, None),
            (
                r#"{"state":"ON","brightness":50,"transition":2.0}"#,
                vec![Change::Level(level(50.0))],
                seconds(2.0),
                None,
            ),
            (r#"{"state":"ON","flash":2}"#, vec![], None, seconds(2.0)),
            (
                r#"{"state":"ON","effect":"breathe"}"#,
                vec![breathe],
                None,
                None,
            ),
            (
                r#"{"state":"ON","effect":"breathe","brightness":7}"#,
                vec![Change::Level(level(7.0)), breathe],
                None,
                None,
            ),
            (
                r#"{"state":"ON","effect":"off"}"#,
                vec![Change::On(true)],
                None,
                None,
            ),
            (
                r#"{"state":"ON","effect":"off","brightness":7}"#,
                vec![Change::Level(level(7.0))],
                None,
                None,
            ),
            (
                r#"{"state":"ON","brightness":7,"flash":10}"#,
                vec![Change::Level(level(7.0))],
                None,
                seconds(10.0),
            ),
            (
                r#"{"state":"OFF","transition":1.0}"#,
                vec![Change::On(false)],
                seconds(1.0),
                None,
            ),
        ] {
            let command = LightCommand::parse(text.as_bytes(), Format::Plain).unwrap();
            let expected = LightCommand {
                changes,
                transition,
                flash,
            };
            assert_eq!(command, expected, "{text}");
        }
    }

    #[test]
    fn home_assistant_has_a_thousand_steps_and_keeps_an_effect() {
        let candle = Change::Effect(Some(Effect {
            kind: EffectKind::Candle,
            speed: Speed::SAFE,
        }));
        for (text, changes) in [
            (
                r#"{"state":"ON","brightness":4}"#,
                vec![Change::Dim(level(0.4))],
            ),
            (
                r#"{"state":"ON","brightness":1000,"effect":"off"}"#,
                vec![Change::Level(Level::FULL)],
            ),
            (
                r#"{"state":"ON","brightness":425,"effect":"candle"}"#,
                vec![Change::Level(level(42.5)), candle],
            ),
        ] {
            let speed = Speed::SAFE;
            let format = Format::HomeAssistant { speed };
            let command = LightCommand::parse(text.as_bytes(), format).unwrap();
            assert_eq!(command.changes, changes, "{text}");
        }
    }

    #[test]
    fn a_flash_is_from_1_to_60_seconds() {
        for (asked, seconds) in [("-1", 1.0), ("0.2", 1.0), ("2.5", 2.5), ("1e300", 60.0)] {
            let text = format!(r#"{{"state":"ON","flash":{asked}}}"#);
            let command = LightCommand::parse(text.as_bytes(), Format::Plain).unwrap();
            assert_eq!(command.flash, Some(Duration::from_secs_f64(seconds)));
        }
    }

    #[test]
    fn a_bad_command_names_the_field_the_value_and_what_is_allowed() {
        for (text, expected) in [
            ("ON", "not JSON: "),
            ("[]", "a command is an object, not []"),
            ("{}", "state must be ON or OFF, and is missing"),
            (r#"{"state":"on"}"#, r#"state must be ON or OFF, not "on""#),
            (
                r#"{"state":"ON","brightness":101}"#,
                "brightness must be from 0 to 100, not 101",
            ),
            (
                r#"{"state":"ON","brightness":"seven"}"#,
                r#"brightness must be a number from 0 to 100, not "seven""#,
            ),
            (
                r#"{"state":"OFF","transition":3601}"#,
                "transition must be from 0 to 3600 seconds, not 3601",
            ),
            (
                r#"{"state":"ON","flash":"short"}"#,
                r#"flash must be a number from 0 up, not "short""#,
            ),
            (
                r#"{"state":"ON","effect":"disco"}"#,
                "effect must be breathe, blink, candle, strobe, sunrise or off, not \"disco\"",
            ),
            (
                r#"{"state":"ON","color":1}"#,
                r#"unknown field "color"; there are state, brightness, "#,
            ),
        ] {
            let error = LightCommand::parse(text.as_bytes(), Format::Plain)
                .unwrap_err()
                .to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_dark_light_is_off_and_a_dim_one_is_not() {
        for (percent, expected) in [
            (0.0, r#"{"state":"OFF","effect":"off"}"#),
            (0.4, r#"{"state":"ON","brightness":1.0,"effect":"off"}"#),
            (42.5, r#"{"state":"ON","brightness":42.5,"effect":"off"}"#),
        ] {
            let light = LightState::new(level(percent), Level::FULL);
            assert_eq!(state(&light), expected);
        }
    }
}
