//! A duty that somebody tries: [`Trial`].

use std::time::Duration;

use tokio::time::Instant;

use crate::model::actor::Actor;

/// How long a duty is held without news.
const TRIAL: Duration = Duration::from_secs(30);

/// A duty that the pin shows while somebody finds the ends of a light's range by eye.
///
/// A trial belongs to one actor. It ends when that actor saves or cancels, when it is gone, when nothing is heard of it
/// for 30 seconds, and with any change of the light. The light's level, effect and revision stay as they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// The duty in percent, 0 to 100.
    pub duty: f64,
    /// When it ends without news.
    pub until: Instant,
    /// Without a name, which a client may change meanwhile.
    by: Actor,
}

impl Trial {
    /// A trial of this duty in percent that begins, or goes on, at `now`.
    pub fn new(duty: f64, by: &Actor, now: Instant) -> Trial {
        Trial {
            duty,
            until: now + TRIAL,
            by: by.without_name(),
        }
    }

    /// Whether it is this actor's.
    pub fn is_of(&self, actor: &Actor) -> bool {
        self.by == actor.without_name()
    }
}
