//! What Home Assistant sets of a light beside its level and effect, and its topics of a light.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;

use super::message::{Format, LightCommand, NO_EFFECT};
use crate::model::actor::Actor;
use crate::model::command::{Command, CommandError, Target};
use crate::model::effect::{Effect, Speed};
use crate::model::hub::Hub;
use crate::model::lights::{Change, LightId, LightState};
use crate::model::text::Name;
use crate::model::timers::{Due, NewTimer, TimerAction, TimerError};
use crate::protocol::fields::{self, SLEEP, SLEEP_MINUTES, SPEED};
use crate::protocol::input_error::InputError;

/// The minutes of a sleep timer at the start.
const DEFAULT_SLEEP: u32 = 30;
/// How long a light fades at the end of a sleep timer, as on the page.
const FADE: Duration = Duration::from_secs(60);

/// What Home Assistant sets of a light, until the next start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Control {
    /// The speed of the next effect.
    speed: Speed,
    sleep_minutes: u32,
}

/// What Home Assistant sets of all lights: a watched value, in the order of the lights.
pub struct Controls {
    hub: Arc<Hub>,
    controls: watch::Sender<Vec<Control>>,
}

/// The state of a light for Home Assistant.
#[derive(Debug, Serialize)]
struct HomeAssistantState<'a> {
    state: &'static str,
    /// Without it a version from 2025 on warns of the light by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    color_mode: Option<&'static str>,
    /// In tenths of a percent. Home Assistant does not accept 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    brightness: Option<u32>,
    /// Always present: Home Assistant would keep the last effect otherwise.
    effect: &'static str,
    speed: Speed,
    sleep_minutes: u32,
    fault: Option<&'a str>,
}

impl Controls {
    pub fn new(hub: Arc<Hub>) -> Controls {
        let control = Control {
            speed: Speed::NORMAL,
            sleep_minutes: DEFAULT_SLEEP,
        };
        let controls = vec![control; hub.lights.list().len()];
        Controls {
            hub,
            controls: watch::Sender::new(controls),
        }
    }

    /// Wakes up whenever something is set here.
    pub fn watch(&self) -> watch::Receiver<Vec<Control>> {
        self.controls.subscribe()
    }

    /// The message with the state of a light.
    pub fn state(&self, light: LightId, state: &LightState) -> String {
        let Control {
            speed,
            sleep_minutes,
        } = self.controls.borrow()[light.index()];
        let is_on = !state.level.is_off();
        let fault = state.fault.as_ref();
        let message = HomeAssistantState {
            state: if is_on { "ON" } else { "OFF" },
            color_mode: is_on.then_some("brightness"),
            brightness: is_on.then(|| (state.level.percent() * 10.0).round() as u32),
            effect: state.effect.map_or(NO_EFFECT, |effect| effect.kind.name()),
            speed: state.effect.map_or(speed, |effect| effect.speed),
            sleep_minutes,
            fault: fault.map(|fault| &*fault.message),
        };
        // Cannot fail: there is no map with keys that are not text.
        serde_json::to_string(&message).unwrap_or_default()
    }

    /// Handles a command of Home Assistant about a light. Returns what is to be done to the light.
    ///
    /// # Errors
    /// The command cannot be read, or carried out.
    pub fn handle(
        &self,
        light: LightId,
        payload: &[u8],
    ) -> Result<Option<LightCommand>, InputError> {
        let fields = fields::object("a command", payload)?;
        let is_alone = |name| fields.len() == 1 && fields.contains_key(name);
        if is_alone(SPEED.name) {
            let speed = SPEED.tenths(&fields[SPEED.name], Speed::from_times)?;
            self.set_speed(light, speed)?;
        } else if is_alone(SLEEP_MINUTES.name) {
            let minutes = SLEEP_MINUTES.number(&fields[SLEEP_MINUTES.name])?;
            self.modify(light, |control| {
                control.sleep_minutes = minutes.round() as u32
            });
        } else if is_alone(SLEEP.name) {
            SLEEP.bool(&fields[SLEEP.name])?;
            self.sleep(light)?;
        } else {
            let speed = self.speed(light);
            let format = Format::HomeAssistant { speed };
            return LightCommand::of(&fields, format).map(Some);
        }
        Ok(None)
    }

    /// The speed of the effect that a light plays, or of its next one.
    fn speed(&self, light: LightId) -> Speed {
        let playing = self.hub.lights.state(light).effect;
        playing.map_or_else(
            || self.controls.borrow()[light.index()].speed,
            |effect| effect.speed,
        )
    }

    fn set_speed(&self, light: LightId, speed: Speed) -> Result<(), InputError> {
        let settings = self.hub.lights.light(light);
        let too_fast = |error| CommandError::TooFast(error, settings.name.clone());
        speed.at_most(settings.fastest).map_err(too_fast)?;
        self.modify(light, |control| control.speed = speed);
        let playing = self.hub.lights.state(light).lasting().effect;
        if let Some(effect) = playing.filter(Effect::is_endless) {
            self.hub.execute(
                &Actor::Mqtt,
                Command::Change {
                    target: Target::Own(light),
                    change: Change::Effect(Some(Effect { speed, ..effect })),
                    transition: None,
                },
            )?;
        }
        Ok(())
    }

    /// Starts the sleep timer of a light, the same that the page has; or cancels it.
    fn sleep(&self, light: LightId) -> Result<(), InputError> {
        let minutes = self.controls.borrow()[light.index()].sleep_minutes;
        let light = self.hub.lights.light(light).name.clone();
        let name = format!("sleep {light}");
        if minutes == 0 {
            return match self.hub.execute(&Actor::Mqtt, Command::CancelTimer(name)) {
                Err(CommandError::Timer(TimerError::NoSuchTimer(_))) | Ok(_) => Ok(()),
                Err(error) => Err(error.into()),
            };
        }
        let after = Duration::from_secs(u64::from(minutes) * 60);
        let fade = FADE.min(after / 2);
        let timer = NewTimer {
            // Cannot fail: the name of a light is short, and has no control characters.
            name: Name::new(&name).ok(),
            light: Some(light),
            due: Due::In(after - fade),
            action: TimerAction::On(false),
            transition: Some(fade),
        };
        self.hub.execute(&Actor::Mqtt, Command::AddTimer(timer))?;
        Ok(())
    }

    fn modify(&self, light: LightId, change: impl FnOnce(&mut Control)) {
        self.controls
            .send_modify(|controls| change(&mut controls[light.index()]));
    }
}
