//! The lights: what each one is, what it is set to, and every change to that.
//!
//! Their states are one watched value. [`Hub::execute`](super::hub::Hub::execute) changes it; outputs
//! follow [`Lights::watch`]. Nothing calls an output, so a slow one only ever skips to the newest state.

mod last_on;
mod trial;

use std::mem;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;

use super::actor::Actor;
use super::effect::{Effect, EffectKind, SUNRISE, Speed};
use super::level::{Level, Step, luminance_between};
use super::settings::LightSettings;
pub use last_on::{LastOn, Leaving};
pub use trial::Trial;

/// What a flash plays.
const FLASH: Effect = Effect {
    kind: EffectKind::Blink,
    speed: Speed::NORMAL,
};

/// What moves a pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    /// A pwmchip of the kernel that drives the light's GPIO.
    KernelPwm,
    /// A thread that switches the GPIO.
    SoftwarePwm,
    /// Nothing: there is no LED.
    Simulated,
}

impl Driver {
    /// The driver's name in settings, logs and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Driver::KernelPwm => "kernel-pwm",
            Driver::SoftwarePwm => "software-pwm",
            Driver::Simulated => "simulated",
        }
    }
}

/// Identifies a light of this dimmer: its position in the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LightId(usize);

impl LightId {
    /// The first light. There always is one.
    pub const FIRST: LightId = LightId(0);

    /// The position of the light in lists that have an entry for each light.
    pub fn index(self) -> usize {
        self.0
    }
}

/// What a light is; fixed while the service runs. Its [`LightSettings`] are part of its state.
#[derive(Debug, Clone)]
pub struct Light {
    /// The name in messages, settings and files.
    pub name: String,
    /// BCM number of its GPIO, 0 to 27.
    pub gpio: u8,
    /// What moves its pin.
    pub driver: Driver,
    /// PWM frequency in Hz.
    pub frequency: u32,
    /// The number of duty cycles that the driver distinguishes.
    pub resolution: u32,
    /// The highest speed of its effects.
    pub fastest: Speed,
    /// If the driver is not the one that was chosen at first: why, and what to do, in one line.
    pub fallback: Option<String>,
}

impl Light {
    /// A light without a pin, with the defaults of the settings.
    pub fn simulated(name: &str) -> Light {
        Light {
            name: name.into(),
            gpio: 21,
            driver: Driver::Simulated,
            frequency: 1000,
            resolution: 65_536,
            fastest: Speed::SAFE,
            fallback: None,
        }
    }

    /// The name for people.
    pub fn title<'a>(&'a self, settings: &'a LightSettings) -> &'a str {
        settings.title.as_deref().unwrap_or(&self.name)
    }

    /// Whether the light has no pin.
    pub fn is_simulated(&self) -> bool {
        self.driver == Driver::Simulated
    }
}

/// A failure of a light's driver.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// What failed and what to do about it, in one line.
    pub message: Arc<str>,
    /// The first failed write in a row.
    pub since: SystemTime,
}

/// What a light is set to.
#[derive(Debug, Clone)]
pub struct LightState {
    /// The level that the light is at, or on its way to.
    pub level: Level,
    /// The level that `on` goes back to.
    last_on: LastOn,
    /// What was seen when the last change began.
    from: Level,
    /// The last change, if it was a step.
    step: Option<Step>,
    /// The effect around that level.
    pub effect: Option<Effect>,
    /// Duration of the last change: of its transition, or of a sunrise.
    pub duration: Duration,
    /// When the last change began.
    pub since: Instant,
    /// Who made the last change; `None` since the start.
    pub by: Option<Actor>,
    /// Counts the changes of this light.
    pub revision: u64,
    /// Set while the light's driver fails.
    pub fault: Option<Fault>,
    /// What it is set up as. A change of these is no change of the light, and has no revision.
    pub settings: Arc<LightSettings>,
    /// Set while somebody tries a duty, which the pin shows instead of all this.
    pub trial: Option<Trial>,
    /// Nothing was known of it at the start, and nobody has said yet whether its LED lights up.
    pub is_new: bool,
    /// The state that the end of a flash restores; `None` if the light does not flash.
    before_flash: Option<Box<LightState>>,
}

