//! Reads a timer that a client wants to add.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Map, Value};

use super::fields::{
    self, AT, DAYS, EFFECT, Field, IN, LEVEL, OFFSET, ON, RECALL, SPEED, TIMER_LIGHT, TIMER_NAME,
    TRANSITION,
};
use super::input_error::InputError;
use super::light_change::{change, transition};
use crate::model::lights::Change;
use crate::model::text::Name;
use crate::model::timers::{Daily, Day, Due, NewTimer, TimeOfDay, TimerAction};

/// The fields of a timer besides its action.
pub const TIMER_FIELDS: [&Field; 8] = [
    &IN,
    &AT,
    &OFFSET,
    &DAYS,
    &TIMER_LIGHT,
    &TRANSITION,
    &SPEED,
    &TIMER_NAME,
];
/// The fields that say what a timer does: exactly one of these.
pub const ACTIONS: [&Field; 4] = [&LEVEL, &ON, &EFFECT, &RECALL];

/// Reads a timer.
///
/// # Errors
/// A field is unknown, missing, or has a value that is not allowed.
pub fn parse(fields: &Map<String, Value>) -> Result<NewTimer, InputError> {
    let known = TIMER_FIELDS.iter().chain(&ACTIONS);
    fields::check_known(fields, " of a timer", known)?;
    let name = fields.get(TIMER_NAME.name);
    let name = name.map(|name| TIMER_NAME.text(name));
    let light = fields.get(TIMER_LIGHT.name);
    let light = light.map(|light| TIMER_LIGHT.reference(light));
    Ok(NewTimer {
        name: name.transpose()?,
        light: light.transpose()?,
        due: due(fields)?,
        action: action(fields)?,
        transition: transition(fields)?,
    })
}

fn due(fields: &Map<String, Value>) -> Result<Due, InputError> {
    match (fields.get(IN.name), fields.get(AT.name)) {
        (Some(seconds), None) => {
            for other in [&DAYS, &OFFSET] {
                if fields.contains_key(other.name) {
                    let why = format!("{} does not go with in", other.name);
                    return Err(InputError::malformed(why));
                }
            }
            Ok(Due::In(Duration::from_secs_f64(IN.number(seconds)?)))
        }
        (None, Some(at)) => daily(at, fields).map(Due::Daily),
        _ => Err(InputError::malformed("a timer has either in or at")),
    }
}

fn daily(at: &Value, fields: &Map<String, Value>) -> Result<Daily, InputError> {
    let time: TimeOfDay = parsed(&AT, at)?;
    let offset = match fields.get(OFFSET.name) {
        None => 0.0,
        Some(_) if matches!(time, TimeOfDay::Clock(_)) => {
            let why = "offset goes with sunrise and sunset only";
            return Err(InputError::malformed(why));
        }
        Some(minutes) => OFFSET.number(minutes)?,
    };
    Ok(Daily {
        at: time,
        // In range, so the cast is exact.
        offset: offset.round() as i16,
        days: fields.get(DAYS.name).map(days).transpose()?,
    })
}

fn days(value: &Value) -> Result<Vec<Day>, InputError> {
    let list = value.as_array().filter(|list| !list.is_empty());
    let names = list.ok_or_else(|| DAYS.malformed("a list of days", value))?;
    let mut days = Vec::new();
    for name in names {
        let day: Day = parsed(&DAYS, name)?;
        if !days.contains(&day) {
            days.push(day);
        }
    }
    Ok(days)
}

/// The text in a value, as something that is read from text.
fn parsed<T: FromStr<Err: Display>>(field: &Field, value: &Value) -> Result<T, InputError> {
    let text = value.as_str().unwrap_or_default();
    text.parse()
        .map_err(|error| InputError::malformed(format!("{} {error}, not {value}", field.name)))
}

