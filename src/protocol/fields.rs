//! Reads the fields of a message.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{BadInput, Direction, LightChange, Request, malformed};
use crate::model::effect::{Effect, Kind, Speed};
use crate::model::level::{Level, Step};
use crate::model::lights::{self, Change};

/// Largest `echo`, in bytes of JSON.
const MAX_ECHO: usize = 1024;
/// Longest name, in characters.
const MAX_NAME: usize = 40;
/// The most that is said at once, in characters.
const MAX_SAY: usize = 200;
/// What the commands up and down add, in percent.
const COMMAND_STEP: f64 = 5.0;
/// Largest `seq`: the last whole number that JavaScript counts exactly to.
const MAX_SEQ: u64 = (1 << 53) - 1;

/// What a message can ask for, and the fields that may go with it. The first [`CHANGES`] of these
/// change one light.
const VERBS: [(&str, &[&str]); 14] = [
    ("level", &["light", "transition"]),
    ("step", &["light", "transition"]),
    ("on", &["light", "transition"]),
    ("toggle", &["light", "transition"]),
    ("effect", &["light", "transition", "speed"]),
    ("save", &[]),
    ("recall", &["transition"]),
    ("forget", &[]),
    ("timer", &[]),
    ("cancel", &[]),
    ("command", &["transition"]),
    ("say", &[]),
    ("name", &[]),
    ("echo", &[]),
];
const CHANGES: usize = 5;
/// The fields that go with some verb.
const COMPANIONS: [&str; 3] = ["light", "transition", "speed"];

/// Whether a field asks for a change of one light.
pub fn changes_a_light(field: &str) -> bool {
    VERBS[..CHANGES].iter().any(|(verb, _)| *verb == field)
}

/// What a message of these fields wants; `seq` is not among them.
pub fn wish(fields: Map<String, Value>, text: &str) -> Result<Request, BadInput> {
    let verb = only_verb(&fields, &VERBS, &COMPANIONS)?;
    let wanted = &fields[verb];
    match verb {
        "save" => named(verb, wanted).map(Request::Save),
        "forget" => named(verb, wanted).map(Request::Forget),
        "recall" => Ok(Request::Recall {
            name: named(verb, wanted)?,
            transition: transition(&fields)?,
        }),
        "timer" => match wanted {
            Value::Object(timer) => super::timer::timer(timer).map(Request::Timer),
            other => Err(malformed(format!("timer must be an object, not {other}"))),
        },
        "cancel" => named(verb, wanted).map(Request::Cancel),
        "command" => command(wanted, &fields),
        "say" => text_in(verb, wanted, MAX_SAY).map(Request::Say),
        "name" => named(verb, wanted).map(|name| Request::Name(name.into())),
        "echo" => echo(text).map(Request::Echo),
        verb => change_by(verb, &fields).map(Request::Change),
    }
}

/// The change of one light that these fields ask for, which do not say of which.
pub fn change(fields: Map<String, Value>) -> Result<LightChange, BadInput> {
    let verb = only_verb(&fields, &VERBS[..CHANGES], &COMPANIONS[1..])?;
    change_by(verb, &fields)
}

/// The time that these fields tell, which may tell nothing else.
pub fn only_transition(fields: Map<String, Value>) -> Result<Option<Duration>, BadInput> {
    match fields.keys().find(|field| *field != "transition") {
        Some(other) => Err(malformed(format!(
            "unknown field {other:?}; there is transition"
        ))),
        None => transition(&fields),
    }
}

