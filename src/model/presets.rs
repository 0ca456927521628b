//! Presets: what all lights are set to, saved under a name.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::effect::Effect;
use super::level::Level;
use super::lights::{LightId, LightState, Lights};

/// The most presets.
pub const MAX_PRESETS: usize = 32;

/// The scene of each light, by the light's name.
pub type Preset = BTreeMap<String, Scene>;

/// All presets by their names.
pub type PresetsByName = BTreeMap<String, Preset>;

/// What a preset sets one light to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scene {
    /// The level.
    pub level: Level,
    /// The effect around that level.
    pub effect: Option<Effect>,
}

impl Scene {
    /// What this light is set to.
    fn of(state: &LightState) -> Scene {
        let LightState { level, effect, .. } = *state.lasting();
        Scene { level, effect }
    }
}

/// Why a preset cannot be saved or used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PresetError {
    /// There are [`MAX_PRESETS`] others.
    #[error("the limit of {MAX_PRESETS} presets is reached: forget one first")]
    TooManyPresets,
    /// No preset has this name.
    #[error("no preset is called {0:?}")]
    NoSuchPreset(String),
}

/// What all lights are set to now.
pub(super) fn current(lights: &Lights) -> Preset {
    let states = lights.states();
    let names = lights.list().iter().map(|light| light.name.clone());
    let scenes = states.iter().map(Scene::of);
    names.zip(scenes).collect()
}

/// The name of the first preset that says what its lights are set to now.
pub fn shown(presets: &PresetsByName, lights: &Lights) -> Option<String> {
    let now = current(lights);
    let is_shown = |preset: &Preset| {
        let scenes = || preset.iter().filter(|(name, _)| now.contains_key(*name));
        scenes().count() > 0 && scenes().all(|(name, scene)| now[name] == *scene)
    };
    let mut shown = presets.iter().filter(|(_, preset)| is_shown(preset));
    shown.next().map(|(name, _)| name.clone())
}

/// The scene of each light that still exists.
pub(super) fn scenes(preset: &Preset, lights: &Lights) -> Vec<(LightId, Scene)> {
    lights
        .ids()
        .filter_map(|id| Some((id, *preset.get(&lights.light(id).name)?)))
        .collect()
}

/// All presets: one watched value, like the lights.
pub struct Presets(watch::Sender<Arc<PresetsByName>>);

impl Presets {
    /// The presets that were kept on disk.
    pub fn new(kept: PresetsByName) -> Presets {
        Presets(watch::Sender::new(Arc::new(kept)))
    }

    /// Follows the presets.
    pub fn watch(&self) -> watch::Receiver<Arc<PresetsByName>> {
        self.0.subscribe()
    }

    /// All presets now.
    pub fn all(&self) -> Arc<PresetsByName> {
        self.0.borrow().clone()
    }

    /// The preset of this name.
    ///
    /// # Errors
    /// [`PresetError::NoSuchPreset`].
    pub fn get(&self, name: &str) -> Result<Preset, PresetError> {
        let preset = self.0.borrow().get(name).cloned();
        preset.ok_or_else(|| PresetError::NoSuchPreset(name.into()))
    }

    pub(super) fn save(&self, name: &str, preset: Preset) -> Result<(), PresetError> {
        self.modify(|all| {
            if all.len() >= MAX_PRESETS && !all.contains_key(name) {
                return Err(PresetError::TooManyPresets);
            }
            all.insert(name.into(), preset);
            Ok(())
        })
    }

    pub(super) fn forget(&self, name: &str) -> Result<(), PresetError> {
        self.modify(|all| {
            let removed = all.remove(name).map(|_| ());
            removed.ok_or_else(|| PresetError::NoSuchPreset(name.into()))
        })
    }

    /// Adds presets that were kept on disk and read late. One of the same name that is there already is
    /// newer, and stays.
    pub(super) fn add_kept(&self, kept: PresetsByName) {
        self.0.send_modify(|all| {
            let all = Arc::make_mut(all);
            for (name, preset) in kept {
                all.entry(name).or_insert(preset);
            }
        });
    }

    /// Replaces all of them, and returns how many there are now.
    pub(super) fn replace(&self, presets: PresetsByName) -> usize {
        let count = presets.len();
        self.0.send_if_modified(|all| {
            let differs = **all != presets;
            *all = Arc::new(presets);
            differs
        });
        count
    }

    fn modify(
        &self,
        change: impl FnOnce(&mut PresetsByName) -> Result<(), PresetError>,
    ) -> Result<(), PresetError> {
        let mut result = Ok(());
        self.0.send_if_modified(|all| {
            result = change(Arc::make_mut(all));
            result.is_ok()
        });
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_32_presets_are_kept_and_each_can_still_be_replaced() {
        let presets = Presets::new(PresetsByName::new());
        for number in 0..MAX_PRESETS {
            presets.save(&number.to_string(), Preset::new()).unwrap();
        }
        let mut watch = presets.watch();
        watch.mark_unchanged();
        let refused = presets.save("one more", Preset::new());
        assert_eq!(refused, Err(PresetError::TooManyPresets));
        assert!(
            !watch.has_changed().unwrap(),
            "a refusal changes nothing and wakes nobody"
        );
        presets.save("7", Preset::new()).unwrap();
        assert_eq!(presets.all().len(), MAX_PRESETS);
    }
}