impl LightState {
    /// A light at `level`, which goes back to `last_on` if it is off and is switched on.
    pub fn new(level: Level, last_on: Level) -> LightState {
        LightState {
            level,
            last_on: LastOn::new(last_on),
            from: level,
            step: None,
            effect: None,
            duration: Duration::ZERO,
            since: Instant::now(),
            by: None,
            revision: 0,
            fault: None,
            settings: Arc::default(),
            trial: None,
            is_new: false,
            before_flash: None,
        }
    }

    /// The same light while it plays an effect. [`Lights::new`] sets the duration.
    pub fn playing(self, effect: Option<Effect>) -> LightState {
        LightState { effect, ..self }
    }

    /// The same light with these settings.
    pub fn with(self, settings: LightSettings) -> LightState {
        let settings = Arc::new(settings);
        LightState { settings, ..self }
    }

    /// The state that stays: this one, or the one before a flash.
    pub fn lasting(&self) -> &LightState {
        self.before_flash.as_deref().unwrap_or(self)
    }

    /// The end of the last change; `None` if it was immediate.
    pub fn arrives(&self) -> Option<Instant> {
        (!self.duration.is_zero()).then(|| self.since + self.duration)
    }

    /// The last level above 0 that somebody chose, which `on` goes back to.
    pub fn last_on(&self) -> Level {
        self.last_on.level(self.level, Instant::now())
    }

    /// The level that is seen at `now`, around which an effect plays.
    pub fn shown(&self, now: Instant) -> Level {
        let curve = self.settings.curve;
        if self.arrives().is_none_or(|arrives| arrives <= now) {
            return self.level;
        }
        let passed = now.saturating_duration_since(self.since);
        let ends = [self.from, self.level].map(|level| curve.luminance(level));
        curve.level(luminance_between(
            ends,
            passed.div_duration_f64(self.duration),
        ))
    }

    /// Makes a change at `now`.
    fn change(
        &mut self,
        light: &Light,
        change: Change,
        transition: Option<Duration>,
        by: &Actor,
        now: Instant,
    ) {
        let shown = self.shown(now);
        let level = change.applied_to(self, shown);
        let effect = match change {
            Change::Effect(effect) => effect.map(|effect| slowed(effect, light)),
            Change::Dim(level) if !level.is_off() => self.effect.filter(Effect::is_endless),
            _ => None,
        };
        let moves = level != self.level || self.effect.is_some() || self.remaining().is_some();
        self.duration = match effect {
            Some(effect) => duration_of(effect, transition),
            None if moves => transition.unwrap_or(self.settings.transition),
            None => Duration::ZERO,
        };
        let leaving = change.leaving(self.by.as_ref(), by);
        self.set_level(level, leaving, now);
        self.from = first_shown(effect, shown);
        self.step = change.step();
        self.effect = effect;
        self.by = Some(by.clone());
        self.before_flash = None;
        // The newest change counts: nobody shall wait for somebody who tries a duty.
        self.trial = None;
        self.since = now;
        self.revision += 1;
    }

    /// Sets the level at `now`, which `leaving` the level before tells [`LastOn`].
    fn set_level(&mut self, level: Level, leaving: Leaving, now: Instant) {
        // A level that is set again stays one that was chosen.
        if level != self.level {
            self.last_on.leave(self.level, leaving, now);
            self.level = level;
        }
    }

    /// Time until the end of the last change; `None` if that has passed.
    pub fn remaining(&self) -> Option<Duration> {
        let remaining = self.arrives()?.saturating_duration_since(Instant::now());
        (!remaining.is_zero()).then_some(remaining)
    }
}

/// What is kept of a light.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LightBackup {
    /// The level.
    pub level: Level,
    /// The effect around that level.
    pub effect: Option<Effect>,
    /// The level that "on" goes back to.
    pub last_on: Level,
}

/// The duration of an effect; `transition` is that of a sunrise at normal speed. All others never end.
fn duration_of(effect: Effect, transition: Option<Duration>) -> Duration {
    match effect.is_endless() {
        true => Duration::ZERO,
        false => transition.unwrap_or(SUNRISE).div_f64(effect.speed.times()),
    }
}

