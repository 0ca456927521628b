//! The words on the wire: what a page may say, and what the service answers.
//!
//! Text in, [`Message`] out, without a socket: `/ws`, the REST API and the command line share it.

mod fields;
mod server_message;
mod timer;

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::model::activity;
use crate::model::effect::{Effect, Speed};
use crate::model::fleet;
use crate::model::hub::Hub;
use crate::model::lights::{Change, Light};
use crate::model::presets;
use crate::model::timers::{self, Act, Wanted};
pub use fields::name;
pub(crate) use fields::{number, transition};
pub use server_message::{FaultOf, Hello, RemoteNews, ServerMessage, seconds};

/// Largest message from a page, in bytes.
pub const MAX_MESSAGE: usize = 4096;

/// What a page said, in as far as it can be understood.
#[derive(Debug)]
pub struct Message {
    /// The page's own counter.
    pub seq: Option<u64>,
    /// The light it names.
    pub light: Option<String>,
    /// Whether it asks for a change of a light, if only for an impossible one.
    pub asks_for_change: bool,
    /// What it wants.
    pub wish: Result<Request, BadInput>,
}

/// What a message wants.
#[derive(Debug)]
pub enum Request {
    /// Change a light.
    Change(LightChange),
    /// Keep what all lights are set to, by this name.
    Save(String),
    /// Set the lights as a preset says.
    Recall {
        /// The preset's name.
        name: String,
        /// In what time; `None` for each light's own.
        transition: Option<Duration>,
    },
    /// Remove the preset of this name.
    Forget(String),
    /// Set a timer.
    Timer(Wanted),
    /// Remove the timer of this name.
    Cancel(String),
    /// Change the light that this page has selected.
    ChangeSelected(LightChange),
    /// Select another light in this page.
    Select(Direction),
    /// Say this to the others.
    Say(String),
    /// Call this page by this name.
    Name(Arc<str>),
    /// Send this JSON back.
    Echo(Box<RawValue>),
}

/// Which of the visible lights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The one before.
    Left,
    /// The next.
    Right,
}

/// How to change a light.
#[derive(Debug, PartialEq)]
pub struct LightChange {
    /// To what.
    pub change: Change,
    /// In what time; `None` for the light's own.
    pub transition: Option<Duration>,
    /// Whether the page can know the level that comes of it: it asked for one in steps of 0.1.
    pub exact: bool,
}

