//! Tests that keep the machine busy, or measure how long something takes, go one after another.

use std::sync::{Mutex, MutexGuard, PoisonError};

static TURN: Mutex<()> = Mutex::new(());

/// Held by the test whose turn it is.
pub struct Turn(MutexGuard<'static, ()>);

/// Waits until no other such test of this crate runs, and keeps the others waiting until the result is dropped.
///
/// The tests of a crate are threads of one process. Most of them wait for their service nearly all the time and disturb
/// nobody, so they do not take turns. A drag by hundreds of clients, or twenty processes killed in a row, takes whole
/// cores: two of these at once would measure each other.
pub fn take_turn() -> Turn {
    // A test that failed during its turn has left nothing behind that matters to the next.
    Turn(TURN.lock().unwrap_or_else(PoisonError::into_inner))
}