/// What is seen at first of a change that starts this effect; `shown` if it starts none.
fn first_shown(effect: Option<Effect>, shown: Level) -> Level {
    match effect {
        Some(effect) if effect.kind == EffectKind::Sunrise => Level::OFF,
        _ => shown,
    }
}

/// A change of one light.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// Sets the level.
    Level(Level),
    /// Sets the level, around which an effect that never ends goes on.
    Dim(Level),
    /// Adds to the level that is seen, or to that of a step in the same direction that is not there yet;
    /// the result is clamped to 0..100.
    Step(Step),
    /// `false`: off; `true`: the last level above 0 that was chosen.
    On(bool),
    /// Off if the light is on, on if it is off.
    Toggle,
    /// Plays an effect, around the last level above 0 if the light is off; `None` ends it.
    Effect(Option<Effect>),
}

impl Change {
    /// The level of a light, at which `shown` is seen, after this change.
    fn applied_to(self, light: &LightState, shown: Level) -> Level {
        match self {
            Change::Effect(None) => light.level,
            Change::Effect(Some(_)) => Change::On(true).applied_to(light, shown),
            Change::Level(level) | Change::Dim(level) => level,
            // Steps that follow each other fast all count.
            Change::Step(step) if light.step.is_some_and(|last| last.is_up() == step.is_up()) => {
                light.level.stepped(step)
            }
            Change::Step(step) => shown.stepped(step),
            Change::On(false) => Level::OFF,
            Change::On(true) if light.level.is_off() => light.last_on(),
            Change::On(true) => light.level,
            Change::Toggle => Change::On(light.level.is_off()).applied_to(light, shown),
        }
    }

    /// What this change by an actor, after that of `last`, means for the level that "on" goes back to.
    fn leaving(self, last: Option<&Actor>, by: &Actor) -> Leaving {
        match self {
            Change::Level(_) | Change::Dim(_) | Change::Step(_) if last == Some(by) => {
                Leaving::Move
            }
            Change::Level(_) | Change::Dim(_) | Change::Step(_) => Leaving::FirstMove,
            // Home Assistant and home apps have no level 0: this may be the end of a drag or of steps.
            Change::On(false) if matches!(by, Actor::Mqtt | Actor::Matter(_)) => Leaving::LastMove,
            Change::On(_) | Change::Toggle | Change::Effect(_) => Leaving::Switch,
        }
    }

    fn step(self) -> Option<Step> {
        match self {
            Change::Step(step) => Some(step),
            _ => None,
        }
    }
}

/// A change of one of this dimmer's lights, and the time to get there; `None` for the light's own.
pub(super) type OwnChange = (LightId, Change, Option<Duration>);

/// All lights of this dimmer, in the order of the settings.
pub struct Lights {
    lights: Vec<Light>,
    states: watch::Sender<Vec<LightState>>,
}

impl Lights {
    /// The lights with their states at the start; at least one. An effect that is faster than its
    /// light allows is slowed down.
    pub fn new(lights: Vec<(Light, LightState)>) -> Lights {
        let (lights, mut states): (Vec<_>, Vec<_>) = lights.into_iter().unzip();
        for (light, state) in lights.iter().zip(&mut states) {
            state.effect = state.effect.map(|effect| slowed(effect, light));
            state.duration = state
                .effect
                .map_or(Duration::ZERO, |effect| duration_of(effect, None));
            state.from = first_shown(state.effect, state.level);
        }
        Lights {
            lights,
            states: watch::Sender::new(states),
        }
    }

    /// All lights, in the order of their [`LightId`].
    pub fn list(&self) -> &[Light] {
        &self.lights
    }

    /// Identifies each light, in the order of [`Lights::list`].
    pub fn ids(&self) -> impl Iterator<Item = LightId> + use<> {
        (0..self.lights.len()).map(LightId)
    }

    /// One light.
    pub fn light(&self, light: LightId) -> &Light {
        &self.lights[light.0]
    }

