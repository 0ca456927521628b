//! Reads a change of one light: the common part of WebSocket messages, REST requests and timers.

use std::time::Duration;

use serde_json::{Map, Value};

use super::fields::{EFFECT, Field, LEVEL, ON, SPEED, STEP, TOGGLE, TRANSITION};
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

/// The change of a light that `verb` asks for, with the fields that accompany it.
///
/// # Errors
/// A value is not allowed.
pub fn change(verb: &Field, fields: &Map<String, Value>) -> Result<LightChange, InputError> {
    let value = &fields[verb.name];
    let change = match verb.name {
        "level" => Change::Level(LEVEL.tenths(value, Level::from_percent)?),
        "step" => Change::Step(STEP.tenths(value, Step::from_percent)?),
        "on" => Change::On(ON.bool(value)?),
        "toggle" => TOGGLE.bool(value).map(|_| Change::Toggle)?,
        "effect" => Change::Effect(effect(fields)?),
        other => unreachable!("{other} changes no light"),
    };
    let is_exact =
        matches!(change, Change::Level(level) if LEVEL.number(value) == Ok(level.percent()));
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

/// The effect with its speed; `null` is none.
fn effect(fields: &Map<String, Value>) -> Result<Option<Effect>, InputError> {
    let speed = fields.get(SPEED.name);
    let Some(kind) = EFFECT.effect(&fields[EFFECT.name], &Value::Null)? else {
        return match speed {
            None => Ok(None),
            Some(_) => Err(InputError::malformed(
                "speed does not go with the effect null",
            )),
        };
    };
    if kind != EffectKind::Sunrise && fields.contains_key(TRANSITION.name) {
        let why = "transition goes with no effect but sunrise";
        return Err(InputError::malformed(why));
    }
    let speed = speed.map(|speed| SPEED.tenths(speed, Speed::from_times));
    Ok(Some(Effect {
        kind,
        speed: speed.transpose()?.unwrap_or_default(),
    }))
}
