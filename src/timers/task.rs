//! The task that lets timers happen.

use std::io;
use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::clock::{Clock, Woken};
use super::{Act, Timer};
use crate::activity::{What, Who};
use crate::house::House;
use crate::lights::{Change, Lights};

/// Does what is due in this house until `stop`. Nothing runs while there are no timers.
pub async fn follow(house: Arc<House>, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        Err(error) = run(&house) => error!("timers do not work: {error}"),
    }
}

async fn run(house: &House) -> io::Result<()> {
    let timers = &house.timers;
    let mut watch = timers.watch();
    let mut clock = Clock::new()?;
    loop {
        let next = watch.borrow_and_update().first().map(|timer| timer.next);
        let Some(next) = next else {
            // It does not fail: its sender lives in the house.
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
                        timer.act(house);
                    }
                }
                Woken::Set(ahead) => timers.set(ahead, Timestamp::now()),
            },
        }
    }
}

impl Timer {
    fn act(&self, house: &House) {
        info!("timer {:?} is due", self.name);
        let by: Arc<str> = "timer".into();
        let change = match &self.act {
            Act::Level { level } => Change::Level(*level),
            Act::On { on } => Change::On(*on),
            Act::Effect(effect) => Change::Effect(Some(*effect)),
            Act::Recall { recall } => {
                let (presets, lights) = (&house.presets, &house.lights);
                match presets.recall(recall, lights, self.transition, Some(by)) {
                    Ok(()) => {
                        let preset = recall.clone();
                        house.activity.note(Who::Timer, What::Recalled { preset });
                    }
                    Err(error) => warn!("timer {:?}: {error}", self.name),
                }
                return;
            }
        };
        for light in self.lights(&house.lights) {
            let lights = &house.lights;
            let state = lights.change(light, change, self.transition, Some(by.clone()));
            let what = What::of(change, &lights.list()[light], &state);
            house.activity.note(Who::Timer, what);
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