    /// Finds a light by its name.
    pub fn find(&self, name: &str) -> Option<LightId> {
        let index = self.lights.iter().position(|light| light.name == name);
        index.map(LightId)
    }

    /// Follows the states, in the order of [`Lights::list`].
    pub fn watch(&self) -> watch::Receiver<Vec<LightState>> {
        self.states.subscribe()
    }

    /// The states now, in the order of [`Lights::list`]. No change is made while this is held.
    pub fn states(&self) -> watch::Ref<'_, Vec<LightState>> {
        self.states.borrow()
    }

    /// The state of one light now.
    pub fn state(&self, light: LightId) -> LightState {
        self.states()[light.0].clone()
    }

    /// Changes lights in one step, however many callers do so at once, and returns the state after each
    /// change. Outputs see all of the changes or none.
    ///
    /// A change takes its `transition`, or the light's own; a sunrise takes `transition` or half an
    /// hour, divided by its speed. An effect is slowed down to what the light allows.
    pub(super) fn change(&self, changes: &[OwnChange], by: &Actor) -> Vec<LightState> {
        let mut changed = Vec::new();
        self.states.send_if_modified(|states| {
            let now = Instant::now();
            for (light, change, transition) in changes {
                let state = &mut states[light.0];
                state.change(self.light(*light), *change, *transition, by, now);
                changed.push(state.clone());
            }
            !changes.is_empty()
        });
        changed
    }

    /// Sets these lights to what was kept of them, all at once, and returns the revision of each light of this
    /// dimmer then.
    pub(super) fn restore(&self, kept: &[(LightId, LightBackup)], by: &Actor) -> Vec<u64> {
        let mut revisions = Vec::new();
        self.states.send_modify(|states| {
            let now = Instant::now();
            for (light, kept) in kept {
                let (state, settings) = (&mut states[light.0], self.light(*light));
                let effect = kept.effect.map(|effect| Change::Effect(Some(effect)));
                for change in [Change::Level(kept.level)].into_iter().chain(effect) {
                    state.change(settings, change, None, by, now);
                }
                if !kept.last_on.is_off() {
                    state.last_on = LastOn::new(kept.last_on);
                }
            }
            revisions.extend(states.iter().map(|state| state.revision));
        });
        revisions
    }

    /// Lets a light blink around its level, or around the last one above 0 if it is off, until
    /// [`Lights::end_flash`]. Returns the revision that the flash made.
    pub(super) fn flash(&self, light: LightId, by: &Actor) -> u64 {
        let mut revision = 0;
        self.states.send_modify(|states| {
            let (state, now) = (&mut states[light.0], Instant::now());
            let before = state.lasting().clone();
            let level = Change::On(true).applied_to(state, state.level);
            state.set_level(level, Leaving::Switch, now);
            state.step = None;
            state.effect = Some(FLASH);
            state.duration = Duration::ZERO;
            state.by = Some(by.clone());
            state.before_flash = Some(Box::new(before));
            state.trial = None;
            state.since = now;
            state.revision += 1;
            revision = state.revision;
        });
        revision
    }

    /// Restores the state before a flash, unless the light has been changed since its `revision`.
    pub(super) fn end_flash(&self, light: LightId, revision: u64) {
        self.states.send_if_modified(|states| {
            let state = &mut states[light.0];
            let before = state.before_flash.take_if(|_| state.revision == revision);
            let is_unchanged = before.is_some();
            if let Some(before) = before {
                *state = LightState {
                    duration: before.remaining().unwrap_or_default(),
                    from: state.level,
                    since: Instant::now(),
                    revision: revision + 1,
                    fault: state.fault.take(),
                    settings: state.settings.clone(),
                    trial: state.trial.take(),
                    is_new: state.is_new,
                    ..*before
                };
            }
            is_unchanged
        });
    }

    /// The settings of one light now.
    pub fn settings(&self, light: LightId) -> Arc<LightSettings> {
        self.states()[light.0].settings.clone()
    }

    /// Gives the lights these settings, and ends what `by` tries of those in `saved`.
    pub(super) fn configure(
        &self,
        settings: Vec<(LightId, LightSettings)>,
        saved: &[LightId],
        by: &Actor,
    ) {
        self.states.send_if_modified(|states| {
            let mut differs = false;
            for (light, settings) in settings {
                let state = &mut states[light.0];
                if *state.settings != settings {
                    state.settings = Arc::new(settings);
                    differs = true;
                }
            }
            for light in saved {
                let trial = &mut states[light.0].trial;
                differs |= trial.take_if(|trial| trial.is_of(by)).is_some();
            }
            differs
        });
    }

    /// Reports that somebody has said that the LED of this light lights up.
    pub(super) fn greet(&self, light: LightId) {
        self.states.send_if_modified(|states| {
            let state = &mut states[light.0];
            let was_new = mem::take(&mut state.is_new);
            if was_new {
                // Another `Arc`, which tells clients that what they know of the light is old.
                state.settings = Arc::new(LightSettings::clone(&state.settings));
            }
            was_new
        });
    }

    /// Holds the pin of a light at this duty in percent, or ends that. Returns `false` if somebody else tries one.
    pub(super) fn try_duty(&self, light: LightId, duty: Option<f64>, by: &Actor) -> bool {
        let mut is_free = true;
        self.states.send_if_modified(|states| {
            let (trial, now) = (&mut states[light.0].trial, Instant::now());
            let is_others = |trial: &Trial| !trial.is_of(by) && now < trial.until;
            is_free = !trial.as_ref().is_some_and(is_others);
            if !is_free || trial.is_none() && duty.is_none() {
                return false;
            }
            *trial = duty.map(|duty| Trial::new(duty, by, now));
            true
        });
        is_free
    }

    /// Ends all trials of this actor.
    pub(super) fn end_trials_of(&self, by: &Actor) {
        self.states.send_if_modified(|states| {
            let trials = states.iter_mut().map(|state| &mut state.trial);
            let ended = trials.filter_map(|trial| trial.take_if(|trial| trial.is_of(by)));
            ended.count() > 0
        });
    }

    /// Reports that no news of this trial came in time.
    pub fn end_trial(&self, light: LightId, trial: &Trial) {
        self.states.send_if_modified(|states| {
            let newest = &mut states[light.0].trial;
            newest.take_if(|newest| newest == trial).is_some()
        });
    }

    /// Reports that the sunrise is over which began with the change of this revision.
    pub fn finish_sunrise(&self, light: LightId, revision: u64) {
        self.states.send_if_modified(|states| {
            let state = &mut states[light.0];
            let over = state.revision == revision;
            if over {
                state.effect = None;
                state.duration = Duration::ZERO;
                state.since = Instant::now();
                state.revision += 1;
            }
            over
        });
    }

    /// Reports that a light's driver fails with `message`, or works (`None`).
    pub fn report_fault(&self, light: LightId, message: Option<String>) {
        self.states.send_if_modified(|states| {
            let fault = &mut states[light.0].fault;
            let same = fault.as_ref().map(|fault| &*fault.message) == message.as_deref();
            if !same {
                let since = fault.take().map_or_else(SystemTime::now, |old| old.since);
                *fault = message.map(|message| Fault {
                    message: message.into(),
                    since,
                });
            }
            !same
        });
    }
}

