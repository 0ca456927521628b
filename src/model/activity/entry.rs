//! Entries of the audit trail: who did what and when, for clients and for the log.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};

use crate::model::actor::Actor;
use crate::model::effect::EffectKind;
use crate::model::level::Level;
use crate::model::lights::{Change, Light, LightState};

/// What somebody did.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "lowercase")]
pub enum Action {
    /// The first client of a name connected.
    Joined,
    /// The last client of a name disconnected.
    Left,
    /// A light was set to a level, by whatever change.
    Set {
        /// The light's name.
        light: String,
        /// The level after the change.
        level: Level,
    },
    /// An effect was started, or ended.
    Effect {
        /// The light's name.
        light: String,
        /// The effect; `None` if one was ended.
        effect: Option<EffectKind>,
    },
    /// A light flashed.
    Flashed {
        /// The light's name.
        light: String,
    },
    /// A preset was recalled.
    Recalled {
        /// The preset's name.
        preset: String,
    },
    /// A preset was saved.
    Saved {
        /// The preset's name.
        preset: String,
    },
    /// A preset was removed.
    Forgot {
        /// The preset's name.
        preset: String,
    },
    /// A timer was added.
    Timer {
        /// The timer's name.
        timer: String,
    },
    /// A timer was removed.
    Cancelled {
        /// The timer's name.
        timer: String,
    },
    /// Somebody said something to all others.
    Said {
        /// 1 to 200 characters, none of them control characters.
        text: String,
    },
}

impl Action {
    /// The entry for a change of a light that led to `state`.
    pub fn changed(change: Change, light: &Light, state: &LightState) -> Action {
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

/// An entry of the audit trail.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Unix time in seconds.
    pub at: u64,
    /// Who did it.
    pub actor: Actor,
    /// What was done.
    pub action: Action,
}

impl Entry {
    /// An entry of now.
    pub fn new(actor: Actor, action: Action) -> Entry {
        // A clock before 1970 was never set.
        let at = SystemTime::now().duration_since(UNIX_EPOCH);
        Entry {
            at: at.unwrap_or_default().as_secs(),
            actor,
            action,
        }
    }
}

/// The form for clients: without addresses.
impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields<'a> {
            at: u64,
            #[serde(skip_serializing_if = "Option::is_none")]
            who: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            via: Option<&'static str>,
            #[serde(flatten)]
            what: &'a Action,
        }
        let fields = Fields {
            at: self.at,
            who: self.actor.name().map(|name| &**name),
            via: self.actor.via(),
            what: &self.action,
        };
        fields.serialize(serializer)
    }
}

/// The form in the log.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.actor, self.action)
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
            Action::Flashed { light } => write!(f, "flashed {light}"),
            Action::Recalled { preset } => write!(f, "recalled {preset}"),
            Action::Saved { preset } => write!(f, "saved {preset}"),
            Action::Forgot { preset } => write!(f, "forgot {preset}"),
            Action::Timer { timer } => write!(f, "added timer {timer}"),
            Action::Cancelled { timer } => write!(f, "cancelled timer {timer}"),
            Action::Said { text } => write!(f, "said: {text}"),
        }
    }
}
