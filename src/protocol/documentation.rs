//! Compares docs/wire.md with the descriptions that the parsers use, and with serialized values of
//! everything that the service sends.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::MAX_MESSAGE;
use super::fields::{
    AT, CANCEL, DAYS, FORGET, Field, FieldKind, GREETED, LIGHT, LIGHTS, RECALL, SEQ, SPEED,
    TRANSITION, TRY,
};
use super::request::{CHANGE_COMPANIONS, COMPANIONS, LIGHT_VERBS, VERBS};
use super::resource::EntryResource;
use super::samples;
use super::timer_request::{ACTIONS, TIMER_FIELDS};
use crate::model::activity::MAX_ENTRIES;
use crate::model::backup::MAX_BACKUP;
use crate::model::effect::{EffectKind, SUNRISE, Speed};
use crate::model::fleet::MAX_REMOTE_LIGHTS;
use crate::model::presets::MAX_PRESETS;
use crate::model::settings::{HOUSE_SETTINGS, LIGHT_SETTINGS};
use crate::model::timers::{Day, MAX_TIMERS, TimeOfDay};

const WIRE: &str = include_str!("../../docs/wire.md");
/// These name something that exists, so their length needs no mention.
const REFERENCES: [&Field; 3] = [&RECALL, &FORGET, &CANCEL];

/// The cells of a row.
type Row = Vec<&'static str>;

/// The rows of each table with this header.
fn tables(header: &str) -> Vec<Vec<Row>> {
    let cells = |line: &'static str| line.trim_matches('|').split('|').map(str::trim).collect();
    let rows = |table: &'static str| {
        // The rest of the header's line, and the line of dashes.
        let lines = table.lines().skip(2);
        let lines = lines.take_while(|line| line.starts_with('|'));
        lines.map(cells).collect()
    };
    WIRE.split(header).skip(1).map(rows).collect()
}

fn table(header: &str) -> Vec<Row> {
    let mut tables = tables(header);
    assert_eq!(tables.len(), 1, "tables with the header {header}");
    tables.remove(0)
}

/// The section that begins with this word in bold, tables included.
fn section(word: &str) -> &'static str {
    let (_, rest) = WIRE
        .split_once(&format!("\n**{word}.** "))
        .unwrap_or_else(|| panic!("no section {word}"));
    let ends = ["\n**", "\n## "];
    let ends = ends.iter().filter_map(|end| rest.find(end));
    &rest[..ends.min().unwrap_or(rest.len())]
}

