//! The JSON schemas of the bodies of requests and responses.
//!
//! Those of requests follow from the descriptions in [`crate::protocol`]; the rules about fields that
//! exclude each other are those of the parsers, and the tests compare the two.

use serde_json::{Map, Value, json};

use crate::model::effect::{EffectKind, Speed};
use crate::model::level::Level;
use crate::model::lights::Driver;
use crate::model::settings::{HOUSE_SETTINGS, LIGHT_SETTINGS, MAX_GROUPS};
use crate::model::text::Name;
use crate::model::timers::MAX_OFFSET;
use crate::model::transition::MAX_TRANSITION;
use crate::model::warmth::Warmth;
use crate::protocol::fields::{
    AT, DAYS, EFFECT, Field, FieldKind, IN, LIGHTS, OFFSET, RECALL, SPEED, TIMER_LIGHT, TRANSITION,
};
use crate::protocol::request::{CHANGE_COMPANIONS, LIGHT_VERBS, VERBS};
use crate::protocol::resource::RefusalCode;
use crate::protocol::timer_request::{ACTIONS, TIMER_FIELDS};

/// As in `07:00` and `07:00:30`. The service also reads fractions of a second.
const TIME_OF_DAY: &str = "^(([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?|sunrise|sunset)$";
const NO_CONTROL_CHARACTERS: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$";
const WEEK: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Every schema by its name.
pub fn schemas() -> Value {
    let effects = EffectKind::ALL.map(EffectKind::name);
    let drivers = [Driver::KernelPwm, Driver::SoftwarePwm, Driver::Simulated].map(Driver::name);
    json!({
        "Driver": {
            "type": "string",
            "enum": drivers,
            "description": "What moves a pin.",
        },
        "Effect": {
            "type": "string",
            "enum": effects,
            "description": "What a light plays around its level.",
        },
        "LightChange": light_change(),
        "LightsChange": lights_change(),
        "Recall": recall(),
        "GivenPreset": given_preset(),
        "GivenScene": given_scene(),
        "NewTimer": new_timer(),
        "LightNow": light_now(),
        "Preset": preset(),
        "Scene": scene(),
        "Timer": timer(),
        "Backup": backup(),
        "Restored": restored(),
        "Settings": settings(),
        "Setting": setting(),
        "SettingsChange": settings_change(),
        "City": city(),
        "Health": health(),
        "Doctor": doctor(),
        "Diagnosis": diagnosis(),
        "Advice": advice(),
        "Matter": matter(),
        "Fabric": fabric(),
        "Error": error(),
    })
}

pub fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

pub fn list_of(name: &str) -> Value {
    json!({ "type": "array", "items": reference(name) })
}

/// Text without control characters of at most this many characters.
pub fn text(max: usize) -> Value {
    json!({
        "type": "string",
        "minLength": 1,
        "maxLength": max,
        "pattern": NO_CONTROL_CHARACTERS,
    })
}

fn number(min: f64, max: f64) -> Value {
    json!({ "type": "number", "format": "double", "minimum": whole(min), "maximum": whole(max) })
}

/// A limit as people write it: 100, not 100.0.
fn whole(limit: f64) -> Value {
    match limit.fract() == 0.0 {
        true => json!(limit as i64),
        false => json!(limit),
    }
}

fn integer(min: i64, max: Option<i64>) -> Value {
    let mut schema = json!({ "type": "integer", "format": "int32", "minimum": min });
    if let Some(max) = max {
        schema["maximum"] = json!(max);
    }
    schema
}

fn level() -> Value {
    number(Level::OFF.percent(), Level::FULL.percent())
}

fn speed() -> Value {
    number(Speed::MIN.times(), Speed::MAX.times())
}

fn transition() -> Value {
    number(0.0, MAX_TRANSITION.as_secs_f64())
}

fn days() -> Value {
    json!({
        "type": "array",
        "items": { "type": "string", "enum": WEEK },
        "minItems": 1,
    })
}

fn time_of_day() -> Value {
    json!({ "type": "string", "pattern": TIME_OF_DAY })
}

fn described(mut schema: Value, description: &str) -> Value {
    schema["description"] = json!(description);
    schema
}

