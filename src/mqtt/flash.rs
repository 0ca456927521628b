//! Flashes of lights on command of Home Assistant: half a second off, or on if the light was off.

use std::future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use crate::model::actor::Actor;
use crate::model::command::{Command, Flash, Outcome};
use crate::model::hub::Hub;
use crate::model::lights::LightId;

/// Duration of a flash.
const DURATION: Duration = Duration::from_millis(500);

/// The flashes that have not ended yet.
pub struct Flashes {
    hub: Arc<Hub>,
    /// The flashes with the times of their ends, the earliest first.
    running: Mutex<Vec<(Instant, Flash)>>,
    /// Wakes [`Flashes::run`] when a flash has started.
    started: Notify,
}

impl Flashes {
    pub fn new(hub: Arc<Hub>) -> Flashes {
        Flashes {
            hub,
            running: Mutex::default(),
            started: Notify::new(),
        }
    }

    /// Starts a flash of a light, unless the light flashes already.
    pub fn start(&self, light: LightId) {
        let mut running = self.running();
        if running.iter().any(|(_, flash)| flash.light == light) {
            return;
        }
        match self.hub.execute(&Actor::Mqtt, Command::Flash(light)) {
            Ok(Outcome::Flash(flash)) => running.push((Instant::now() + DURATION, flash)),
            other => warn!("mqtt: flash: {other:?}"),
        }
        self.started.notify_one();
    }

    /// Ends each flash when it is due; never returns.
    pub async fn run(&self) {
        loop {
            let next = self.running().first().map(|(end, _)| *end);
            let due = async {
                match next {
                    Some(end) => sleep_until(end).await,
                    None => future::pending().await,
                }
            };
            tokio::select! {
                () = due => self.end_until(Instant::now()),
                () = self.started.notified() => {}
            }
        }
    }

    /// Ends all flashes now.
    pub fn end_all(&self) {
        self.end_until(Instant::now() + DURATION);
    }

    fn end_until(&self, now: Instant) {
        let ended: Vec<_> = self
            .running()
            .extract_if(.., |(end, _)| *end <= now)
            .collect();
        for (_, flash) in ended {
            if let Err(error) = self.hub.execute(&Actor::Mqtt, Command::EndFlash(flash)) {
                warn!("mqtt: flash: {error}");
            }
        }
    }

    fn running(&self) -> MutexGuard<'_, Vec<(Instant, Flash)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;
    use crate::model::effect::{Effect, EffectKind, Speed};
    use crate::model::level::Level;
    use crate::model::lights::{Change, Lights};

    const LED: LightId = LightId::FIRST;

    fn flashes() -> (Arc<Hub>, Arc<Flashes>) {
        let hub = Hub::with(Lights::led());
        let flashes = Arc::new(Flashes::new(hub.clone()));
        let running = flashes.clone();
        tokio::spawn(async move { running.run().await });
        (hub, flashes)
    }

    #[tokio::test(start_paused = true)]
    async fn a_flash_restores_the_light_and_a_second_one_does_not_extend_it() {
        let (hub, flashes) = flashes();
        for _ in 0..3 {
            flashes.start(LED);
            assert_eq!(hub.lights.state(LED).level, Level::OFF);
        }
        sleep(DURATION * 2).await;
        assert_eq!(hub.lights.state(LED).level, Level::HALF);
        assert_eq!(hub.lights.state(LED).revision, 2);
        flashes.start(LED);
        flashes.end_all();
        let level = hub.lights.state(LED).level;
        assert_eq!(level, Level::HALF, "a stop ends it early");
    }

    #[tokio::test(start_paused = true)]
    async fn a_flash_restores_the_effect() {
        let (hub, flashes) = flashes();
        let effect = Some(Effect {
            kind: EffectKind::Candle,
            speed: Speed::SAFE,
        });
        hub.change(LED, Change::Effect(effect));
        flashes.start(LED);
        assert_eq!(hub.lights.state(LED).effect, None);
        sleep(DURATION * 2).await;
        assert_eq!(hub.lights.state(LED).effect, effect);
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_during_a_flash_stays() {
        let (hub, flashes) = flashes();
        flashes.start(LED);
        hub.change(LED, Change::Level(Level::FULL));
        sleep(DURATION * 2).await;
        assert_eq!(hub.lights.state(LED).level, Level::FULL);
    }
}
