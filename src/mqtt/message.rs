//! Commands and states in Home Assistant's JSON schema for lights.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::model::effect::{Effect, Speed};
use crate::model::level::Level;
use crate::model::lights::{Change, LightState};
use crate::protocol::fields::{self, BRIGHTNESS, EFFECT};
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
    /// Whether to flash after the changes.
    pub flash: bool,
}

const FIELDS: [&str; 5] = ["state", "brightness", "transition", "flash", "effect"];

impl LightCommand {
    /// Parses a command.
    ///
    /// # Errors
    /// The payload is not JSON, or a field is unknown, missing or has a value that is not allowed.
    pub fn parse(payload: &[u8]) -> Result<LightCommand, InputError> {
        let fields = fields::object("a command", payload)?;
        if let Some(unknown) = fields.keys().find(|key| !FIELDS.contains(&key.as_str())) {
            let fields = FIELDS.join(", ");
            let message = format!("unknown field {unknown:?}; there are {fields}");
            return Err(InputError::malformed(message));
        }
        let transition = light_change::transition(&fields)?;
        let flash = flash(&fields)?;
        let (level, effect) = (level(&fields)?, effect(&fields)?);
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
        let effect = effect.map(|effect| Change::Effect(Some(effect)));
        let changes = match (on, level.map(Change::Level), effect) {
            (false, ..) => vec![Change::On(false)],
            (true, None, None) if flash => vec![],
            // Also ends an effect.
            (true, None, None) => vec![Change::On(true)],
            (true, level, effect) => level.into_iter().chain(effect).collect(),
        };
        Ok(LightCommand {
            changes,
            transition,
            flash: on && flash,
        })
    }
}

/// The `brightness`, in percent, as `brightness_scale` says.
fn level(fields: &Map<String, Value>) -> Result<Option<Level>, InputError> {
    let Some(value) = fields.get(BRIGHTNESS.name) else {
        return Ok(None);
    };
    Level::from_percent(BRIGHTNESS.number(value)?)
        .map(Some)
        .map_err(|error| InputError::out_of_range(BRIGHTNESS.name, error))
}

/// The `effect` to play, at normal speed: Home Assistant has no field for another speed.
fn effect(fields: &Map<String, Value>) -> Result<Option<Effect>, InputError> {
    let Some(value) = fields.get(EFFECT.name) else {
        return Ok(None);
    };
    let speed = Speed::NORMAL;
    let kind = EFFECT.effect(value, &NO_EFFECT.into())?;
    Ok(kind.map(|kind| Effect { kind, speed }))
}

/// Whether to flash. The duration in `flash` is ignored.
fn flash(fields: &Map<String, Value>) -> Result<bool, InputError> {
    match fields.get("flash") {
        None => Ok(false),
        Some(Value::Number(_)) => Ok(true),
        Some(other) => Err(InputError::malformed(format!(
            "flash must be a number from 0 up, not {other}"
        ))),
    }
}

/// The published state of a light.
#[derive(Debug, Serialize)]
struct StateMessage {
    state: &'static str,
    /// In percent. Home Assistant does not accept 0.
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
        // Home Assistant has 255 steps, and would round less than one step to 0.
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
            (r#"{"state":"ON"}"#, vec![Change::On(true)], None, false),
            (
                r#"{"state":"ON","brightness":50,"transition":2.0}"#,
                vec![Change::Level(level(50.0))],
                seconds(2.0),
                false,
            ),
            (r#"{"state":"ON","flash":2}"#, vec![], None, true),
            (
                r#"{"state":"ON","effect":"breathe"}"#,
                vec![breathe],
                None,
                false,
            ),
            (
                r#"{"state":"ON","effect":"breathe","brightness":7}"#,
                vec![Change::Level(level(7.0)), breathe],
                None,
                false,
            ),
            (
                r#"{"state":"ON","effect":"off"}"#,
                vec![Change::On(true)],
                None,
                false,
            ),
            (
                r#"{"state":"ON","effect":"off","brightness":7}"#,
                vec![Change::Level(level(7.0))],
                None,
                false,
            ),
            (
                r#"{"state":"ON","brightness":7,"flash":10}"#,
                vec![Change::Level(level(7.0))],
                None,
                true,
            ),
            (
                r#"{"state":"OFF","transition":1.0}"#,
                vec![Change::On(false)],
                seconds(1.0),
                false,
            ),
        ] {
            let command = LightCommand::parse(text.as_bytes()).unwrap();
            let expected = LightCommand {
                changes,
                transition,
                flash,
            };
            assert_eq!(command, expected, "{text}");
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
            let error = LightCommand::parse(text.as_bytes())
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
