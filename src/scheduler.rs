//! Runs timers when they are due.

mod clock;

use std::sync::Arc;

use jiff::Timestamp;
use tracing::{info, warn};

use crate::model::actor::Actor;
use crate::model::command::Command;
use crate::model::hub::Hub;
use crate::platform::supervisor::Heartbeat;
use clock::{Clock, Woken};

/// Runs the timers of this hub. While there are none, nothing runs.
///
/// # Errors
/// The kernel has no timer left.
pub async fn run(hub: Arc<Hub>, mut heartbeat: Heartbeat) -> anyhow::Result<()> {
    let mut watch = hub.timers.watch();
    let mut clock = Clock::new()?;
    loop {
        let next = watch.borrow_and_update().first().map(|timer| timer.next);
        let Some(next) = next else {
            tokio::select! {
                // Cannot fail: the hub holds the sender.
                _ = watch.changed() => {
                    // A clock that was set while there were no timers moves none.
                    clock = Clock::new()?;
                }
                () = heartbeat.beat() => {}
            }
            continue;
        };
        tokio::select! {
            _ = watch.changed() => {}
            () = heartbeat.beat() => {}
            woken = clock.until(next) => match woken? {
                Woken::Due => run_due(&hub),
                Woken::Set(ahead) => hub.clock_was_set(ahead, Timestamp::now()),
            },
        }
    }
}

fn run_due(hub: &Hub) {
    for timer in hub.take_due_timers(Timestamp::now()) {
        let name = timer.name.clone();
        info!("timer {name:?} is due");
        if let Err(error) = hub.execute(&Actor::Timer, Command::RunTimer(timer)) {
            warn!("timer {name:?}: {error}");
        }
    }
}