/// The one verb among the fields, all of which must be allowed, and go with it.
fn only_verb<'a>(
    fields: &Map<String, Value>,
    verbs: &[(&'a str, &[&str])],
    companions: &[&str],
) -> Result<&'a str, BadInput> {
    let names = || verbs.iter().map(|(verb, _)| *verb);
    for field in fields.keys() {
        if !names()
            .chain(companions.iter().copied())
            .any(|name| name == field)
        {
            let allowed: Vec<_> = names().chain(companions.iter().copied()).collect();
            let allowed = allowed.join(", ");
            return Err(malformed(format!(
                "unknown field {field:?}; there are {allowed}"
            )));
        }
    }
    let mut found = verbs.iter().filter(|(verb, _)| fields.contains_key(*verb));
    let (verb, with) = match (found.next(), found.next()) {
        (Some(one), None) => one,
        (Some((one, _)), Some((two, _))) => {
            return Err(malformed(format!("{one} and {two} do not go together")));
        }
        (None, _) => {
            let names: Vec<_> = names().collect();
            return Err(malformed(format!("one of {} is needed", names.join(", "))));
        }
    };
    match fields
        .keys()
        .find(|field| field != verb && !with.contains(&field.as_str()))
    {
        Some(other) => Err(malformed(format!("{other} does not go with {verb}"))),
        None => Ok(verb),
    }
}

/// The change that `verb` asks for; the other fields go with it.
pub fn change_by(verb: &str, fields: &Map<String, Value>) -> Result<LightChange, BadInput> {
    let (change, exact) = match (verb, &fields[verb]) {
        ("level", wanted) => {
            let (level, exact) = level(wanted)?;
            (Change::Level(level), exact)
        }
        ("step", wanted) => {
            let percent = number("step", "-100 to 100", wanted)?;
            let step = Step::from_percent(percent)
                .map_err(|error| BadInput::OutOfRange(format!("step {error}")))?;
            (Change::Step(step), false)
        }
        ("on", Value::Bool(on)) => (Change::On(*on), false),
        ("on", other) => return Err(malformed(format!("on must be true or false, not {other}"))),
        ("effect", wanted) => (Change::Effect(effect(wanted, fields)?), false),
        (_, Value::Bool(true)) => (Change::Toggle, false),
        (_, other) => return Err(malformed(format!("toggle must be true, not {other}"))),
    };
    Ok(LightChange {
        change,
        transition: transition(fields)?,
        exact,
    })
}

/// A level, and whether it was given in steps of 0.1.
fn level(wanted: &Value) -> Result<(Level, bool), BadInput> {
    // The tutorials' pages send their slider's text.
    let text = wanted.as_str().and_then(|text| text.trim().parse().ok());
    let percent = match text {
        Some(percent) => percent,
        None => number("level", "0 to 100", wanted)?,
    };
    let level = Level::from_percent(percent)
        .map_err(|error| BadInput::OutOfRange(format!("level {error}")))?;
    Ok((level, level.percent() == percent))
}

/// The effect with its speed; `null` is none.
fn effect(wanted: &Value, fields: &Map<String, Value>) -> Result<Option<Effect>, BadInput> {
    if wanted.is_null() {
        return match fields.contains_key("speed") {
            true => Err(malformed("speed does not go with the effect null")),
            false => Ok(None),
        };
    }
    let Some(kind) = wanted.as_str().and_then(Kind::called) else {
        let names = Kind::ALL.map(Kind::name).join(", ");
        return Err(malformed(format!(
            "effect must be {names} or null, not {wanted}"
        )));
    };
    if kind != Kind::Sunrise && fields.contains_key("transition") {
        return Err(malformed("transition goes with no effect but sunrise"));
    }
    let speed = match fields.get("speed") {
        None => Speed::NORMAL,
        Some(wanted) => {
            let times = number("speed", "0.1 to 10", wanted)?;
            Speed::from_times(times, Speed::MOST).map_err(BadInput::OutOfRange)?
        }
    };
    Ok(Some(Effect { kind, speed }))
}

