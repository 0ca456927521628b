//! The state that all inputs change and all outputs follow, and the one way to change it:
//! [`Hub::execute`].

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::activity::{Action, Activity};
use super::actor::Actor;
use super::backup::{BackupContents, Restored};
use super::command::{Command, CommandError, Flash, Outcome, Target, TargetChange};
use super::effect::Effect;
use super::fleet::{Fleet, FleetError, RemoteChange, RemoteState};
use super::lights::{Change, Light, LightId, LightState, Lights, OwnChange};
use super::presets::{self, Preset, PresetError, Presets, PresetsByName};
use super::settings::{FileSettings, SetHere, SettingError, Settings, SettingsChange};
use super::text::Name;
use super::timers::{NewTimer, Timer, TimerAction, Timers};

/// All shared state of the service: watched values, which outputs follow.
///
/// Only [`Hub::execute`] changes lights, presets and timers on behalf of an actor. Their own
/// methods that change them are private to the model, so that no input can bypass the checks and
/// the record here.
pub struct Hub {
    /// The lights of this dimmer.
    pub lights: Arc<Lights>,
    /// Saved settings of the lights.
    pub presets: Presets,
    /// Commands at a time.
    pub timers: Timers,
    /// Settings of the lights and of the dimmer.
    pub settings: Settings,
    /// Who is connected, and who did what.
    pub activity: Arc<Activity>,
    /// Lights of other dimmers.
    pub fleet: Fleet,
}

impl Hub {
    /// A hub of these lights, without presets and timers.
    pub fn new(lights: Lights, activity: Arc<Activity>) -> Hub {
        Hub {
            lights: Arc::new(lights),
            presets: Presets::new(PresetsByName::new()),
            timers: Timers::new(Vec::new(), None, None),
            settings: Settings::new(FileSettings::default(), SetHere::default()),
            activity,
            fleet: Fleet::default(),
        }
    }

    /// Resolves the name of a light: of this dimmer, or of another one in the fleet.
    ///
    /// # Errors
    /// [`CommandError::NoSuchLight`].
    pub fn target(&self, name: &str) -> Result<Target, CommandError> {
        if let Some(name) = self.fleet.name(name) {
            return Ok(Target::Remote(name));
        }
        self.lights
            .find(name)
            .map(Target::Own)
            .ok_or_else(|| CommandError::NoSuchLight(name.into()))
    }

    /// Checks a command, carries it out and records it, on behalf of `actor`.
    ///
    /// # Errors
    /// The command cannot be carried out; nothing has changed.
    pub fn execute(&self, actor: &Actor, command: Command) -> Result<Outcome, CommandError> {
        match command {
            Command::Change {
                target,
                change,
                transition,
            } => {
                let change = TargetChange {
                    target,
                    change,
                    transition,
                };
                let mut outcomes = self.change_all(actor, &[change])?;
                Ok(outcomes.pop().unwrap_or(Outcome::Done))
            }
            Command::ChangeTogether(changes) => {
                self.change_all(actor, &changes).map(Outcome::Together)
            }
            Command::Flash(light) => Ok(Outcome::Flash(self.flash(actor, light))),
            // Not recorded: the start of the flash is.
            Command::EndFlash(flash) => {
                self.lights.end_flash(flash.light, flash.revision);
                Ok(Outcome::Done)
            }
            Command::SavePreset { name, preset } => self.save_preset(actor, name, preset),
            Command::RecallPreset { name, transition } => {
                self.recall_preset(actor, name, transition)
            }
            Command::ForgetPreset(preset) => {
                self.presets.forget(&preset)?;
                self.record(actor, Action::PresetForgotten { preset });
                Ok(Outcome::Done)
            }
            Command::AddTimer(new) => self.add_timer(actor, new),
            Command::CancelTimer(timer) => {
                self.timers.cancel(&timer)?;
                self.record(actor, Action::TimerCancelled { timer });
                Ok(Outcome::Done)
            }
            Command::RunTimer(timer) => self.run_timer(actor, timer),
            Command::Restore(contents) => self.restore(actor, contents),
            Command::ChangeSettings(change) => self.change_settings(actor, &change),
            Command::TryDuty { light, duty } => self.try_duty(actor, light, duty),
            // Not recorded: a trial leaves nothing behind.
            Command::EndTrials => {
                self.lights.end_trials_of(actor);
                Ok(Outcome::Done)
            }
            // Not recorded: nothing has changed for those who see the light.
            Command::Greet(light) => {
                self.lights.greet(light);
                Ok(Outcome::Done)
            }
        }
    }

