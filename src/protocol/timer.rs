//! Reads a timer.

use std::time::Duration;

use serde_json::{Map, Value};

use super::fields::{self, number};
use super::{BadInput, malformed};
use crate::model::lights::Change;
use crate::model::timers::{Act, At, Daily, Day, Wanted, When};

/// The fields of a timer beside what it does.
const FIELDS: [&str; 8] = [
    "in",
    "at",
    "offset",
    "days",
    "light",
    "transition",
    "speed",
    "name",
];
/// What a timer can do.
const ACTS: [&str; 4] = ["level", "on", "effect", "recall"];

/// The timer that these fields ask for.
pub fn timer(fields: &Map<String, Value>) -> Result<Wanted, BadInput> {
    let known = |field: &String| FIELDS.contains(&&**field) || ACTS.contains(&&**field);
    if let Some(unknown) = fields.keys().find(|field| !known(field)) {
        let known = FIELDS.iter().chain(&ACTS).copied().collect::<Vec<_>>();
        return Err(malformed(format!(
            "unknown field {unknown:?} of a timer; there are {}",
            known.join(", ")
        )));
    }
    let name = fields.get("name").map(|name| fields::named("name", name));
    let light = fields.get("light").map(fields::light);
    Ok(Wanted {
        name: name.transpose()?,
        light: light.transpose()?,
        when: when(fields)?,
        act: act(fields)?,
        transition: fields::transition(fields)?,
    })
}

fn when(fields: &Map<String, Value>) -> Result<When, BadInput> {
    match (fields.get("in"), fields.get("at")) {
        (Some(seconds), None) => {
            for other in ["days", "offset"] {
                if fields.contains_key(other) {
                    return Err(malformed(format!("{other} does not go with in")));
                }
            }
            let seconds = within("in", "1 to 86400", seconds, 1.0, 86_400.0)?;
            Ok(When::In(Duration::from_secs_f64(seconds)))
        }
        (None, Some(at)) => daily(at, fields).map(When::Daily),
        _ => Err(malformed("a timer has either in or at")),
    }
}

fn daily(at: &Value, fields: &Map<String, Value>) -> Result<Daily, BadInput> {
    let text = at.as_str().unwrap_or_default();
    let at: At = text
        .parse()
        .map_err(|error| malformed(format!("at {error}, not {at}")))?;
    let offset = match fields.get("offset") {
        None => 0.0,
        Some(_) if matches!(at, At::Clock(_)) => {
            return Err(malformed("offset goes with sunrise and sunset only"));
        }
        Some(minutes) => within("offset", "-180 to 180", minutes, -180.0, 180.0)?,
    };
    Ok(Daily {
        at,
        // In range.
        offset: offset.round() as i16,
        days: fields.get("days").map(days).transpose()?,
    })
}

fn days(wanted: &Value) -> Result<Vec<Day>, BadInput> {
    let list = wanted.as_array().filter(|list| !list.is_empty());
    let names =
        list.ok_or_else(|| malformed(format!("days must be a list of days, not {wanted}")))?;
    let mut days = Vec::new();
    for name in names {
        let day: Day = name
            .as_str()
            .unwrap_or_default()
            .parse()
            .map_err(|error| malformed(format!("days {error}, not {name}")))?;
        if !days.contains(&day) {
            days.push(day);
        }
    }
    Ok(days)
}

fn act(fields: &Map<String, Value>) -> Result<Act, BadInput> {
    let mut acts = ACTS.iter().filter(|act| fields.contains_key(**act));
    let (Some(act), None) = (acts.next(), acts.next()) else {
        return Err(malformed(format!("a timer has one of {}", ACTS.join(", "))));
    };
    if fields.contains_key("speed") && *act != "effect" {
        return Err(malformed(format!("speed does not go with {act}")));
    }
    if *act == "recall" {
        if fields.contains_key("light") {
            return Err(malformed("light does not go with recall"));
        }
        let recall = fields::named(act, &fields[*act])?;
        return Ok(Act::Recall { recall });
    }
    match fields::change_by(act, fields)?.change {
        Change::Level(level) => Ok(Act::Level { level }),
        Change::On(on) => Ok(Act::On { on }),
        Change::Effect(Some(effect)) => Ok(Act::Effect(effect)),
        _ => Err(malformed("the effect of a timer must not be null")),
    }
}

fn within(
    field: &str,
    range: &str,
    wanted: &Value,
    least: f64,
    most: f64,
) -> Result<f64, BadInput> {
    let found = number(field, range, wanted)?;
    if (least..=most).contains(&found) {
        Ok(found)
    } else {
        Err(BadInput::OutOfRange(format!(
            "{field} must be from {range}, not {found}"
        )))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(timer_: Value) -> Result<Wanted, BadInput> {
        timer(timer_.as_object().unwrap())
    }

    #[test]
    fn sleep_and_wake_are_read() {
        let sleep =
            read(json!({"in": 1800, "on": false, "transition": 60, "light": "led"})).unwrap();
        assert_eq!(sleep.when, When::In(Duration::from_secs(1800)));
        assert_eq!(sleep.act, Act::On { on: false });
        assert_eq!(sleep.transition, Some(Duration::from_secs(60)));
        let wake = read(json!({
            "at": "06:30", "days": ["mon", "fri", "mon"], "effect": "sunrise", "transition": 900, "name": "wake"
        }));
        let wake = wake.unwrap();
        let When::Daily(daily) = wake.when else {
            panic!("{wake:?}");
        };
        assert_eq!(daily.at.to_string(), "06:30");
        assert_eq!(daily.days.unwrap().len(), 2);
        let dusk = read(json!({"at": "sunset", "offset": -15, "recall": "Evening"})).unwrap();
        assert_eq!(
            dusk.act,
            Act::Recall {
                recall: "Evening".into()
            }
        );
    }

    #[test]
    fn what_is_no_timer_is_told_by_field_value_and_range() {
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
                json!({"in": "5", "on": false}),
                "in must be a number from 1 to 86400, not \"5\"",
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