fn codes(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The values in JSON notation, as in `"up"`.
fn quoted(text: &str) -> Vec<&str> {
    let codes = codes(text).into_iter();
    codes
        .filter_map(|code| code.strip_prefix('"')?.strip_suffix('"'))
        .collect()
}

/// Every `a to b` of two numbers in a text.
fn ranges(text: &str) -> Vec<String> {
    let text = text.replace("2⁵³ - 1", "9007199254740991");
    let words: Vec<_> = text
        .split_whitespace()
        .map(|word| word.trim_end_matches([',', ':', ';', '.']))
        .collect();
    words
        .windows(3)
        .filter(|words| words[1] == "to")
        .filter(|words| {
            [words[0], words[2]]
                .iter()
                .all(|word| word.parse::<f64>().is_ok())
        })
        .map(|words| words.join(" "))
        .collect()
}

/// The ranges that the description of a field must name.
fn ranges_of(field: &Field) -> Vec<String> {
    if REFERENCES.iter().any(|name| name.name == field.name) {
        return Vec::new();
    }
    match field.kind {
        // The rest is for lights that allow it.
        FieldKind::Number(range) if field.name == SPEED.name => {
            vec![format!("{} to {}", range.min, Speed::SAFE.times())]
        }
        FieldKind::Number(range) | FieldKind::NumberOrNull(range) => {
            vec![format!("{} to {}", range.min, range.max)]
        }
        FieldKind::Integer(max) => vec![format!("0 to {max}")],
        FieldKind::Text(max) | FieldKind::Lights(max) => vec![format!("1 to {max}")],
        _ => Vec::new(),
    }
}

fn alternatives(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
    quoted.join(", ")
}

/// The type that the description of a field must have.
fn type_of(field: &Field) -> String {
    match &field.kind {
        FieldKind::Number(_) => "number, or a string holding one".into(),
        FieldKind::NumberOrNull(_) => "number, a string holding one, or `null`".into(),
        FieldKind::Bool => "bool".into(),
        FieldKind::True => "`true`".into(),
        FieldKind::Integer(_) => "integer".into(),
        FieldKind::Text(_) | FieldKind::Reference => "string".into(),
        FieldKind::OneOf(words) => {
            let (last, others) = words.split_last().unwrap();
            format!("{} or `\"{last}\"`", alternatives(others))
        }
        FieldKind::EffectOrNull => {
            let names = EffectKind::ALL.map(EffectKind::name);
            format!("{} or `null`", alternatives(&names))
        }
        FieldKind::Lights(_) | FieldKind::Timer | FieldKind::Settings => "object".into(),
        FieldKind::Json(max) => format!("any JSON, up to {} KiB", max / 1024),
        FieldKind::TimeOfDay | FieldKind::Days => panic!("{} is a field of a timer", field.name),
    }
}

fn check_rows(rows: &[Row], fields: &[&Field]) {
    let names: Vec<_> = rows.iter().map(|row| row[0]).collect();
    let expected: Vec<_> = fields
        .iter()
        .map(|field| format!("`{}`", field.name))
        .collect();
    assert_eq!(names, expected);
    for (row, field) in rows.iter().zip(fields) {
        let [name, kind, meaning] = row[..] else {
            panic!("{row:?}");
        };
        assert_eq!(kind, type_of(field), "{name}");
        let expected = ranges_of(field);
        assert_eq!(ranges(meaning), expected, "{name}");
        if matches!(field.kind, FieldKind::Text(_)) && !expected.is_empty() {
            let characters = "characters, none of them control characters";
            assert!(meaning.contains(characters), "{name}: {meaning}");
        }
    }
}

#[test]
fn every_field_of_a_message_is_documented_with_its_type_and_range() {
    let tables = tables("| field | type | meaning |");
    let [verbs, companions] = &tables[..] else {
        panic!("{} tables", tables.len());
    };
    check_rows(verbs, &VERBS.map(|verb| verb.field));
    let mut fields = COMPANIONS.to_vec();
    fields.push(&SEQ);
    check_rows(companions, &fields);

    let verbs_with = |companion: &Field| -> Vec<_> {
        let verbs = VERBS.iter();
        let verbs = verbs.filter(|verb| verb.with.iter().any(|with| with.name == companion.name));
        verbs.map(|verb| verb.field.name).collect()
    };
    let meaning = |companion: &Field| {
        let name = format!("`{}`", companion.name);
        companions.iter().find(|row| row[0] == name).unwrap()[2]
    };
    let first: Vec<_> = VERBS[..LIGHT_VERBS]
        .iter()
        .map(|verb| verb.field.name)
        .collect();
    assert_eq!(
        verbs_with(&LIGHT),
        [&first[..], &[TRY.name, GREETED.name]].concat()
    );
    let says = "for the first five fields, also one of another dimmer, and for `try` and `greeted`";
    assert!(meaning(&LIGHT).contains(says));
    assert_eq!(
        verbs_with(&TRANSITION),
        [&first[..], &["lights", "recall", "command"]].concat()
    );
    let says = "for the first four fields, `lights`, `recall`, the commands up and down, and the effect `sunrise`";
    assert!(meaning(&TRANSITION).contains(says));
    let says = format!("{} for `sunrise`", SUNRISE.as_secs());
    assert!(meaning(&TRANSITION).contains(&says));
    assert!(TRANSITION.meaning.contains(&says.replace('`', "")));
    assert_eq!(verbs_with(&SPEED), ["effect"]);
    let says = format!("of an effect, {}", ranges_of(&SPEED)[0]);
    assert!(meaning(&SPEED).starts_with(&says));
    let says = format!(
        "Up to {} for a light with `allow_fast_strobe`",
        Speed::MAX.times()
    );
    assert!(meaning(&SPEED).contains(&says));
    let says = format!("More than {} only for", Speed::SAFE.times());
    assert!(SPEED.meaning.contains(&says));
}

#[test]
fn every_field_of_a_timer_is_documented_with_its_range() {
    let fields = TIMER_FIELDS.iter().chain(&ACTIONS);
    let fields: BTreeMap<_, _> = fields.map(|field| (field.name, *field)).collect();
    let mut documented = BTreeSet::new();
    for row in table("| field | meaning |") {
        let [names, meaning] = row[..] else {
            panic!("{row:?}");
        };
        let names = codes(names);
        documented.extend(names.clone());
        let [name] = names[..] else {
            continue;
        };
        let field = fields
            .get(name)
            .unwrap_or_else(|| panic!("no field {name}"));
        assert_eq!(ranges(meaning), ranges_of(field), "{name}");
        let values = quoted(meaning);
        if name == DAYS.name {
            let days: Vec<_> = values
                .iter()
                .map(|day| day.parse::<Day>().unwrap())
                .collect();
            assert!(days.len() > 2, "{meaning}");
        } else if name == AT.name {
            let times = values.iter().map(|time| time.parse::<TimeOfDay>().unwrap());
            let times: Vec<_> = times.collect();
            assert!(times.contains(&TimeOfDay::Sunrise) && times.contains(&TimeOfDay::Sunset));
        }
    }
    assert_eq!(documented, fields.keys().copied().collect());
}

#[test]
fn every_setting_is_documented_with_its_range() {
    let rows = table("| setting | of | meaning |");
    let of = |whose: &str| -> Vec<_> {
        let rows = rows.iter().filter(|row| row[1] == whose);
        rows.map(|row| codes(row[0])[0]).collect()
    };
    assert_eq!(of("the dimmer"), HOUSE_SETTINGS);
    assert_eq!(of("a light"), LIGHT_SETTINGS);
    let meaning = |name: &str| rows.iter().rfind(|row| codes(row[0])[0] == name).unwrap()[2];
    for (name, range) in [
        ("latitude", "-90 to 90"),
        ("longitude", "-180 to 180"),
        ("title", "1 to 40"),
        ("warmth", "1700 to 25000"),
        ("min_duty", "0 to 100"),
        ("transition", "0 to 3600"),
    ] {
        assert_eq!(ranges(meaning(name)), [range], "{name}");
    }
    let wire = WIRE.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(wire.contains("for 30 s"));
    let resource = samples::settings_resource();
    let documented = paths(&notation(
        codes(section("Settings"))
            .into_iter()
            .find(|code| code.starts_with("{\"locked\""))
            .unwrap(),
    ));
    let led = resource["lights"]["led"].as_object().unwrap();
    assert!(
        documented
            .iter()
            .all(|path| match path.strip_prefix("lights.led.") {
                Some(rest) => led.contains_key(rest.split('.').next().unwrap()),
                None => resource.get(path.split('.').next().unwrap()).is_some(),
            })
    );
}

#[test]
fn the_limits_are_documented() {
    let wire = WIRE.split_whitespace().collect::<Vec<_>>().join(" ");
    let kib = MAX_MESSAGE / 1024;
    for says in [
        format!("JSON text frames of at most {kib} KiB."),
        format!("text that is not UTF-8, more than {kib} KiB."),
        format!(
            "| 413 | a body of more than {kib} KiB, or a backup of more than {} KiB |",
            MAX_BACKUP / 1024
        ),
        format!(
            "the lights of the broker's other dimmers are named `node/light`, {MAX_REMOTE_LIGHTS} of them at most."
        ),
        format!("**Presets.** At most {MAX_PRESETS},"),
        format!("**Timers.** At most {MAX_TIMERS},"),
        format!("each name once, ordered, at most {MAX_ENTRIES}."),
        format!("the last {MAX_ENTRIES} entries at most"),
    ] {
        assert!(wire.contains(&says), "{says}");
    }
    for kind in EffectKind::ALL {
        let name = format!("`{}`", kind.name());
        assert!(section("Effects").contains(&name), "{name}");
    }
}

/// The JSON of the documentation, where a key may stand without its value, and … for any value.
fn notation(notation: &str) -> Value {
    let mut text = String::new();
    let mut open = Vec::new();
    let mut parts = notation.split('"').peekable();
    while let Some(outside) = parts.next() {
        let outside = outside.replace('…', "null");
        for c in outside.chars() {
            match c {
                '{' | '[' => open.push(c),
                '}' | ']' => drop(open.pop()),
                _ => {}
            }
        }
        text += &outside;
        let Some(string) = parts.next() else {
            break;
        };
        let begins_entry = outside.trim_end().ends_with(['{', ',']);
        let has_value = parts
            .peek()
            .is_some_and(|next| next.trim_start().starts_with(':'));
        text += &format!("\"{string}\"");
        if begins_entry && open.last() == Some(&'{') && !has_value {
            text += ": null";
        }
    }
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{notation}: {error}"))
}

/// The path of every field in a value, as in `hello.lights[].name`.
fn paths(value: &Value) -> BTreeSet<String> {
    fn collect(value: &Value, path: &str, paths: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let separator = if path.is_empty() { "" } else { "." };
                    let path = format!("{path}{separator}{name}");
                    collect(value, &path, paths);
                    paths.insert(path);
                }
            }
            Value::Array(items) => {
                for item in items {
                    collect(item, &format!("{path}[]"), paths);
                }
            }
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    collect(value, "", &mut found);
    found
}

