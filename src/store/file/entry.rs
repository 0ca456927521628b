//! An entry of the file: what of it is understood, and the rest.

use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

pub type Fields = Map<String, Value>;

/// The most characters of a value in an error.
const LONGEST_QUOTE: usize = 100;

/// An entry of which this version understands something.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptEntry<T> {
    pub known: T,
    /// The whole entry, if there is more to it.
    whole: Option<Fields>,
}

impl<T: Serialize> KeptEntry<T> {
    pub fn new(known: T) -> KeptEntry<T> {
        KeptEntry { known, whole: None }
    }

    /// Replaces what is known, under these names, and leaves the rest of the entry.
    pub fn set(&mut self, known: T, names: &[&str]) {
        if let Some(whole) = &mut self.whole {
            whole.retain(|name, _| !names.contains(&name.as_str()));
            if let Ok(Value::Object(fields)) = serde_json::to_value(&known) {
                whole.extend(fields);
            }
        }
        self.known = known;
    }
}

impl<T: Serialize> Serialize for KeptEntry<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.whole {
            Some(whole) => whole.serialize(serializer),
            None => self.known.serialize(serializer),
        }
    }
}

/// What is not understood in a file, in one line.
#[derive(Debug, Clone)]
pub struct Problem {
    text: String,
    kind: ProblemKind,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum ProblemKind {
    /// A field or a word that a newer version may know.
    Unknown,
    /// A field is not there: something unknown may take its place.
    Missing,
    /// A value that no version allows.
    Wrong,
}

impl Problem {
    pub fn missing(text: impl Into<String>) -> Problem {
        let (text, kind) = (text.into(), ProblemKind::Missing);
        Problem { text, kind }
    }

    pub fn unknown(text: impl Into<String>) -> Problem {
        let (text, kind) = (text.into(), ProblemKind::Unknown);
        Problem { text, kind }
    }

    fn of(self, what: &str) -> Problem {
        let text = format!("{what}: {}", self.text);
        Problem { text, ..self }
    }
}

impl From<String> for Problem {
    fn from(text: String) -> Problem {
        let kind = ProblemKind::Wrong;
        Problem { text, kind }
    }
}

impl From<Problem> for String {
    fn from(problem: Problem) -> String {
        problem.text
    }
}

/// What is not understood in a file: which entry and why.
#[derive(Debug, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Reads an entry; all of it is kept if not all of it is understood.
    pub fn read<T>(
        &mut self,
        what: &str,
        value: Value,
        read: impl FnOnce(&Fields, &mut Problems) -> Result<T, Problem>,
    ) -> Result<KeptEntry<T>, Value> {
        let mut of_entry = Problems::default();
        let known = object(&value).and_then(|fields| read(fields, &mut of_entry));
        let known = of_entry.or_none(known.map(Some));
        let is_understood = of_entry.0.is_empty();
        let has = |kind| of_entry.0.iter().any(|problem| problem.kind == kind);
        let unknown = has(ProblemKind::Unknown);
        self.0.extend(of_entry.0.into_iter().map(|mut problem| {
            if problem.kind == ProblemKind::Missing && !unknown {
                problem.kind = ProblemKind::Wrong;
            }
            problem.of(what)
        }));
        match (known, value) {
            (Some(known), Value::Object(whole)) => Ok(KeptEntry {
                known,
                whole: (!is_understood).then_some(whole),
            }),
            (_, value) => Err(value),
        }
    }

    pub fn check_names(&mut self, fields: &Fields, known: &[&str]) {
        let unknown = fields.keys().filter(|name| !known.contains(&name.as_str()));
        self.0.extend(unknown.map(|name| Problem {
            text: format!("unknown field {}", quoted(&json!(name))),
            kind: ProblemKind::Unknown,
        }));
    }

    /// The value if there is one, and notes the problem otherwise.
    pub fn or_none<T>(&mut self, value: Result<Option<T>, Problem>) -> Option<T> {
        value.unwrap_or_else(|problem| {
            self.0.push(problem);
            None
        })
    }

    /// The same for a part of the entry.
    pub fn or_none_of<T>(&mut self, what: &str, value: Result<T, Problem>) -> Option<T> {
        self.or_none(value.map(Some).map_err(|problem| problem.of(what)))
    }

    /// The first value that no version allows.
    pub fn first_wrong(&self) -> Option<&str> {
        let is_wrong = |problem: &&Problem| problem.kind == ProblemKind::Wrong;
        self.0.iter().find(is_wrong).map(|problem| &*problem.text)
    }
}

impl IntoIterator for Problems {
    type Item = String;
    type IntoIter = std::iter::Map<std::vec::IntoIter<Problem>, fn(Problem) -> String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().map(String::from)
    }
}

pub fn object(value: &Value) -> Result<&Fields, Problem> {
    let fields = value.as_object();
    fields.ok_or_else(|| format!("must be an object, not {}", quoted(value)).into())
}

pub fn optional<T: DeserializeOwned>(fields: &Fields, name: &str) -> Result<Option<T>, Problem> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => T::deserialize(value)
            .map(Some)
            .map_err(|error| format!("{name} is {}: {error}", quoted(value)).into()),
    }
}

/// A value that is a word or a list of words, of which a newer version may have more.
pub fn words<T: DeserializeOwned>(fields: &Fields, name: &str) -> Result<Option<T>, Problem> {
    let is_words = match fields.get(name) {
        Some(Value::Array(list)) => list.iter().all(Value::is_string),
        value => value.is_some_and(Value::is_string),
    };
    optional(fields, name).map_err(|problem| match is_words {
        true => Problem {
            kind: ProblemKind::Unknown,
            ..problem
        },
        false => problem,
    })
}

pub fn required<T: DeserializeOwned>(fields: &Fields, name: &str) -> Result<T, Problem> {
    optional(fields, name)?.ok_or_else(|| Problem::missing(format!("{name} is missing")))
}

/// Takes a part of the file out of its fields.
pub fn take<T: DeserializeOwned + Default>(fields: &mut Fields, name: &str) -> Result<T, Problem> {
    let value = optional(fields, name)?;
    fields.remove(name);
    Ok(value.unwrap_or_default())
}

/// A value as JSON, for an error of one line.
pub fn quoted(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(LONGEST_QUOTE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
