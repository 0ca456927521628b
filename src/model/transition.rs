//! The time that a change takes.

use std::time::Duration;

use super::range::Range;

/// The longest transition.
pub const MAX_TRANSITION: Duration = Duration::from_secs(3600);
/// All transitions, in seconds.
pub const TRANSITIONS: Range = Range::new(0.0, MAX_TRANSITION.as_secs_f64()).of("seconds");

/// A transition of this many seconds.
///
/// # Errors
/// It is not in [`TRANSITIONS`].
pub fn transition(seconds: f64) -> Result<Duration, String> {
    match TRANSITIONS.check(seconds) {
        Ok(seconds) => Ok(Duration::from_secs_f64(seconds)),
        Err(error) => Err(format!("transition {error}")),
    }
}
