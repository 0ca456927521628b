//! What the service sends to clients over `/ws`: [`ServerMessage`].

use std::ops::Not;

use serde::Serialize;
use serde_json::value::RawValue;

use super::resource::{
    EffectFields, EntryResource, LightDescription, TimerResource, tenths_of_seconds,
};
use crate::model::actor::Actor;
use crate::model::effect::EffectKind;
use crate::model::fleet::RemoteState;
use crate::model::level::Level;
use crate::model::lights::LightState;

/// A message to a client.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum ServerMessage<'a> {
    /// The first message of a connection.
    Hello {
        /// The service, the client's number and the lights.
        hello: Hello<'a>,
    },
    /// The state of a light differs from what this client shows.
    Light(LightUpdate<'a>),
    /// The same of several lights, for a client that wants them in one message.
    Lights {
        /// Each light that differs; none has a `seen` of its own.
        lights: Vec<LightUpdate<'a>>,
        /// As in [`LightUpdate`].
        #[serde(skip_serializing_if = "Option::is_none")]
        seen: Option<u64>,
    },
    /// Lights of other dimmers differ from what this client shows.
    Fleet {
        /// Each light that differs.
        fleet: Vec<RemoteUpdate<'a>>,
        /// As in [`LightUpdate`].
        #[serde(skip_serializing_if = "Option::is_none")]
        seen: Option<u64>,
    },
    /// Settings of a light were changed.
    Described {
        /// The light.
        described: LightDescription<'a>,
    },
    /// The dimmer has another name for people.
    Title {
        /// The name; `None` for none.
        title: Option<&'a str>,
    },
    /// The names of the presets differ from what this client shows.
    Presets {
        /// The names of all presets.
        presets: Vec<&'a str>,
    },
    /// The timers differ from what this client shows.
    Timers {
        /// All timers.
        timers: Vec<TimerResource<'a>>,
    },
    /// The names of the connected clients differ from what this client shows.
    Here {
        /// All names.
        here: Vec<&'a str>,
    },
    /// What was done since the last of these messages.
    Activity {
        /// The newest entry last.
        activity: Vec<EntryResource<'a>>,
    },
    /// The number of connected clients changed.
    Clients {
        /// The number of clients, including this one.
        #[serde(rename = "pages")]
        clients: usize,
    },
    /// A driver began to fail, or works again.
    Fault {
        /// The light and its fault.
        fault: FaultUpdate<'a>,
    },
    /// The client selected another light.
    Selected {
        /// The light's name.
        selected: &'a str,
    },
    /// The message of this client was refused.
    Error {
        /// The field, the value and what is allowed.
        error: String,
        /// The `seq` of the refused message.
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
    },
    /// The response to `echo`.
    Echo {
        /// The JSON of the request.
        echo: &'a RawValue,
    },
}

impl ServerMessage<'_> {
    /// The text of a frame.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("plain data always becomes JSON")
    }
}

/// The first message of a connection.
#[derive(Debug, Serialize)]
pub struct Hello<'a> {
    /// The version of the service.
    pub version: &'static str,
    /// The number of this client.
    #[serde(rename = "page")]
    pub client: u64,
    /// Whether the client came in by a login, and so can log out.
    #[serde(skip_serializing_if = "Not::not")]
    pub session: bool,
    /// Whether home apps can be paired, by Matter.
    #[serde(skip_serializing_if = "Not::not")]
    pub matter: bool,
    /// The dimmer's name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// All lights, in the order of the settings.
    pub lights: Vec<LightDescription<'a>>,
}

/// The state of a light.
#[derive(Debug, Serialize)]
pub struct LightUpdate<'a> {
    light: &'a str,
    level: Level,
    #[serde(flatten)]
    effect: Option<EffectFields>,
    /// Seconds until the light has arrived, in tenths.
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<f64>,
    /// The name of the client that made the change, or what `via` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a str>,
    /// Tells a timer or a button apart from a client of that name.
    #[serde(skip_serializing_if = "Option::is_none")]
    via: Option<&'static str>,
    /// The last `seq` handled from this client, if it uses them.
    #[serde(skip_serializing_if = "Option::is_none")]
    seen: Option<u64>,
}

impl<'a> LightUpdate<'a> {
    /// The state of the light called `light`.
    pub fn new(light: &'a str, state: &'a LightState, seen: Option<u64>) -> LightUpdate<'a> {
        let actor = state.by.as_ref();
        let via = actor
            .filter(|actor| matches!(actor, Actor::Timer | Actor::Button))
            .and_then(Actor::via);
        LightUpdate {
            light,
            level: state.level,
            effect: state.effect.map(EffectFields::from),
            left: state.remaining().map(tenths_of_seconds),
            by: via.or_else(|| actor?.name().map(|name| &**name)),
            via,
            seen,
        }
    }
}

/// A light of another dimmer that differs from what a client shows.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum RemoteUpdate<'a> {
    /// The light exists.
    Light {
        /// The name, `node/light`.
        light: &'a str,
        /// The title of its dimmer and its own.
        title: &'a str,
        /// The level.
        level: Level,
        /// The effect around that level.
        #[serde(skip_serializing_if = "Option::is_none")]
        effect: Option<EffectKind>,
        /// Whether its dimmer is connected to the broker.
        online: bool,
    },
    /// The light exists no longer.
    Gone {
        /// The name.
        light: &'a str,
        /// Always true.
        gone: bool,
    },
}

impl<'a> RemoteUpdate<'a> {
    /// The state of the light called `light`.
    pub fn new(light: &'a str, state: &'a RemoteState) -> RemoteUpdate<'a> {
        RemoteUpdate::Light {
            light,
            title: &state.title,
            level: state.level,
            effect: state.effect,
            online: state.online,
        }
    }
}

/// The fault of a light.
#[derive(Debug, Serialize)]
pub struct FaultUpdate<'a> {
    /// The light's name.
    pub light: &'a str,
    /// What the driver reports; `None` once it works again.
    pub message: Option<&'a str>,
}
