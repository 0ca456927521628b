//! The fields of requests, each described once: name, values and meaning.

use serde_json::{Map, Value};

use super::input_error::InputError;
use crate::model::effect::{EffectKind, Speed};
use crate::model::level::{Level, Step};
use crate::model::lights::MAX_TRANSITION;
use crate::model::text::{Name, Remark, Text};
use crate::model::timers::{MAX_DELAY, MAX_OFFSET};

/// A field of a request.
#[derive(Debug)]
pub struct Field {
    /// The name in JSON.
    pub name: &'static str,
    /// The values it may have.
    pub kind: FieldKind,
    /// What it does, for the API's description.
    pub meaning: &'static str,
}

/// The values that a field may have.
#[derive(Debug)]
pub enum FieldKind {
    /// A number.
    Number(Range),
    /// A number, or a string that holds one, as HTML forms and sliders send it.
    NumberOrText(Range),
    /// `true` or `false`.
    Bool,
    /// Only `true`.
    True,
    /// An integer from 0 to this.
    Integer(u64),
    /// Text of at most so many characters, none of them control characters.
    Text(usize),
    /// The name of something that exists, such as a light.
    Reference,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// The name of an effect, or `null`.
    EffectOrNull,
    /// A time of day, or `sunrise` or `sunset`.
    TimeOfDay,
    /// A list of days, `mon` to `sun`.
    Days,
    /// A timer.
    Timer,
    /// Any JSON of at most so many bytes.
    Json(usize),
}

/// The numbers that a field may have.
#[derive(Debug, Clone, Copy)]
pub struct Range {
    /// The lowest number.
    pub min: f64,
    /// The highest number.
    pub max: f64,
    /// The unit, in plural, for errors; empty where the field's name says it.
    pub unit: &'static str,
}

/// Largest `seq`: the last integer that JavaScript counts exactly to.
const MAX_SEQ: u64 = (1 << 53) - 1;
/// Largest `echo`, in bytes of JSON.
pub const MAX_ECHO: usize = 1024;

/// Shorthand for the tables below.
const fn field(name: &'static str, kind: FieldKind, meaning: &'static str) -> Field {
    Field {
        name,
        kind,
        meaning,
    }
}

const fn range(min: f64, max: f64, unit: &'static str) -> Range {
    Range { min, max, unit }
}

/// The level to set.
pub const LEVEL: Field = field(
    "level",
    FieldKind::NumberOrText(range(Level::OFF.percent(), Level::FULL.percent(), "")),
    "Percent, rounded to 0.1.",
);
/// The step to add to the level.
pub const STEP: Field = field(
    "step",
    FieldKind::Number(range(Step::MIN.percent(), Step::MAX.percent(), "")),
    "Percent, added to the level; the result is clamped to 0..100.",
);
/// Whether to switch on.
pub const ON: Field = field(
    "on",
    FieldKind::Bool,
    "false: off; true: the last level above 0, or 100 if there was none.",
);
/// Switches over.
pub const TOGGLE: Field = field(
    "toggle",
    FieldKind::True,
    "Off if the light is on, on if it is off.",
);
/// The effect to play.
pub const EFFECT: Field = field(
    "effect",
    FieldKind::EffectOrNull,
    "Starts around the level; null ends it.",
);
/// The preset to save.
pub const SAVE: Field = field(
    "save",
    FieldKind::Text(Name::MAX),
    "Saves what all lights are set to, as a preset of this name.",
);
/// The preset to recall.
pub const RECALL: Field = field(
    "recall",
    FieldKind::Text(Name::MAX),
    "Sets all lights of the preset of this name.",
);
/// The preset to remove.
pub const FORGET: Field = field(
    "forget",
    FieldKind::Text(Name::MAX),
    "Removes the preset of this name.",
);
/// The timer to add.
pub const TIMER: Field = field("timer", FieldKind::Timer, "Adds a timer.");
/// The timer to remove.
pub const CANCEL: Field = field(
    "cancel",
    FieldKind::Text(Name::MAX),
    "Removes the timer of this name.",
);
/// An arrow key.
pub const COMMAND: Field = field(
    "command",
    FieldKind::OneOf(&["up", "down", "left", "right"]),
    "Dims the selected light, or selects another one.",
);
/// A remark to all clients.
pub const SAY: Field = field(
    "say",
    FieldKind::Text(Remark::MAX),
    "Tells all other clients.",
);
/// The client's own name.
pub const NAME: Field = field(
    "name",
    FieldKind::Text(Name::MAX),
    "The name that the client gives itself.",
);
/// JSON to be sent back.
pub const ECHO: Field = field("echo", FieldKind::Json(MAX_ECHO), "Sent back as it is.");
/// The light that a change is about.
pub const LIGHT: Field = field(
    "light",
    FieldKind::Reference,
    "The light to change; without it, the first one.",
);
/// The duration of a change.
pub const TRANSITION: Field = field(
    "transition",
    FieldKind::Number(range(0.0, MAX_TRANSITION.as_secs_f64(), "seconds")),
    "Seconds to get there; without it, the light's own.",
);
/// The speed of an effect.
pub const SPEED: Field = field(
    "speed",
    FieldKind::Number(range(Speed::MIN.times(), Speed::MAX.times(), "")),
    "Speed of the effect relative to normal; more than 3 only for lights with allow_fast_strobe.",
);
/// The client's counter of its messages.
pub const SEQ: Field = field(
    "seq",
    FieldKind::Integer(MAX_SEQ),
    "The client's own counter, returned as seen.",
);
/// The delay of a timer.
pub const IN: Field = field(
    "in",
    FieldKind::Number(range(1.0, MAX_DELAY.as_secs_f64(), "")),
    "Seconds from now: once.",
);
/// The time of day of a timer.
pub const AT: Field = field(
    "at",
    FieldKind::TimeOfDay,
    "A time of day, such as 07:00, or sunrise or sunset.",
);
/// The level in Home Assistant's commands.
pub const BRIGHTNESS: Field = field(
    "brightness",
    FieldKind::Number(range(Level::OFF.percent(), Level::FULL.percent(), "")),
    "Percent, as brightness_scale says.",
);
/// The distance of a timer to sunrise or sunset.
pub const OFFSET: Field = field(
    "offset",
    FieldKind::Number(range(-(MAX_OFFSET as f64), MAX_OFFSET as f64, "")),
    "Minutes after sunrise or sunset.",
);
/// The days of a timer that repeats.
pub const DAYS: Field = field(
    "days",
    FieldKind::Days,
    "Again on each of these days, mon to sun; without it, once.",
);