    /// Removes the timers that are due at `now` from those that wait, and returns those that are
    /// not too late to run.
    pub fn take_due_timers(&self, now: Timestamp) -> Vec<Timer> {
        self.timers.take_due(now)
    }

    /// Adapts the timers to a clock that was set `ahead`, or back.
    pub fn clock_was_set(&self, ahead: SignedDuration, now: Timestamp) {
        self.timers.clock_was_set(ahead, now);
    }

    /// Adapts the timers to another time zone of the system.
    pub fn zone_was_set(&self, now: Timestamp) {
        self.timers.zone_was_set(now);
    }

    /// Adds presets, timers and settings that the store could not read at the start. What has been saved, added or
    /// set since then is newer, and stays.
    pub fn add_read_late(&self, presets: PresetsByName, timers: Vec<Timer>, mut settings: SetHere) {
        self.presets.add_kept(presets);
        self.timers.add_kept(timers);
        let _changing = self.settings.lock();
        let newer = self.settings.here();
        settings.house.extend(newer.house.clone());
        for (light, values) in &newer.lights {
            let set = settings.lights.entry(light.clone()).or_default();
            set.extend(values.clone());
        }
        self.configure(settings, &[], &Actor::Timer);
    }

    fn record(&self, actor: &Actor, action: Action) {
        self.activity.record(actor, action);
    }

    /// Makes all of these changes, or none, and returns their outcomes.
    fn change_all(
        &self,
        actor: &Actor,
        changes: &[TargetChange],
    ) -> Result<Vec<Outcome>, CommandError> {
        let (mut own, mut remote) = (Vec::new(), Vec::new());
        for each in changes {
            let (change, transition) = (each.change, each.transition);
            match &each.target {
                Target::Own(light) => {
                    if let Change::Effect(Some(effect)) = change {
                        check_speed(effect, self.lights.light(*light))?;
                    }
                    own.push((*light, change, transition));
                }
                Target::Remote(name) => remote.push((name.clone(), change, transition)),
            }
        }
        // Only the remote lights can refuse now, so they come first.
        let remote = self.change_remote(actor, &remote)?;
        let own = self.change_own(actor, &own);
        let (mut own, mut remote) = (own.into_iter(), remote.into_iter());
        let outcomes = changes.iter().filter_map(|each| match each.target {
            Target::Own(_) => own.next().map(Outcome::Light),
            Target::Remote(_) => remote.next().map(Outcome::Remote),
        });
        Ok(outcomes.collect())
    }

    /// Makes changes of this dimmer's lights in one step, and records them.
    fn change_own(&self, actor: &Actor, changes: &[OwnChange]) -> Vec<LightState> {
        let states = self.lights.change(changes, actor);
        let changed = changes.iter().zip(&states);
        let actions = changed.map(|((light, change, _), state)| {
            Action::changed(*change, self.lights.light(*light), state)
        });
        self.record_together(actor, actions.collect());
        states
    }

    /// The same for lights of other dimmers, which can refuse.
    fn change_remote(
        &self,
        actor: &Actor,
        changes: &[RemoteChange],
    ) -> Result<Vec<RemoteState>, FleetError> {
        let states = self.fleet.change(changes)?;
        let changed = changes.iter().zip(&states);
        let actions = changed.map(|((name, ..), state)| Action::Set {
            light: name.to_string(),
            level: state.level,
        });
        self.record_together(actor, actions.collect());
        Ok(states)
    }

