//! The lights' state: one watched value, every change to it, and its revisions.
//!
//! Whatever changes a light calls [`Lights::change`]; whatever follows one watches
//! [`Lights::watch`]. Nobody calls a follower, so a slow one only ever skips to the newest state.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize, Serializer};
use tokio::sync::watch;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::model::effect::{Effect, Kind, SUNRISE, Speed};
use crate::model::level::{Level, Step};

/// What moves a pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
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

/// Seconds that a light takes to reach its new level, 0 to 3600.
///
/// # Errors
/// The message names the field, the value and what is allowed.
pub fn transition(seconds: f64) -> Result<Duration, String> {
    if (0.0..=3600.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(format!(
            "transition must be from 0 to 3600 seconds, not {seconds}"
        ))
    }
}

/// What a light is, fixed while the service runs.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Light {
    /// The name that programs call it by.
    pub name: String,
    /// The name that people call it by.
    pub title: String,
    /// Whether it is for programs alone, and not on the page.
    pub hidden: bool,
    /// BCM number of its GPIO, 0 to 27.
    #[schema(maximum = 27)]
    pub gpio: u8,
    /// What moves its pin.
    pub driver: Driver,
    /// PWM frequency in Hz.
    pub frequency: u32,
    /// How many steps of light the driver can tell apart.
    pub resolution: u32,
    /// Whether no pin moves at all.
    pub simulated: bool,
    /// Time a change takes when it does not say, in seconds.
    #[schema(value_type = f64, minimum = 0, maximum = 3600)]
    #[serde(serialize_with = "seconds")]
    pub transition: Duration,
    /// The highest speed that its effects may have.
    #[schema(value_type = f64, minimum = 0.1, maximum = 10)]
    pub fastest: Speed,
}

impl Light {
    /// One that moves no pin, and has the settings' defaults.
    pub fn simulated(name: &str) -> Light {
        Light {
            name: name.into(),
            title: name.into(),
            hidden: false,
            gpio: 21,
            driver: Driver::Simulated,
            frequency: 1000,
            resolution: 65_536,
            simulated: true,
            transition: Duration::ZERO,
            fastest: Speed::SAFE,
        }
    }
}

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

/// A driver that fails: what it says, and since when.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// What failed and what to do about it, in one line.
    pub message: Arc<str>,
    /// When the first write in a row failed.
    pub since: SystemTime,
}

/// What one light is set to now.
#[derive(Debug, Clone)]
pub struct LightState {
    /// The level it is at, or on its way to.
    pub level: Level,
    /// The last level above 0: what `on` goes back to.
    pub last_on: Level,
    /// What it plays around that level.
    pub effect: Option<Effect>,
    /// How long the last change takes, until the light is there or its sunrise is over.
    pub time: Duration,
    /// When the last change was made, or a sunrise was over.
    pub since: Instant,
    /// The name of the page that made the last change, if it has one.
    pub by: Option<Arc<str>>,
    /// Counts the changes of this light.
    pub revision: u64,
    /// Set while the light's driver fails.
    pub fault: Option<Fault>,
}

impl LightState {
    /// A light at `level` that goes back to `last_on` when switched on.
    pub fn new(level: Level, last_on: Level) -> LightState {
        LightState {
            level,
            last_on,
            effect: None,
            time: Duration::ZERO,
            since: Instant::now(),
            by: None,
            revision: 0,
            fault: None,
        }
    }

    /// The same light while it plays an effect.
    pub fn playing(self, effect: Option<Effect>) -> LightState {
        LightState {
            effect,
            time: effect.map_or(Duration::ZERO, |effect| time_of(effect, None)),
            ..self
        }
    }

    /// When it is there, or its sunrise over; `None` if it was at once.
    pub fn arrives(&self) -> Option<Instant> {
        (!self.time.is_zero()).then(|| self.since + self.time)
    }

    /// Time until then; `None` if it has passed.
    pub fn left(&self) -> Option<Duration> {
        let left = self.arrives()?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }
}

/// How long an effect takes; `transition` is that of a sunrise at normal speed. All others never end.
fn time_of(effect: Effect, transition: Option<Duration>) -> Duration {
    match effect.kind {
        Kind::Sunrise => transition.unwrap_or(SUNRISE).div_f64(effect.speed.times()),
        _ => Duration::ZERO,
    }
}

