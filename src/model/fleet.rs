//! The fleet: lights of other dimmers on the same MQTT broker.
//!
//! `mqtt` puts in what the broker reports of them, and takes out the commands to them. Clients show the
//! commanded state at once. For a while after a command, reports are only stored: they are the echo of
//! earlier commands.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::effect::EffectKind;
use super::level::Level;
use super::lights::{Change, LastOn, Leaving};

/// The most lights of other dimmers that clients show.
pub const MAX_REMOTE_LIGHTS: usize = 64;
/// The most lights of other dimmers that are followed. Anyone on the broker can announce lights that do
/// not exist; among these, the real ones are found by their states.
const MAX_FOLLOWED: usize = 512;
/// Time after a command to a light in which reports about it are only stored.
const ECHO: Duration = Duration::from_millis(500);

/// The lights of all other dimmers by their names, `node/light`.
pub type RemoteLightsByName = BTreeMap<Arc<str>, RemoteLight>;

/// What clients show of a light of another dimmer.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteState {
    /// The title of its dimmer and its own.
    pub title: String,
    /// The level that it is at, or on its way to.
    pub level: Level,
    /// The effect around that level.
    pub effect: Option<EffectKind>,
    /// Whether its dimmer is connected to the broker.
    pub online: bool,
}

/// A light of another dimmer.
#[derive(Debug, Clone)]
pub struct RemoteLight {
    state: RemoteState,
    /// The last report of the broker.
    reported: Option<(Level, Option<EffectKind>)>,
    /// The last level above 0 that was chosen; 0 if none is known.
    last_on: LastOn,
    /// The command to be sent.
    command: Option<RemoteCommand>,
    /// Until then reports are taken for echoes.
    held_until: Option<Instant>,
    /// Whether its topics have not been subscribed to yet.
    is_new: bool,
    /// Whether it is one of the lights that clients show, once its state is known.
    has_place: bool,
}

/// A command to a light of another dimmer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RemoteCommand {
    /// The level; `None` for the last one above 0, which only its own dimmer knows.
    pub level: Option<Level>,
    /// Time to get there; `None` for the light's own.
    pub transition: Option<Duration>,
}

/// A change of the light of this name, and the time to get there; `None` for the light's own.
pub(super) type RemoteChange = (Arc<str>, Change, Option<Duration>);

/// Why a light of another dimmer cannot be changed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FleetError {
    /// No light has this name any more.
    #[error("no light is called {0:?}")]
    NoSuchLight(String),
    /// Its dimmer is not connected to the broker.
    #[error("{0:?} cannot be reached: its dimmer is offline")]
    Offline(String),
    /// The commands between dimmers have no effects.
    #[error("effects are for this dimmer's own lights, not for {0:?}")]
    Effect(String),
}

impl RemoteLight {
    /// Checks whether a change of it is possible; `name` is its own.
    fn check(&self, name: &str, change: Change) -> Result<(), FleetError> {
        match change {
            _ if !self.state.online => Err(FleetError::Offline(name.into())),
            Change::Effect(_) => Err(FleetError::Effect(name.into())),
            _ => Ok(()),
        }
    }

    /// Stores the command to be sent, and returns the state that clients show from now on.
    fn change(&mut self, change: Change, transition: Option<Duration>) -> RemoteState {
        let level = self.after(change);
        self.command = Some(RemoteCommand { level, transition });
        self.held_until = level.map(|_| Instant::now() + ECHO);
        level.inspect(|level| self.show((*level, None), leaving(change)));
        self.state.clone()
    }

    /// What clients show of it; `None` until the first report, or where there are too many lights.
    pub fn state(&self) -> Option<&RemoteState> {
        self.reported
            .filter(|_| self.has_place)
            .and(Some(&self.state))
    }

    /// The level after a change; `None` if only its own dimmer knows.
    fn after(&self, change: Change) -> Option<Level> {
        let level = self.state.level;
        match change {
            Change::Level(level) | Change::Dim(level) => Some(level),
            Change::Step(step) => Some(level.stepped(step)),
            Change::On(false) => Some(Level::OFF),
            Change::On(true) if level.is_off() => {
                let last_on = self.last_on.level(level, Instant::now());
                (!last_on.is_off()).then_some(last_on)
            }
            Change::On(true) | Change::Effect(_) => Some(level),
            Change::Toggle => self.after(Change::On(level.is_off())),
        }
    }

