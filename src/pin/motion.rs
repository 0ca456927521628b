//! Moves one pin as its light says: changes, transitions, and writes that fail.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::driver::Output;
use super::fade::Fade;
use super::{Ask, Pin};
use crate::config::{LightConfig, OnStop};
use crate::level::Duty;
use crate::lights::{LightState, Lights};

/// The first wait before a failed write is tried again; each further wait is twice as long.
const FIRST_RETRY: Duration = Duration::from_millis(100);
/// The longest such wait.
const LAST_RETRY: Duration = Duration::from_secs(5);
/// The shortest time between two duties of a transition.
const SHORTEST_TICK: Duration = Duration::from_millis(1);

/// What a pin's thread knows.
pub struct Motion {
    config: LightConfig,
    output: Output,
    lights: Arc<Lights>,
    index: usize,
    /// Shortest time between two duties of a transition: the driver takes none sooner.
    tick: Duration,
    /// The revision of the light that `fade` leads to.
    revision: Option<u64>,
    /// The way through the curve's shares of light, before `min_duty` and `max_duty`.
    fade: Fade,
    /// The last duty that the driver took, before inversion.
    written: Option<Duty>,
    /// Set while the driver fails: when to try again, and the wait after that.
    retry: Option<(Instant, Duration)>,
}

impl Motion {
    pub fn new(pin: Pin, lights: Arc<Lights>, index: usize) -> Motion {
        let period = Duration::from_secs(1) / pin.opened.frequency.max(1);
        Motion {
            config: pin.config,
            output: pin.opened.output,
            lights,
            index,
            tick: period.max(SHORTEST_TICK),
            revision: None,
            fade: Fade::at(0.0),
            written: None,
            retry: None,
        }
    }

    pub async fn run(mut self, stop: CancellationToken, mut asked: mpsc::Receiver<Ask>) {
        let mut watch = self.lights.watch();
        while !stop.is_cancelled() {
            self.aim(&watch.borrow_and_update()[self.index]);
            let wake = self.advance(Instant::now());
            tokio::select! {
                () = stop.cancelled() => {}
                changed = watch.changed() => {
                    if changed.is_err() {
                        break;
                    }
                }
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
                Some(ask) = asked.recv() => {
                    // Who asked may have given up waiting.
                    let _ = ask.send(());
                }
            }
        }
        self.finish();
    }

    /// Takes over a change of the light, from wherever the pin is now.
    fn aim(&mut self, light: &LightState) {
        if self.revision == Some(light.revision) {
            return;
        }
        let now = Instant::now();
        let target = self.config.curve.light(light.level);
        let first = self.revision.is_none();
        let time = match light.transition {
            // The service does not fade in: it goes back to where it was.
            _ if first => Duration::ZERO,
            Some(time) => time,
            None => self.config.transition,
        };
        self.fade = self.fade.turned(now, target, time);
        self.revision = Some(light.revision);
    }

    /// Brings the pin to where it is due at `now`, and says when to look again.
    fn advance(&mut self, now: Instant) -> Option<Instant> {
        if let Some((at, _)) = self.retry
            && now < at
        {
            return Some(at);
        }
        let duty = Duty::from_fraction(self.config.trimmed(self.fade.light(now)));
        if self.written != Some(duty) {
            match self.write(duty) {
                Ok(()) => self.recovered(),
                Err(message) => return Some(self.failed(now, message)),
            }
        }
        (!self.fade.is_over(now)).then(|| now + self.tick.max(self.fade.tick()))
    }

    fn write(&mut self, duty: Duty) -> Result<(), String> {
        let wired = if self.config.invert {
            duty.inverted()
        } else {
            duty
        };
        debug!("light {}: duty {}", self.config.name, wired.0);
        self.output
            .set_duty_cycle(wired.0)
            .map_err(|error| error.to_string())?;
        self.written = Some(duty);
        Ok(())
    }

    fn recovered(&mut self) {
        if self.retry.take().is_some() {
            let fault = self.lights.state(self.index).fault;
            let lasted = fault.and_then(|fault| fault.since.elapsed().ok());
            let seconds = lasted.unwrap_or_default().as_secs_f64();
            info!(
                "light {}: the driver works again after {seconds:.1} s",
                self.config.name
            );
            self.lights.report(self.index, None);
        }
    }

    fn failed(&mut self, now: Instant, message: String) -> Instant {
        let wait = match self.retry {
            Some((_, wait)) => wait,
            None => {
                warn!("light {}: {message}; trying again", self.config.name);
                FIRST_RETRY
            }
        };
        // What the pin shows now is not known.
        self.written = None;
        self.lights.report(self.index, Some(message));
        self.retry = Some((now + wait, (wait * 2).min(LAST_RETRY)));
        now + wait
    }

    /// The last duty: dark, or what the light is set to, without the rest of a transition.
    fn finish(mut self) {
        let last = match self.config.on_stop {
            OnStop::Off => Duty::OFF,
            OnStop::Keep => {
                let level = self.lights.state(self.index).level;
                let light = self.config.curve.light(level);
                Duty::from_fraction(self.config.trimmed(light))
            }
        };
        if self.written != Some(last)
            && let Err(message) = self.write(last)
        {
            warn!("light {}: at the stop: {message}", self.config.name);
        }
    }
}
