//! The fields of messages, changes and timers, each described once: name, values and meaning.

use std::fmt::Display;

use serde_json::{Map, Value};

use super::input_error::InputError;
use crate::model::effect::{EffectKind, Speed};
use crate::model::level::{Level, Step};
use crate::model::range::{OutOfRange, Range};
use crate::model::text::{Name, Remark, Text};
use crate::model::timers::{MAX_DELAY, MAX_OFFSET};
use crate::model::transition::TRANSITIONS;

/// A field of a request.
#[derive(Debug)]
pub struct Field {
    /// The name in JSON.
    pub name: &'static str,
    /// The values it may have.
    pub kind: FieldKind,
    /// The effect of the field, for the OpenAPI document, which a test generates.
    #[cfg_attr(not(test), expect(dead_code))]
    pub meaning: &'static str,
}

/// The values that a field may have.
#[derive(Debug)]
pub enum FieldKind {
    /// A number, or a string that holds one, as HTML forms and sliders send it.
    Number(Range),
    /// `true` or `false`.
    Bool,
    /// Only `true`.
    True,
    /// An integer from 0 to this.
    Integer(u64),
    /// Text of at most this many characters, none of them control characters.
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
    /// An object with at most this many lights: for each name a level, or a change as an object.
    Lights(usize),
    /// A timer.
    Timer,
    /// Settings to change: those of the dimmer, and those of its lights by their names.
    Settings,
    /// A number, or a string that holds one, or `null`.
    NumberOrNull(Range),
    /// Any JSON of at most this many bytes.
    Json(usize),
}

