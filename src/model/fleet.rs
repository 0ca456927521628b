//! Lights of other dimmers on the same MQTT broker: [`Fleet`].
//!
//! What the broker tells of them is put in, and what pages ask of them is taken out, by
//! [`crate::mqtt`]. A light is shown as it was asked for at once, and for a while after that whatever
//! the broker tells is only kept: it is the echo of what was asked before.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::model::effect::Kind;
use crate::model::level::Level;
use crate::model::lights::Change;

/// How many there may be.
pub const MOST: usize = 64;
/// Time after a command in which what the broker tells of its light is only kept.
const HOLD: Duration = Duration::from_millis(500);

/// Every light of the others by its name, `node/light`.
pub type ByName = BTreeMap<Arc<str>, Remote>;

/// What pages show of a light of another dimmer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Look {
    /// Its dimmer and its title, for people.
    pub title: String,
    /// What it is set to.
    pub level: Level,
    /// What it plays around that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<Kind>,
    /// Whether its dimmer can be reached.
    pub online: bool,
}

/// A light of another dimmer.
#[derive(Debug, Clone)]
pub struct Remote {
    look: Look,
    /// What the broker told last.
    told: Option<(Level, Option<Kind>)>,
    /// The last level above 0, if it ever had one.
    last_on: Option<Level>,
    /// What is to be sent.
    asked: Option<Asked>,
    /// When what the broker tells counts again.
    held: Option<Instant>,
    /// Whether its topics are still to be asked for.
    is_new: bool,
}

/// What a light is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Asked {
    /// `None`: its last level above 0, which only its own dimmer knows.
    pub level: Option<Level>,
    /// In what time; `None` for the light's own.
    pub transition: Option<Duration>,
}

/// Why a light does not do what it is asked for.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Nobody would hear it.
    #[error("{0:?} cannot be reached: its dimmer is offline")]
    Offline(String),
    /// Effects are not driven through the broker.
    #[error("effects are for this dimmer's own lights, not for {0:?}")]
    Effect(String),
    /// None has this name.
    #[error("no light is called {0:?}")]
    NoSuch(String),
}

impl Remote {
    /// What pages show of it; `None` until its level is known.
    pub fn look(&self) -> Option<&Look> {
        self.told.and(Some(&self.look))
    }

    /// The level that a change brings it to; `None` for one that only its own dimmer knows.
    fn after(&self, change: Change) -> Option<Level> {
        let level = self.look.level;
        match change {
            Change::Level(level) => Some(level),
            Change::Step(step) => Some(level.stepped(step)),
            Change::On(false) => Some(Level::OFF),
            Change::On(true) if level.is_off() => self.last_on,
            Change::On(true) | Change::Effect(_) => Some(level),
            Change::Toggle => self.after(Change::On(level.is_off())),
        }
    }

    fn show(&mut self, (level, effect): (Level, Option<Kind>)) {
        self.look.level = level;
        self.look.effect = effect;
        if !level.is_off() {
            self.last_on = Some(level);
        }
    }
}

/// All of them: one watched value, as the lights are.
#[derive(Default)]
pub struct Fleet(watch::Sender<Arc<ByName>>);

impl Fleet {
    /// The newest, and a way to wait for the next.
    pub fn watch(&self) -> watch::Receiver<Arc<ByName>> {
        self.0.subscribe()
    }

    /// All of them now.
    pub fn all(&self) -> Arc<ByName> {
        self.0.borrow().clone()
    }

    /// Whether pages are shown a light of this name.
    pub fn has(&self, name: &str) -> bool {
        self.0
            .borrow()
            .get(name)
            .is_some_and(|it| it.look().is_some())
    }

    /// Changes a light, and returns it as pages show it from now on.
    ///
    /// # Errors
    /// There is none of this name, it cannot be reached, or the change is an effect.
    pub fn change(
        &self,
        name: &str,
        change: Change,
        transition: Option<Duration>,
    ) -> Result<Look, Error> {
        let mut result = Err(Error::NoSuch(name.into()));
        self.modify(|all| {
            let Some(light) = all.get_mut(name) else {
                return false;
            };
            result = match change {
                _ if !light.look.online => Err(Error::Offline(name.into())),
                Change::Effect(_) => Err(Error::Effect(name.into())),
                _ => {
                    let level = light.after(change);
                    light.asked = Some(Asked { level, transition });
                    light.held = level.map(|_| Instant::now() + HOLD);
                    level.inspect(|level| light.show((*level, None)));
                    Ok(light.look.clone())
                }
            };
            result.is_ok()
        });
        result
    }

    /// There is a light of this name and title. It is shown once the broker has told of it.
    pub fn found(&self, name: &str, title: String) {
        self.modify(|all| {
            if let Some(known) = all.get_mut(name) {
                let other = known.look.title != title;
                known.look.title = title;
                return other;
            }
            if all.len() >= MOST {
                return false;
            }
            let look = Look {
                title,
                level: Level::OFF,
                effect: None,
                online: false,
            };
            let light = Remote {
                look,
                told: None,
                last_on: None,
                asked: None,
                held: None,
                is_new: true,
            };
            all.insert(name.into(), light).is_none()
        });
    }

    /// There is no light of this name any more.
    pub fn gone(&self, name: &str) {
        self.modify(|all| all.remove(name).is_some());
    }

    /// The broker tells what a light is set to.
    pub fn told(&self, name: &str, level: Level, effect: Option<Kind>) {
        self.modify(|all| {
            let Some(light) = all.get_mut(name) else {
                return false;
            };
            light.told = Some((level, effect));
            if light.held.is_none() {
                light.show((level, effect));
            }
            light.held.is_none()
        });
    }