    fn show(&mut self, (level, effect): (Level, Option<EffectKind>), leaving: Leaving) {
        if level != self.state.level {
            let now = Instant::now();
            self.last_on.leave(self.state.level, leaving, now);
        }
        self.state.level = level;
        self.state.effect = effect;
    }
}

/// What a change means for the level that "on" goes back to.
fn leaving(change: Change) -> Leaving {
    match change {
        Change::Level(_) | Change::Dim(_) | Change::Step(_) => Leaving::Move,
        Change::On(_) | Change::Toggle | Change::Effect(_) => Leaving::Switch,
    }
}

/// The lights of all other dimmers: one watched value, like the own lights.
#[derive(Default)]
pub struct Fleet(watch::Sender<Arc<RemoteLightsByName>>);

impl Fleet {
    /// Follows the lights.
    pub fn watch(&self) -> watch::Receiver<Arc<RemoteLightsByName>> {
        self.0.subscribe()
    }

    /// All lights now.
    pub fn all(&self) -> Arc<RemoteLightsByName> {
        self.0.borrow().clone()
    }

    /// The shared name of a light that clients show.
    pub fn name(&self, name: &str) -> Option<Arc<str>> {
        let lights = self.0.borrow();
        let (name, light) = lights.get_key_value(name)?;
        light.state().map(|_| name.clone())
    }

    /// Stores the commands to be sent, and returns the state of each of these lights that clients show from
    /// now on.
    ///
    /// # Errors
    /// One of the lights does not exist, is offline, or cannot play an effect. None has been changed then.
    pub(super) fn change(&self, changes: &[RemoteChange]) -> Result<Vec<RemoteState>, FleetError> {
        let mut result = Ok(Vec::new());
        if changes.is_empty() {
            return result;
        }
        self.modify(|all| {
            let mut checks = changes.iter().map(|(name, change, _)| match all.get(name) {
                None => Err(FleetError::NoSuchLight(name.to_string())),
                Some(light) => light.check(name, *change),
            });
            result = checks.try_for_each(|check| check).map(|()| {
                let changed = changes.iter().filter_map(|(name, change, transition)| {
                    Some(all.get_mut(name)?.change(*change, *transition))
                });
                changed.collect()
            });
            result.is_ok()
        });
        result
    }

    /// Adds a light. Clients show it once the broker has reported its state.
    pub fn discovered(&self, name: &str, title: String) {
        self.modify(|all| {
            if let Some(known) = all.get_mut(name) {
                let other = known.state.title != title;
                known.state.title = title;
                return other;
            }
            if all.len() >= MAX_FOLLOWED {
                return false;
            }
            let state = RemoteState {
                title,
                level: Level::OFF,
                effect: None,
                online: false,
            };
            let light = RemoteLight {
                state,
                reported: None,
                last_on: LastOn::new(Level::OFF),
                command: None,
                held_until: None,
                is_new: true,
                has_place: false,
            };
            all.insert(name.into(), light);
            assign_places(all);
            true
        });
    }

    /// Removes a light.
    pub fn removed(&self, name: &str) {
        self.modify(|all| {
            let is_known = all.remove(name).is_some();
            assign_places(all);
            is_known
        });
    }

    /// Stores what the broker reports of a light.
    pub fn reported(&self, name: &str, level: Level, effect: Option<EffectKind>) {
        self.modify(|all| {
            let Some(light) = all.get_mut(name) else {
                return false;
            };
            let is_first = light.reported.replace((level, effect)).is_none();
            let is_shown = light.held_until.is_none();
            if is_shown {
                light.show((level, effect), Leaving::Move);
            }
            if is_first {
                assign_places(all);
            }
            is_shown
        });
    }

    /// Reports that the dimmer whose lights have this prefix is connected to the broker, or not.
    pub fn set_online(&self, prefix: &str, online: bool) {
        self.modify(|all| {
            let mut any = false;
            for (name, light) in all.iter_mut() {
                if name.starts_with(prefix) && light.state.online != online {
                    light.state.online = online;
                    // A command that is carried out late would be a surprise.
                    light.command = None;
                    any = true;
                }
            }
            if any {
                assign_places(all);
            }
            any
        });
    }

