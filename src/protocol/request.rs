//! Reads the messages of clients on `/ws` and the bodies of REST requests.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::fields::{
    self, BATCH, CANCEL, COMMAND, ECHO, EFFECT, FORGET, Field, GREETED, LEVEL, LIGHT, LIGHTS, MSG,
    NAME, ON, OWN, RECALL, SAVE, SAY, SEQ, SETTINGS, SPEED, STEP, TIMER, TOGGLE, TRANSITION, TRY,
};
use super::input_error::InputError;
use super::light_change::{LightChange, change, transition};
use super::preset_request::PresetRequest;
use super::settings_request;
use super::timer_request;
use crate::model::command::Command;
use crate::model::level::Step;
use crate::model::lights::Change;
use crate::model::presets::Preset;
use crate::model::settings::SettingsChange;
use crate::model::text::{Name, Remark};
use crate::model::timers::NewTimer;

/// What the commands up and down add, in percent.
const COMMAND_STEP: f64 = 5.0;

/// A message of a client, as far as it can be read.
#[derive(Debug)]
pub struct ClientMessage {
    /// The client's counter of its messages.
    pub seq: Option<u64>,
    /// The light that the message names.
    pub light: Option<String>,
    /// Whether the message is about a change of one light, even an invalid one.
    pub is_change: bool,
    /// The names of several lights that the message is about changing, even if it is invalid.
    pub lights: Vec<String>,
    /// What the client asks for.
    pub request: Result<Request, InputError>,
    /// A remark that accompanies the request.
    pub remark: Option<Remark>,
}

/// What a client asks for.
#[derive(Debug)]
pub enum Request {
    /// Change the light that the message names.
    Change(LightChange),
    /// Change the lights of these names: all of them, or none.
    ChangeTogether(Vec<(String, LightChange)>),
    /// Change the light that the client has selected.
    ChangeSelected(LightChange),
    /// Select another light.
    Select(Direction),
    /// Carry out a command that is not about one light.
    Command(Command),
    /// Hold the pin of the light that the message names at this duty in percent, or end that.
    Try(Option<f64>),
    /// Note that the LED of the light that the message names lights up.
    Greet,
    /// Publish a remark to all clients.
    Say(Remark),
    /// Give the client this name.
    Name(Name),
    /// Send this JSON back.
    Echo(Box<RawValue>),
    /// Send the client its own changes, too, or no longer.
    Own(bool),
    /// Send the client several lights in one message, or no longer.
    Batch(bool),
}

/// A direction in the list of visible lights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the light before.
    Left,
    /// To the next light.
    Right,
}

/// A field that says what a message asks for.
pub(crate) struct Verb {
    pub field: &'static Field,
    /// The fields that may accompany it, besides `seq`.
    pub with: &'static [&'static Field],
}

/// Everything that a message can ask for: exactly one of these. The first [`LIGHT_VERBS`] change one
/// light.
pub(crate) const VERBS: [Verb; 20] = [
    verb(&LEVEL, &[&LIGHT, &TRANSITION]),
    verb(&STEP, &[&LIGHT, &TRANSITION]),
    verb(&ON, &[&LIGHT, &TRANSITION]),
    verb(&TOGGLE, &[&LIGHT, &TRANSITION]),
    verb(&EFFECT, &[&LIGHT, &TRANSITION, &SPEED]),
    verb(&LIGHTS, &[&TRANSITION]),
    verb(&SAVE, &[]),
    verb(&RECALL, &[&TRANSITION]),
    verb(&FORGET, &[]),
    verb(&TIMER, &[]),
    verb(&CANCEL, &[]),
    verb(&SETTINGS, &[]),
    verb(&TRY, &[&LIGHT]),
    verb(&GREETED, &[&LIGHT]),
    verb(&COMMAND, &[&TRANSITION, &MSG]),
    verb(&SAY, &[]),
    verb(&NAME, &[]),
    verb(&ECHO, &[]),
    verb(&OWN, &[]),
    verb(&BATCH, &[]),
];
/// The number of verbs that change one light.
pub(crate) const LIGHT_VERBS: usize = 5;
/// The fields that may accompany some verb.
pub(crate) const COMPANIONS: [&Field; 4] = [&LIGHT, &TRANSITION, &SPEED, &MSG];
/// Those that may accompany a change in the body of a request, whose path names the light.
pub(crate) const CHANGE_COMPANIONS: [&Field; 2] = [&TRANSITION, &SPEED];