/// Input that means nothing here, and changes nothing.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BadInput {
    /// It cannot be read.
    #[error("{0}")]
    Malformed(String),
    /// It can be read, but asks for what is not allowed.
    #[error("{0}")]
    OutOfRange(String),
    /// No light has this name.
    #[error("no light is called {0:?}")]
    NoSuchLight(String),
    /// The preset cannot be saved or used.
    #[error(transparent)]
    Preset(#[from] presets::Error),
    /// There is no such timer.
    #[error(transparent)]
    Timer(#[from] timers::Error),
    /// It is not said to the others.
    #[error(transparent)]
    Say(#[from] activity::Error),
    /// Another dimmer's light does not do it.
    #[error(transparent)]
    Fleet(#[from] fleet::Error),
}

pub(crate) fn malformed(text: impl Into<String>) -> BadInput {
    BadInput::Malformed(text.into())
}

impl LightChange {
    /// Whether this light can do it.
    ///
    /// # Errors
    /// An effect is faster than it allows.
    pub fn check(&self, light: &Light) -> Result<(), BadInput> {
        match self.change {
            Change::Effect(Some(effect)) => check_speed(effect, light),
            _ => Ok(()),
        }
    }
}

fn check_speed(effect: Effect, light: &Light) -> Result<(), BadInput> {
    Speed::from_times(effect.speed.times(), light.fastest)
        .map(|_| ())
        .map_err(|error| {
            let why = "more is for lights with allow_fast_strobe";
            BadInput::OutOfRange(format!("{error}: {why}"))
        })
}

impl Message {
    /// Reads a text frame.
    pub fn parse(text: &str) -> Message {
        let mut fields = match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => fields,
            // A bare number is short for {"level": n}.
            Ok(level @ Value::Number(_)) => Map::from_iter([("level".into(), level)]),
            Ok(other) => {
                let what = format!("a message is an object or a number, not {other}");
                return Message::bad(malformed(what));
            }
            Err(error) => return Message::bad(malformed(format!("not JSON: {error}"))),
        };
        let asks_for_change = fields.keys().any(|field| fields::changes_a_light(field));
        let seq = fields.remove("seq").map(fields::seq).transpose();
        let light = fields.get("light").map(fields::light).transpose();
        let wish = match (&seq, &light) {
            (Err(bad), _) | (_, Err(bad)) => Err(bad.clone()),
            (Ok(_), Ok(_)) => fields::wish(fields, text),
        };
        Message {
            seq: seq.unwrap_or_default(),
            light: light.unwrap_or_default(),
            asks_for_change,
            wish,
        }
    }

    fn bad(input: BadInput) -> Message {
        Message {
            seq: None,
            light: None,
            asks_for_change: false,
            wish: Err(input),
        }
    }
}

/// Reads the body of `PUT /api/lights/{name}`.
///
/// # Errors
/// The body is not JSON, or asks for something that a light cannot do.
pub fn parse_change(body: &[u8]) -> Result<LightChange, BadInput> {
    object(body).and_then(fields::change)
}

/// Reads the body of a request to recall a preset: in what time, if it says so.
///
/// # Errors
/// As [`parse_change`].
pub fn parse_recall(body: &[u8]) -> Result<Option<Duration>, BadInput> {
    if body.is_empty() {
        return Ok(None);
    }
    object(body).and_then(fields::only_transition)
}

/// The fields of a request's body.
fn object(body: &[u8]) -> Result<Map<String, Value>, BadInput> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(other) => Err(malformed(format!("the body is an object, not {other}"))),
        Err(error) => Err(malformed(format!("not JSON: {error}"))),
    }
}

/// Reads the body of `POST /api/timers`.
///
/// # Errors
/// As [`parse_change`].
pub fn parse_timer(body: &[u8]) -> Result<Wanted, BadInput> {
    object(body).and_then(|fields| timer::timer(&fields))
}