/// A change that someone asks of a light.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// To this level.
    Level(Level),
    /// Relative to the level it has, clamped to 0..100.
    Step(Step),
    /// `false`: off; `true`: the last level above 0.
    On(bool),
    /// Off if it is on, on if it is off.
    Toggle,
    /// Plays this effect, around the last level above 0 if it is off; or none any more.
    Effect(Option<Effect>),
}

impl Change {
    fn applied_to(self, light: &LightState) -> Level {
        match self {
            Change::Effect(None) => light.level,
            Change::Effect(Some(_)) => Change::On(true).applied_to(light),
            Change::Level(level) => level,
            Change::Step(step) => light.level.stepped(step),
            Change::On(false) => Level::OFF,
            Change::On(true) if light.level.is_off() => light.last_on,
            Change::On(true) => light.level,
            Change::Toggle => Change::On(light.level.is_off()).applied_to(light),
        }
    }
}

/// All lights of the service, in the order of the settings. The index of a light is its place here.
pub struct Lights {
    lights: Vec<Light>,
    states: watch::Sender<Vec<LightState>>,
}

impl Lights {
    /// The lights with what each is set to at the start. There is at least one.
    pub fn new(lights: Vec<(Light, LightState)>) -> Lights {
        let (lights, states): (_, Vec<_>) = lights.into_iter().unzip();
        Lights {
            lights,
            states: watch::Sender::new(states),
        }
    }

    /// What each light is.
    pub fn list(&self) -> &[Light] {
        &self.lights
    }

