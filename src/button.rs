//! A button on the wall, between a GPIO and GND: a press toggles its light, a hold dims it.
//!
//! Edges come by interrupt from a thread of rppal. The kernel debounces them, whatever the Pi:
//! no GPIO block of one can, so it waits with a timer until the line has been steady.

use std::future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rppal::gpio::{InputPin, Trigger};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::gpio;
use crate::level::{Level, Step};
use crate::lights::{Change, Lights};

/// Who changes a light by a button, as told to pages.
const BY: &str = "button";
/// For how long the line must be steady. Contacts bounce for up to 20 ms.
const DEBOUNCE: Duration = Duration::from_millis(25);
/// When a press becomes a hold.
const HOLD: Duration = Duration::from_millis(400);
/// Time from one percent to the next during a hold, and of the transition between them.
const STEP: Duration = Duration::from_millis(30);

/// A button that is open.
pub struct Button {
    /// For the log: its light and its GPIO.
    name: String,
    pin: InputPin,
    edges: UnboundedReceiver<Edge>,
}

/// What a finger does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Edge {
    Press,
    Release,
}

impl Button {
    /// Listens to a GPIO, 0 to 27, with its pull-up, for the light called `light`.
    ///
    /// # Errors
    /// The GPIO or its interrupts cannot be had; the message says why and what to do.
    pub fn open(light: &str, gpio: u8) -> anyhow::Result<Button> {
        let name = format!("light {light}: button on GPIO {gpio}");
        let (pin, edges) = listen(gpio).with_context(|| name.clone())?;
        info!("{name}");
        Ok(Button { name, pin, edges })
    }

    /// Changes the light at `index` as the button says, until `stop`.
    pub async fn follow(mut self, lights: Arc<Lights>, index: usize, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = follow(&mut self.edges, &lights, index) => {
                // The thread of rppal has ended by itself: this says why.
                let error = self.pin.clear_async_interrupt().map_err(gpio::advice);
                let why = error.err().map(|error| format!("{error:#}")).unwrap_or_default();
                warn!("{}: is not heard any more until a restart: {why}", self.name);
            }
        }
    }
}

fn listen(gpio: u8) -> anyhow::Result<(InputPin, UnboundedReceiver<Edge>)> {
    let mut pin = gpio::take(gpio)?.into_input_pullup();
    let (sender, edges) = mpsc::unbounded_channel();
    // rppal asks the kernel only in its thread, which would keep an error to itself. So ask here first.
    pin.set_interrupt(Trigger::Both, Some(DEBOUNCE))
        .and_then(|()| {
            pin.set_async_interrupt(Trigger::Both, Some(DEBOUNCE), move |event| {
                let edge = match event.trigger {
                    Trigger::FallingEdge => Edge::Press,
                    _ => Edge::Release,
                };
                // Nobody listens once the service stops.
                let _ = sender.send(edge);
            })
        })
        .map_err(gpio::advice)?;
    Ok((pin, edges))
}

/// Changes a light by the edges of its button, until they end.
async fn follow(edges: &mut UnboundedReceiver<Edge>, lights: &Lights, index: usize) {
    let by = Arc::<str>::from(BY);
    let mut button = Presses::default();
    loop {
        let (change, transition) = tokio::select! {
            biased;
            edge = edges.recv() => match edge {
                Some(Edge::Press) => {
                    button.press(Instant::now());
                    continue;
                }
                Some(Edge::Release) => (button.release(), None),
                None => return,
            },
            () = until(button.due()) => {
                let level = lights.state(index).level;
                (button.step(Instant::now(), level), Some(STEP))
            }
        };
        if let Some(change) = change {
            lights.change(index, change, transition, Some(by.clone()));
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => future::pending().await,
    }
}

/// What a button is about to do, without its clock and its pin.
#[derive(Debug, Default)]
struct Presses {
    phase: Phase,
    /// Which way the last hold went.
    last: Option<Step>,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Released,
    /// Pressed, and a hold from this time on.
    Pressed(Instant),
    /// Held, with a step of this kind due at this time.
    Dims(Step, Instant),
    /// Held, at the end of its way.
    Arrived,
}

impl Presses {
    fn press(&mut self, now: Instant) {
        if let Phase::Released = self.phase {
            self.phase = Phase::Pressed(now + HOLD);
        }
    }

    /// A press that has not become a hold toggles.
    fn release(&mut self) -> Option<Change> {
        match std::mem::take(&mut self.phase) {
            Phase::Pressed(_) => Some(Change::Toggle),
            _ => None,
        }
    }

    /// When [`Presses::step`] is to be called: never while nothing is to be done.
    fn due(&self) -> Option<Instant> {
        match self.phase {
            Phase::Pressed(due) | Phase::Dims(_, due) => Some(due),
            Phase::Released | Phase::Arrived => None,
        }
    }

    /// The next step of a hold, for a light at `level`.
    fn step(&mut self, now: Instant, level: Level) -> Option<Change> {
        let step = match self.phase {
            Phase::Pressed(_) => self.turn(level),
            Phase::Dims(step, _) => step,
            Phase::Released | Phase::Arrived => return None,
        };
        if is_end(level, step) {
            self.phase = Phase::Arrived;
            return None;
        }
        self.phase = Phase::Dims(step, now + STEP);
        Some(Change::Step(step))
    }

    /// The way of a new hold: the other than last time, or away from an end.
    fn turn(&mut self, level: Level) -> Step {
        let other = match self.last {
            Some(Step::UP) => Step::DOWN,
            _ => Step::UP,
        };
        let step = match level {
            level if is_end(level, Step::UP) => Step::DOWN,
            level if is_end(level, Step::DOWN) => Step::UP,
            _ => other,
        };
        self.last = Some(step);
        step
    }
}

/// Whether a hold goes no further: up to full, and down to the last step above off, as the level that
/// it leaves is what the next press goes back to.
fn is_end(level: Level, step: Step) -> bool {
    match step {
        Step::DOWN => level.stepped(step).is_off(),
        _ => level == Level::FULL,
    }
}
