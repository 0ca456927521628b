//! What the service says to pages.

use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::model::activity::Entry;
use crate::model::effect::Effect;
use crate::model::fleet::Look;
use crate::model::level::Level;
use crate::model::lights::Light;
use crate::model::timers::Timer;

/// A time in seconds, rounded to a tenth.
pub fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}

/// What the service says to a page.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum ServerMessage<'a> {
    /// First of all.
    Hello {
        /// Who and what is there.
        hello: Hello<'a>,
    },
    /// A light has another level than this page shows.
    Level {
        /// The light's name.
        light: &'a str,
        /// Its level.
        level: Level,
        /// What it plays around that.
        #[serde(flatten)]
        effect: Option<Effect>,
        /// Seconds until it is there, if it is not.
        #[serde(skip_serializing_if = "Option::is_none")]
        left: Option<f64>,
        /// The name of the page that set it.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<&'a str>,
        /// The last `seq` handled from this page, if it uses them.
        #[serde(skip_serializing_if = "Option::is_none")]
        seen: Option<u64>,
    },
    /// Lights of other dimmers are other than this page shows.
    Fleet {
        /// Each of them.
        fleet: Vec<RemoteNews<'a>>,
        /// As of a level.
        #[serde(skip_serializing_if = "Option::is_none")]
        seen: Option<u64>,
    },
    /// There are other presets than this page shows.
    Presets {
        /// All their names.
        presets: Vec<&'a str>,
    },
    /// There are other timers than this page shows.
    Timers {
        /// All of them.
        timers: &'a [Timer],
    },
    /// Other pages that have a name are open than this page shows.
    Here {
        /// Their names.
        here: Vec<&'a str>,
    },
    /// What was done since this page was last told.
    Activity {
        /// The newest last.
        activity: Vec<&'a Entry>,
    },
    /// The number of open pages changed.
    Pages {
        /// How many are open, this one included.
        pages: usize,
    },
    /// A driver began to fail, or works again.
    Fault {
        /// Which, and what it says.
        fault: FaultOf<'a>,
    },
    /// Another light is selected, to the page that asked for it alone.
    Selected {
        /// The light's name.
        selected: &'a str,
    },
    /// Bad input, to its sender alone.
    Error {
        /// The field, the value and what is allowed.
        error: String,
        /// The `seq` of the bad message.
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
    },
    /// What the page wanted to hear again.
    Echo {
        /// As it was.
        echo: &'a RawValue,
    },
}

impl ServerMessage<'_> {
    /// The text frame.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("plain data always becomes JSON")
    }
}

/// What is new about another dimmer's light.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum RemoteNews<'a> {
    /// It is there, and looks so.
    Light {
        /// Its name, `node/light`.
        light: &'a str,
        /// What it looks like.
        #[serde(flatten)]
        look: &'a Look,
    },
    /// It is there no more.
    Gone {
        /// Its name.
        light: &'a str,
        /// Always true.
        gone: bool,
    },
}

/// The service's greeting.
#[derive(Debug, Serialize)]
pub struct Hello<'a> {
    /// The service's version.
    pub version: &'static str,
    /// This page's number.
    pub page: u64,
    /// What each light is.
    pub lights: &'a [Light],
}

/// Which light fails, with what.
#[derive(Debug, Serialize)]
pub struct FaultOf<'a> {
    /// The light's name.
    pub light: &'a str,
    /// What its driver says; `None` once it works again.
    pub message: Option<&'a str>,
}
