//! The file is what is generated, the schemas of requests accept what the parsers accept, and those of
//! responses describe what is serialized.

use std::collections::BTreeSet;
use std::{env, fs};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use super::DOCUMENT;
use super::document::generate;
use crate::model::settings::{house_setting, light_setting};
use crate::platform::cities;
use crate::protocol::request::{
    parse_change, parse_changes, parse_preset, parse_recall, parse_timer,
};
use crate::protocol::samples;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/web/api/openapi.json");
/// Set to write the file instead of comparing it.
const WRITE: &str = "DIMMER_WRITE_OPENAPI";
/// The most fields in a body that is tried: two that exclude each other, and two that they need.
const MOST_FIELDS: usize = 4;

#[test]
fn the_file_is_what_is_generated() {
    let generated = generate();
    if env::var_os(WRITE).is_some() {
        let text = serde_json::to_string_pretty(&generated).unwrap();
        fs::write(FILE, text + "\n").unwrap();
        return;
    }
    let file: Value = serde_json::from_str(DOCUMENT).unwrap();
    assert!(
        file == generated,
        "src/web/api/openapi.json is out of date; run {WRITE}=1 cargo test --lib openapi"
    );
}

/// The routes in the source of a router, as `(path, method)`.
fn routes(source: &str) -> BTreeSet<(String, String)> {
    let code = source.split("#[cfg(test)]").next().unwrap();
    let mut routes = BTreeSet::new();
    for route in code.split(".route(\"").skip(1) {
        let (path, rest) = route.split_once('"').unwrap();
        let handlers = rest.lines().next().unwrap();
        for method in ["get", "put", "post", "delete"] {
            if handlers.contains(&format!("{method}(")) {
                routes.insert((path.to_owned(), method.to_owned()));
            }
        }
    }
    routes
}

#[test]
fn every_method_of_every_route_is_described_and_no_other() {
    let sources = [
        include_str!("../../api.rs"),
        include_str!("../backup.rs"),
        include_str!("../doctor.rs"),
        include_str!("../lights.rs"),
        include_str!("../matter.rs"),
        include_str!("../presets.rs"),
        include_str!("../settings.rs"),
        include_str!("../timers.rs"),
    ];
    let routed: BTreeSet<_> = sources.into_iter().flat_map(routes).collect();
    let document = generate();
    let paths = document["paths"].as_object().unwrap().iter();
    let described = paths.flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys();
        methods.map(|method| (path.clone(), method.clone()))
    });
    assert_eq!(described.collect::<BTreeSet<_>>(), routed);
}

#[test]
fn every_schema_is_used_and_every_used_one_is_there() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                let reference = fields.get("$ref").and_then(Value::as_str);
                let prefix = "#/components/schemas/";
                let name = reference.map(|reference| reference.strip_prefix(prefix).unwrap());
                found.extend(name.map(String::from));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document = generate();
    let mut used = BTreeSet::new();
    references(&document, &mut used);
    let defined = document["components"]["schemas"].as_object().unwrap();
    assert_eq!(used, defined.keys().cloned().collect());
}

/// A schema of the document, ready to check values.
fn validator(name: &str) -> Validator {
    let document = generate();
    let schema = json!({
        "$ref": format!("#/components/schemas/{name}"),
        "components": document["components"],
    });
    jsonschema::draft202012::new(&schema).unwrap()
}

/// Every object with at most [`MOST_FIELDS`] of these fields, each with one of its values.
fn objects(fields: &[(&str, Vec<Value>)]) -> Vec<Map<String, Value>> {
    let mut objects = vec![Map::new()];
    for (name, values) in fields {
        for object in objects.clone() {
            if object.len() == MOST_FIELDS {
                continue;
            }
            objects.extend(values.iter().map(|value| {
                let mut object = object.clone();
                object.insert((*name).into(), value.clone());
                object
            }));
        }
    }
    objects
}

/// Asserts that a schema accepts exactly those bodies that a parser accepts.
fn assert_same(schema: &str, bodies: Vec<Value>, parse: impl Fn(&[u8]) -> Result<(), String>) {
    let validator = validator(schema);
    let mut accepted = 0;
    let others = [json!(null), json!(1), json!("level"), json!([])];
    for body in bodies.iter().chain(&others) {
        let parsed = parse(body.to_string().as_bytes());
        assert_eq!(
            validator.is_valid(body),
            parsed.is_ok(),
            "{body}: {parsed:?}"
        );
        accepted += usize::from(parsed.is_ok());
    }
    assert!(accepted > 1, "{schema}: {accepted} accepted");
}

fn outcome<T, E: ToString>(parsed: Result<T, E>) -> Result<(), String> {
    parsed.map(drop).map_err(|error| error.to_string())
}

fn values<const N: usize>(values: [Value; N]) -> Vec<Value> {
    values.into()
}

fn name_values() -> Vec<Value> {
    let (longest, longer) = ("ã".repeat(40), "ã".repeat(41));
    values([
        json!(longest),
        json!(longer),
        json!(""),
        json!("a\nb"),
        json!(7),
    ])
}