pub const LEVEL: Field = Field {
    name: "level",
    kind: FieldKind::Number(Level::RANGE),
    meaning: "Percent, rounded to 0.1.",
};
pub const STEP: Field = Field {
    name: "step",
    kind: FieldKind::Number(Range::new(Step::MIN.percent(), Step::MAX.percent())),
    meaning: "Percent, added to the level that is seen; the result is clamped to 0..100.",
};
pub const ON: Field = Field {
    name: "on",
    kind: FieldKind::Bool,
    meaning: "false: off; true: the last level above 0 that was chosen, or 100 if there was none.",
};
pub const TOGGLE: Field = Field {
    name: "toggle",
    kind: FieldKind::True,
    meaning: "Switches a light off that is on, and on one that is off.",
};
pub const EFFECT: Field = Field {
    name: "effect",
    kind: FieldKind::EffectOrNull,
    meaning: "Starts an effect around the level, which is the last level above 0 if the light was off; null ends it.",
};
pub const LIGHTS: Field = Field {
    name: "lights",
    kind: FieldKind::Lights(100),
    meaning: "Changes several lights at once: all of them, or none.",
};
pub const SAVE: Field = Field {
    name: "save",
    kind: FieldKind::Text(Name::MAX),
    meaning: "Saves the levels and effects of all lights as a preset of this name.",
};
pub const RECALL: Field = Field {
    name: "recall",
    kind: FieldKind::Text(Name::MAX),
    meaning: "Sets all lights of the preset of this name to what was saved.",
};
pub const FORGET: Field = Field {
    name: "forget",
    kind: FieldKind::Text(Name::MAX),
    meaning: "Removes the preset of this name.",
};
pub const TIMER: Field = Field {
    name: "timer",
    kind: FieldKind::Timer,
    meaning: "Adds a timer.",
};
pub const CANCEL: Field = Field {
    name: "cancel",
    kind: FieldKind::Text(Name::MAX),
    meaning: "Removes the timer of this name.",
};
pub const SETTINGS: Field = Field {
    name: "settings",
    kind: FieldKind::Settings,
    meaning: "Changes settings: all of these, or none.",
};
/// The ends of a light's range are found by eye.
pub const TRY: Field = Field {
    name: "try",
    kind: FieldKind::NumberOrNull(Range::new(0.0, 100.0)),
    meaning: "Holds the pin of a light at this duty in percent; null ends that.",
};
pub const GREETED: Field = Field {
    name: "greeted",
    kind: FieldKind::True,
    meaning: "The LED of a light lights up, so nobody need be asked again.",
};
/// The arrow keys.
pub const COMMAND: Field = Field {
    name: "command",
    kind: FieldKind::OneOf(&["up", "down", "left", "right"]),
    meaning: "Dims the selected light, or selects another one.",
};
pub const SAY: Field = Field {
    name: "say",
    kind: FieldKind::Text(Remark::MAX),
    meaning: "Text for the other clients.",
};
pub const NAME: Field = Field {
    name: "name",
    kind: FieldKind::Text(Name::MAX),
    meaning: "The name that the client gives itself.",
};
pub const ECHO: Field = Field {
    name: "echo",
    kind: FieldKind::Json(1024),
    meaning: "Sent back unchanged.",
};
pub const OWN: Field = Field {
    name: "own",
    kind: FieldKind::Bool,
    meaning: "true: the client is sent its own changes, too.",
};
pub const BATCH: Field = Field {
    name: "batch",
    kind: FieldKind::Bool,
    meaning: "true: the client is sent several lights in one message.",
};
pub const LIGHT: Field = Field {
    name: "light",
    kind: FieldKind::Reference,
    meaning: "The light to change; the first light if missing.",
};
pub const TRANSITION: Field = Field {
    name: "transition",
    kind: FieldKind::Number(TRANSITIONS),
    meaning: "Seconds until the light is there; if missing, the light's own transition, and 1800 for sunrise, the only effect that has one.",
};
pub const SPEED: Field = Field {
    name: "speed",
    kind: FieldKind::Number(Range::new(Speed::MIN.times(), Speed::MAX.times())),
    meaning: "The speed of the effect relative to normal, rounded to 0.1; 1 if missing. More than 3 only for a light with allow_fast_strobe.",
};
/// As the tutorials' page of commands sends it.
pub const MSG: Field = Field {
    name: "msg",
    kind: FieldKind::Text(Remark::MAX),
    meaning: "Text for the other clients that accompanies a command.",
};
pub const SEQ: Field = Field {
    name: "seq",
    kind: FieldKind::Integer(MAX_SEQ),
    meaning: "The client's own counter, returned as seen.",
};
/// The last integer up to which JavaScript counts exactly.
const MAX_SEQ: u64 = (1 << 53) - 1;
pub const IN: Field = Field {
    name: "in",
    kind: FieldKind::Number(Range::new(1.0, MAX_DELAY.as_secs_f64())),
    meaning: "Seconds from now: once.",
};
pub const AT: Field = Field {
    name: "at",
    kind: FieldKind::TimeOfDay,
    meaning: "A local time of day, such as 07:00, or sunrise or sunset, which need latitude and longitude in the settings.",
};
pub const OFFSET: Field = Field {
    name: "offset",
    kind: FieldKind::Number(Range::new(-(MAX_OFFSET as f64), MAX_OFFSET as f64)),
    meaning: "Minutes after sunrise or sunset.",
};
pub const DAYS: Field = Field {
    name: "days",
    kind: FieldKind::Days,
    meaning: "Repeats on each of these days; if missing, once.",
};
pub const TIMER_LIGHT: Field = Field {
    meaning: "The light to change; all lights if missing.",
    ..LIGHT
};
pub const TIMER_NAME: Field = Field {
    meaning: "Replaces a timer that has this name. If missing, the lowest free number.",
    ..NAME
};
/// The level in commands by MQTT.
pub const BRIGHTNESS: Field = Field {
    name: "brightness",
    kind: FieldKind::Number(Level::RANGE),
    meaning: "Percent.",
};
/// The most of [`PERMILLE`].
pub const FULL_PERMILLE: f64 = 1000.0;
/// The level in Home Assistant's commands.
pub const PERMILLE: Field = Field {
    name: "brightness",
    kind: FieldKind::Number(Range::new(0.0, FULL_PERMILLE)),
    meaning: "Tenths of a percent, as brightness_scale says.",
};
/// The time until a light goes off after Home Assistant starts its sleep timer.
pub const SLEEP_MINUTES: Field = Field {
    name: "sleep_minutes",
    kind: FieldKind::Number(Range::new(0.0, MAX_DELAY.as_secs_f64() / 60.0)),
    meaning: "Minutes; 0 for no sleep timer.",
};
/// The button that starts the sleep timer.
pub const SLEEP: Field = Field {
    name: "sleep",
    kind: FieldKind::True,
    meaning: "Starts the sleep timer, or cancels it if its minutes are 0.",
};

impl Field {
    /// The number in a value.
    ///
    /// # Errors
    /// The value is no number, or out of range.
    pub fn number(&self, value: &Value) -> Result<f64, InputError> {
        let (FieldKind::Number(range) | FieldKind::NumberOrNull(range)) = self.kind else {
            unreachable!("{} is no number", self.name)
        };
        let from_text = value.as_str().and_then(|text| text.trim().parse().ok());
        let number: f64 = from_text.or(value.as_f64()).ok_or_else(|| {
            let Range { min, max, .. } = range;
            self.malformed(format_args!("a number from {min} to {max}"), value)
        })?;
        let checked = range.check(number);
        checked.map_err(|error| InputError::out_of_range(self.name, error))
    }