/// What an arrow is for: up and down change the selected light, left and right select another.
fn command(wanted: &Value, fields: &Map<String, Value>) -> Result<Request, BadInput> {
    let step = |percent| {
        let step = Step::from_percent(percent)
            .map_err(|error| BadInput::OutOfRange(format!("step {error}")))?;
        Ok(Request::ChangeSelected(LightChange {
            change: Change::Step(step),
            transition: transition(fields)?,
            exact: false,
        }))
    };
    match wanted.as_str() {
        Some("up") => step(COMMAND_STEP),
        Some("down") => step(-COMMAND_STEP),
        Some(other @ ("left" | "right")) if fields.contains_key("transition") => Err(malformed(
            format!("transition does not go with the command {other}"),
        )),
        Some("left") => Ok(Request::Select(Direction::Left)),
        Some("right") => Ok(Request::Select(Direction::Right)),
        _ => Err(malformed(format!(
            "command must be up, down, left or right, not {wanted}"
        ))),
    }
}

/// The number in this field, which is to be within `range`.
pub fn number(field: &str, range: &str, wanted: &Value) -> Result<f64, BadInput> {
    wanted.as_f64().ok_or_else(|| {
        malformed(format!(
            "{field} must be a number from {range}, not {wanted}"
        ))
    })
}

/// The seconds of the field `transition`, if there is one.
pub fn transition(fields: &Map<String, Value>) -> Result<Option<Duration>, BadInput> {
    let Some(wanted) = fields.get("transition") else {
        return Ok(None);
    };
    let seconds = number("transition", "0 to 3600", wanted)?;
    let time = lights::transition(seconds).map_err(BadInput::OutOfRange)?;
    Ok(Some(time))
}

/// The page's own counter.
pub fn seq(wanted: Value) -> Result<u64, BadInput> {
    wanted
        .as_u64()
        .filter(|seq| *seq <= MAX_SEQ)
        .ok_or_else(|| {
            malformed(format!(
                "seq must be a whole number from 0 to {MAX_SEQ}, not {wanted}"
            ))
        })
}

/// The name of a light.
pub fn light(wanted: &Value) -> Result<String, BadInput> {
    match wanted {
        Value::String(name) => Ok(name.clone()),
        other => Err(malformed(format!("light must be a name, not {other}"))),
    }
}

/// The name in this field: 1 to 40 characters.
pub fn named(field: &str, wanted: &Value) -> Result<String, BadInput> {
    text_in(field, wanted, MAX_NAME)
}

/// The text in this field, of at most so many characters.
fn text_in(field: &str, wanted: &Value, most: usize) -> Result<String, BadInput> {
    let Value::String(text) = wanted else {
        return Err(malformed(format!("{field} must be text, not {wanted}")));
    };
    check(field, text, most).map(|()| text.clone())
}

/// Whether the text in this field can be a name for people: 1 to 40 characters.
///
/// # Errors
/// It is too short or long, or has control characters: it ends up in others' terminals and logs.
pub fn name(field: &str, text: &str) -> Result<(), BadInput> {
    check(field, text, MAX_NAME)
}

fn check(field: &str, text: &str, most: usize) -> Result<(), BadInput> {
    if text.contains(char::is_control) {
        let json = Value::from(text);
        return Err(BadInput::OutOfRange(format!(
            "{field} must not have control characters, as in {json}"
        )));
    }
    let length = text.chars().count();
    if (1..=most).contains(&length) {
        Ok(())
    } else {
        Err(BadInput::OutOfRange(format!(
            "{field} must have 1 to {most} characters, not {length}"
        )))
    }
}

/// The JSON of `echo` as it stands in the message: numbers and the order of fields are kept.
fn echo(text: &str) -> Result<Box<RawValue>, BadInput> {
    #[derive(Deserialize)]
    struct Only {
        echo: Box<RawValue>,
    }
    let Only { echo } =
        serde_json::from_str(text).map_err(|error| malformed(format!("echo: {error}")))?;
    let length = echo.get().len();
    if length <= MAX_ECHO {
        Ok(echo)
    } else {
        Err(BadInput::OutOfRange(format!(
            "echo must have at most {MAX_ECHO} bytes, not {length}"
        )))
    }
}