/// The fields of these values: of any, and of all.
fn fields_of(values: &[Value]) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut sets = values.iter().map(paths);
    let first = sets.next().unwrap();
    sets.fold((first.clone(), first), |(any, all), fields| {
        (&any | &fields, &all & &fields)
    })
}

/// The fields of messages that are documented in a section instead of the table.
fn fields_in_sections(message: &str) -> BTreeSet<String> {
    let names: Vec<_> = match message {
        "timers" => {
            let rows = table("| field | meaning |");
            let names = rows.iter().flat_map(|row| codes(row[0]));
            let of_new = names.filter(|name| *name != "in");
            of_new.chain(["waiting"]).collect()
        }
        "activity" => {
            let rows = table("| `what` | with | |");
            let names = rows.iter().flat_map(|row| codes(row[1]));
            names.chain(["via", "lights.desk", "lights.led"]).collect()
        }
        "fleet" => {
            let codes = codes(section("Fleet")).into_iter();
            let objects = codes.filter(|code| code.starts_with('{'));
            let objects = objects.map(|object| paths(&notation(object)));
            return objects
                .flatten()
                .map(|name| format!("fleet[].{name}"))
                .collect();
        }
        _ => Vec::new(),
    };
    let names = names.into_iter();
    names.map(|name| format!("{message}[].{name}")).collect()
}