/// The schema of a field of a request.
fn field(field: &Field) -> Value {
    let schema = match field.kind {
        // The text form is for HTML forms, which send no JSON.
        FieldKind::Number(range) => number(range.min, range.max),
        FieldKind::Bool => json!({ "type": "boolean" }),
        FieldKind::True => json!({ "type": "boolean", "const": true }),
        FieldKind::Text(max) => text(max),
        FieldKind::Reference => json!({ "type": "string" }),
        FieldKind::EffectOrNull => json!({ "oneOf": [reference("Effect"), { "type": "null" }] }),
        FieldKind::TimeOfDay => time_of_day(),
        FieldKind::Days => days(),
        FieldKind::Lights(max) => json!({
            "type": "object",
            "additionalProperties": { "oneOf": [level(), reference("LightChange")] },
            "minProperties": 1,
            "maxProperties": max,
        }),
        FieldKind::Settings | FieldKind::NumberOrNull(_) => {
            panic!("{} is in no request", field.name)
        }
        FieldKind::Integer(_) | FieldKind::OneOf(_) | FieldKind::Timer | FieldKind::Json(_) => {
            panic!("{} is in no request", field.name)
        }
    };
    described(schema, field.meaning)
}

/// An object with these fields, and no others.
fn request(description: &str, fields: &[&Field]) -> Value {
    let fields = fields.iter();
    let properties: Map<_, _> = fields
        .map(|one| (one.name.to_owned(), field(one)))
        .collect();
    json!({
        "type": "object",
        "description": description,
        "properties": properties,
        "additionalProperties": false,
    })
}

fn required(fields: &[&Field]) -> Value {
    let names: Vec<_> = fields.iter().map(|field| field.name).collect();
    json!({ "required": names })
}

/// Exactly one of these fields.
fn one_of(fields: &[&Field]) -> Value {
    fields.iter().map(|field| required(&[field])).collect()
}

/// With this field, another one must fit a schema if it is there.
fn restricts(field: &Field, schema: Value) -> Value {
    let mut properties = Map::new();
    properties.insert(field.name.to_owned(), schema);
    json!({ "properties": properties })
}

fn light_change() -> Value {
    let verbs: Vec<_> = VERBS[..LIGHT_VERBS].iter().map(|verb| verb.field).collect();
    let mut schema = request(
        "A change of a light: one of level, step, on, toggle and effect, with what accompanies it.",
        &[&verbs, &CHANGE_COMPANIONS[..]].concat(),
    );
    schema["oneOf"] = one_of(&verbs);
    schema["dependentRequired"] = json!({ SPEED.name: [EFFECT.name] });
    schema["dependentSchemas"] = json!({
        TRANSITION.name: restricts(&EFFECT, json!({ "enum": ["sunrise", null] })),
        SPEED.name: restricts(&EFFECT, json!({ "type": "string" })),
    });
    schema
}

fn lights_change() -> Value {
    let mut schema = request(
        "A change of several lights: a level or a change for each, by its name. The transition is that of each light without one.",
        &[&LIGHTS, &TRANSITION],
    );
    schema["required"] = json!([LIGHTS.name]);
    schema
}

fn recall() -> Value {
    request("How to recall a preset.", &[&TRANSITION])
}

fn new_timer() -> Value {
    let mut schema = request(
        "A timer to be added: either in or at, and one of level, on, effect and recall.",
        &[&TIMER_FIELDS[..], &ACTIONS].concat(),
    );
    schema["properties"][EFFECT.name] =
        described(reference("Effect"), "Starts an effect around the level.");
    schema["allOf"] = json!([{ "oneOf": one_of(&[&IN, &AT]) }, { "oneOf": one_of(&ACTIONS) }]);
    schema["dependentRequired"] = json!({
        DAYS.name: [AT.name],
        OFFSET.name: [AT.name],
        SPEED.name: [EFFECT.name],
    });
    schema["dependentSchemas"] = json!({
        OFFSET.name: restricts(&AT, json!({ "enum": ["sunrise", "sunset"] })),
        TRANSITION.name: restricts(&EFFECT, json!({ "const": "sunrise" })),
        TIMER_LIGHT.name: { "not": required(&[&RECALL]) },
    });
    schema
}

fn given_preset() -> Value {
    json!({
        "type": "object",
        "description": "The content of a preset to be saved.",
        "properties": {
            "lights": by_light("GivenScene"),
        },
        "required": ["lights"],
        "additionalProperties": false,
    })
}

fn given_scene() -> Value {
    let effect = json!({ "oneOf": [reference("Effect"), { "type": "null" }] });
    json!({
        "type": "object",
        "description": "What a preset to be saved sets one light to.",
        "properties": {
            "level": described(level(), "Percent, rounded to 0.1."),
            "effect": described(effect, "The effect around that level."),
            "speed": described(speed(), "The speed of the effect relative to normal; 1 if missing."),
        },
        "required": ["level"],
        "additionalProperties": false,
    })
}