    /// The index of the light called `name`.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.lights.iter().position(|light| light.name == name)
    }

    /// The newest state of every light, and a way to wait for the next.
    pub fn watch(&self) -> watch::Receiver<Vec<LightState>> {
        self.states.subscribe()
    }

    /// The newest state of every light. No change is made while this is held.
    pub fn states(&self) -> watch::Ref<'_, Vec<LightState>> {
        self.states.borrow()
    }

    /// The state of one light now.
    pub fn state(&self, light: usize) -> LightState {
        self.states()[light].clone()
    }

    /// Changes one light, in one step however many ask at once, and returns it as it is after that.
    ///
    /// It takes `transition`, or the light's own time; a sunrise takes `transition` or half an hour,
    /// divided by its speed. An effect plays at most as fast as the light allows.
    pub fn change(
        &self,
        light: usize,
        change: Change,
        transition: Option<Duration>,
        by: Option<Arc<str>>,
    ) -> LightState {
        let what = &self.lights[light];
        let mut changed = None;
        self.states.send_modify(|states| {
            let state = &mut states[light];
            let level = change.applied_to(state);
            let effect = match change {
                Change::Effect(effect) => effect.map(|effect| Effect {
                    speed: effect.speed.min(what.fastest),
                    ..effect
                }),
                _ => None,
            };
            let moves = level != state.level || state.effect.is_some() || state.left().is_some();
            state.time = match effect {
                Some(effect) => time_of(effect, transition),
                None if moves => transition.unwrap_or(what.transition),
                None => Duration::ZERO,
            };
            state.since = Instant::now();
            state.level = level;
            state.effect = effect;
            if !level.is_off() {
                state.last_on = level;
            }
            state.by = by;
            state.revision += 1;
            changed = Some(state.clone());
        });
        changed.expect("it was just changed")
    }

    /// Says that the sunrise of a light is over, which began with its change of this revision.
    pub fn risen(&self, light: usize, revision: u64) {
        self.states.send_if_modified(|states| {
            let state = &mut states[light];
            let over = state.revision == revision;
            if over {
                state.effect = None;
                state.time = Duration::ZERO;
                state.since = Instant::now();
                state.revision += 1;
            }
            over
        });
    }

    /// Says that a light's driver fails with `message`, or works (`None`).
    pub fn report(&self, light: usize, message: Option<String>) {
        self.states.send_if_modified(|states| {
            let fault = &mut states[light].fault;
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

#[cfg(test)]
impl Lights {
    /// One simulated light, called led, at 50.
    pub(crate) fn led() -> Lights {
        let light = Light::simulated("led");
        Lights::new(vec![(light, LightState::new(Level::HALF, Level::HALF))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(percent: f64) -> Level {
        Level::from_percent(percent).unwrap()
    }

    #[test]
    fn on_goes_back_to_the_last_level_above_0() {
        let lights = Lights::led();
        let change = |change| lights.change(0, change, None, None).level;
        change(Change::Level(level(30.0)));
        assert_eq!(change(Change::On(false)), Level::OFF);
        assert_eq!(change(Change::On(true)), level(30.0));
        let again = change(Change::On(true));
        assert_eq!(again, level(30.0), "on again changes nothing");
        assert_eq!(change(Change::Toggle), Level::OFF);
        assert_eq!(change(Change::Toggle), level(30.0));
    }

    #[tokio::test(start_paused = true)]
    async fn an_effect_plays_on_the_last_level_until_any_other_change() {
        let lights = Lights::led();
        let effect = |kind, speed| {
            let speed = Speed::from_times(speed, Speed::MOST).unwrap();
            Effect { kind, speed }
        };
        let breathe = Some(effect(Kind::Breathe, 2.0));
        lights.change(0, Change::On(false), None, None);
        let state = lights.change(0, Change::Effect(breathe), None, None);
        assert_eq!(state.level, Level::HALF);
        assert_eq!((state.effect, state.arrives()), (breathe, None));
        for change in [
            Change::Level(Level::HALF),
            Change::On(true),
            Change::Toggle,
            Change::Effect(None),
        ] {
            lights.change(0, Change::Effect(breathe), None, None);
            lights.change(0, change, None, None);
            assert_eq!(lights.state(0).effect, None, "{change:?}");
        }

        let fast = Some(effect(Kind::Strobe, 10.0));
        lights.change(0, Change::Effect(fast), None, None);
        assert_eq!(lights.state(0).effect.unwrap().speed, Speed::SAFE);

        let minute = Some(Duration::from_secs(60));
        let sunrise = Some(effect(Kind::Sunrise, 2.0));
        lights.change(0, Change::Effect(sunrise), minute, None);
        let state = lights.state(0);
        assert_eq!(state.left(), Some(Duration::from_secs(30)));
        lights.risen(0, state.revision - 1);
        assert_eq!(lights.state(0).effect, sunrise, "another's end");
        lights.risen(0, state.revision);
        assert_eq!(lights.state(0).effect, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_light_tells_when_it_arrives_while_it_is_on_its_way() {
        let lights = Lights::led();
        let second = Duration::from_secs(1);
        lights.change(0, Change::Level(Level::HALF), Some(9 * second), None);
        assert_eq!(lights.state(0).left(), None, "it is there");
        lights.change(0, Change::Level(Level::FULL), Some(9 * second), None);
        tokio::time::advance(2 * second).await;
        assert_eq!(lights.state(0).left(), Some(7 * second));
        lights.change(0, Change::Level(Level::FULL), Some(second), None);
        assert_eq!(lights.state(0).left(), Some(second));
        lights.change(0, Change::Level(Level::FULL), None, None);
        assert_eq!(lights.state(0).left(), None);
    }

    #[test]
    fn steps_from_many_threads_all_count() {
        let lights = Lights::led();
        lights.change(0, Change::Level(Level::OFF), None, None);
        let step = Step::from_percent(0.1).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..10 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        lights.change(0, Change::Step(step), None, None);
                    }
                });
            }
        });
        assert_eq!(lights.state(0).level, level(50.0));
        assert_eq!(lights.state(0).revision, 501);
    }

    #[test]
    fn a_fault_keeps_its_first_time_and_wakes_nobody_twice() {
        let lights = Lights::led();
        let mut watch = lights.watch();
        lights.report(0, Some("no such file".into()));
        assert!(watch.has_changed().unwrap());
        let since = watch.borrow_and_update()[0].fault.clone().unwrap().since;

        lights.report(0, Some("no such file".into()));
        assert!(!watch.has_changed().unwrap(), "the same fault is no news");

        lights.report(0, Some("permission denied".into()));
        let fault = watch.borrow_and_update()[0].fault.clone().unwrap();
        assert_eq!((&*fault.message, fault.since), ("permission denied", since));

        lights.report(0, None);
        assert_eq!(watch.borrow_and_update()[0].fault, None);
    }
}