    fn record_together(&self, actor: &Actor, actions: Vec<Action>) {
        for action in Action::together(actions) {
            self.record(actor, action);
        }
    }

    fn flash(&self, actor: &Actor, light: LightId) -> Flash {
        let revision = self.lights.flash(light, actor);
        let name = self.lights.light(light).name.clone();
        self.record(actor, Action::Flashed { light: name });
        Flash { light, revision }
    }

    fn save_preset(
        &self,
        actor: &Actor,
        name: Name,
        preset: Option<Preset>,
    ) -> Result<Outcome, CommandError> {
        let preset = match preset {
            None => presets::current(&self.lights),
            Some(preset) => self.check_preset(preset)?,
        };
        self.presets.save(name.as_str(), preset.clone())?;
        let name = name.into();
        self.record(actor, Action::PresetSaved { preset: name });
        Ok(Outcome::Preset(preset))
    }

    /// Recorded as one action, however many lights it changes.
    fn recall_preset(
        &self,
        actor: &Actor,
        name: String,
        transition: Option<Duration>,
    ) -> Result<Outcome, CommandError> {
        let preset = self.presets.get(&name)?;
        let scenes = presets::scenes(&preset, &self.lights).into_iter();
        let changes = scenes.flat_map(|(light, scene)| {
            let effect = scene.effect.map(|effect| Change::Effect(Some(effect)));
            let changes = [Change::Level(scene.level)].into_iter().chain(effect);
            changes.map(move |change| (light, change, transition))
        });
        self.lights.change(&changes.collect::<Vec<_>>(), actor);
        self.record(actor, Action::PresetRecalled { preset: name });
        Ok(Outcome::Done)
    }

    fn add_timer(&self, actor: &Actor, new: NewTimer) -> Result<Outcome, CommandError> {
        self.check_timer(&new)?;
        let timer = self.timers.add(new)?;
        let name = timer.name.clone();
        self.record(actor, Action::TimerAdded { timer: name });
        Ok(Outcome::Timer(timer))
    }

    fn run_timer(&self, actor: &Actor, timer: Timer) -> Result<Outcome, CommandError> {
        let change = match timer.action {
            TimerAction::Level(level) => Change::Level(level),
            TimerAction::On(on) => Change::On(on),
            // `Lights::change` bounds the speed, which the settings may have lowered since.
            TimerAction::Effect(effect) => Change::Effect(Some(effect)),
            TimerAction::Recall(name) => {
                let transition = timer.transition;
                return self.recall_preset(actor, name, transition);
            }
        };
        let lights = self.lights_of(timer.light.as_deref());
        if let (Some(name), []) = (timer.light, lights.as_slice()) {
            return Err(CommandError::NoSuchLight(name));
        }
        let changes = lights
            .into_iter()
            .map(|light| (light, change, timer.transition));
        self.change_own(actor, &changes.collect::<Vec<_>>());
        Ok(Outcome::Done)
    }

    /// The lights that the backup has are set in their own time, the others stay as they are; presets and timers
    /// are those of the backup.
    fn restore(&self, actor: &Actor, contents: BackupContents) -> Result<Outcome, CommandError> {
        contents.check()?;
        let BackupContents {
            lights,
            presets,
            timers,
            settings,
        } = contents;
        let mut notes = Vec::new();
        if let Some(settings) = settings {
            if self.settings.is_locked() && settings != SetHere::default() {
                notes.push(format!(
                    "{}: those of the backup have no effect",
                    SettingError::Locked
                ));
            }
            let _changing = self.settings.lock();
            notes.extend(self.configure(settings, &[], actor));
        }
        let elsewhere = lights
            .keys()
            .filter(|name| self.lights.find(name).is_none());
        notes.extend(elsewhere.map(|name| {
            format!("light {name:?} is not in the settings here: it is kept until it is")
        }));
        let list = self.lights.list().iter();
        let missing = list.filter(|light| !lights.contains_key(&light.name));
        notes.extend(missing.map(|light| {
            let name = &light.name;
            format!("light {name:?} has no level in the backup: it stays as it is")
        }));
        let here = lights.iter();
        let here = here.filter_map(|(name, light)| Some((self.lights.find(name)?, *light)));
        let here: Vec<_> = here.collect();

        let revisions = self.lights.restore(&here, actor);
        let presets = self.presets.replace(presets);
        notes.extend(self.timers.replace(timers));
        self.record(actor, Action::Restored);
        let restored = Restored {
            lights: here.len(),
            presets,
            timers: self.timers.all().len(),
            notes,
        };
        Ok(Outcome::Restored {
            restored,
            revisions,
        })
    }