/// An object of a response, in which all fields but the optional ones are always there.
///
/// It may get more fields later.
fn response(description: &str, properties: Value, optional: &[&str]) -> Value {
    let names = properties.as_object().unwrap().keys();
    let required: Vec<_> = names
        .filter(|name| !optional.contains(&name.as_str()))
        .collect();
    let required = json!(required);
    json!({
        "type": "object",
        "description": description,
        "properties": properties,
        "required": required,
    })
}

/// An effect and its speed come together.
fn with_effect(mut schema: Value) -> Value {
    schema["dependentRequired"] = json!({ "effect": ["speed"], "speed": ["effect"] });
    schema
}

fn light_now() -> Value {
    let properties = json!({
        "name": described(json!({ "type": "string" }), "The name for programs."),
        "title": described(json!({ "type": "string" }), "The name for people."),
        "hidden": described(json!({ "type": "boolean" }), "Whether the page leaves the light out."),
        "warmth": described(json!({ "type": "string", "pattern": "^#[0-9a-f]{6}$" }), "The colour that the page shows the light in, if the settings name one."),
        "gpio": described(integer(0, Some(27)), "The BCM number of its GPIO."),
        "driver": described(reference("Driver"), "What moves its pin."),
        "frequency": described(integer(0, None), "The PWM frequency in Hz."),
        "resolution": described(integer(0, None), "The number of duty cycles that the driver distinguishes."),
        "simulated": described(json!({ "type": "boolean" }), "Whether the light has no pin."),
        "transition": described(transition(), "Seconds that a change takes which has no transition of its own."),
        "fastest": described(speed(), "The highest speed of its effects."),
        "new": described(
            json!({ "const": true }),
            "Nothing was known of the light when the service started, and nobody has said yet that its LED lights up.",
        ),
        "level": described(level(), "Percent, in steps of 0.1: where the light is, or is on its way to."),
        "effect": described(reference("Effect"), "The effect around that level, while one runs."),
        "speed": described(speed(), "The speed of the effect relative to normal."),
        "left": described(
            json!({ "type": "number", "format": "double", "minimum": 0 }),
            "Seconds until the light is there, during a transition or a sunrise.",
        ),
        "fault": described(json!({ "type": ["string", "null"] }), "What the driver reports while it fails."),
    });
    with_effect(response(
        "A light with its state.",
        properties,
        &["warmth", "new", "effect", "speed", "left"],
    ))
}

fn by_light(scene: &str) -> Value {
    json!({
        "type": "object",
        "description": "What each light is set to, by the name of the light.",
        "additionalProperties": reference(scene),
    })
}

fn preset() -> Value {
    let properties = json!({
        "name": { "type": "string" },
        "lights": by_light("Scene"),
    });
    response("A preset.", properties, &[])
}

fn scene() -> Value {
    let properties = json!({
        "level": described(level(), "Percent, in steps of 0.1."),
        "effect": described(reference("Effect"), "The effect around that level."),
        "speed": described(speed(), "The speed of the effect relative to normal."),
    });
    with_effect(response(
        "What a preset sets one light to.",
        properties,
        &["effect", "speed"],
    ))
}

fn timer() -> Value {
    let offset = integer(-i64::from(MAX_OFFSET), Some(MAX_OFFSET.into()));
    let properties = json!({
        "name": { "type": "string" },
        "light": described(json!({ "type": "string" }), "The light to change; all lights if missing."),
        "at": described(time_of_day(), "The local time of day; missing for a timer that was set with in."),
        "offset": described(offset, "Minutes after sunrise or sunset."),
        "days": described(days(), "The days on which the timer repeats; once if missing."),
        "level": described(level(), "Percent, in steps of 0.1."),
        "on": described(json!({ "type": "boolean" }), "Whether to switch on, to the last level above 0, or off."),
        "effect": described(reference("Effect"), "The effect to start around the level."),
        "speed": described(speed(), "The speed of the effect relative to normal."),
        "recall": described(json!({ "type": "string" }), "The name of the preset to recall."),
        "transition": described(transition(), "Seconds until the light is there; the light's own transition if missing."),
        "next": described(
            json!({ "type": "string", "format": "date-time" }),
            "When the timer is due, with the offset of the local time zone; missing while that cannot be computed.",
        ),
        "waiting": described(
            json!({ "type": "string", "enum": ["place", "zone", "sun"] }),
            "Why it cannot be computed: the settings have no latitude and longitude, the time zone cannot be read, or the sun does not rise or set there within a year.",
        ),
    });
    let optional = [
        "next",
        "waiting",
        "light",
        "at",
        "offset",
        "days",
        "level",
        "on",
        "effect",
        "speed",
        "recall",
        "transition",
    ];
    let mut schema = with_effect(response(
        "A timer, with one of level, on, effect and recall.",
        properties,
        &optional,
    ));
    schema["oneOf"] = one_of(&ACTIONS);
    schema
}

