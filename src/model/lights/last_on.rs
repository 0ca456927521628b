//! The level that "on" goes back to: one that somebody chose, not one that a drag or a fade by steps passed
//! on its way to off.
//!
//! Computed from times when it is needed, so that no timer has to run.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::level::Level;

/// A level that stays for this time was chosen.
const REST: Duration = Duration::from_secs(2);

/// The last level above 0 that was chosen. It is told of every change of the level.
#[derive(Debug, Clone)]
pub struct LastOn {
    /// As of the last change of the level.
    level: Level,
    /// The last change of the level.
    changed: Instant,
    gesture: Gesture,
}

/// Moves of the level that follow each other in less than [`REST`].
#[derive(Debug, Clone, Copy, PartialEq)]
enum Gesture {
    /// The level was not reached by a move.
    None,
    /// It was reached by the first move.
    First,
    /// It was reached by a further move.
    Further,
}

/// How a level is left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Leaving {
    /// For another level or by a step, as in a drag.
    Move,
    /// The same by somebody else than the last change.
    FirstMove,
    /// By an off that may be the end of a drag.
    LastMove,
    /// By switching on or off.
    Switch,
}

impl LastOn {
    /// For a light whose level nobody has changed yet; `level` is for the case that it is off.
    pub fn new(level: Level) -> LastOn {
        LastOn {
            level,
            changed: Instant::now(),
            gesture: Gesture::None,
        }
    }

    /// The last level above 0 that was chosen, of a light that is at `current`.
    pub fn level(&self, current: Level, now: Instant) -> Level {
        match current.is_off() || !self.rests(now) {
            true => self.level,
            false => current,
        }
    }

    /// The light leaves the level `current`.
    pub fn leave(&mut self, current: Level, leaving: Leaving, now: Instant) {
        let is_chosen = match leaving {
            Leaving::Move => false,
            // A single level is no gesture.
            Leaving::FirstMove | Leaving::LastMove => self.gesture == Gesture::First,
            Leaving::Switch => true,
        };
        self.level = match is_chosen && !current.is_off() {
            true => current,
            false => self.level(current, now),
        };
        self.gesture = match leaving {
            Leaving::LastMove | Leaving::Switch => Gesture::None,
            Leaving::FirstMove => Gesture::First,
            Leaving::Move if self.rests(now) => Gesture::First,
            Leaving::Move => Gesture::Further,
        };
        self.changed = now;
    }

    /// Whether the level is not part of a gesture, or no longer.
    fn rests(&self, now: Instant) -> bool {
        self.gesture == Gesture::None || now.saturating_duration_since(self.changed) >= REST
    }
}
