//! An entry of the file: what of it is understood, and the rest.

use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

pub type Fields = Map<String, Value>;

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

/// What is not understood in a file: which entry and why, each in one line.
#[derive(Debug, Default)]
pub struct Problems(Vec<String>);

impl Problems {
    /// Reads an entry; all of it is kept if not all of it is understood.
    pub fn read<T>(
        &mut self,
        what: &str,
        value: Value,
        read: impl FnOnce(&Fields, &mut Problems) -> Result<T, String>,
    ) -> Result<KeptEntry<T>, Value> {
        let mut of_entry = Problems::default();
        let known = object(&value).and_then(|fields| read(fields, &mut of_entry));
        let known = of_entry.or_none(known.map(Some));
        let is_understood = of_entry.0.is_empty();
        let named = of_entry
            .0
            .into_iter()
            .map(|problem| format!("{what}: {problem}"));
        self.0.extend(named);
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
        self.0
            .extend(unknown.map(|name| format!("unknown field {name:?}")));
    }

    /// The value if there is one, and notes the problem otherwise.
    pub fn or_none<T>(&mut self, value: Result<Option<T>, String>) -> Option<T> {
        value.unwrap_or_else(|problem| {
            self.0.push(problem);
            None
        })
    }
}

impl IntoIterator for Problems {
    type Item = String;
    type IntoIter = std::vec::IntoIter<String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

pub fn object(value: &Value) -> Result<&Fields, String> {
    value
        .as_object()
        .ok_or_else(|| format!("must be an object, not {value}"))
}

pub fn optional<T: DeserializeOwned>(fields: &Fields, name: &str) -> Result<Option<T>, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => T::deserialize(value)
            .map(Some)
            .map_err(|error| format!("{name} is {value}: {error}")),
    }
}

pub fn required<T: DeserializeOwned>(fields: &Fields, name: &str) -> Result<T, String> {
    optional(fields, name)?.ok_or_else(|| format!("{name} is missing"))
}

/// Takes a part of the file out of its fields.
pub fn take<T: DeserializeOwned + Default>(fields: &mut Fields, name: &str) -> Result<T, String> {
    let value = optional(fields, name)?;
    fields.remove(name);
    Ok(value.unwrap_or_default())
}
