//! A light flashes: half a second off, or on if it was off, and back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use crate::model::lights::{Change, LightState, Lights};

/// How long a flash takes.
const FLASH: Duration = Duration::from_millis(500);

/// The flashes that are on their way.
pub struct Flashes {
    lights: Arc<Lights>,
    /// What each light goes back to, and the revision that its flash made.
    back: Mutex<Vec<Option<(LightState, u64)>>>,
}

impl Flashes {
    /// None yet.
    pub fn new(lights: Arc<Lights>) -> Flashes {
        let back = Mutex::new(vec![None; lights.list().len()]);
        Flashes { lights, back }
    }

    /// Flashes a light, unless it does so already.
    pub fn start(self: &Arc<Flashes>, light: usize) {
        let mut back = self.back();
        if back[light].is_some() {
            return;
        }
        let before = self.lights.state(light);
        let at_once = Some(Duration::ZERO);
        let flashing = self.lights.change(light, Change::Toggle, at_once, None);
        back[light] = Some((before, flashing.revision));
        let flashes = self.clone();
        tokio::spawn(async move {
            sleep(FLASH).await;
            flashes.end(light);
        });
    }

    /// Ends all at once.
    pub fn end_all(&self) {
        for light in 0..self.lights.list().len() {
            self.end(light);
        }
    }

    /// Brings a light back that flashes, unless somebody has changed it since.
    fn end(&self, light: usize) {
        let Some((before, revision)) = self.back()[light].take() else {
            return;
        };
        if self.lights.state(light).revision != revision {
            return;
        }
        let left = before.left().unwrap_or_default();
        let level = Change::Level(before.level);
        let effect = before.effect.map(|effect| Change::Effect(Some(effect)));
        for change in [Some(level), effect].into_iter().flatten() {
            self.lights
                .change(light, change, Some(left), before.by.clone());
        }
    }

    fn back(&self) -> MutexGuard<'_, Vec<Option<(LightState, u64)>>> {
        self.back.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::effect::{Effect, Kind, Speed};
    use crate::model::level::Level;

    #[tokio::test(start_paused = true)]
    async fn a_flash_comes_back_and_one_at_a_time_is_enough() {
        let lights = Arc::new(Lights::led());
        let flashes = Arc::new(Flashes::new(lights.clone()));
        for _ in 0..3 {
            flashes.start(0);
            assert_eq!(lights.state(0).level, Level::OFF);
        }
        sleep(FLASH * 2).await;
        assert_eq!(lights.state(0).level, Level::HALF);
        assert_eq!(lights.state(0).revision, 2);
        flashes.start(0);
        flashes.end_all();
        assert_eq!(lights.state(0).level, Level::HALF, "a stop ends it early");
    }

    #[tokio::test(start_paused = true)]
    async fn a_flash_comes_back_to_the_effect() {
        let lights = Arc::new(Lights::led());
        let flashes = Arc::new(Flashes::new(lights.clone()));
        let effect = Some(Effect {
            kind: Kind::Candle,
            speed: Speed::SAFE,
        });
        lights.change(0, Change::Effect(effect), None, None);
        flashes.start(0);
        assert_eq!(lights.state(0).effect, None);
        sleep(FLASH * 2).await;
        assert_eq!(lights.state(0).effect, effect);
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_during_a_flash_stays() {
        let lights = Arc::new(Lights::led());
        let flashes = Arc::new(Flashes::new(lights.clone()));
        flashes.start(0);
        lights.change(0, Change::Level(Level::FULL), None, None);
        sleep(FLASH * 2).await;
        assert_eq!(lights.state(0).level, Level::FULL);
    }
}