    fn change_settings(
        &self,
        actor: &Actor,
        change: &SettingsChange,
    ) -> Result<Outcome, CommandError> {
        let find = |name: &String| {
            let found = self.lights.find(name);
            found.ok_or_else(|| CommandError::NoSuchLight(name.clone()))
        };
        let saved = change.lights.keys().map(find);
        let saved = saved.collect::<Result<Vec<_>, _>>()?;
        let _changing = self.settings.lock();
        let here = self.settings.changed(change)?;
        self.configure(here, &saved, actor);
        let of_house = (!change.house.is_empty()).then_some(None);
        let of_lights = change.lights.keys().cloned().map(Some);
        for light in of_house.into_iter().chain(of_lights) {
            self.record(actor, Action::SettingsChanged { light });
        }
        Ok(Outcome::Done)
    }

    /// Puts these settings in place, all at once, and returns in a line each what of them has no effect.
    fn configure(&self, here: SetHere, saved: &[LightId], by: &Actor) -> Vec<String> {
        self.settings.replace(here);
        let mut problems = Vec::new();
        let lights = self.lights.ids().map(|id| {
            let name = &self.lights.light(id).name;
            let (settings, problem) = self.settings.light(name);
            problems
                .extend(problem.map(|problem| format!("settings of light {name:?}: {problem}")));
            (id, settings)
        });
        let lights = lights.collect();
        self.lights.configure(lights, saved, by);
        self.timers.set_place(self.settings.house().place());
        problems
    }

    fn try_duty(
        &self,
        actor: &Actor,
        light: LightId,
        duty: Option<f64>,
    ) -> Result<Outcome, CommandError> {
        if self.settings.is_locked() {
            return Err(SettingError::Locked.into());
        }
        match self.lights.try_duty(light, duty, actor) {
            true => Ok(Outcome::Done),
            false => Err(SettingError::Tried(self.lights.light(light).name.clone()).into()),
        }
    }

    /// The light of this name if it exists, or all lights without a name.
    fn lights_of(&self, name: Option<&str>) -> Vec<LightId> {
        match name {
            None => self.lights.ids().collect(),
            Some(name) => self.lights.find(name).into_iter().collect(),
        }
    }

    fn check_preset(&self, preset: Preset) -> Result<Preset, CommandError> {
        for name in preset.keys() {
            if self.lights.find(name).is_none() {
                return Err(CommandError::NoSuchLight(name.clone()));
            }
        }
        Ok(preset)
    }

    fn check_timer(&self, timer: &NewTimer) -> Result<(), CommandError> {
        let lights = self.lights_of(timer.light.as_deref());
        if let (Some(name), []) = (&timer.light, lights.as_slice()) {
            return Err(CommandError::NoSuchLight(name.clone()));
        }
        match &timer.action {
            TimerAction::Effect(effect) => lights
                .into_iter()
                .try_for_each(|light| check_speed(*effect, self.lights.light(light))),
            TimerAction::Recall(preset) if !self.presets.all().contains_key(preset) => {
                Err(PresetError::NoSuchPreset(preset.clone()).into())
            }
            _ => Ok(()),
        }
    }
}

fn check_speed(effect: Effect, light: &Light) -> Result<(), CommandError> {
    let checked = effect.speed.at_most(light.fastest);
    let too_fast = |error| CommandError::TooFast(error, light.name.clone());
    checked.map(|_| ()).map_err(too_fast)
}

