//! Commands: everything that an input can ask for, in the terms of the model.
//!
//! An input (the WebSocket, REST, MQTT, Socket.IO, a timer, a button) translates its protocol into a
//! [`Command`] and an [`Actor`](super::actor::Actor), and the [`Outcome`] back.
//! [`Hub::execute`](super::hub::Hub::execute) does the rest.
//!
//! A new command is a variant here, an arm of `Hub::execute`, and a verb in `protocol::request`.

use std::sync::Arc;
use std::time::Duration;

use super::backup::{BackupContents, RestoreError, Restored};
use super::fleet::{FleetError, RemoteState};
use super::lights::{Change, LightId, LightState};
use super::presets::{Preset, PresetError};
use super::range::OutOfRange;
use super::settings::{SettingError, SettingsChange};
use super::text::Name;
use super::timers::{NewTimer, Timer, TimerError};

/// A request to change the state.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Change one light.
    Change {
        /// The light to change.
        target: Target,
        /// The change.
        change: Change,
        /// Time to get there; `None` for the light's own.
        transition: Option<Duration>,
    },
    /// Change several lights at once: all of them, or none.
    ChangeTogether(Vec<TargetChange>),
    /// Let a light blink until [`Command::EndFlash`].
    Flash(LightId),
    /// Restore a light that flashes, unless it has been changed since.
    EndFlash(Flash),
    /// Save a preset, in place of one that has this name.
    SavePreset {
        /// The preset's name.
        name: Name,
        /// What to save; `None` for what all lights are set to now.
        preset: Option<Preset>,
    },
    /// Set the lights as a preset says.
    RecallPreset {
        /// The preset's name.
        name: String,
        /// Time to get there; `None` for each light's own.
        transition: Option<Duration>,
    },
    /// Remove the preset of this name.
    ForgetPreset(String),
    /// Add a timer, in place of one that has its name.
    AddTimer(NewTimer),
    /// Remove the timer of this name.
    CancelTimer(String),
    /// Execute the action of a timer that is due.
    RunTimer(Timer),
    /// Set lights, presets, timers and settings as a backup says.
    Restore(BackupContents),
    /// Change settings: all of these, or none.
    ChangeSettings(SettingsChange),
    /// Hold the pin of a light at a duty, to find the ends of its range by eye.
    TryDuty {
        /// The light.
        light: LightId,
        /// The duty in percent, 0 to 100; `None` to end that.
        duty: Option<f64>,
    },
    /// End whatever the actor tries, as it is gone.
    EndTrials,
    /// Note that the LED of this light lights up, so that nobody is asked again.
    Greet(LightId),
}

/// A change of one of several lights.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetChange {
    /// The light to change.
    pub target: Target,
    /// The change.
    pub change: Change,
    /// Time to get there; `None` for the light's own.
    pub transition: Option<Duration>,
}

/// The light that a command is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A light of this dimmer.
    Own(LightId),
    /// A light of another dimmer, by its name, `node/light`.
    Remote(Arc<str>),
}

/// The result of a command.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The changed light of this dimmer.
    Light(LightState),
    /// The changed light of another dimmer, as clients show it from now on.
    Remote(RemoteState),
    /// The outcome of each change of [`Command::ChangeTogether`], in their order.
    Together(Vec<Outcome>),
    /// The flash that began.
    Flash(Flash),
    /// The preset that was saved.
    Preset(Preset),
    /// The timer that was added.
    Timer(Timer),
    /// A backup was restored.
    Restored {
        /// What of it.
        restored: Restored,
        /// The revision of each light just after that.
        revisions: Vec<u64>,
    },
    /// Nothing to report.
    Done,
}

/// A flash that goes on until [`Command::EndFlash`].
#[derive(Debug, Clone, PartialEq)]
pub struct Flash {
    /// The light that flashes.
    pub light: LightId,
    /// The revision that the flash made: a later one is another change, which stays.
    pub(super) revision: u64,
}

impl Flash {
    /// Whether the flash made this revision of its light.
    pub fn is_of(&self, revision: u64) -> bool {
        self.revision == revision
    }
}

/// Why a command is not carried out. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CommandError {
    /// No light has this name.
    #[error("no light is called {0:?}")]
    NoSuchLight(String),
    /// The effect is faster than the light of this name allows.
    #[error("speed of {1:?} {0}: more is for lights with allow_fast_strobe")]
    TooFast(OutOfRange, String),
    /// The preset cannot be saved or used.
    #[error(transparent)]
    Preset(#[from] PresetError),
    /// The timer cannot be added or found.
    #[error(transparent)]
    Timer(#[from] TimerError),
    /// The settings cannot be changed, or the duty not be tried.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The backup cannot be restored.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The other dimmer's light cannot do it.
    #[error(transparent)]
    Fleet(#[from] FleetError),
}