#[test]
fn a_change_is_described_as_it_is_parsed() {
    let fields = [
        (
            "level",
            values([json!(0), json!(100), json!(100.1), json!(null), json!(true)]),
        ),
        ("step", values([json!(-100), json!(100.1), json!("one")])),
        ("on", values([json!(true), json!(1), json!(null)])),
        ("toggle", values([json!(true), json!(false)])),
        (
            "effect",
            values([
                json!("blink"),
                json!("sunrise"),
                json!("disco"),
                json!(null),
            ]),
        ),
        (
            "transition",
            values([json!(3600), json!(3600.5), json!("one")]),
        ),
        (
            "speed",
            values([json!(0.1), json!(10), json!(0.05), json!(null)]),
        ),
        ("light", values([json!("led")])),
        ("seq", values([json!(1)])),
    ];
    let bodies = objects(&fields).into_iter().map(Value::Object).collect();
    assert_same("LightChange", bodies, |body| outcome(parse_change(body)));
}

#[test]
fn changes_of_several_lights_are_described_as_they_are_parsed() {
    let many = |count| (0..count).map(|n| (n.to_string(), json!(7)));
    let fields = [
        (
            "lights",
            values([
                json!({ "led": 40, "desk": 0.5 }),
                json!({ "led": { "on": false }, "desk": { "effect": "blink", "speed": 2 } }),
                json!({ "led": { "level": 40, "transition": 1 } }),
                json!(many(100).collect::<Map<_, _>>()),
                json!(many(101).collect::<Map<_, _>>()),
                json!({}),
                json!({ "led": 101 }),
                json!({ "led": null }),
                json!({ "led": {} }),
                json!({ "led": { "level": 1, "step": 1 } }),
                json!({ "led": { "toggle": true, "speed": 1 } }),
                json!({ "led": { "level": 1, "light": "led" } }),
                json!(["led"]),
                json!(null),
            ]),
        ),
        ("transition", values([json!(3600), json!(3601)])),
        ("level", values([json!(1)])),
        ("seq", values([json!(1)])),
    ];
    let bodies = objects(&fields).into_iter().map(Value::Object).collect();
    assert_same("LightsChange", bodies, |body| outcome(parse_changes(body)));
}

#[test]
fn a_number_as_text_is_accepted_and_not_described() {
    for body in [
        json!({ "level": "42" }),
        json!({ "step": "-5", "transition": "2" }),
        json!({ "effect": "blink", "speed": "1.5" }),
    ] {
        assert!(parse_change(body.to_string().as_bytes()).is_ok(), "{body}");
        assert!(!validator("LightChange").is_valid(&body), "{body}");
    }
}

#[test]
fn a_recall_is_described_as_it_is_parsed() {
    let fields = [
        (
            "transition",
            values([json!(0), json!(3600), json!(-1), json!("one"), json!(null)]),
        ),
        ("speed", values([json!(1)])),
    ];
    let bodies = objects(&fields).into_iter().map(Value::Object).collect();
    assert_same("Recall", bodies, |body| outcome(parse_recall(body)));
}

#[test]
fn a_new_timer_is_described_as_it_is_parsed() {
    let fields = [
        (
            "in",
            values([json!(1), json!(86_400), json!(0), json!("one")]),
        ),
        (
            "at",
            values([
                json!("07:00"),
                json!("sunset"),
                json!("24:00"),
                json!("noon"),
            ]),
        ),
        ("offset", values([json!(-180), json!(180.5)])),
        (
            "days",
            values([json!(["mon", "sun"]), json!([]), json!(["Monday"])]),
        ),
        ("light", values([json!("led"), json!(1)])),
        ("transition", values([json!(60), json!(3601)])),
        ("speed", values([json!(10), json!(11)])),
        ("name", name_values()),
        ("level", values([json!(100), json!(101)])),
        ("on", values([json!(false), json!(null)])),
        (
            "effect",
            values([json!("blink"), json!("sunrise"), json!(null)]),
        ),
        ("recall", values([json!("Film"), json!("")])),
        ("step", values([json!(1)])),
    ];
    let bodies = objects(&fields).into_iter().map(Value::Object).collect();
    assert_same("NewTimer", bodies, |body| outcome(parse_timer(body)));
}

