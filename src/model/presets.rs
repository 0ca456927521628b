//! Names for what the lights are set to, so that it can be set again: [`Presets`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::model::effect::{Effect, Kind, Speed};
use crate::model::level::Level;
use crate::model::lights::{Change, LightState, Lights};

/// How many there may be.
pub const MOST: usize = 32;

/// What each light of a preset is set to, by the light's name.
pub type Preset = BTreeMap<String, Scene>;

/// Every preset by its name.
pub type ByName = BTreeMap<String, Preset>;

/// What one light of a preset is set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(from = "Fields")]
pub struct Scene {
    /// Its level.
    pub level: Level,
    /// What it plays around that.
    #[serde(flatten)]
    pub effect: Option<Effect>,
}

/// A scene as it is read. It has no field too much, which a flattened one could have.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Scene)]
pub(crate) struct Fields {
    /// Percent, in steps of 0.1.
    #[schema(value_type = f64, minimum = 0, maximum = 100)]
    level: Level,
    /// What it plays around that.
    effect: Option<Kind>,
    /// Of the effect.
    #[serde(default)]
    #[schema(value_type = f64, minimum = 0.1, maximum = 10)]
    speed: Speed,
}

impl From<Fields> for Scene {
    fn from(fields: Fields) -> Scene {
        let Fields {
            level,
            effect,
            speed,
        } = fields;
        Scene {
            level,
            effect: effect.map(|kind| Effect { kind, speed }),
        }
    }
}

/// Why a preset cannot be saved or used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// There are [`MOST`] others.
    #[error("there may be {MOST} presets, and there are: forget one first")]
    Full,
    /// None has this name.
    #[error("no preset is called {0:?}")]
    NoSuch(String),
}

/// All presets: one watched value, as the lights are.
pub struct Presets(watch::Sender<Arc<ByName>>);

impl Presets {
    /// Those that were kept.
    pub fn new(kept: ByName) -> Presets {
        Presets(watch::Sender::new(Arc::new(kept)))
    }

    /// The newest presets, and a way to wait for the next.
    pub fn watch(&self) -> watch::Receiver<Arc<ByName>> {
        self.0.subscribe()
    }

    /// All presets now.
    pub fn all(&self) -> Arc<ByName> {
        self.0.borrow().clone()
    }

    /// Keeps a preset, in place of one that has this name.
    ///
    /// # Errors
    /// [`Error::Full`].
    pub fn save(&self, name: &str, preset: Preset) -> Result<(), Error> {
        self.change(|all| {
            if all.len() >= MOST && !all.contains_key(name) {
                return Err(Error::Full);
            }
            all.insert(name.into(), preset);
            Ok(())
        })
    }

    /// Takes back what was kept and could not be read before; what was saved since is newer.
    pub fn regain(&self, kept: ByName) {
        self.0.send_modify(|all| {
            let all = Arc::make_mut(all);
            for (name, preset) in kept {
                all.entry(name).or_insert(preset);
            }
        });
    }

    /// Removes a preset.
    ///
    /// # Errors
    /// [`Error::NoSuch`].
    pub fn forget(&self, name: &str) -> Result<(), Error> {
        self.change(|all| {
            let there = all.remove(name).map(|_| ());
            there.ok_or_else(|| Error::NoSuch(name.into()))
        })
    }

    /// Sets each light of a preset that is still there, on behalf of `by`.
    ///
    /// # Errors
    /// [`Error::NoSuch`].
    pub fn recall(
        &self,
        name: &str,
        lights: &Lights,
        transition: Option<Duration>,
        by: Option<Arc<str>>,
    ) -> Result<(), Error> {
        let all = self.all();
        let preset = all.get(name).ok_or_else(|| Error::NoSuch(name.into()))?;
        for (index, light) in lights.list().iter().enumerate() {
            let Some(scene) = preset.get(&light.name) else {
                continue;
            };
            lights.change(index, Change::Level(scene.level), transition, by.clone());
            if scene.effect.is_some() {
                lights.change(index, Change::Effect(scene.effect), transition, by.clone());
            }
        }
        Ok(())
    }

    fn change(&self, change: impl FnOnce(&mut ByName) -> Result<(), Error>) -> Result<(), Error> {
        let mut result = Ok(());
        self.0.send_if_modified(|all| {
            result = change(Arc::make_mut(all));
            result.is_ok()
        });
        result
    }
}

/// What all lights are set to now.
pub fn of(lights: &Lights) -> Preset {
    let states = lights.states();
    let scene = |state: &LightState| Scene {
        level: state.level,
        effect: state.effect,
    };
    let names = lights.list().iter().map(|light| light.name.clone());
    names.zip(states.iter().map(scene)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_set_again_and_lights_that_are_gone_are_left_out() {
        let lights = Lights::led();
        let breathe = Effect {
            kind: Kind::Breathe,
            speed: Speed::SAFE,
        };
        lights.change(0, Change::Effect(Some(breathe)), None, None);
        let mut preset = of(&lights);
        preset.insert("gone".into(), preset["led"]);
        let presets = Presets::new(ByName::new());
        presets.save("Film", preset).unwrap();
        lights.change(0, Change::On(false), None, None);

        presets
            .recall("Film", &lights, None, Some("Ana".into()))
            .unwrap();
        let state = lights.state(0);
        assert_eq!((state.level, state.effect), (Level::HALF, Some(breathe)));
        assert_eq!(state.by.as_deref(), Some("Ana"));

        presets.forget("Film").unwrap();
        let none = presets.recall("Film", &lights, None, None);
        assert_eq!(none, Err(Error::NoSuch("Film".into())));
        assert_eq!(presets.forget("Film"), Err(Error::NoSuch("Film".into())));
    }

    #[test]
    fn there_are_32_at_most_and_each_can_still_be_replaced() {
        let presets = Presets::new(ByName::new());
        for number in 0..MOST {
            presets.save(&number.to_string(), Preset::new()).unwrap();
        }
        let mut watch = presets.watch();
        watch.mark_unchanged();
        assert_eq!(presets.save("one more", Preset::new()), Err(Error::Full));
        assert!(!watch.has_changed().unwrap(), "nothing is lost or told");
        presets.save("7", Preset::new()).unwrap();
        assert_eq!(presets.all().len(), MOST);
    }

    #[test]
    fn a_preset_reads_as_it_is_written() {
        let text = r#"{"led":{"level":40,"effect":"candle","speed":2},"desk":{"level":0}}"#;
        let preset: Preset = serde_json::from_str(text).unwrap();
        assert_eq!(preset["led"].effect.unwrap().kind, Kind::Candle);
        assert_eq!(preset["desk"].effect, None);
        let again: Preset = serde_json::from_value(serde_json::to_value(&preset).unwrap()).unwrap();
        assert_eq!(again, preset);
    }
}
