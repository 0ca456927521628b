//! Reads a change of one light: what the messages of clients, REST requests and timers have in common.

use std::time::Duration;

use serde_json::{Map, Value};

use super::fields::{EFFECT, Field, LEVEL, ON, SPEED, STEP, TRANSITION};
use super::input_error::InputError;
use crate::model::effect::{Effect, EffectKind, Speed};
use crate::model::level::{Level, Step};
use crate::model::lights::Change;

/// A change of one light.
#[derive(Debug, PartialEq)]
pub struct LightChange {
    /// The change.
    pub change: Change,
    /// Time to get there; `None` for the light's own.
    pub transition: Option<Duration>,
    /// Whether the client knows the level that results: it asked for one in steps of 0.1.
    pub is_exact: bool,
}

/// The change of a light that `verb` asks for, with the fields that go with it.
///
/// # Errors
/// A value is not allowed.
pub fn change(verb: &Field, fields: &Map<String, Value>) -> Result<LightChange, InputError> {
    let value = &fields[verb.name];
    let (change, is_exact) = if verb.name == LEVEL.name {
        let percent = LEVEL.number(value)?;
        let level = Level::from_percent(percent)
            .map_err(|error| InputError::out_of_range(LEVEL.name, error))?;
        (Change::Level(level), level.percent() == percent)
    } else if verb.name == STEP.name {
        (Change::Step(step(STEP.number(value)?)?), false)
    } else if verb.name == EFFECT.name {
        (Change::Effect(effect(fields)?), false)
    } else if verb.name == ON.name {
        let on = value.as_bool().ok_or_else(|| {
            InputError::malformed(format!("on must be true or false, not {value}"))
        })?;
        (Change::On(on), false)
    } else if *value == Value::Bool(true) {
        (Change::Toggle, false)
    } else {
        let why = format!("toggle must be true, not {value}");
        return Err(InputError::malformed(why));
    };
    Ok(LightChange {
        change,
        transition: transition(fields)?,
        is_exact,
    })
}

/// The field `transition`, if there is one.
///
/// # Errors
/// It is no number, or out of range.
pub fn transition(fields: &Map<String, Value>) -> Result<Option<Duration>, InputError> {
    let seconds = fields.get(TRANSITION.name);
    let seconds = seconds.map(|value| TRANSITION.number(value)).transpose()?;
    Ok(seconds.map(Duration::from_secs_f64))
}

/// # Errors
/// `percent` is not from -100 to 100.
pub fn step(percent: f64) -> Result<Step, InputError> {
    Step::from_percent(percent).map_err(|error| InputError::out_of_range(STEP.name, error))
}

/// The effect with its speed; `null` is none.
fn effect(fields: &Map<String, Value>) -> Result<Option<Effect>, InputError> {
    let Some(kind) = EFFECT.effect(&fields[EFFECT.name], &Value::Null)? else {
        return match fields.contains_key(SPEED.name) {
            true => Err(InputError::malformed(
                "speed does not go with the effect null",
            )),
            false => Ok(None),
        };
    };
    if kind != EffectKind::Sunrise && fields.contains_key(TRANSITION.name) {
        let why = "transition goes with no effect but sunrise";
        return Err(InputError::malformed(why));
    }
    let speed = match fields.get(SPEED.name) {
        None => Speed::NORMAL,
        Some(value) => Speed::from_times(SPEED.number(value)?)
            .map_err(|error| InputError::out_of_range(SPEED.name, error))?,
    };
    Ok(Some(Effect { kind, speed }))
}
