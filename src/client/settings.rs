//! `dimmer settings`: lists, changes and resets settings.

use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::Context;
use axum::http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::connection::Connection;
use super::endpoint::{ServiceArgs, unexpected};
use super::rest::request;
use crate::model::settings::{HOUSE_SETTINGS, LIGHT_SETTINGS};
use crate::platform::terminal::print_line;

/// The name that stands for latitude and longitude.
const CITY: &str = "city";

/// The subcommands of `dimmer settings`.
#[derive(Debug, clap::Subcommand)]
pub enum SettingsCommand {
    /// Print each setting, its value, and where that comes from: default, file or here
    List,
    /// Change settings, all of these or none
    Set {
        /// Settings of the light, such as title=Desk, min_duty=2.5, warmth=2700 or groups=a,b; without --light of the
        /// dimmer: title, latitude and longitude, or city=Europe/Berlin for these two
        #[arg(required = true, value_name = "NAME=VALUE")]
        values: Vec<Assignment>,
        /// Name of the light
        #[arg(long)]
        light: Option<String>,
    },
    /// Take changes back, so that the settings file or the default decides again
    Reset {
        /// Names of settings of the light, or without --light of the dimmer
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// Name of the light
        #[arg(long)]
        light: Option<String>,
    },
    /// Print the cities that the service knows, with their latitudes and longitudes
    Cities,
}

/// A setting and its new value.
#[derive(Debug, Clone)]
pub struct Assignment(String, Value);

impl FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Assignment, String> {
        let Some((name, value)) = text.split_once('=') else {
            return Err(format!("must be NAME=VALUE, not {text:?}"));
        };
        let value = match name {
            "title" | CITY => json!(value),
            "groups" if value.is_empty() => json!([]),
            "groups" => value.split(',').collect(),
            // A number, true or false; anything else is a word.
            _ => serde_json::from_str(value).unwrap_or_else(|_| json!(value)),
        };
        Ok(Assignment(name.into(), value))
    }
}

impl SettingsCommand {
    /// The message to the service; `None` for what it is asked for by REST.
    pub(super) fn message(&self) -> Option<Value> {
        match self {
            SettingsCommand::List | SettingsCommand::Cities => None,
            SettingsCommand::Set { values, light } => {
                let values = values
                    .iter()
                    .map(|Assignment(name, value)| (name, value.clone()));
                Some(message(light.as_deref(), values))
            }
            SettingsCommand::Reset { names, light } => {
                let values = names.iter().map(|name| (name, Value::Null));
                Some(message(light.as_deref(), values))
            }
        }
    }

    /// The same command with the coordinates of a city in place of its name.
    async fn with_city(mut self, service: &ServiceArgs) -> anyhow::Result<SettingsCommand> {
        if let SettingsCommand::Set {
            values,
            light: None,
        } = &mut self
            && let Some(index) = values.iter().position(|Assignment(name, _)| name == CITY)
        {
            let Assignment(_, name) = values.remove(index);
            let cities: Vec<ReceivedCity> = get(service, "/api/cities").await?;
            let city = cities.into_iter().find(|city| name == *city.zone);
            let city = city.with_context(|| {
                format!("no city is called {name}; dimmer settings cities lists them")
            })?;
            let place = [("latitude", city.latitude), ("longitude", city.longitude)];
            values.extend(place.map(|(name, degrees)| Assignment(name.into(), json!(degrees))));
        }
        Ok(self)
    }
}

fn message<'a>(light: Option<&str>, values: impl Iterator<Item = (&'a String, Value)>) -> Value {
    let values: Map<_, _> = values.map(|(name, value)| (name.clone(), value)).collect();
    match light {
        None => json!({ "settings": values }),
        Some(light) => json!({ "settings": { "lights": { light: values } } }),
    }
}

/// All settings.
#[derive(Deserialize)]
struct ReceivedSettings {
    locked: bool,
    lights: BTreeMap<String, BTreeMap<String, ReceivedSetting>>,
    #[serde(flatten)]
    house: BTreeMap<String, ReceivedSetting>,
}

#[derive(Deserialize)]
struct ReceivedSetting {
    value: Value,
    source: String,
}

#[derive(Deserialize)]
struct ReceivedCity {
    zone: String,
    latitude: f64,
    longitude: f64,
}

/// Lists, changes or resets settings.
///
/// # Errors
/// The service cannot be reached, or refuses the command.
pub async fn settings(service: &ServiceArgs, command: SettingsCommand) -> anyhow::Result<()> {
    match command {
        SettingsCommand::List => list(&get(service, "/api/settings").await?),
        SettingsCommand::Cities => {
            let cities: Vec<ReceivedCity> = get(service, "/api/cities").await?;
            cities.iter().try_for_each(|city| {
                let ReceivedCity {
                    zone,
                    latitude,
                    longitude,
                } = city;
                print_line(format_args!("{zone:<32} {latitude:>7.2} {longitude:>7.2}"))
            })
        }
        command => {
            let command = command.with_city(service).await?;
            let message = command.message().context("it has a message")?;
            let mut connection = Connection::open(service).await?;
            connection.request(message).await.map(drop)
        }
    }
}

async fn get<T: DeserializeOwned>(service: &ServiceArgs, path: &str) -> anyhow::Result<T> {
    let answer = request(service, Method::GET, path, Vec::new()).await?;
    serde_json::from_slice(&answer).with_context(|| unexpected(&service.url))
}

fn list(settings: &ReceivedSettings) -> anyhow::Result<()> {
    let line = |name: String, setting: Option<&ReceivedSetting>| match setting {
        None => Ok(()),
        Some(ReceivedSetting { value, source }) => {
            print_line(format_args!("{name:<24} {:<24} {source}", shown(value)))
        }
    };
    for name in HOUSE_SETTINGS {
        line(name.into(), settings.house.get(name))?;
    }
    for (light, of_light) in &settings.lights {
        for name in LIGHT_SETTINGS {
            line(format!("{light} {name}"), of_light.get(name))?;
        }
    }
    match settings.locked {
        true => print_line(format_args!(
            "locked: the settings file has settings = \"file\""
        )),
        false => Ok(()),
    }
}

/// A value as it is typed; `-` for none.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "-".into(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}