impl Field {
    /// The number in a value.
    ///
    /// # Errors
    /// The value is no number, or out of range.
    pub fn number(&self, value: &Value) -> Result<f64, InputError> {
        let (range, text) = match self.kind {
            FieldKind::Number(range) => (range, None),
            FieldKind::NumberOrText(range) => (range, value.as_str()),
            _ => unreachable!("{} is no number", self.name),
        };
        let Range { min, max, unit } = range;
        let from_text = text.and_then(|text| text.trim().parse().ok());
        let number: f64 = from_text.or(value.as_f64()).ok_or_else(|| {
            let why = format!("must be a number from {min} to {max}, not {value}");
            InputError::malformed(format!("{} {why}", self.name))
        })?;
        if (min..=max).contains(&number) {
            Ok(number)
        } else {
            let space = if unit.is_empty() { "" } else { " " };
            let why = format!("must be from {min} to {max}{space}{unit}, not {number}");
            Err(InputError::out_of_range(self.name, why))
        }
    }

    /// The integer in a value.
    ///
    /// # Errors
    /// The value is no integer, or out of range.
    pub fn integer(&self, value: &Value) -> Result<u64, InputError> {
        let FieldKind::Integer(max) = self.kind else {
            unreachable!("{} is no integer", self.name)
        };
        let integer = value.as_u64().filter(|integer| *integer <= max);
        integer.ok_or_else(|| {
            let why = format!("must be a whole number from 0 to {max}, not {value}");
            InputError::malformed(format!("{} {why}", self.name))
        })
    }

    /// The text in a value.
    ///
    /// # Errors
    /// The value is no text, too long, empty, or has control characters.
    pub fn text<const MAX: usize>(&self, value: &Value) -> Result<Text<MAX>, InputError> {
        let Value::String(text) = value else {
            let why = format!("{} must be text, not {value}", self.name);
            return Err(InputError::malformed(why));
        };
        Text::new(text).map_err(|error| InputError::out_of_range(self.name, error))
    }

    /// The name of something that exists.
    ///
    /// # Errors
    /// The value is no text.
    pub fn reference(&self, value: &Value) -> Result<String, InputError> {
        match value {
            Value::String(name) => Ok(name.clone()),
            other => {
                let why = format!("{} must be a name, not {other}", self.name);
                Err(InputError::malformed(why))
            }
        }
    }

    /// The effect in a value; `none` is the word for no effect.
    ///
    /// # Errors
    /// There is no such effect.
    pub fn effect(&self, value: &Value, none: &Value) -> Result<Option<EffectKind>, InputError> {
        if value == none {
            return Ok(None);
        }
        let kind = value.as_str().and_then(EffectKind::from_name);
        kind.map(Some).ok_or_else(|| {
            let names = EffectKind::ALL.map(EffectKind::name).join(", ");
            let none = none.as_str().unwrap_or("null");
            let why = format!("{} must be {names} or {none}, not {value}", self.name);
            InputError::malformed(why)
        })
    }
}

/// The names of fields, for an error.
pub fn names<'a>(fields: impl IntoIterator<Item = &'a &'a Field>) -> String {
    let names: Vec<_> = fields.into_iter().map(|field| field.name).collect();
    names.join(", ")
}

/// The JSON object in a body or a message, which `what` names in an error.
///
/// # Errors
/// The bytes are not JSON, or no object.
pub fn object(what: &str, bytes: &[u8]) -> Result<Map<String, Value>, InputError> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(other) => Err(InputError::malformed(format!(
            "{what} is an object, not {other}"
        ))),
        Err(error) => Err(InputError::malformed(format!("not JSON: {error}"))),
    }
}
