//! The task that lets timers happen.

mod clock;

use std::io;
use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::model::activity::{Action, Actor};
use crate::model::hub::Hub;
use crate::model::lights::{Change, Lights};
use crate::model::timers::{Act, Timer};
use clock::{Clock, Woken};

/// Does what is due in this hub until `stop`. Nothing runs while there are no timers.
pub async fn follow(hub: Arc<Hub>, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        Err(error) = run(&hub) => error!("timers do not work: {error}"),
    }
}

async fn run(hub: &Hub) -> io::Result<()> {
    let timers = &hub.timers;
    let mut watch = timers.watch();
    let mut clock = Clock::new()?;
    loop {
        let next = watch.borrow_and_update().first().map(|timer| timer.next);
        let Some(next) = next else {
            // It does not fail: its sender lives in the hub.
            let _ = watch.changed().await;
            // What it was set while nobody asked moves no timer.
            clock = Clock::new()?;
            continue;
        };
        tokio::select! {
            _ = watch.changed() => {}
            woken = clock.until(next) => match woken? {
                Woken::Due => {
                    for timer in timers.take_due(Timestamp::now()) {
                        timer.act(hub);
                    }
                }
                Woken::Set(ahead) => timers.clock_set(ahead, Timestamp::now()),
            },
        }
    }
}

impl Timer {
    fn act(&self, hub: &Hub) {
        info!("timer {:?} is due", self.name);
        let by: Arc<str> = "timer".into();
        let change = match &self.act {
            Act::Level { level } => Change::Level(*level),
            Act::On { on } => Change::On(*on),
            Act::Effect(effect) => Change::Effect(Some(*effect)),
            Act::Recall { recall } => {
                let (presets, lights) = (&hub.presets, &hub.lights);
                match presets.recall(recall, lights, self.transition, Some(by)) {
                    Ok(()) => {
                        let preset = recall.clone();
                        hub.activity.note(Actor::Timer, Action::Recalled { preset });
                    }
                    Err(error) => warn!("timer {:?}: {error}", self.name),
                }
                return;
            }
        };
        for light in self.lights(&hub.lights) {
            let lights = &hub.lights;
            let state = lights.change(light, change, self.transition, Some(by.clone()));
            let what = Action::of(change, &lights.list()[light], &state);
            hub.activity.note(Actor::Timer, what);
        }
    }

    /// Its lights that are there.
    fn lights(&self, lights: &Lights) -> Vec<usize> {
        let all = lights.list().iter().enumerate();
        let its = |name: &str| self.light.as_ref().is_none_or(|its| its == name);
        all.filter(|(_, light)| its(&light.name))
            .map(|(index, _)| index)
            .collect()
    }
}
