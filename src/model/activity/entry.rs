//! Entries of the audit trail: an actor, an action and a time.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::model::actor::Actor;
use crate::model::effect::EffectKind;
use crate::model::level::Level;
use crate::model::lights::{Change, Light, LightState};

/// The most entries kept, and the most names published.
pub const MAX_ENTRIES: usize = 100;

/// An action in the audit trail.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// The first client of a name connected.
    Joined,
    /// The last client of a name disconnected.
    Left,
    /// A light was set to a level, by any kind of change.
    Set {
        /// The light's name.
        light: String,
        /// The level after the change.
        level: Level,
    },
    /// Several lights were set at once.
    SetTogether {
        /// The level of each after the change, by its name.
        levels: BTreeMap<String, Level>,
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
    PresetRecalled {
        /// The preset's name.
        preset: String,
    },
    /// A preset was saved.
    PresetSaved {
        /// The preset's name.
        preset: String,
    },
    /// A preset was removed.
    PresetForgotten {
        /// The preset's name.
        preset: String,
    },
    /// A timer was added.
    TimerAdded {
        /// The timer's name.
        timer: String,
    },
    /// A timer was removed.
    TimerCancelled {
        /// The timer's name.
        timer: String,
    },
    /// Settings were changed.
    SettingsChanged {
        /// The light's name; `None` for those of the dimmer.
        light: Option<String>,
    },
    /// A backup was restored.
    Restored,
    /// A client published a remark to all clients.
    Said {
        /// 1 to 200 characters, none of them control characters.
        text: String,
    },
    /// So many entries are left out, because there were too many from one source.
    More {
        /// How many.
        count: u64,
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

    /// The entries for actions that were one step: the lights that were set are one.
    pub fn together(actions: Vec<Action>) -> Vec<Action> {
        if actions.len() == 1 {
            return actions;
        }
        let (mut levels, mut entries) = (BTreeMap::new(), Vec::new());
        for action in actions {
            match action {
                Action::Set { light, level } => drop(levels.insert(light, level)),
                other => entries.push(other),
            }
        }
        if levels.len() > 1 {
            entries.insert(0, Action::SetTogether { levels });
        } else if let Some((light, level)) = levels.pop_first() {
            entries.insert(0, Action::Set { light, level });
        }
        entries
    }

    /// Adds the lights of an earlier action that this one takes the place of: it may have set others, and none of them
    /// shall be hidden.
    pub(super) fn include(&mut self, earlier: Action) {
        if let Action::SetTogether { levels } = self
            && let Action::SetTogether { levels: earlier } = earlier
        {
            let newer = std::mem::replace(levels, earlier);
            levels.extend(newer);
        }
    }
}

/// An entry of the audit trail.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Unix time in seconds.
    pub at: u64,
    /// The actor.
    pub actor: Actor,
    /// The action.
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
            Action::SetTogether { levels } => {
                let mut separator = "set";
                levels.iter().try_for_each(|(light, level)| {
                    let before = std::mem::replace(&mut separator, ",");
                    write!(f, "{before} {light} to {level}")
                })
            }
            Action::Effect { light, effect } => match effect {
                Some(effect) => write!(f, "started {} on {light}", effect.name()),
                None => write!(f, "ended the effect on {light}"),
            },
            Action::Flashed { light } => write!(f, "flashed {light}"),
            Action::PresetRecalled { preset } => write!(f, "recalled {preset}"),
            Action::PresetSaved { preset } => write!(f, "saved {preset}"),
            Action::PresetForgotten { preset } => write!(f, "forgot {preset}"),
            Action::TimerAdded { timer } => write!(f, "added timer {timer}"),
            Action::TimerCancelled { timer } => write!(f, "cancelled timer {timer}"),
            Action::SettingsChanged { light: Some(light) } => {
                write!(f, "changed settings of {light}")
            }
            Action::SettingsChanged { light: None } => f.write_str("changed settings"),
            Action::Restored => f.write_str("restored a backup"),
            Action::Said { text } => write!(f, "said: {text}"),
            Action::More { count } => write!(f, "did {count} more things"),
        }
    }
}