#[cfg(test)]
impl Hub {
    /// A hub with these lights and nothing else.
    pub(crate) fn with(lights: Lights) -> Arc<Hub> {
        Arc::new(Hub::new(lights, Activity::new(true)))
    }

    /// Gives a light these settings.
    pub(crate) fn configure_light(
        &self,
        light: LightId,
        settings: &super::settings::LightSettings,
    ) {
        let settings = vec![(light, settings.clone())];
        self.lights.configure(settings, &[], &Actor::Button);
    }

    /// Changes a light on behalf of the REST API.
    pub(crate) fn change(&self, light: LightId, change: Change) -> LightState {
        self.change_in(light, change, None)
    }

    /// The same with a transition.
    pub(crate) fn change_in(
        &self,
        light: LightId,
        change: Change,
        transition: Option<Duration>,
    ) -> LightState {
        let actor = Actor::Api(std::net::Ipv4Addr::LOCALHOST.into());
        let command = Command::Change {
            target: Target::Own(light),
            change,
            transition,
        };
        match self.execute(&actor, command) {
            Ok(Outcome::Light(state)) => state,
            other => panic!("{other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::effect::{EffectKind, Speed};
    use crate::model::level::Level;

    const LED: LightId = LightId::FIRST;

    #[test]
    fn recalling_a_preset_skips_lights_that_no_longer_exist() {
        let hub = Hub::with(Lights::led());
        let breathe = Effect {
            kind: EffectKind::Breathe,
            speed: Speed::SAFE,
        };
        hub.change(LED, Change::Effect(Some(breathe)));
        let mut preset = presets::current(&hub.lights);
        preset.insert("gone".into(), preset["led"]);
        hub.presets.save("Film", preset).unwrap();
        hub.change(LED, Change::On(false));

        let ana = Actor::Client {
            number: 1,
            address: std::net::Ipv4Addr::LOCALHOST.into(),
            name: Some("Ana".into()),
        };
        let recall = Command::RecallPreset {
            name: "Film".into(),
            transition: None,
        };
        hub.execute(&ana, recall.clone()).unwrap();
        let state = hub.lights.state(LED);
        assert_eq!((state.level, state.effect), (Level::HALF, Some(breathe)));
        assert_eq!(state.by, Some(ana.clone()));

        let forget = Command::ForgetPreset("Film".into());
        hub.execute(&ana, forget.clone()).unwrap();
        let none = CommandError::from(PresetError::NoSuchPreset("Film".into()));
        assert_eq!(hub.execute(&ana, recall).unwrap_err(), none);
        assert_eq!(hub.execute(&ana, forget).unwrap_err(), none);
    }

    /// Lights called led and desk, at 50.
    fn two_lights() -> Arc<Hub> {
        let light = |name| {
            let state = LightState::new(Level::HALF, Level::HALF);
            (Light::simulated(name), state)
        };
        Hub::with(Lights::new(vec![light("led"), light("desk")]))
    }

    fn changes(hub: &Hub, changes: &[(&str, Change)]) -> Command {
        let change = |(name, change): &(&str, Change)| TargetChange {
            target: hub.target(name).unwrap(),
            change: *change,
            transition: None,
        };
        Command::ChangeTogether(changes.iter().map(change).collect())
    }

    #[test]
    fn lights_that_are_changed_together_are_seen_to_change_at_once() {
        let hub = two_lights();
        hub.fleet.discovered("attic/led", "Attic: led".into());
        hub.fleet.reported("attic/led", Level::HALF, None);
        hub.fleet.set_online("attic/", true);
        let mut watch = hub.lights.watch();
        let off = Change::On(false);
        let all = [
            ("desk", off),
            ("attic/led", off),
            ("led", Change::Level(Level::FULL)),
        ];
        let outcome = hub.execute(&Actor::Mqtt, changes(&hub, &all)).unwrap();
        let Outcome::Together(outcomes) = outcome else {
            panic!("{outcome:?}");
        };
        let levels = outcomes.into_iter().map(|outcome| match outcome {
            Outcome::Light(state) => state.level,
            Outcome::Remote(state) => state.level,
            other => panic!("{other:?}"),
        });
        assert_eq!(
            levels.collect::<Vec<_>>(),
            [Level::OFF, Level::OFF, Level::FULL]
        );
        assert!(watch.has_changed().unwrap());
        let levels = watch
            .borrow_and_update()
            .iter()
            .map(|state| state.level)
            .collect::<Vec<_>>();
        assert_eq!(levels, [Level::FULL, Level::OFF]);
        assert_eq!(hub.fleet.take_commands().len(), 1);
    }

    #[test]
    fn of_changes_together_all_are_made_or_none() {
        let hub = two_lights();
        hub.fleet.discovered("attic/led", "Attic: led".into());
        hub.fleet.reported("attic/led", Level::HALF, None);
        let watch = hub.lights.watch();
        let off = Change::On(false);
        let fast = Change::Effect(Some(Effect {
            kind: EffectKind::Strobe,
            speed: Speed::MAX,
        }));
        for (refused, why) in [
            (
                ("attic/led", off),
                "\"attic/led\" cannot be reached: its dimmer is offline",
            ),
            (
                ("desk", fast),
                "speed of \"desk\" must be from 0.1 to 3, not 10: more is for lights with allow_fast_strobe",
            ),
        ] {
            let error = hub
                .execute(&Actor::Mqtt, changes(&hub, &[("led", off), refused]))
                .unwrap_err();
            assert_eq!(error.to_string(), why);
        }
        assert!(!watch.has_changed().unwrap());
        assert_eq!(hub.fleet.take_commands(), []);
    }

    #[test]
    fn a_preset_and_a_timer_change_all_lights_at_once() {
        let hub = two_lights();
        hub.presets
            .save("Film", presets::current(&hub.lights))
            .unwrap();
        let timer = Timer {
            name: "1".into(),
            light: None,
            daily: None,
            action: TimerAction::On(false),
            transition: None,
            next: Ok(Timestamp::UNIX_EPOCH),
            is_new: false,
        };
        let recall = Command::RecallPreset {
            name: "Film".into(),
            transition: None,
        };
        for (command, level) in [
            (Command::RunTimer(timer), Level::OFF),
            (recall, Level::HALF),
        ] {
            let before = hub.lights.states().clone();
            hub.execute(&Actor::Timer, command).unwrap();
            let states = hub.lights.states();
            assert!(states.iter().all(|state| state.level == level));
            // One step has one time.
            assert_eq!(states[0].since, states[1].since);
            assert!(states[0].revision > before[0].revision);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flash_restores_the_light_unless_it_was_changed_meanwhile() {
        let hub = Hub::with(Lights::led());
        let flash = || match hub.execute(&Actor::Mqtt, Command::Flash(LED)).unwrap() {
            Outcome::Flash(flash) => Command::EndFlash(flash),
            other => panic!("{other:?}"),
        };
        let end = flash();
        let state = hub.lights.state(LED);
        assert_eq!(state.effect.unwrap().kind, EffectKind::Blink);
        assert_eq!(state.lasting().effect, None);
        hub.execute(&Actor::Mqtt, end).unwrap();
        let state = hub.lights.state(LED);
        assert_eq!((state.level, state.effect), (Level::HALF, None));

        hub.change(LED, Change::On(false));
        let end = flash();
        assert_eq!(hub.lights.state(LED).level, Level::HALF);
        hub.execute(&Actor::Mqtt, end).unwrap();
        assert_eq!(hub.lights.state(LED).level, Level::OFF);

        let end = flash();
        hub.change(LED, Change::Level(Level::FULL));
        hub.execute(&Actor::Mqtt, end).unwrap();
        assert_eq!(hub.lights.state(LED).level, Level::FULL);
    }
}