#[test]
fn every_message_of_the_service_is_documented_with_all_its_fields() {
    let samples = samples::server_messages();
    let mut documented = BTreeSet::new();
    for row in table("| message | when |") {
        let [message, when] = row[..] else {
            panic!("{row:?}");
        };
        let message = notation(codes(message)[0]);
        let is_key = |key: &&&str| message.get(**key).is_some();
        let key = *samples
            .keys()
            .find(is_key)
            .unwrap_or_else(|| panic!("{message}"));
        documented.insert(key);
        let samples = &samples[key];
        let shown = paths(&message);
        let is_sent = samples.iter().any(|sample| paths(sample) == shown);
        assert!(is_sent, "no message has exactly these fields: {message}");
        let (any, _) = fields_of(samples);
        assert_eq!(any, &shown | &fields_in_sections(key), "{key}");

        // What is not always there is explained.
        let mut text = when.to_owned();
        if let Some((_, end)) = when.split_once("see *") {
            text += section(end.split('*').next().unwrap());
        }
        // A light that is gone has no state.
        let is_there = |sample: &&Value| sample.pointer("/fleet/0/gone").is_none();
        let there: Vec<_> = samples.iter().filter(is_there).cloned().collect();
        for optional in &any - &fields_of(&there).1 {
            let name = optional.rsplit('.').next().unwrap();
            let explained = codes(&text).contains(&name) || text.contains(&format!("\"{name}\": "));
            assert!(explained, "{key} does not explain {optional}");
        }
    }
    assert_eq!(documented, samples.keys().copied().collect());
}