/// Whether this hub can do what a timer is to do.
///
/// # Errors
/// It has no such light or preset, or the light is not to play that fast.
pub fn check_timer(wanted: &Wanted, hub: &Hub) -> Result<(), BadInput> {
    let lights = hub.lights.list();
    let its: &[Light] = match &wanted.light {
        None => lights,
        Some(name) => {
            let index = hub.lights.find(name);
            let index = index.ok_or_else(|| BadInput::NoSuchLight(name.clone()))?;
            &lights[index..=index]
        }
    };
    match &wanted.act {
        Act::Effect(effect) => its.iter().try_for_each(|light| check_speed(*effect, light)),
        Act::Recall { recall } if !hub.presets.all().contains_key(recall) => {
            Err(presets::Error::NoSuch(recall.clone()).into())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::level::Level;

    fn change(text: &str) -> LightChange {
        match Message::parse(text).wish {
            Ok(Request::Change(change)) => change,
            other => panic!("{text} became {other:?}"),
        }
    }

    fn error(text: &str) -> String {
        Message::parse(text).wish.unwrap_err().to_string()
    }

    #[test]
    fn every_way_to_say_42_is_the_same() {
        let level = Change::Level(Level::from_percent(42.0).unwrap());
        for text in [
            "42",
            "42.0",
            " 42\n",
            "4.2e1",
            r#"{"level":42}"#,
            r#"{"level":"42"}"#,
            r#"{"level":" 42 "}"#,
        ] {
            assert_eq!(change(text).change, level, "{text}");
        }
    }

    #[test]
    fn only_a_level_in_steps_of_a_tenth_is_known_to_its_sender() {
        for (text, exact) in [
            ("42.5", true),
            (r#"{"level":0.3}"#, true),
            ("42.55", false),
            (r#"{"step":1}"#, false),
            (r#"{"on":true}"#, false),
            (r#"{"toggle":true}"#, false),
        ] {
            assert_eq!(change(text).exact, exact, "{text}");
        }
    }

    #[test]
    fn bad_input_names_the_field_the_value_and_what_is_allowed() {
        for (text, says) in [
            ("150", "level must be from 0 to 100, not 150"),
            (r#"{"level":-0.1}"#, "level must be from 0 to 100, not -0.1"),
            (r#"{"level":"NaN"}"#, "level must be from 0 to 100, not NaN"),
            (
                r#"{"level":"loud"}"#,
                r#"level must be a number from 0 to 100, not "loud""#,
            ),
            (
                r#"{"level":null}"#,
                "level must be a number from 0 to 100, not null",
            ),
            (
                r#"{"level":[1]}"#,
                "level must be a number from 0 to 100, not [1]",
            ),
            (r#"{"step":101}"#, "step must be from -100 to 100, not 101"),
            (
                r#"{"step":"1"}"#,
                r#"step must be a number from -100 to 100, not "1""#,
            ),
            (r#"{"on":1}"#, "on must be true or false, not 1"),
            (r#"{"toggle":false}"#, "toggle must be true, not false"),
            (
                r#"{"effect":"disco"}"#,
                r#"effect must be breathe, blink, candle, strobe, sunrise or null, not "disco""#,
            ),
            (
                r#"{"effect":"blink","speed":11}"#,
                "speed must be from 0.1 to 10, not 11",
            ),
            (
                r#"{"effect":"blink","speed":"2"}"#,
                r#"speed must be a number from 0.1 to 10, not "2""#,
            ),
            (
                r#"{"effect":"blink","transition":1}"#,
                "transition goes with no effect but sunrise",
            ),
            (
                r#"{"effect":null,"speed":1}"#,
                "speed does not go with the effect null",
            ),
            (r#"{"level":1,"speed":1}"#, "speed does not go with level"),
            (
                r#"{"save":"Film","light":"led"}"#,
                "light does not go with save",
            ),
            (
                r#"{"recall":""}"#,
                "recall must have 1 to 40 characters, not 0",
            ),
            (
                r#"{"command":"jump"}"#,
                r#"command must be up, down, left or right, not "jump""#,
            ),
            (
                r#"{"command":"up","light":"led"}"#,
                "light does not go with command",
            ),
            (
                r#"{"command":"left","transition":1}"#,
                "transition does not go with the command left",
            ),
            (r#"{"say":""}"#, "say must have 1 to 200 characters, not 0"),
            (r#"{"forget":7}"#, "forget must be text, not 7"),
            (
                r#"{"level":1,"transition":3601}"#,
                "transition must be from 0 to 3600 seconds, not 3601",
            ),
            (
                r#"{"level":1,"transition":"1"}"#,
                r#"transition must be a number from 0 to 3600, not "1""#,
            ),
            (
                r#"{"level":1,"seq":-1}"#,
                "seq must be a whole number from 0 to 9007199254740991, not -1",
            ),
            (
                r#"{"level":1,"seq":1.5}"#,
                "seq must be a whole number from 0 to 9007199254740991, not 1.5",
            ),
            (r#"{"level":1,"light":7}"#, "light must be a name, not 7"),
            (
                r#"{"level":1,"step":1}"#,
                "level and step do not go together",
            ),
            (
                r#"{"level":1,"echo":1}"#,
                "level and echo do not go together",
            ),
            (
                r#"{"name":"Ana","light":"led"}"#,
                "light does not go with name",
            ),
            (
                r#"{"echo":1,"transition":1}"#,
                "transition does not go with echo",
            ),
            (r#"{"name":""}"#, "name must have 1 to 40 characters, not 0"),
            (r#"{"name":5}"#, "name must be text, not 5"),
            (
                r#"{"name":"a\nb"}"#,
                r#"name must not have control characters, as in "a\nb""#,
            ),
            (
                r#"{"transition":1}"#,
                "one of level, step, on, toggle, effect, save, recall, forget, timer, cancel, command, say, name, echo is needed",
            ),
            (
                "{}",
                "one of level, step, on, toggle, effect, save, recall, forget, timer, cancel, command, say, name, echo is needed",
            ),
            ("[1]", "a message is an object or a number, not [1]"),
            ("true", "a message is an object or a number, not true"),
        ] {
            assert_eq!(error(text), says, "{text}");
        }
        for (text, starts) in [
            (r#"{"brightness":1}"#, r#"unknown field "brightness""#),
            (r#"{"level":1,"colour":2}"#, r#"unknown field "colour""#),
            (r#"{"name":"Ana","colour":2}"#, r#"unknown field "colour""#),
            ("NaN", "not JSON: "),
            ("", "not JSON: "),
            (r#"{"level":1"#, "not JSON: "),
            (r#"{"level":1e999}"#, "not JSON: "),
        ] {
            assert!(error(text).starts_with(starts), "{text}: {}", error(text));
        }
        let long = format!(r#"{{"name":"{}"}}"#, "ã".repeat(41));
        assert_eq!(error(&long), "name must have 1 to 40 characters, not 41");
        let large = format!(r#"{{"echo":"{}"}}"#, "x".repeat(1023));
        assert_eq!(error(&large), "echo must have at most 1024 bytes, not 1025");
    }

    #[test]
    fn an_effect_has_a_speed_and_a_sunrise_a_time() {
        let effect = |text| match change(text).change {
            Change::Effect(effect) => effect,
            other => panic!("{text} became {other:?}"),
        };
        let blink = effect(r#"{"effect":"blink","speed":2.04}"#).unwrap();
        assert_eq!((blink.kind.name(), blink.speed.times()), ("blink", 2.0));
        assert_eq!(effect(r#"{"effect":null,"transition":1}"#), None);
        let sunrise = change(r#"{"effect":"sunrise","transition":60}"#);
        assert_eq!(sunrise.transition, Some(Duration::from_secs(60)));
        assert!(!sunrise.exact);
    }

    #[test]
    fn a_bad_message_still_tells_its_seq_and_light() {
        let message = Message::parse(r#"{"level":150,"seq":17,"light":"led"}"#);
        assert_eq!(message.seq, Some(17));
        assert_eq!(message.light.as_deref(), Some("led"));
    }

    #[test]
    fn an_echo_comes_back_to_the_letter() {
        let text = r#"{"echo":{"b":1.0,"a":[1e2, "é"]}}"#;
        let Ok(Request::Echo(echo)) = Message::parse(text).wish else {
            panic!("no echo");
        };
        assert_eq!(ServerMessage::Echo { echo: &echo }.to_json(), text);
    }

    proptest! {
        #[test]
        fn any_text_is_understood_or_refused_without_a_panic(text in ".*") {
            let _ = Message::parse(&text);
            let _ = parse_change(text.as_bytes());
        }

        #[test]
        fn any_fields_are_understood_or_refused_without_a_panic(
            field in "level|step|on|toggle|effect|speed|save|recall|command|say|name|echo|light|transition|seq|x",
            other in "level|step|on|toggle|effect|speed|save|recall|command|say|name|echo|light|transition|seq|x",
            value in "\"blink\"|\"up\"|-?[0-9]{1,20}(\\.[0-9]{1,3})?|true|null|\"[a-z]{0,5}\"|\\[\\]|\\{\\}",
        ) {
            let _ = Message::parse(&format!(r#"{{"{field}":{value},"{other}":{value}}}"#));
        }

        #[test]
        fn every_level_in_range_is_taken(tenths in 0u32..=1000) {
            let text = format!("{}.{}", tenths / 10, tenths % 10);
            let wanted = Change::Level(text.parse().unwrap());
            let change = change(&text);
            prop_assert_eq!(change.change, wanted);
            prop_assert!(change.exact);
        }
    }
}
