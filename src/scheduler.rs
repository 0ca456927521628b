//! The scheduler: runs timers when they are due.

mod clock;
mod zone;

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use jiff::Timestamp;
use tracing::{info, warn};

use crate::metrics::Counter;
use crate::model::actor::Actor;
use crate::model::command::Command;
use crate::model::hub::Hub;
use crate::platform::supervisor::Heartbeat;
use clock::{Clock, Woken};
use zone::ZoneWatch;

/// The folder of `localtime`, the time zone of the system.
const ETC: &str = "/etc";

/// Runs the timers of the hub when they are due. Without timers, nothing wakes up but a change of the time
/// zone. `timers_due` counts those that were due.
///
/// # Errors
/// The kernel cannot create or set its timer.
pub async fn run(
    hub: Arc<Hub>,
    timers_due: Arc<Counter>,
    mut heartbeat: Heartbeat,
) -> anyhow::Result<()> {
    let mut watch = hub.timers.watch();
    let mut clock = Clock::new()?;
    let mut zone = ZoneWatch::new(Path::new(ETC));
    loop {
        let next = watch
            .borrow_and_update()
            .first()
            .and_then(|timer| timer.next.ok());
        let Some(next) = next else {
            tokio::select! {
                // Cannot fail: the hub holds the sender.
                _ = watch.changed() => {
                    // A new clock, so that a jump from the time without timers moves no timer.
                    clock = Clock::new()?;
                }
                () = zone.changed() => hub.zone_was_set(Timestamp::now()),
                () = heartbeat.beat() => {}
            }
            continue;
        };
        let woken = {
            let mut woken = pin!(clock.until(next));
            loop {
                tokio::select! {
                    // In this order: to set the kernel's timer again would lose a jump of the clock.
                    biased;
                    woken = &mut woken => break Some(woken?),
                    _ = watch.changed() => break None,
                    () = zone.changed() => {
                        hub.zone_was_set(Timestamp::now());
                        break None;
                    }
                    () = heartbeat.beat() => {}
                }
            }
        };
        match woken {
            Some(Woken::Due) => run_due(&hub, &timers_due),
            Some(Woken::Set(ahead)) => hub.clock_was_set(ahead, Timestamp::now()),
            None => {}
        }
    }
}

fn run_due(hub: &Hub, timers_due: &Counter) {
    for timer in hub.take_due_timers(Timestamp::now()) {
        timers_due.add();
        let name = timer.name.clone();
        info!("timer {name:?} is due");
        if let Err(error) = hub.execute(&Actor::Timer, Command::RunTimer(timer)) {
            warn!("timer {name:?}: {error}");
        }
    }
}