#[test]
fn every_action_is_documented_with_its_fields() {
    let mut documented = BTreeMap::new();
    for row in table("| `what` | with | |") {
        for what in codes(row[0]) {
            let with = codes(row[1]).into_iter().map(String::from);
            documented.insert(what.to_owned(), with.collect::<BTreeSet<_>>());
        }
    }
    let mut sent = BTreeMap::new();
    for entry in &samples::entries() {
        let entry = serde_json::to_value(EntryResource::from(entry)).unwrap();
        let mut fields = paths(&entry);
        // The names of the lights.
        fields.retain(|path| !path.contains('.'));
        for always in ["at", "what"] {
            assert!(fields.remove(always), "{entry}");
        }
        let actor = ["who", "via"].map(|actor| fields.remove(actor));
        assert_ne!(actor, [true, true], "{entry}");
        sent.insert(entry["what"].as_str().unwrap().to_owned(), fields);
    }
    assert_eq!(documented, sent);
    let inputs: Vec<_> = samples::actors()
        .iter()
        .filter(|actor| actor.name().is_none())
        .filter_map(|actor| actor.via())
        .collect();
    let (last, others) = inputs.split_last().unwrap();
    let inputs = format!("{} or `\"{last}\"`", alternatives(others));
    assert!(section("Activity").contains(&inputs), "{inputs}");
}

#[test]
fn the_bodies_of_rest_are_documented() {
    let routes = tables("| route | |").remove(0);
    let text = |route: &str| {
        let route = format!("`{route}`");
        let row = routes.iter().find(|row| row[0] == route);
        row.unwrap_or_else(|| panic!("no route {route}"))[1]
    };
    let lights = codes(text("GET /api/lights"));
    assert_eq!(lights[0], "hello");
    let hello = samples::server_messages()["hello"].clone();
    let mut documented = paths(&hello[0]["hello"]["lights"][0]);
    documented.extend(lights[1..].iter().map(|name| name.to_string()));
    assert_eq!(documented, fields_of(&samples::light_resources()).0);

    let change = codes(text("PUT /api/lights/{name}"));
    let verbs = VERBS[..LIGHT_VERBS].iter().map(|verb| verb.field);
    let fields = verbs.chain(CHANGE_COMPANIONS.iter().copied());
    assert_eq!(change, fields.map(|field| field.name).collect::<Vec<_>>());

    let together = codes(text("PUT /api/lights"));
    assert_eq!(together, [LIGHTS.name, TRANSITION.name]);

    for (text, bodies) in [
        (text("GET /api/presets"), samples::preset_resources()),
        (text("GET /led"), vec![samples::led_resource()]),
        (
            text("GET /api/cities"),
            vec![json!({ "zone": "Europe/Berlin", "latitude": 52.5, "longitude": 13.37 })],
        ),
        (text("GET /api/doctor"), vec![samples::doctor_resource()]),
        (text("GET /api/matter"), samples::matter_resources()),
        (
            "`{\"lights\", \"presets\", \"timers\", \"notes\"}`",
            vec![samples::restored_resource()],
        ),
        (
            "`{\"error\": \"…\", \"code\": \"…\"}`",
            samples::error_resources(),
        ),
    ] {
        assert!(WIRE.contains(text));
        assert_eq!(
            paths(&notation(codes(text)[0])),
            fields_of(&bodies).0,
            "{text}"
        );
    }
}
