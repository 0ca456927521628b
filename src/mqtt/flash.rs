//! Flashes of lights on command of Home Assistant: a light blinks as long as the command says.

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

/// Shortest flash: the light is on and off once.
pub const SHORTEST: Duration = Duration::from_secs(1);
/// Longest flash.
pub const LONGEST: Duration = Duration::from_secs(60);

/// The flashes that have not ended yet.
pub struct Flashes {
    hub: Arc<Hub>,
    /// The flashes with the times of their ends.
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

    /// Starts a flash of a light. One that the light has not ended goes on until the later end.
    pub fn start(&self, light: LightId, duration: Duration) {
        let end = Instant::now() + duration.clamp(SHORTEST, LONGEST);
        let revision = self.hub.lights.state(light).revision;
        let mut running = self.running();
        let own = running.iter_mut().find(|(_, flash)| flash.light == light);
        if let Some((until, _)) = own.filter(|(_, flash)| flash.is_of(revision)) {
            *until = end.max(*until);
            return;
        }
        match self.hub.execute(&Actor::Mqtt, Command::Flash(light)) {
            Ok(Outcome::Flash(flash)) => {
                running.retain(|(_, other)| other.light != light);
                running.push((end, flash));
            }
            other => warn!("mqtt: flash: {other:?}"),
        }
        self.started.notify_one();
    }

    /// Ends each flash when it is due; never returns.
    pub async fn run(&self) {
        loop {
            let next = self.running().iter().map(|(end, _)| *end).min();
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
        self.end_until(Instant::now() + LONGEST);
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

    fn effect(hub: &Hub) -> Option<EffectKind> {
        hub.lights.state(LED).effect.map(|effect| effect.kind)
    }

    #[tokio::test(start_paused = true)]
    async fn a_flash_takes_as_long_as_the_longest_that_was_asked_for() {
        let (hub, flashes) = flashes();
        let second = Duration::from_secs(1);
        for seconds in [10, 2] {
            flashes.start(LED, seconds * second);
            assert_eq!(effect(&hub), Some(EffectKind::Blink));
        }
        assert_eq!(hub.lights.state(LED).revision, 1, "it is one flash");
        sleep(second * 99 / 10).await;
        assert_eq!(effect(&hub), Some(EffectKind::Blink));
        sleep(second / 5).await;
        assert_eq!(effect(&hub), None);
        assert_eq!(hub.lights.state(LED).level, Level::HALF);
        flashes.start(LED, LONGEST);
        flashes.end_all();
        assert_eq!(effect(&hub), None, "a stop ends it early");
    }

    #[tokio::test(start_paused = true)]
    async fn a_flash_restores_the_effect() {
        let (hub, flashes) = flashes();
        let candle = Some(Effect {
            kind: EffectKind::Candle,
            speed: Speed::SAFE,
        });
        hub.change(LED, Change::Effect(candle));
        flashes.start(LED, SHORTEST);
        assert_eq!(effect(&hub), Some(EffectKind::Blink));
        sleep(SHORTEST * 2).await;
        assert_eq!(hub.lights.state(LED).effect, candle);
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_during_a_flash_stays_and_another_flash_begins_anew() {
        let (hub, flashes) = flashes();
        flashes.start(LED, SHORTEST * 3);
        hub.change(LED, Change::Level(Level::FULL));
        assert_eq!(effect(&hub), None);
        flashes.start(LED, SHORTEST);
        assert_eq!(effect(&hub), Some(EffectKind::Blink));
        sleep(SHORTEST * 2).await;
        assert_eq!(effect(&hub), None);
        assert_eq!(hub.lights.state(LED).level, Level::FULL);
    }
}