/// What it has beside this, and what a newer version adds, is kept.
fn backup() -> Value {
    let object = json!({ "type": "object" });
    let by_name = json!({ "type": "object", "additionalProperties": object });
    json!({
        "type": "object",
        "description": "A backup, or a levels.json: what is not understood is kept.",
        "properties": {
            "version": described(json!({ "const": 1 }), "The format."),
            "lights": described(by_name.clone(), "The level of each light, by its name."),
            "presets": described(by_name, "The presets, by their names."),
            "timers": described(json!({ "type": "array", "items": object }), "The timers."),
            "settings": described(object.clone(), "The settings that were set while the service ran."),
            "backup": described(object, "Where it comes from; a levels.json has none."),
        },
        "required": ["version", "lights"],
    })
}

fn restored() -> Value {
    let count = || integer(0, None);
    let properties = json!({
        "lights": described(count(), "How many lights were set."),
        "presets": described(count(), "How many presets there are now."),
        "timers": described(count(), "How many timers there are now."),
        "notes": described(
            json!({ "type": "array", "items": { "type": "string" } }),
            "What is not as in the backup, and why, each in one line.",
        ),
    });
    response("What was restored from a backup.", properties, &[])
}

/// The names of settings, each with this schema.
fn by_setting(names: &[&str], schema: impl Fn(&str) -> Value) -> Map<String, Value> {
    let names = names.iter();
    names
        .map(|name| ((*name).to_owned(), schema(name)))
        .collect()
}

fn settings() -> Value {
    let one = |_: &str| reference("Setting");
    let mut properties = by_setting(&HOUSE_SETTINGS, one);
    let light = Value::Object(by_setting(&LIGHT_SETTINGS, one));
    let light = response("The settings of a light.", light, &[]);
    let lights = json!({ "type": "object", "additionalProperties": light });
    properties.insert(
        "lights".into(),
        described(lights, "Those of each light, by its name."),
    );
    properties.insert(
        "locked".into(),
        described(
            json!({ "type": "boolean" }),
            "Whether the settings file alone may change them.",
        ),
    );
    response(
        "The settings that may be changed while the service runs.",
        Value::Object(properties),
        &[],
    )
}

fn setting() -> Value {
    let properties = json!({
        "value": described(
            json!({ "type": ["string", "number", "boolean", "array", "null"] }),
            "What it is now; null for none.",
        ),
        "source": described(
            json!({ "type": "string", "enum": ["default", "file", "here"] }),
            "Where that comes from: nobody has set it, the settings file, or it was set while the service ran.",
        ),
    });
    response("A setting.", properties, &[])
}

fn settings_change() -> Value {
    let or_null = |schema: Value| json!({ "oneOf": [schema, { "type": "null" }] });
    let duty = || number(0.0, 100.0);
    let of_light = by_setting(&LIGHT_SETTINGS, |name| {
        or_null(match name {
            "title" => text(Name::MAX),
            "hidden" => json!({ "type": "boolean" }),
            "warmth" => json!({ "oneOf": [
                { "type": "integer", "minimum": Warmth::MIN_KELVIN, "maximum": Warmth::MAX_KELVIN },
                { "type": "string", "pattern": "^#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$" },
            ] }),
            "curve" => json!({ "type": "string", "enum": ["linear", "perceptual"] }),
            "min_duty" | "max_duty" => duty(),
            "transition" => transition(),
            "on_start" => {
                let words = json!({ "type": "string", "enum": ["restore", "off"] });
                json!({ "oneOf": [words, level()] })
            }
            "groups" => {
                let group = json!({ "type": "string", "pattern": "^[a-z0-9-]{1,32}$" });
                json!({ "type": "array", "items": group, "maxItems": MAX_GROUPS })
            }
            other => panic!("{other} has no schema"),
        })
    });
    let light = json!({
        "type": "object",
        "properties": of_light,
        "additionalProperties": false,
    });
    let mut properties = by_setting(&HOUSE_SETTINGS, |name| {
        or_null(match name {
            "title" => text(Name::MAX),
            "latitude" => number(-90.0, 90.0),
            _ => number(-180.0, 180.0),
        })
    });
    properties.insert(
        "lights".into(),
        json!({ "type": "object", "additionalProperties": light }),
    );
    json!({
        "type": "object",
        "description": "A change of settings: for each its new value, or null for that of the file or the default.",
        "properties": properties,
        "additionalProperties": false,
    })
}