    /// Removes all lights: the broker reports them again after each new connection.
    pub fn clear(&self) {
        self.modify(|all| !std::mem::take(all).is_empty());
    }

    /// The lights discovered since the last call.
    pub fn take_discovered(&self) -> Vec<Arc<str>> {
        self.take(|light| std::mem::take(&mut light.is_new).then_some(()))
            .into_iter()
            .map(|(name, ())| name)
            .collect()
    }

    /// The commands to be sent: for each light, only the newest.
    pub fn take_commands(&self) -> Vec<(Arc<str>, RemoteCommand)> {
        self.take(|light| {
            let command = light.command.take()?;
            light.held_until = light.held_until.map(|_| Instant::now() + ECHO);
            Some(command)
        })
    }

    /// Shows the stored reports of lights whose `ECHO` time is over, and returns when the next one is.
    pub fn settle(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut next = None;
        self.modify(|all| {
            let mut any = false;
            for light in all.values_mut() {
                match light.held_until {
                    Some(held_until) if held_until <= now => {
                        light.held_until = None;
                        light
                            .reported
                            .inspect(|reported| light.show(*reported, Leaving::Move));
                        any = true;
                    }
                    held_until => next = [next, held_until].into_iter().flatten().min(),
                }
            }
            any
        });
        next
    }

    /// Takes something out of the lights without waking those who watch them.
    fn take<T>(&self, mut take: impl FnMut(&mut RemoteLight) -> Option<T>) -> Vec<(Arc<str>, T)> {
        let mut taken = Vec::new();
        self.modify(|all| {
            for (name, light) in all.iter_mut() {
                taken.extend(take(light).map(|it| (name.clone(), it)));
            }
            false
        });
        taken
    }

    fn modify(&self, change: impl FnOnce(&mut RemoteLightsByName) -> bool) {
        self.0.send_if_modified(|all| change(Arc::make_mut(all)));
    }
}

