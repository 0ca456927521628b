//! What was done, by whom and when: [`Entry`], for pages and for the log.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};

use crate::model::effect::Kind;
use crate::model::level::Level;
use crate::model::lights::{Change, Light, LightState};

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Actor {
    /// An open page.
    Page {
        /// Never used twice while the service runs.
        number: u64,
        /// Where it came from.
        address: IpAddr,
        /// What it calls itself.
        name: Option<Arc<str>>,
    },
    /// A request to the REST API from this address.
    Api(IpAddr),
    /// The MQTT broker.
    Mqtt,
    /// A timer that was due.
    Timer,
    /// A button on the wall.
    Button,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "lowercase")]
pub enum Action {
    /// The first page of a name opened.
    Joined,
    /// The last page of a name left.
    Left,
    /// A light was set, by whatever way.
    Set {
        /// Its name.
        light: String,
        /// To what.
        level: Level,
    },
    /// An effect was started, or ended.
    Effect {
        /// The light's name.
        light: String,
        /// Which; `None` ended the one there was.
        effect: Option<Kind>,
    },
    /// A preset was recalled.
    Recalled {
        /// Its name.
        preset: String,
    },
    /// A preset was saved.
    Saved {
        /// Its name.
        preset: String,
    },
    /// A preset was removed.
    Forgot {
        /// Its name.
        preset: String,
    },
    /// A timer was added.
    Timer {
        /// Its name.
        timer: String,
    },
    /// A timer was removed.
    Cancelled {
        /// Its name.
        timer: String,
    },
    /// Someone said something.
    Said {
        /// 1 to 200 characters, none of them control characters.
        text: String,
    },
}

impl Action {
    /// What came of a change of a light.
    pub fn of(change: Change, light: &Light, state: &LightState) -> Action {
        let light = light.name.clone();
        match change {
            Change::Effect(effect) => Action::Effect {
                light,
                effect: effect.map(|effect| effect.kind),
            },
            _ => Action::Set {
                light,
                level: state.level,
            },
        }
    }
}

/// Something that was done.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Unix seconds.
    pub at: u64,
    /// By whom.
    pub who: Actor,
    /// What.
    pub what: Action,
}

impl Entry {
    /// It was done now.
    pub fn new(who: Actor, what: Action) -> Entry {
        // Before 1970 is a clock that was never set.
        let at = SystemTime::now().duration_since(UNIX_EPOCH);
        Entry {
            at: at.unwrap_or_default().as_secs(),
            who,
            what,
        }
    }
}

impl Actor {
    /// What it calls itself.
    pub fn name(&self) -> Option<&Arc<str>> {
        match self {
            Actor::Page { name, .. } => name.as_ref(),
            _ => None,
        }
    }

    /// The same without the name, which a page may change at any time.
    pub fn by_any_name(&self) -> Actor {
        match *self {
            Actor::Page {
                number, address, ..
            } => Actor::Page {
                number,
                address,
                name: None,
            },
            ref other => other.clone(),
        }
    }

    /// What it came over, if by no page.
    fn via(&self) -> Option<&'static str> {
        match self {
            Actor::Page { .. } => None,
            Actor::Api(_) => Some("api"),
            Actor::Mqtt => Some("mqtt"),
            Actor::Timer => Some("timer"),
            Actor::Button => Some("button"),
        }
    }
}

/// As pages are told: without addresses.
impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            at: u64,
            #[serde(skip_serializing_if = "Option::is_none")]
            who: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            via: Option<&'static str>,
            #[serde(flatten)]
            what: &'a Action,
        }
        let shown = Shown {
            at: self.at,
            who: self.who.name().map(|name| &**name),
            via: self.who.via(),
            what: &self.what,
        };
        shown.serialize(serializer)
    }
}

/// As in the log.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.who, self.what)
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Actor::Page { address, name, .. } => {
                write!(f, "{} ({address})", name.as_deref().unwrap_or("a page"))
            }
            Actor::Api(address) => write!(f, "the API ({address})"),
            Actor::Mqtt => f.write_str("MQTT"),
            Actor::Timer => f.write_str("a timer"),
            Actor::Button => f.write_str("a button"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Joined => f.write_str("joined"),
            Action::Left => f.write_str("left"),
            Action::Set { light, level } => write!(f, "set {light} to {level}"),
            Action::Effect { light, effect } => match effect {
                Some(effect) => write!(f, "started {} on {light}", effect.name()),
                None => write!(f, "ended the effect on {light}"),
            },
            Action::Recalled { preset } => write!(f, "recalled {preset}"),
            Action::Saved { preset } => write!(f, "saved {preset}"),
            Action::Forgot { preset } => write!(f, "forgot {preset}"),
            Action::Timer { timer } => write!(f, "added timer {timer}"),
            Action::Cancelled { timer } => write!(f, "cancelled timer {timer}"),
            Action::Said { text } => write!(f, "said: {text}"),
        }
    }
}