fn city() -> Value {
    let properties = json!({
        "zone": described(json!({ "type": "string" }), "The name of its time zone."),
        "latitude": described(number(-90.0, 90.0), "Degrees north."),
        "longitude": described(number(-180.0, 180.0), "Degrees east."),
    });
    response("The principal city of a time zone.", properties, &[])
}

fn health() -> Value {
    let properties = json!({
        "healthy": described(json!({ "type": "boolean" }), "Whether all drivers work."),
        "faults": described(list_of("LightNow"), "The lights whose drivers fail, if there are any."),
        "fallbacks": described(
            json!({ "type": "array", "items": fallback() }),
            "The lights on software-pwm because the kernel-pwm that auto chose cannot be used, if there are any.",
        ),
    });
    response(
        "Whether all drivers work.",
        properties,
        &["faults", "fallbacks"],
    )
}

fn fallback() -> Value {
    let properties = json!({
        "name": described(json!({ "type": "string" }), "The name of the light."),
        "reason": described(
            json!({ "type": "string" }),
            "Why kernel-pwm is not in use, and what to do, in one line.",
        ),
    });
    response(
        "A light whose driver is not the one that was chosen at first.",
        properties,
        &[],
    )
}

fn doctor() -> Value {
    let properties = json!({
        "machine": described(
            json!({ "type": ["string", "null"] }),
            "Its model, as in Raspberry Pi 4 Model B Rev 1.4; null if it does not say.",
        ),
        "lights": described(list_of("Diagnosis"), "All lights, in the order of the settings."),
    });
    response(
        "What drives the pins, and what would be better.",
        properties,
        &[],
    )
}

fn diagnosis() -> Value {
    let mut pin = integer(1, Some(40));
    pin["type"] = json!(["integer", "null"]);
    let properties = json!({
        "name": described(json!({ "type": "string" }), "The name of the light."),
        "gpio": described(integer(0, Some(27)), "The BCM number of its GPIO."),
        "pin": described(pin, "The number of its pin on the header; null if that is not known."),
        "driver": described(reference("Driver"), "What moves its pin."),
        "frequency": described(integer(0, None), "The PWM frequency in Hz."),
        "resolution": described(integer(0, None), "The number of duty cycles that the driver distinguishes."),
        "fallback": described(
            json!({ "type": "string" }),
            "Why the driver is not the one that was chosen at first, and what to do.",
        ),
        "advice": described(list_of("Advice"), "As dimmer doctor gives it, the best first."),
    });
    response(
        "What drives the pin of a light, and what would be better.",
        properties,
        &["fallback"],
    )
}

fn matter() -> Value {
    let properties = json!({
        "enabled": described(json!({ "type": "boolean" }), "Whether the settings have it."),
        "window": described(
            json!({ "type": "string", "enum": ["closed", "open", "controller"] }),
            "Whether more controllers can pair: with the codes here, or with those that a paired controller shows.",
        ),
        "seconds": described(integer(0, Some(900)), "For how long, while it is open."),
        "qr": described(json!({ "type": "string" }), "The text of the QR code: only on the LAN, while it is open."),
        "code": described(json!({ "type": "string" }), "The digits to type in instead, as 1234-567-8901."),
        "fabrics": described(list_of("Fabric"), "What is paired, in the order of the indexes."),
    });
    response(
        "What is paired with Matter, and whether more can be.",
        properties,
        &["seconds", "qr", "code"],
    )
}

fn fabric() -> Value {
    let properties = json!({
        "index": described(integer(1, Some(254)), "Identifies it here."),
        "label": described(json!({ "type": "string" }), "The name that its controller gave it; may be empty."),
        "vendor": described(integer(0, Some(0xffff)), "The vendor of its controller."),
    });
    response("All devices that a controller has paired.", properties, &[])
}

fn advice() -> Value {
    let properties = json!({
        "kind": described(
            json!({ "type": "string" }),
            "What it is about: better, no better, header or at boot.",
        ),
        "text": described(json!({ "type": "string" }), "What to do, or why there is nothing to do."),
    });
    response("A line of advice.", properties, &[])
}

fn error() -> Value {
    let properties = json!({
        "error": described(json!({ "type": "string" }), "What is wrong and what is allowed, in one line."),
        "code": described(json!({ "enum": RefusalCode::ALL }), "Why a client is not served at all."),
    });
    response("Why a request is refused.", properties, &["code"])
}
