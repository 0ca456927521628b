//! What a backup sets the dimmer to, and the limits that hold for it.

use std::collections::{BTreeMap, HashSet};

use super::lights::LightBackup;
use super::presets::{MAX_PRESETS, PresetsByName};
use super::settings::SetHere;
use super::text::{Name, TextError};
use super::timers::{MAX_TIMERS, TimeOfDay, Timer, TimerAction};

/// The largest backup in bytes: some twice of what all presets and timers take at most.
pub const MAX_BACKUP: usize = 128 * 1024;

/// What a backup sets the dimmer to.
#[derive(Debug, Clone, PartialEq)]
pub struct BackupContents {
    /// The lights by their names; this dimmer may not have all of them.
    pub lights: BTreeMap<String, LightBackup>,
    /// All presets.
    pub presets: PresetsByName,
    /// All timers.
    pub timers: Vec<Timer>,
    /// All settings that were set here; `None` if the backup is of a version without these, or of none of them.
    pub settings: Option<SetHere>,
}

/// Why a backup is not restored. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RestoreError {
    /// There are more than [`MAX_PRESETS`].
    #[error("presets must be at most {MAX_PRESETS}, not {0}")]
    TooManyPresets(usize),
    /// There are more than [`MAX_TIMERS`].
    #[error("timers must be at most {MAX_TIMERS}, not {0}")]
    TooManyTimers(usize),
    /// A light, a preset or a timer has no valid name.
    #[error("the name of a {0} {1}")]
    BadName(&'static str, TextError),
    /// Two timers have this name.
    #[error("the name of a timer must be one of its own, and two are called {0:?}")]
    SameName(String),
    /// The timer of this name repeats on no day.
    #[error("timer {0:?}: days must be a list of days, not []")]
    NoDays(String),
    /// The timer of this name is at a time of the clock with an offset.
    #[error("timer {0:?}: offset goes with sunrise and sunset only")]
    OffsetByClock(String),
}

impl BackupContents {
    /// Checks what depends on nothing but the backup, with the limits that hold for messages.
    ///
    /// # Errors
    /// [`RestoreError`].
    pub fn check(&self) -> Result<(), RestoreError> {
        let (presets, timers) = (self.presets.len(), self.timers.len());
        if presets > MAX_PRESETS {
            return Err(RestoreError::TooManyPresets(presets));
        }
        if timers > MAX_TIMERS {
            return Err(RestoreError::TooManyTimers(timers));
        }
        let of_presets = self.presets.values().flat_map(|preset| preset.keys());
        let of_settings = self.settings.iter().flat_map(|here| here.lights.keys());
        for light in self.lights.keys().chain(of_presets).chain(of_settings) {
            check_name("light", light)?;
        }
        for name in self.presets.keys() {
            check_name("preset", name)?;
        }
        let mut names = HashSet::new();
        for timer in &self.timers {
            check_timer(timer)?;
            if !names.insert(&timer.name) {
                return Err(RestoreError::SameName(timer.name.clone()));
            }
        }
        Ok(())
    }
}

fn check_name(of: &'static str, name: &str) -> Result<(), RestoreError> {
    let length = name.chars().count();
    let checked = match length > Name::MAX {
        // First, as other errors quote the name.
        true => Err(TextError::Length {
            max: Name::MAX,
            length,
        }),
        false => Name::new(name).map(drop),
    };
    checked.map_err(|error| RestoreError::BadName(of, error))
}

fn check_timer(timer: &Timer) -> Result<(), RestoreError> {
    check_name("timer", &timer.name)?;
    if let Some(light) = &timer.light {
        check_name("light", light)?;
    }
    if let TimerAction::Recall(preset) = &timer.action {
        check_name("preset", preset)?;
    }
    let Some(daily) = &timer.daily else {
        return Ok(());
    };
    if daily.days.as_ref().is_some_and(Vec::is_empty) {
        return Err(RestoreError::NoDays(timer.name.clone()));
    }
    match daily.at {
        TimeOfDay::Clock(_) if daily.offset != 0 => {
            Err(RestoreError::OffsetByClock(timer.name.clone()))
        }
        _ => Ok(()),
    }
}

/// What was restored.
#[derive(Debug, Clone, PartialEq)]
pub struct Restored {
    /// How many lights of this dimmer were set.
    pub lights: usize,
    /// How many presets there are now.
    pub presets: usize,
    /// How many timers there are now.
    pub timers: usize,
    /// What is not as in the backup, and why, each in one line.
    pub notes: Vec<String>,
}