/// Gives places to [`MAX_REMOTE_LIGHTS`] lights: first those with a state whose dimmer is online, then
/// those with a state. Of these, each dimmer gets one for its first light before any gets one for its
/// second, so that no dimmer can take the places of the others.
fn assign_places(all: &mut RemoteLightsByName) {
    if all.len() <= MAX_REMOTE_LIGHTS {
        all.values_mut().for_each(|light| light.has_place = true);
        return;
    }
    let mut of_dimmer = BTreeMap::<_, usize>::new();
    let mut ranks: Vec<_> = all
        .iter_mut()
        .map(|(name, light)| {
            let dimmer = name.split('/').next().unwrap_or_default();
            let has_state = light.reported.is_some();
            let is_worse = (!(has_state && light.state.online), !has_state);
            let before = of_dimmer.entry((dimmer, is_worse)).or_default();
            *before += 1;
            ((is_worse, *before), light)
        })
        .collect();
    ranks.sort_by_key(|(rank, _)| *rank);
    for (index, (_, light)) in ranks.into_iter().enumerate() {
        light.has_place = index < MAX_REMOTE_LIGHTS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(percent: f64) -> Level {
        Level::from_percent(percent).unwrap()
    }

    fn changed(fleet: &Fleet, change: Change) -> Result<RemoteState, FleetError> {
        let mut changed = fleet.change(&[("attic/led".into(), change, None)])?;
        Ok(changed.remove(0))
    }

    fn shown(fleet: &Fleet) -> Level {
        fleet.all()["attic/led"].state().unwrap().level
    }

    /// With `attic/led`, at 30.
    fn fleet() -> Fleet {
        let fleet = Fleet::default();
        fleet.discovered("attic/led", "Attic: led".into());
        assert_eq!(fleet.name("attic/led"), None, "its level is not known");
        fleet.reported("attic/led", level(30.0), None);
        fleet.set_online("attic/", true);
        assert!(fleet.name("attic/led").is_some());
        fleet
    }

    #[tokio::test(start_paused = true)]
    async fn the_echo_of_an_older_level_is_not_shown_and_the_last_report_is() {
        let fleet = fleet();
        for command in [40.0, 60.0] {
            let change = Change::Level(level(command));
            changed(&fleet, change).unwrap();
        }
        let sent: Vec<_> = fleet.take_commands();
        assert_eq!(sent.len(), 1, "the newest alone: {sent:?}");
        assert_eq!(sent[0].1.level, Some(level(60.0)));
        fleet.reported("attic/led", level(40.0), None);
        assert_eq!(shown(&fleet), level(60.0));
        fleet.reported("attic/led", level(61.0), None);
        let over = fleet.settle().unwrap();
        assert_eq!(shown(&fleet), level(60.0));
        tokio::time::sleep_until(over).await;
        assert_eq!(fleet.settle(), None);
        assert_eq!(shown(&fleet), level(61.0));
        fleet.reported("attic/led", level(7.0), None);
        assert_eq!(shown(&fleet), level(7.0));
    }

    #[tokio::test(start_paused = true)]
    async fn on_is_the_last_level_above_0_if_it_is_known() {
        let fleet = fleet();
        let toggle = || changed(&fleet, Change::Toggle).unwrap();
        assert_eq!(toggle().level, Level::OFF);
        assert_eq!(toggle().level, level(30.0));

        fleet.clear();
        fleet.discovered("attic/led", "Attic: led".into());
        fleet.reported("attic/led", Level::OFF, None);
        fleet.set_online("attic/", true);
        assert_eq!(toggle_level(&fleet), None);
        fleet.reported("attic/led", level(80.0), None);
        assert_eq!(shown(&fleet), level(80.0), "it is shown at once");
    }

    fn toggle_level(fleet: &Fleet) -> Option<Level> {
        changed(fleet, Change::Toggle).unwrap();
        fleet.take_commands()[0].1.level
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_change_changes_nothing() {
        let fleet = fleet();
        let off = Change::On(false);
        let error = |change| changed(&fleet, change).unwrap_err().to_string();
        let effects = "effects are for this dimmer's own lights, not for \"attic/led\"";
        assert_eq!(error(Change::Effect(None)), effects);
        let both = ["attic/led", "attic/x"].map(|name| (name.into(), off, None));
        let none = FleetError::NoSuchLight("attic/x".into());
        assert_eq!(fleet.change(&both), Err(none));
        assert_eq!(
            (shown(&fleet), fleet.take_commands()),
            (level(30.0), vec![])
        );
        changed(&fleet, off).unwrap();
        fleet.set_online("attic/", false);
        assert_eq!(fleet.take_commands(), [], "it would come late");
        let offline = "\"attic/led\" cannot be reached: its dimmer is offline";
        assert_eq!(error(off), offline);
    }

    fn shown_names(fleet: &Fleet) -> Vec<String> {
        let all = fleet.all();
        let shown = all.iter().filter(|(_, light)| light.state().is_some());
        shown.map(|(name, _)| name.to_string()).collect()
    }

    fn add(fleet: &Fleet, name: &str) {
        fleet.discovered(name, "one more".into());
        fleet.reported(name, Level::HALF, None);
    }

    #[test]
    fn at_most_64_remote_lights_are_shown_and_512_followed() {
        let fleet = Fleet::default();
        for number in 0..=MAX_FOLLOWED {
            add(&fleet, &format!("attic/{number}"));
        }
        assert_eq!(shown_names(&fleet).len(), MAX_REMOTE_LIGHTS);
        assert_eq!(fleet.take_discovered().len(), MAX_FOLLOWED);
        assert_eq!(fleet.take_discovered(), []);
        let shown = shown_names(&fleet);
        fleet.removed(&shown[0]);
        assert_eq!(shown_names(&fleet).len(), MAX_REMOTE_LIGHTS);
    }

    #[test]
    fn lights_that_do_not_exist_hide_no_real_one() {
        let fleet = Fleet::default();
        for number in 0..MAX_REMOTE_LIGHTS * 2 {
            fleet.discovered(&format!("a{number}/led"), "no state".into());
            add(&fleet, &format!("b{number}/led"));
        }
        assert_eq!(shown_names(&fleet).len(), MAX_REMOTE_LIGHTS);
        let is_shown = |name: &str| shown_names(&fleet).iter().any(|shown| shown == name);
        add(&fleet, "real/led");
        fleet.set_online("real/", true);
        assert!(is_shown("real/led"), "the others are not online");
        for number in 0..MAX_REMOTE_LIGHTS {
            add(&fleet, &format!("flood/{number}"));
        }
        fleet.set_online("flood/", true);
        assert!(is_shown("real/led"), "one dimmer takes not all places");
        fleet.set_online("real/", false);
        assert!(!is_shown("real/led"));
    }
}