/// The effect, at most as fast as the light allows.
fn slowed(effect: Effect, light: &Light) -> Effect {
    let speed = effect.speed.min(light.fastest);
    Effect { speed, ..effect }
}

#[cfg(test)]
impl Lights {
    /// One simulated light, called led, at 50.
    pub(crate) fn led() -> Lights {
        let light = Light::simulated("led");
        Lights::new(vec![(light, LightState::new(Level::HALF, Level::HALF))])
    }

    /// Changes one light.
    pub(crate) fn change_one(
        &self,
        light: LightId,
        change: Change,
        transition: Option<Duration>,
        by: &Actor,
    ) -> LightState {
        self.change(&[(light, change, transition)], by).remove(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::level::Curve;

    const LED: LightId = LightId::FIRST;

    fn level(percent: f64) -> Level {
        Level::from_percent(percent).unwrap()
    }

    #[test]
    fn on_goes_back_to_the_last_level_above_0() {
        let lights = Lights::led();
        let change = |change| lights.change_one(LED, change, None, &Actor::Mqtt).level;
        change(Change::Level(level(30.0)));
        assert_eq!(change(Change::On(false)), Level::OFF);
        assert_eq!(change(Change::On(true)), level(30.0));
        let again = change(Change::On(true));
        assert_eq!(again, level(30.0), "on again changes nothing");
        assert_eq!(change(Change::Toggle), Level::OFF);
        assert_eq!(change(Change::Toggle), level(30.0));
    }

    fn set(lights: &Lights, percent: f64) {
        let change = Change::Level(level(percent));
        lights.change_one(LED, change, None, &Actor::Mqtt);
    }

    /// One simulated light that has been at this level for a while.
    async fn rested(percent: f64) -> Lights {
        let lights = Lights::led();
        set(&lights, percent);
        tokio::time::advance(Duration::from_secs(3)).await;
        lights
    }

    fn switched_on(lights: &Lights) -> Level {
        assert!(lights.state(LED).level.is_off());
        lights
            .change_one(LED, Change::On(true), None, &Actor::Button)
            .level
    }

    #[tokio::test(start_paused = true)]
    async fn on_goes_back_to_where_a_drag_or_steps_to_off_began() {
        let ways: [fn(f64) -> Change; 2] = [
            |percent| Change::Level(level(percent)),
            |_| Change::Step(Step::from_percent(-3.0).unwrap()),
        ];
        for way in ways {
            for last in [Change::Level(Level::OFF), Change::On(false)] {
                let lights = rested(80.0).await;
                for moves in 1..=26 {
                    let change = way(80.0 - 3.0 * f64::from(moves));
                    lights.change_one(LED, change, None, &Actor::Mqtt);
                    tokio::time::advance(Duration::from_millis(150)).await;
                }
                lights.change_one(LED, last, None, &Actor::Mqtt);
                assert_eq!(lights.state(LED).last_on(), level(80.0), "so it is kept");
                assert_eq!(switched_on(&lights), level(80.0), "{last:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn on_goes_back_to_a_level_that_rested_or_was_set_alone() {
        let lights = rested(80.0).await;
        for percent in [60.0, 20.0] {
            set(&lights, percent);
        }
        tokio::time::advance(Duration::from_secs(3)).await;
        for percent in [10.0, 0.0] {
            set(&lights, percent);
        }
        assert_eq!(switched_on(&lights), level(20.0), "the thumb rested there");

        let lights = rested(80.0).await;
        for _ in 0..4 {
            set(&lights, 40.0);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        set(&lights, 0.0);
        assert_eq!(switched_on(&lights), level(40.0), "it was only set again");

        let lights = rested(80.0).await;
        set(&lights, 40.0);
        for percent in [30.0, 10.0, 0.0] {
            lights.change_one(LED, Change::Level(level(percent)), None, &Actor::Button);
        }
        assert_eq!(switched_on(&lights), level(40.0), "somebody else dragged");

        let lights = rested(80.0).await;
        for percent in [60.0, 30.0] {
            set(&lights, percent);
        }
        lights.change_one(LED, Change::Toggle, None, &Actor::Mqtt);
        assert_eq!(
            switched_on(&lights),
            level(30.0),
            "it was switched off there"
        );

        let lights = rested(80.0).await;
        set(&lights, 30.0);
        let before = lights.flash(LED, &Actor::Mqtt);
        lights.end_flash(LED, before);
        lights.change_one(LED, Change::On(false), None, &Actor::Mqtt);
        assert_eq!(switched_on(&lights), level(30.0), "a flash changes nothing");
        set(&lights, 0.0);
        assert_eq!(switched_on(&lights), level(30.0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_trial_belongs_to_one_actor_until_it_ends() {
        let lights = Lights::led();
        let client = |number, name: Option<&str>| Actor::Client {
            number,
            address: std::net::Ipv4Addr::LOCALHOST.into(),
            name: name.map(Into::into),
        };
        let (one, other) = (client(1, None), client(2, None));
        let duty = |lights: &Lights| lights.state(LED).trial.map(|trial| trial.duty);
        assert!(lights.try_duty(LED, Some(3.0), &one));
        assert!(!lights.try_duty(LED, Some(4.0), &other));
        assert!(!lights.try_duty(LED, None, &other));
        let renamed = client(1, Some("Ana"));
        assert!(lights.try_duty(LED, Some(5.0), &renamed));
        assert_eq!(duty(&lights), Some(5.0));
        lights.end_trials_of(&other);
        assert_eq!(duty(&lights), Some(5.0));
        let revision = lights.state(LED).revision;
        lights.end_trials_of(&one);
        assert_eq!(
            (duty(&lights), lights.state(LED).revision),
            (None, revision)
        );

        assert!(lights.try_duty(LED, Some(3.0), &one));
        lights.configure(Vec::new(), &[LED], &other);
        assert_eq!(duty(&lights), Some(3.0), "somebody else saved");
        lights.configure(Vec::new(), &[LED], &one);
        assert_eq!(duty(&lights), None);

        assert!(lights.try_duty(LED, Some(3.0), &one));
        let old = lights.state(LED).trial.unwrap();
        tokio::time::advance(Duration::from_secs(29)).await;
        assert!(lights.try_duty(LED, Some(3.0), &one), "news of it");
        lights.end_trial(LED, &old);
        assert_eq!(duty(&lights), Some(3.0));
        tokio::time::advance(Duration::from_secs(31)).await;
        assert!(lights.try_duty(LED, Some(4.0), &other), "it is late");
        set(&lights, 30.0);
        assert_eq!(duty(&lights), None, "a change of the light ends it");
    }

    #[test]
    fn a_light_is_new_until_it_is_greeted_whatever_it_does_meanwhile() {
        let mut state = LightState::new(Level::HALF, Level::HALF);
        state.is_new = true;
        let lights = Lights::new(vec![(Light::simulated("led"), state)]);
        let mut watch = lights.watch();
        set(&lights, 30.0);
        let flash = lights.flash(LED, &Actor::Mqtt);
        let before = watch.borrow_and_update()[0].clone();
        assert!(before.is_new);
        lights.greet(LED);
        assert!(watch.has_changed().unwrap());
        let state = watch.borrow_and_update()[0].clone();
        assert_eq!((state.is_new, state.revision), (false, before.revision));
        assert!(!Arc::ptr_eq(&state.settings, &before.settings));
        lights.end_flash(LED, flash);
        assert!(!watch.borrow_and_update()[0].is_new);
        lights.greet(LED);
        assert!(!watch.has_changed().unwrap(), "it was greeted already");
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_during_a_transition_is_relative_to_what_is_seen() {
        let step = |percent| Change::Step(Step::from_percent(percent).unwrap());
        let change = |lights: &Lights, change, seconds| {
            let transition = Some(Duration::from_secs(seconds));
            lights
                .change_one(LED, change, transition, &Actor::Mqtt)
                .level
        };
        for (curve, seen) in [(Curve::Perceptual, 62.0), (Curve::Linear, 56.2)] {
            let settings = LightSettings {
                curve,
                ..LightSettings::default()
            };
            let from = level(80.0);
            let state = LightState::new(from, from).with(settings);
            let lights = Lights::new(vec![(Light::simulated("led"), state)]);
            change(&lights, Change::Level(level(20.0)), 10);
            tokio::time::advance(Duration::from_secs(3)).await;
            assert_eq!(
                change(&lights, step(5.0), 1),
                level(seen + 5.0),
                "{curve:?}"
            );
            assert_eq!(
                change(&lights, step(5.0), 1),
                level(seen + 10.0),
                "both count"
            );
            tokio::time::advance(Duration::from_secs(1)).await;
            assert_eq!(change(&lights, step(-10.0), 1), level(seen));
        }

        let lights = rested(80.0).await;
        let sunrise = Change::Effect(Some(Effect {
            kind: EffectKind::Sunrise,
            speed: Speed::NORMAL,
        }));
        change(&lights, sunrise, 60);
        assert_eq!(
            change(&lights, step(5.0), 0),
            level(5.0),
            "it is still dark"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_effect_plays_on_the_last_level_until_any_other_change() {
        let lights = Lights::led();
        let effect = |kind, speed| {
            let speed = Speed::from_times(speed).unwrap();
            Effect { kind, speed }
        };
        let breathe = Some(effect(EffectKind::Breathe, 2.0));
        lights.change_one(LED, Change::On(false), None, &Actor::Mqtt);
        let state = lights.change_one(LED, Change::Effect(breathe), None, &Actor::Mqtt);
        assert_eq!(state.level, Level::HALF);
        assert_eq!((state.effect, state.arrives()), (breathe, None));
        for change in [
            Change::Level(Level::HALF),
            Change::On(true),
            Change::Toggle,
            Change::Effect(None),
        ] {
            lights.change_one(LED, Change::Effect(breathe), None, &Actor::Mqtt);
            lights.change_one(LED, change, None, &Actor::Mqtt);
            assert_eq!(lights.state(LED).effect, None, "{change:?}");
        }

        let fast = Some(effect(EffectKind::Strobe, 10.0));
        lights.change_one(LED, Change::Effect(fast), None, &Actor::Mqtt);
        assert_eq!(lights.state(LED).effect.unwrap().speed, Speed::SAFE);

        let minute = Some(Duration::from_secs(60));
        let sunrise = Some(effect(EffectKind::Sunrise, 2.0));
        lights.change_one(LED, Change::Effect(sunrise), minute, &Actor::Mqtt);
        let state = lights.state(LED);
        assert_eq!(state.remaining(), Some(Duration::from_secs(30)));
        lights.finish_sunrise(LED, state.revision - 1);
        assert_eq!(
            lights.state(LED).effect,
            sunrise,
            "the end of an earlier change"
        );
        lights.finish_sunrise(LED, state.revision);
        assert_eq!(lights.state(LED).effect, None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_remaining_time_is_known_during_a_transition_only() {
        let lights = Lights::led();
        let second = Duration::from_secs(1);
        lights.change_one(
            LED,
            Change::Level(Level::HALF),
            Some(9 * second),
            &Actor::Mqtt,
        );
        assert_eq!(
            lights.state(LED).remaining(),
            None,
            "it is at the level already"
        );
        lights.change_one(
            LED,
            Change::Level(Level::FULL),
            Some(9 * second),
            &Actor::Mqtt,
        );
        tokio::time::advance(2 * second).await;
        assert_eq!(lights.state(LED).remaining(), Some(7 * second));
        lights.change_one(LED, Change::Level(Level::FULL), Some(second), &Actor::Mqtt);
        assert_eq!(lights.state(LED).remaining(), Some(second));
        lights.change_one(LED, Change::Level(Level::FULL), None, &Actor::Mqtt);
        assert_eq!(lights.state(LED).remaining(), None);
    }

    #[test]
    fn steps_from_many_threads_all_count() {
        let lights = Lights::led();
        lights.change_one(LED, Change::Level(Level::OFF), None, &Actor::Mqtt);
        let step = Step::from_percent(0.1).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..10 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        lights.change_one(LED, Change::Step(step), None, &Actor::Mqtt);
                    }
                });
            }
        });
        assert_eq!(lights.state(LED).level, level(50.0));
        assert_eq!(lights.state(LED).revision, 501);
    }

    #[test]
    fn a_repeated_fault_keeps_its_first_time_and_wakes_nobody() {
        let lights = Lights::led();
        let mut watch = lights.watch();
        lights.report_fault(LED, Some("no such file".into()));
        assert!(watch.has_changed().unwrap());
        let since = watch.borrow_and_update()[0].fault.clone().unwrap().since;

        lights.report_fault(LED, Some("no such file".into()));
        assert!(
            !watch.has_changed().unwrap(),
            "the same fault changes nothing"
        );

        lights.report_fault(LED, Some("permission denied".into()));
        let fault = watch.borrow_and_update()[0].fault.clone().unwrap();
        assert_eq!((&*fault.message, fault.since), ("permission denied", since));

        lights.report_fault(LED, None);
        assert_eq!(watch.borrow_and_update()[0].fault, None);
    }
}