    /// The lights whose names begin with this can be reached, or not.
    pub fn online(&self, start: &str, online: bool) {
        self.modify(|all| {
            let mut any = false;
            for (name, light) in all.iter_mut() {
                if name.starts_with(start) && light.look.online != online {
                    light.look.online = online;
                    // Late, it would be a surprise.
                    light.asked = None;
                    any = true;
                }
            }
            any
        });
    }

    /// Forgets all of them: the broker tells anew which there are.
    pub fn clear(&self) {
        self.modify(|all| !std::mem::take(all).is_empty());
    }

    /// The lights that were found since this was asked last.
    pub fn take_new(&self) -> Vec<Arc<str>> {
        self.take(|light| std::mem::take(&mut light.is_new).then_some(()))
            .into_iter()
            .map(|(name, ())| name)
            .collect()
    }

    /// What is to be sent, of each light the newest alone.
    pub fn take_asked(&self) -> Vec<(Arc<str>, Asked)> {
        self.take(|light| {
            let asked = light.asked.take()?;
            light.held = light.held.map(|_| Instant::now() + HOLD);
            Some(asked)
        })
    }

    /// Shows what the broker told of lights whose time to hold is over, and says when the next is.
    pub fn settle(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut next = None;
        self.modify(|all| {
            let mut any = false;
            for light in all.values_mut() {
                match light.held {
                    Some(held) if held <= now => {
                        light.held = None;
                        light.told.inspect(|told| light.show(*told));
                        any = true;
                    }
                    held => next = [next, held].into_iter().flatten().min(),
                }
            }
            any
        });
        next
    }

    /// Takes something out of the lights, which is no news to who watches.
    fn take<T>(&self, mut take: impl FnMut(&mut Remote) -> Option<T>) -> Vec<(Arc<str>, T)> {
        let mut taken = Vec::new();
        self.modify(|all| {
            for (name, light) in all.iter_mut() {
                taken.extend(take(light).map(|it| (name.clone(), it)));
            }
            false
        });
        taken
    }

    fn modify(&self, change: impl FnOnce(&mut ByName) -> bool) {
        self.0.send_if_modified(|all| change(Arc::make_mut(all)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(percent: f64) -> Level {
        Level::from_percent(percent).unwrap()
    }

    fn shown(fleet: &Fleet) -> Level {
        fleet.all()["attic/led"].look().unwrap().level
    }

    /// With `attic/led`, at 30.
    fn fleet() -> Fleet {
        let fleet = Fleet::default();
        fleet.found("attic/led", "Attic: led".into());
        assert!(!fleet.has("attic/led"), "its level is not known");
        fleet.told("attic/led", level(30.0), None);
        fleet.online("attic/", true);
        assert!(fleet.has("attic/led"));
        fleet
    }

    #[tokio::test(start_paused = true)]
    async fn the_echo_of_an_older_level_is_not_shown_and_the_newest_is_in_the_end() {
        let fleet = fleet();
        for asked in [40.0, 60.0] {
            let change = Change::Level(level(asked));
            fleet.change("attic/led", change, None).unwrap();
        }
        let sent: Vec<_> = fleet.take_asked();
        assert_eq!(sent.len(), 1, "the newest alone: {sent:?}");
        assert_eq!(sent[0].1.level, Some(level(60.0)));
        fleet.told("attic/led", level(40.0), None);
        assert_eq!(shown(&fleet), level(60.0));
        fleet.told("attic/led", level(61.0), None);
        let over = fleet.settle().unwrap();
        assert_eq!(shown(&fleet), level(60.0));
        tokio::time::sleep_until(over).await;
        assert_eq!(fleet.settle(), None);
        assert_eq!(shown(&fleet), level(61.0));
        fleet.told("attic/led", level(7.0), None);
        assert_eq!(shown(&fleet), level(7.0));
    }

    #[tokio::test(start_paused = true)]
    async fn on_is_the_last_level_above_0_or_up_to_its_own_dimmer() {
        let fleet = fleet();
        let toggle = || fleet.change("attic/led", Change::Toggle, None).unwrap();
        assert_eq!(toggle().level, Level::OFF);
        assert_eq!(toggle().level, level(30.0));

        fleet.clear();
        fleet.found("attic/led", "Attic: led".into());
        fleet.told("attic/led", Level::OFF, None);
        fleet.online("attic/", true);
        assert_eq!(toggle_level(&fleet), None);
        fleet.told("attic/led", level(80.0), None);
        assert_eq!(shown(&fleet), level(80.0), "it is shown at once");
    }

    fn toggle_level(fleet: &Fleet) -> Option<Level> {
        fleet.change("attic/led", Change::Toggle, None).unwrap();
        fleet.take_asked()[0].1.level
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_done_changes_nothing() {
        let fleet = fleet();
        let off = Change::On(false);
        let error = |name, change| fleet.change(name, change, None).unwrap_err().to_string();
        let effects = "effects are for this dimmer's own lights, not for \"attic/led\"";
        assert_eq!(error("attic/led", Change::Effect(None)), effects);
        assert_eq!(error("attic/x", off), "no light is called \"attic/x\"");
        fleet.change("attic/led", off, None).unwrap();
        fleet.online("attic/", false);
        assert_eq!(fleet.take_asked(), [], "it would come late");
        let offline = "\"attic/led\" cannot be reached: its dimmer is offline";
        assert_eq!(error("attic/led", off), offline);
    }

    #[test]
    fn there_are_64_at_most() {
        let fleet = Fleet::default();
        for number in 0..=MOST {
            fleet.found(&format!("attic/{number}"), "one more".into());
        }
        assert_eq!(fleet.all().len(), MOST);
        assert_eq!(fleet.take_new().len(), MOST);
        assert_eq!(fleet.take_new(), []);
    }
}
