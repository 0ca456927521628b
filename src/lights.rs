//! The lights' state: one watched value, every change to it, and its revisions.
//!
//! Whatever changes a light calls [`Lights::change`]; whatever follows one watches
//! [`Lights::watch`]. Nobody calls a follower, so a slow one only ever skips to the newest state.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::level::{Level, Step};

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
    /// The name that people and programs call it by.
    pub name: String,
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
    /// How long the last change may take; `None` for the light's own time.
    pub transition: Option<Duration>,
    /// The name of the page that made the last change, if it has one.
    pub by: Option<Arc<str>>,
    /// When that was.
    pub changed: Instant,
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
            transition: None,
            by: None,
            changed: Instant::now(),
            revision: 0,
            fault: None,
        }
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
}

impl Change {
    fn applied_to(self, light: &LightState) -> Level {
        match self {
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

    /// Changes one light, in one step however many ask at once, and tells its level after that.
    pub fn change(
        &self,
        light: usize,
        change: Change,
        transition: Option<Duration>,
        by: Option<Arc<str>>,
    ) -> Level {
        let mut level = Level::OFF;
        self.states.send_modify(|states| {
            let state = &mut states[light];
            level = change.applied_to(state);
            state.level = level;
            if !level.is_off() {
                state.last_on = level;
            }
            state.transition = transition;
            state.by = by;
            state.changed = Instant::now();
            state.revision += 1;
        });
        level
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
        let light = Light {
            name: "led".into(),
            gpio: 21,
            driver: Driver::Simulated,
            frequency: 1000,
            resolution: 65_536,
            simulated: true,
        };
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
        lights.change(0, Change::Level(level(30.0)), None, None);
        assert_eq!(lights.change(0, Change::On(false), None, None), Level::OFF);
        assert_eq!(lights.change(0, Change::On(true), None, None), level(30.0));
        assert_eq!(
            lights.change(0, Change::On(true), None, None),
            level(30.0),
            "on again changes nothing"
        );
        assert_eq!(lights.change(0, Change::Toggle, None, None), Level::OFF);
        assert_eq!(lights.change(0, Change::Toggle, None, None), level(30.0));
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