const fn verb(field: &'static Field, with: &'static [&'static Field]) -> Verb {
    Verb { field, with }
}

impl ClientMessage {
    /// Reads a text frame.
    pub fn parse(text: &str) -> ClientMessage {
        let mut fields = match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => fields,
            // A bare number is short for {"level": n}.
            Ok(level @ Value::Number(_)) => Map::from_iter([(LEVEL.name.into(), level)]),
            Ok(other) => {
                let why = format!("a message is an object or a number, not {other}");
                return ClientMessage::unreadable(why);
            }
            Err(error) => return ClientMessage::unreadable(format!("not JSON: {error}")),
        };
        let light_verbs = &VERBS[..LIGHT_VERBS];
        let is_change = fields
            .keys()
            .any(|name| light_verbs.iter().any(|verb| verb.field.name == *name));
        let lights = fields.get(LIGHTS.name).and_then(Value::as_object);
        let lights = lights.map(|lights| lights.keys().cloned().collect());
        let seq = fields.remove(SEQ.name).map(|seq| SEQ.integer(&seq));
        let light = fields.get(LIGHT.name).map(|name| LIGHT.reference(name));
        let remark = fields.get(MSG.name).map(|remark| MSG.text(remark));
        let (seq, light, remark) = (seq.transpose(), light.transpose(), remark.transpose());
        let request = match (&seq, &light, &remark) {
            (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => Err(error.clone()),
            (Ok(_), Ok(_), Ok(_)) => request(&fields, text),
        };
        ClientMessage {
            seq: seq.unwrap_or_default(),
            light: light.unwrap_or_default(),
            is_change,
            lights: lights.unwrap_or_default(),
            request,
            remark: remark.unwrap_or_default(),
        }
    }

    fn unreadable(why: String) -> ClientMessage {
        ClientMessage {
            seq: None,
            light: None,
            is_change: false,
            lights: Vec::new(),
            request: Err(InputError::malformed(why)),
            remark: None,
        }
    }
}

/// Reads the body of a request to change a light.
///
/// # Errors
/// The body is not JSON, or asks for something that a light cannot do.
pub fn parse_change(body: &[u8]) -> Result<LightChange, InputError> {
    one_change(&fields::object("the body", body)?)
}

/// The change in the fields of an object that belongs to one light.
fn one_change(fields: &Map<String, Value>) -> Result<LightChange, InputError> {
    let verb = only_verb(fields, &VERBS[..LIGHT_VERBS], &CHANGE_COMPANIONS)?;
    change(verb, fields)
}

/// The changes in `lights`. The transition beside it is that of each light without one.
fn changes(fields: &Map<String, Value>) -> Result<Vec<(String, LightChange)>, InputError> {
    let common = transition(fields)?;
    let lights = LIGHTS.lights(&fields[LIGHTS.name])?.iter();
    let changes = lights.map(|(name, value)| {
        let change = match value {
            Value::Object(fields) => one_change(fields),
            // Short for {"level": n}.
            level => change(
                &LEVEL,
                &Map::from_iter([(LEVEL.name.into(), level.clone())]),
            ),
        };
        let mut change = change.map_err(|error| error.of_light(name))?;
        change.transition = change.transition.or(common);
        Ok((name.clone(), change))
    });
    changes.collect()
}

/// Reads the body of a request to change several lights, with their names.
///
/// # Errors
/// As [`parse_change`].
pub fn parse_changes(body: &[u8]) -> Result<Vec<(String, LightChange)>, InputError> {
    let fields = fields::object("the body", body)?;
    only_verb(&fields, &VERBS[LIGHT_VERBS..=LIGHT_VERBS], &[&TRANSITION])?;
    changes(&fields)
}

/// Reads the body of a request to recall a preset: the transition, if there is one.
///
/// # Errors
/// As [`parse_change`].
pub fn parse_recall(body: &[u8]) -> Result<Option<Duration>, InputError> {
    if body.is_empty() {
        return Ok(None);
    }
    let fields = fields::object("the body", body)?;
    let mut others = fields.keys().filter(|field| *field != TRANSITION.name);
    match others.next() {
        Some(other) => Err(InputError::malformed(format!(
            "unknown field {other:?}; there is transition"
        ))),
        None => transition(&fields),
    }
}

/// Reads the body of a request to add a timer.
///
/// # Errors
/// As [`parse_change`].
pub fn parse_timer(body: &[u8]) -> Result<NewTimer, InputError> {
    timer_request::parse(&fields::object("the body", body)?)
}

/// Reads the body of a request to change settings.
///
/// # Errors
/// The body is not JSON, or no object of settings.
pub fn parse_settings(body: &[u8]) -> Result<SettingsChange, InputError> {
    settings_request::parse(fields::object("the body", body)?)
}

/// Reads the body of a request to save a preset; `None` for what the lights are set to.
///
/// # Errors
/// The body is not JSON, or no preset.
pub fn parse_preset(body: &[u8]) -> Result<Option<Preset>, InputError> {
    if body.is_empty() {
        return Ok(None);
    }
    let preset: PresetRequest =
        serde_json::from_slice(body).map_err(|error| InputError::malformed(error.to_string()))?;
    Ok(Some(preset.into()))
}

/// Reads the name in the path of a request.
///
/// # Errors
/// It is empty, too long, or has control characters.
pub fn parse_name(name: &str) -> Result<Name, InputError> {
    Name::new(name).map_err(|error| InputError::out_of_range(NAME.name, error))
}

/// The request of a message with these fields, without `seq`.
fn request(fields: &Map<String, Value>, text: &str) -> Result<Request, InputError> {
    let verb = only_verb(fields, &VERBS, &COMPANIONS)?;
    let value = &fields[verb.name];
    let command = match verb.name {
        "save" => Command::SavePreset {
            name: SAVE.text(value)?,
            preset: None,
        },
        "recall" => Command::RecallPreset {
            name: RECALL.text::<{ Name::MAX }>(value)?.into(),
            transition: transition(fields)?,
        },
        "forget" => Command::ForgetPreset(FORGET.text::<{ Name::MAX }>(value)?.into()),
        "cancel" => Command::CancelTimer(CANCEL.text::<{ Name::MAX }>(value)?.into()),
        "timer" => match value {
            Value::Object(timer) => Command::AddTimer(timer_request::parse(timer)?),
            other => return Err(TIMER.malformed("an object", other)),
        },
        "settings" => match value {
            Value::Object(settings) => {
                Command::ChangeSettings(settings_request::parse(settings.clone())?)
            }
            other => return Err(SETTINGS.malformed("an object", other)),
        },
        "try" if value.is_null() => return Ok(Request::Try(None)),
        "try" => return TRY.number(value).map(Some).map(Request::Try),
        "greeted" => return GREETED.bool(value).map(|_| Request::Greet),
        "command" => return arrow(value, fields),
        "say" => return SAY.text(value).map(Request::Say),
        "name" => return NAME.text(value).map(Request::Name),
        "echo" => return echo(text).map(Request::Echo),
        "own" => return OWN.bool(value).map(Request::Own),
        "batch" => return BATCH.bool(value).map(Request::Batch),
        "lights" => return changes(fields).map(Request::ChangeTogether),
        _ => return change(verb, fields).map(Request::Change),
    };
    Ok(Request::Command(command))
}

/// The one verb among the fields. All other fields must be known and may accompany it.
fn only_verb(
    fields: &Map<String, Value>,
    verbs: &'static [Verb],
    companions: &[&'static Field],
) -> Result<&'static Field, InputError> {
    let verb_fields = verbs.iter().map(|verb| &verb.field);
    fields::check_known(fields, "", verb_fields.clone().chain(companions))?;
    // A drag sends dozens of messages a second, and each has few of the fields that there are: so these are looked up
    // in the tables, not the tables in them.
    let place = |name: &String| verbs.iter().position(|verb| verb.field.name == *name);
    let mut found = fields.keys().filter_map(place);
    let verb = match (found.next(), found.next()) {
        (Some(verb), None) => &verbs[verb],
        (Some(one), Some(two)) => {
            let both = [one.min(two), one.max(two)];
            let [one, two] = both.map(|verb| verbs[verb].field.name);
            let why = format!("{one} and {two} do not go together");
            return Err(InputError::malformed(why));
        }
        (None, _) => {
            let why = format!("one of {} is needed", fields::names(verb_fields));
            return Err(InputError::malformed(why));
        }
    };
    let unfit = companions.iter().find(|companion| {
        let accepted = verb.with.iter().any(|with| with.name == companion.name);
        !accepted && fields.contains_key(companion.name)
    });
    match unfit {
        Some(unfit) => Err(InputError::malformed(format!(
            "{} does not go with {}",
            unfit.name, verb.field.name
        ))),
        None => Ok(verb.field),
    }
}

/// An arrow key: up and down change the selected light, left and right select another one.
fn arrow(value: &Value, fields: &Map<String, Value>) -> Result<Request, InputError> {
    let dim = |percent| {
        let step = Step::from_percent(percent);
        Ok(Request::ChangeSelected(LightChange {
            change: Change::Step(step.expect("5 percent are a step")),
            transition: transition(fields)?,
            is_exact: false,
        }))
    };
    match COMMAND.word(value)? {
        "up" => dim(COMMAND_STEP),
        "down" => dim(-COMMAND_STEP),
        other if fields.contains_key(TRANSITION.name) => {
            let why = format!("transition does not go with the command {other}");
            Err(InputError::malformed(why))
        }
        "left" => Ok(Request::Select(Direction::Left)),
        _ => Ok(Request::Select(Direction::Right)),
    }
}

/// The JSON of `echo` exactly as it stands in the message.
fn echo(text: &str) -> Result<Box<RawValue>, InputError> {
    #[derive(Deserialize)]
    struct Only {
        echo: Box<RawValue>,
    }
    let Only { echo } = serde_json::from_str(text)
        .map_err(|error| InputError::malformed(format!("echo: {error}")))?;
    ECHO.check_length(echo.get().len())?;
    Ok(echo)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::level::Level;

    fn change(text: &str) -> LightChange {
        match ClientMessage::parse(text).request {
            Ok(Request::Change(change)) => change,
            other => panic!("{text} became {other:?}"),
        }
    }

    fn error(text: &str) -> String {
        ClientMessage::parse(text).request.unwrap_err().to_string()
    }

    #[test]
    fn every_notation_of_42_is_the_same_level() {
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
    fn every_verb_is_parsed_with_its_companions() {
        let values = [
            r#""level":42"#,
            r#""step":-5"#,
            r#""on":true"#,
            r#""toggle":true"#,
            r#""effect":"sunrise""#,
            r#""lights":{"led":42,"desk":{"step":-5,"transition":2}}"#,
            r#""save":"Film""#,
            r#""recall":"Film""#,
            r#""forget":"Film""#,
            r#""timer":{"in":1,"on":false}"#,
            r#""cancel":"1""#,
            r#""settings":{"title":"Attic","lights":{"led":{"curve":null}}}"#,
            r#""try":2.5"#,
            r#""greeted":true"#,
            r#""command":"up""#,
            r#""say":"Olá""#,
            r#""name":"Ana""#,
            r#""echo":[null]"#,
            r#""own":true"#,
            r#""batch":true"#,
        ];
        assert_eq!(values.len(), VERBS.len());
        for (verb, value) in VERBS.iter().zip(values) {
            assert!(value.contains(verb.field.name), "{value}");
            let companions = verb.with.iter().map(|companion| match companion.name {
                "light" => r#","light":"led""#,
                "transition" => r#","transition":1"#,
                "speed" => r#","speed":2"#,
                "msg" => r#","msg":"Vai para Cima!""#,
                other => panic!("no value for {other}"),
            });
            let text = format!(r#"{{{value}{},"seq":1}}"#, String::from_iter(companions));
            let request = ClientMessage::parse(&text).request;
            assert!(request.is_ok(), "{text}: {request:?}");
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
            assert_eq!(change(text).is_exact, exact, "{text}");
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
                r#"{"step":"one"}"#,
                r#"step must be a number from -100 to 100, not "one""#,
            ),
            (r#"{"on":1}"#, "on must be true or false, not 1"),
            (r#"{"toggle":false}"#, "toggle must be true, not false"),
            (r#"{"greeted":false}"#, "greeted must be true, not false"),
            (
                r#"{"greeted":true,"transition":1}"#,
                "transition does not go with greeted",
            ),
            (
                r#"{"effect":"disco"}"#,
                r#"effect must be breathe, blink, candle, strobe, sunrise or null, not "disco""#,
            ),
            (
                r#"{"effect":"blink","speed":11}"#,
                "speed must be from 0.1 to 10, not 11",
            ),
            (
                r#"{"effect":"blink","speed":"fast"}"#,
                r#"speed must be a number from 0.1 to 10, not "fast""#,
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
                r#"{"level":1,"transition":"one"}"#,
                r#"transition must be a number from 0 to 3600, not "one""#,
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
                "one of level, step, on, toggle, effect, lights, save, recall, forget, timer, cancel, settings, try, greeted, command, say, name, echo, own, batch is needed",
            ),
            (
                "{}",
                "one of level, step, on, toggle, effect, lights, save, recall, forget, timer, cancel, settings, try, greeted, command, say, name, echo, own, batch is needed",
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
    fn changes_together_are_each_as_alone_and_share_a_transition() {
        let text = r#"{"lights":{"a":42,"b":{"level":"7.55"},"c":{"on":false,"transition":2},
            "d":{"effect":"candle","speed":2},"e":"30"},"transition":1,"seq":3}"#;
        let message = ClientMessage::parse(text);
        assert_eq!((message.seq, message.is_change), (Some(3), false));
        assert_eq!(message.lights, ["a", "b", "c", "d", "e"]);
        let Ok(Request::ChangeTogether(changes)) = message.request else {
            panic!("{message:?}");
        };
        let body = text.replace(r#","seq":3"#, "");
        assert_eq!(parse_changes(body.as_bytes()).unwrap(), changes);
        for ((name, together), (alone, transition)) in changes.into_iter().zip([
            ("42", 1),
            (r#"{"level":"7.55"}"#, 1),
            (r#"{"on":false}"#, 2),
            (r#"{"effect":"candle","speed":2}"#, 1),
            (r#"{"level":"30"}"#, 1),
        ]) {
            let transition = Some(Duration::from_secs(transition));
            let alone = LightChange {
                transition,
                ..change(alone)
            };
            assert_eq!(together, alone, "{name}");
        }
    }

    #[test]
    fn bad_changes_together_name_the_light() {
        let many = (0..101).map(|n| format!(r#""{n}":1"#));
        let many = many.collect::<Vec<_>>().join(",");
        for (lights, says) in [
            ("{}", "lights must have 1 to 100 lights, not 0"),
            (
                &*format!("{{{many}}}"),
                "lights must have 1 to 100 lights, not 101",
            ),
            ("[1]", "lights must be an object, not [1]"),
            (
                r#"{"led":1,"desk":150}"#,
                r#""desk": level must be from 0 to 100, not 150"#,
            ),
            (
                r#"{"led":null}"#,
                r#""led": level must be a number from 0 to 100, not null"#,
            ),
            (
                r#"{"led":{"level":1,"step":1}}"#,
                r#""led": level and step do not go together"#,
            ),
            (
                r#"{"led":{"level":1,"light":"desk"}}"#,
                r#""led": unknown field "light"; there are level, step, on, toggle, effect, transition, speed"#,
            ),
        ] {
            let text = format!(r#"{{"lights":{lights}}}"#);
            assert_eq!(error(&text), says);
            assert_eq!(
                parse_changes(text.as_bytes()).unwrap_err().to_string(),
                says
            );
        }
        let bad = ClientMessage::parse(r#"{"lights":{"led":1,"desk":{"level":-1}},"seq":17}"#);
        assert_eq!(bad.lights, ["desk", "led"]);
        assert!(bad.request.is_err());
        for (text, says) in [
            (
                r#"{"lights":{"led":1},"light":"led"}"#,
                "light does not go with lights",
            ),
            (
                r#"{"lights":{"led":1},"level":1}"#,
                "level and lights do not go together",
            ),
            (r#"{"batch":1}"#, "batch must be true or false, not 1"),
        ] {
            assert_eq!(error(text), says);
        }
    }

    #[test]
    fn an_effect_has_a_speed_and_a_sunrise_a_transition() {
        let effect = |text| match change(text).change {
            Change::Effect(effect) => effect,
            other => panic!("{text} became {other:?}"),
        };
        let blink = effect(r#"{"effect":"blink","speed":2.04}"#).unwrap();
        assert_eq!((blink.kind.name(), blink.speed.times()), ("blink", 2.0));
        assert_eq!(effect(r#"{"effect":null,"transition":1}"#), None);
        let sunrise = change(r#"{"effect":"sunrise","transition":60}"#);
        assert_eq!(sunrise.transition, Some(Duration::from_secs(60)));
        assert!(!sunrise.is_exact);
    }

    #[test]
    fn a_bad_message_still_has_its_seq_and_light() {
        let message = ClientMessage::parse(r#"{"level":150,"seq":17,"light":"led"}"#);
        assert_eq!(message.seq, Some(17));
        assert_eq!(message.light.as_deref(), Some("led"));
    }

    #[test]
    fn an_echo_is_returned_byte_for_byte() {
        let text = r#"{"echo":{"b":1.0,"a":[1e2, "é"]}}"#;
        let Ok(Request::Echo(echo)) = ClientMessage::parse(text).request else {
            panic!("no echo");
        };
        use crate::protocol::server_message::ServerMessage;
        assert_eq!(ServerMessage::Echo { echo: &echo }.to_json(), text);
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused_without_a_panic(text in ".*") {
            let _ = ClientMessage::parse(&text);
            let _ = parse_change(text.as_bytes());
            let _ = parse_changes(text.as_bytes());
        }

        #[test]
        fn any_fields_are_parsed_or_refused_without_a_panic(
            field in "level|step|on|toggle|effect|lights|speed|save|recall|greeted|command|say|name|echo|own|batch|light|transition|msg|seq|x",
            other in "level|step|on|toggle|effect|lights|speed|save|recall|greeted|command|say|name|echo|own|batch|light|transition|msg|seq|x",
            value in "\"blink\"|\"up\"|-?[0-9]{1,20}(\\.[0-9]{1,3})?|true|null|\"[a-z]{0,5}\"|\\[\\]|\\{\\}|\\{\"[a-z]\":[0-9]\\}",
        ) {
            let _ = ClientMessage::parse(&format!(r#"{{"{field}":{value},"{other}":{value}}}"#));
        }

        #[test]
        fn every_level_in_range_is_accepted(tenths in 0u32..=1000) {
            let text = format!("{}.{}", tenths / 10, tenths % 10);
            let wanted = Change::Level(text.parse().unwrap());
            let change = change(&text);
            prop_assert_eq!(change.change, wanted);
            prop_assert!(change.is_exact);
        }
    }
}