    /// The number in a value, as a level, a step or a speed.
    ///
    /// # Errors
    /// The value is no number, or out of range.
    pub fn tenths<T>(
        &self,
        value: &Value,
        from: fn(f64) -> Result<T, OutOfRange>,
    ) -> Result<T, InputError> {
        from(self.number(value)?).map_err(|error| InputError::out_of_range(self.name, error))
    }

    /// The truth value in a value.
    ///
    /// # Errors
    /// The value is neither `true` nor `false`, or not what [`FieldKind::True`] allows.
    pub fn bool(&self, value: &Value) -> Result<bool, InputError> {
        match (&self.kind, value) {
            (FieldKind::Bool, Value::Bool(value)) => Ok(*value),
            (FieldKind::True, Value::Bool(true)) => Ok(true),
            (FieldKind::True, _) => Err(self.malformed("true", value)),
            _ => Err(self.malformed("true or false", value)),
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
        integer.ok_or_else(|| self.malformed(format_args!("a whole number from 0 to {max}"), value))
    }

    /// The text in a value.
    ///
    /// # Errors
    /// The value is no text, too long, empty, or has control characters.
    pub fn text<const MAX: usize>(&self, value: &Value) -> Result<Text<MAX>, InputError> {
        debug_assert!(
            matches!(self.kind, FieldKind::Text(max) if max == MAX),
            "{} has another length",
            self.name
        );
        let text = value
            .as_str()
            .ok_or_else(|| self.malformed("text", value))?;
        Text::new(text).map_err(|error| InputError::out_of_range(self.name, error))
    }

    /// The word in a value.
    ///
    /// # Errors
    /// The value is not one of the words.
    pub fn word(&self, value: &Value) -> Result<&'static str, InputError> {
        let FieldKind::OneOf(words) = self.kind else {
            unreachable!("{} is no word", self.name)
        };
        let word = words.iter().find(|word| value == **word);
        word.copied().ok_or_else(|| {
            let (last, others) = words.split_last().unwrap_or((&"", &[]));
            self.malformed(format_args!("{} or {last}", others.join(", ")), value)
        })
    }

    /// The lights in a value, by their names.
    ///
    /// # Errors
    /// The value is no object, or has no lights or too many.
    pub fn lights<'a>(&self, value: &'a Value) -> Result<&'a Map<String, Value>, InputError> {
        let FieldKind::Lights(max) = self.kind else {
            unreachable!("{} has no lights", self.name)
        };
        let lights = value
            .as_object()
            .ok_or_else(|| self.malformed("an object", value))?;
        match lights.len() {
            count if (1..=max).contains(&count) => Ok(lights),
            count => {
                let why = format!("must have 1 to {max} lights, not {count}");
                Err(InputError::out_of_range(self.name, why))
            }
        }
    }

    /// Checks the length of JSON, in bytes.
    ///
    /// # Errors
    /// It is too long.
    pub fn check_length(&self, length: usize) -> Result<(), InputError> {
        let FieldKind::Json(max) = self.kind else {
            unreachable!("{} is no JSON", self.name)
        };
        if length <= max {
            Ok(())
        } else {
            let why = format!("must have at most {max} bytes, not {length}");
            Err(InputError::out_of_range(self.name, why))
        }
    }

    /// The name of something that exists.
    ///
    /// # Errors
    /// The value is no text.
    pub fn reference(&self, value: &Value) -> Result<String, InputError> {
        let name = value
            .as_str()
            .ok_or_else(|| self.malformed("a name", value))?;
        Ok(name.into())
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
            self.malformed(format_args!("{names} or {none}"), value)
        })
    }

    /// The error for a value that is not what it must be.
    pub fn malformed(&self, must_be: impl Display, value: &Value) -> InputError {
        InputError::malformed(format!("{} must be {must_be}, not {value}", self.name))
    }
}

/// Checks that all fields are among the known ones. `of` names what they belong to, for the error.
///
/// # Errors
/// A field is unknown.
pub fn check_known<'a>(
    fields: &Map<String, Value>,
    of: &str,
    known: impl IntoIterator<Item = &'a &'a Field> + Clone,
) -> Result<(), InputError> {
    let is_known = |name: &&String| known.clone().into_iter().any(|field| field.name == *name);
    match fields.keys().find(|name| !is_known(name)) {
        None => Ok(()),
        Some(unknown) => {
            let known = names(known.clone());
            let why = format!("unknown field {unknown:?}{of}; there are {known}");
            Err(InputError::malformed(why))
        }
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