fn action(fields: &Map<String, Value>) -> Result<TimerAction, InputError> {
    let mut actions = ACTIONS
        .iter()
        .filter(|action| fields.contains_key(action.name));
    let (Some(&action), None) = (actions.next(), actions.next()) else {
        let why = format!("a timer has one of {}", fields::names(&ACTIONS));
        return Err(InputError::malformed(why));
    };
    if fields.contains_key(SPEED.name) && action.name != EFFECT.name {
        let why = format!("speed does not go with {}", action.name);
        return Err(InputError::malformed(why));
    }
    if action.name == RECALL.name {
        if fields.contains_key(TIMER_LIGHT.name) {
            return Err(InputError::malformed("light does not go with recall"));
        }
        let name: Name = RECALL.text(&fields[RECALL.name])?;
        return Ok(TimerAction::Recall(name.into()));
    }
    match change(action, fields)?.change {
        Change::Level(level) => Ok(TimerAction::Level(level)),
        Change::On(on) => Ok(TimerAction::On(on)),
        Change::Effect(Some(effect)) => Ok(TimerAction::Effect(effect)),
        _ => {
            let why = "the effect of a timer must not be null";
            Err(InputError::malformed(why))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(timer: Value) -> Result<NewTimer, InputError> {
        parse(timer.as_object().unwrap())
    }

    #[test]
    fn a_timer_to_sleep_and_one_to_wake_are_parsed() {
        let sleep =
            read(json!({"in": 1800, "on": false, "transition": 60, "light": "led"})).unwrap();
        assert_eq!(sleep.due, Due::In(Duration::from_secs(1800)));
        assert_eq!(sleep.action, TimerAction::On(false));
        assert_eq!(sleep.transition, Some(Duration::from_secs(60)));
        let wake = read(json!({
            "at": "06:30", "days": ["mon", "fri", "mon"], "effect": "sunrise", "transition": 900, "name": "wake"
        }));
        let wake = wake.unwrap();
        let Due::Daily(daily) = wake.due else {
            panic!("{wake:?}");
        };
        assert_eq!(daily.at.to_string(), "06:30");
        assert_eq!(daily.days.unwrap().len(), 2);
        let dusk = read(json!({"at": "sunset", "offset": -15, "recall": "Evening"})).unwrap();
        assert_eq!(dusk.action, TimerAction::Recall("Evening".into()));
    }

    #[test]
    fn a_bad_timer_is_refused_with_the_field_the_value_and_what_is_allowed() {
        for (fields, says) in [
            (json!({"on": false}), "a timer has either in or at"),
            (
                json!({"in": 1, "at": "07:00", "on": false}),
                "a timer has either in or at",
            ),
            (
                json!({"in": 0, "on": false}),
                "in must be from 1 to 86400, not 0",
            ),
            (
                json!({"in": "five", "on": false}),
                "in must be a number from 1 to 86400, not \"five\"",
            ),
            (
                json!({"in": 5, "days": ["mon"], "on": false}),
                "days does not go with in",
            ),
            (
                json!({"at": "7 o'clock", "on": false}),
                "at must be like \"07:00\", \"sunrise\" or \"sunset\", not \"7 o'clock\"",
            ),
            (
                json!({"at": "07:00", "days": ["Monday"], "on": true}),
                "days must be of \"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\" and \"sun\", not \"Monday\"",
            ),
            (
                json!({"at": "07:00", "days": [], "on": true}),
                "days must be a list of days, not []",
            ),
            (
                json!({"at": "07:00", "offset": 5, "on": true}),
                "offset goes with sunrise and sunset only",
            ),
            (
                json!({"at": "sunset", "offset": 200, "on": true}),
                "offset must be from -180 to 180, not 200",
            ),
            (
                json!({"in": 5}),
                "a timer has one of level, on, effect, recall",
            ),
            (
                json!({"in": 5, "on": true, "level": 5}),
                "a timer has one of level, on, effect, recall",
            ),
            (
                json!({"in": 5, "level": 101}),
                "level must be from 0 to 100, not 101",
            ),
            (
                json!({"in": 5, "effect": null}),
                "the effect of a timer must not be null",
            ),
            (
                json!({"in": 5, "level": 1, "speed": 1}),
                "speed does not go with level",
            ),
            (
                json!({"in": 5, "recall": "A", "light": "led"}),
                "light does not go with recall",
            ),
            (
                json!({"in": 5, "step": 5}),
                "unknown field \"step\" of a timer; there are in, at, offset, days, light, transition, speed, name, level, on, effect, recall",
            ),
        ] {
            assert_eq!(read(fields).unwrap_err().to_string(), says);
        }
    }
}