#[test]
fn a_change_of_settings_is_described_as_it_is_checked() {
    let validator = validator("SettingsChange");
    let mut accepted = 0;
    for (name, value) in [
        ("title", json!("Mesa")),
        ("title", json!("")),
        ("title", json!("ã".repeat(41))),
        ("hidden", json!(true)),
        ("hidden", json!("true")),
        ("warmth", json!(2_700)),
        ("warmth", json!(1_699)),
        ("warmth", json!("#Fa5")),
        ("warmth", json!("red")),
        ("curve", json!("perceptual")),
        ("curve", json!("cubic")),
        ("min_duty", json!(2.5)),
        ("min_duty", json!(-1)),
        ("max_duty", json!(100)),
        ("max_duty", json!("100")),
        ("transition", json!(3_600)),
        ("transition", json!(3_600.5)),
        ("on_start", json!("restore")),
        ("on_start", json!("off")),
        ("on_start", json!(40)),
        ("on_start", json!("on")),
        ("groups", json!(["upstairs"])),
        ("groups", json!(["Up"])),
        (
            "groups",
            json!(["a", "b", "c", "d", "e", "f", "g", "h", "i"]),
        ),
        ("gpio", json!(18)),
    ] {
        let body = json!({ "lights": { "led": { name: value } } });
        let checked = light_setting(name, &value).is_ok();
        assert_eq!(validator.is_valid(&body), checked, "{body}");
        accepted += usize::from(checked);
    }
    for (name, value) in [
        ("title", json!("Attic")),
        ("latitude", json!(-90)),
        ("latitude", json!(90.5)),
        ("longitude", json!(180)),
        ("longitude", json!("east")),
        ("password", json!("x")),
    ] {
        let checked = house_setting(name, &value).is_ok();
        let body = json!({ name: value });
        assert_eq!(validator.is_valid(&body), checked, "{body}");
        accepted += usize::from(checked);
    }
    assert_eq!(accepted, 15);
    let null = json!({ "title": null, "lights": { "led": { "curve": null } } });
    assert!(validator.is_valid(&null));
}

#[test]
fn a_given_preset_is_described_as_it_is_parsed() {
    let fields = [
        (
            "level",
            values([json!(0), json!(100), json!(100.1), json!("1"), json!(null)]),
        ),
        (
            "effect",
            values([json!("blink"), json!("disco"), json!(null)]),
        ),
        ("speed", values([json!(10), json!(11), json!(null)])),
        ("transition", values([json!(1)])),
    ];
    let scenes = objects(&fields).into_iter().map(Value::Object);
    let mut bodies: Vec<_> = scenes
        .map(|scene| json!({ "lights": { "led": scene, "shelf": { "level": 1 } } }))
        .collect();
    bodies.extend([
        json!({}),
        json!({ "lights": {} }),
        json!({ "lights": null }),
        json!({ "lights": { "led": null } }),
        json!({ "lights": {}, "name": "Film" }),
    ]);
    assert_same("GivenPreset", bodies, |body| outcome(parse_preset(body)));
}

/// Asserts that these are as described, that the description has all their fields and no others, and that
/// those fields are required that are always there.
fn assert_described(schema: &str, samples: &[Value]) {
    let validator = validator(schema);
    let names = |sample: &Value| -> BTreeSet<String> {
        sample.as_object().unwrap().keys().cloned().collect()
    };
    let (mut any, mut all) = (names(&samples[0]), names(&samples[0]));
    for sample in samples {
        let errors: Vec<_> = validator
            .iter_errors(sample)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{schema}: {sample}: {errors:?}");
        any = &any | &names(sample);
        all = &all & &names(sample);
        for name in names(sample) {
            let mut broken = sample.clone();
            broken[&name] = json!({ "no": "value" });
            assert!(!validator.is_valid(&broken), "{schema}: {broken}");
        }
    }
    let described = &generate()["components"]["schemas"][schema];
    assert_eq!(names(&described["properties"]), any, "{schema}");
    let required: BTreeSet<_> = described["required"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(required, all, "{schema}");
}

#[test]
fn every_body_of_a_response_is_described_with_all_its_fields() {
    assert_described("LightNow", &samples::light_resources());
    assert_described("Restored", &[samples::restored_resource()]);
    assert_described("Health", &samples::health_resources());
    assert_described("Settings", &[samples::settings_resource()]);
    let led = &samples::settings_resource()["lights"]["led"];
    assert_described("Setting", &[led["title"].clone()]);
    let cities: Vec<_> = cities::list().iter().map(|city| json!(city)).collect();
    let validator = validator("City");
    assert!(cities.iter().all(|city| validator.is_valid(city)));
    assert_described("Timer", &samples::timer_resources());
    assert_described("Error", &samples::error_resources());
    let doctor = samples::doctor_resource();
    let diagnoses = doctor["lights"].as_array().unwrap();
    assert_described("Diagnosis", diagnoses);
    assert_described("Advice", &[diagnoses[0]["advice"][0].clone()]);
    assert_described("Doctor", &[doctor]);
    let matter = samples::matter_resources();
    assert_described("Fabric", &[matter[0]["fabrics"][0].clone()]);
    assert_described("Matter", &matter);
    let presets = samples::preset_resources();
    assert_described("Preset", &presets);
    let scenes: Vec<_> = presets
        .iter()
        .map(|preset| preset["lights"]["led"].clone())
        .collect();
    assert_described("Scene", &scenes);
}

#[test]
fn an_effect_without_its_speed_is_not_as_described() {
    for (schema, samples) in [
        ("LightNow", samples::light_resources()),
        ("Timer", samples::timer_resources()),
    ] {
        let mut sample = samples
            .into_iter()
            .find(|sample| sample.get("effect").is_some())
            .unwrap();
        assert!(validator(schema).is_valid(&sample));
        sample.as_object_mut().unwrap().remove("speed");
        assert!(!validator(schema).is_valid(&sample), "{sample}");
    }
}
