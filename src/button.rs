//! A push button between a GPIO and GND: a press toggles its light, a hold dims it.
//!
//! A thread of rppal waits for the edges by interrupt. The kernel debounces them, with a timer if the
//! hardware cannot.

use std::fmt;
use std::future;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rppal::gpio::{Error, InputPin, Trigger};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use crate::model::actor::Actor;
use crate::model::command::{Command, Target};
use crate::model::hub::Hub;
use crate::model::level::{Level, Step};
use crate::model::lights::{Change, LightId};
use crate::platform::gpio;
use crate::platform::gpio_lock::GpioLock;

/// How long the line must be steady before an edge counts. Contacts bounce for up to 20 ms.
const DEBOUNCE: Duration = Duration::from_millis(25);
/// How long a press takes to become a hold.
const HOLD_TIME: Duration = Duration::from_millis(400);
/// Time between two steps of one percent during a hold, and the transition of each.
const STEP_TIME: Duration = Duration::from_millis(30);

/// An open button.
pub struct Button {
    /// Its light and its GPIO, for the log.
    name: String,
    pin: InputPin,
    edges: UnboundedReceiver<Edge>,
    _lock: GpioLock,
}

/// A debounced edge of the line. The button pulls it low.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Edge {
    Press,
    Release,
}

impl fmt::Display for Button {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Button {
    /// Opens the button on a GPIO, 0 to 27, with its pull-up, for the light called `light`.
    ///
    /// # Errors
    /// The GPIO or its interrupts are not available; the message says why and what to do.
    pub fn open(light: &str, gpio: u8) -> anyhow::Result<Button> {
        let name = format!("light {light}: button on GPIO {gpio}");
        let lock = GpioLock::take(gpio).with_context(|| name.clone())?;
        let mut pin = gpio::acquire(gpio)
            .with_context(|| name.clone())?
            .into_input_pullup();
        let edges = listen(&mut pin)
            .map_err(gpio::explain)
            .with_context(|| name.clone())?;
        info!("{name}");
        Ok(Button {
            name,
            pin,
            edges,
            _lock: lock,
        })
    }

    /// Changes the light when the button is used; never ends.
    ///
    /// # Errors
    /// The interrupts are not available any more.
    pub async fn run(mut self, hub: Arc<Hub>, light: LightId) -> anyhow::Result<()> {
        loop {
            execute_presses(&mut self.edges, &hub, light).await;
            self.listen_again().map_err(gpio::explain)?;
        }
    }

    /// Starts rppal's thread again. It ends by itself when the process is stopped and continued.
    fn listen_again(&mut self) -> Result<(), Error> {
        match self.pin.clear_async_interrupt() {
            Err(Error::Io(error)) if error.kind() == ErrorKind::Interrupted => {}
            ended => ended?,
        }
        self.edges = listen(&mut self.pin)?;
        Ok(())
    }
}

/// The edges of a pin from now on. They end with rppal's thread.
fn listen(pin: &mut InputPin) -> Result<UnboundedReceiver<Edge>, Error> {
    let (sender, edges) = mpsc::unbounded_channel();
    // rppal requests the interrupt in its thread, and loses the error there. So request it here first.
    pin.set_interrupt(Trigger::Both, Some(DEBOUNCE))?;
    pin.set_async_interrupt(Trigger::Both, Some(DEBOUNCE), move |event| {
        let edge = match event.trigger {
            Trigger::FallingEdge => Edge::Press,
            _ => Edge::Release,
        };
        // The receiver is gone once the service stops.
        let _ = sender.send(edge);
    })?;
    Ok(edges)
}

/// Executes the presses that the edges make, until the edges end.
async fn execute_presses(edges: &mut UnboundedReceiver<Edge>, hub: &Hub, light: LightId) {
    let mut presses = PressDetector::default();
    loop {
        let (change, transition) = tokio::select! {
            biased;
            edge = edges.recv() => match edge {
                Some(Edge::Press) => {
                    presses.press(Instant::now());
                    continue;
                }
                Some(Edge::Release) => (presses.release(), None),
                None => return,
            },
            () = sleep_until_due(presses.due()) => {
                let level = hub.lights.state(light).level;
                (presses.step(Instant::now(), level), Some(STEP_TIME))
            }
        };
        if let Some(change) = change {
            let command = Command::Change {
                target: Target::Own(light),
                change,
                transition,
            };
            if let Err(error) = hub.execute(&Actor::Button, command) {
                let name = &hub.lights.light(light).name;
                warn!("light {name}: button: {error}");
            }
        }
    }
}

/// Never resolves if nothing is due.
async fn sleep_until_due(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => future::pending().await,
    }
}

/// Turns presses and releases into changes of a light: a state machine without a clock or a pin.
#[derive(Debug, Default)]
struct PressDetector {
    phase: Phase,
    /// The direction of the last hold.
    last_direction: Option<Step>,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Released,
    /// Pressed; a hold from this time on.
    Pressed(Instant),
    /// Held; the next step of this kind is due at this time.
    Dimming(Step, Instant),
    /// Held, with the level at the end of its range.
    AtEnd,
}

impl PressDetector {
    fn press(&mut self, now: Instant) {
        if let Phase::Released = self.phase {
            self.phase = Phase::Pressed(now + HOLD_TIME);
        }
    }

    /// Toggles, unless the press has become a hold.
    fn release(&mut self) -> Option<Change> {
        match std::mem::take(&mut self.phase) {
            Phase::Pressed(_) => Some(Change::Toggle),
            _ => None,
        }
    }

    /// When to call [`PressDetector::step`] next; `None` while there is nothing to do.
    fn due(&self) -> Option<Instant> {
        match self.phase {
            Phase::Pressed(due) | Phase::Dimming(_, due) => Some(due),
            Phase::Released | Phase::AtEnd => None,
        }
    }

    /// The next step of a hold, for a light at `level`.
    fn step(&mut self, now: Instant, level: Level) -> Option<Change> {
        let step = match self.phase {
            Phase::Pressed(_) => self.begin_hold(level),
            Phase::Dimming(step, _) => step,
            Phase::Released | Phase::AtEnd => return None,
        };
        if is_at_end(level, step) {
            self.phase = Phase::AtEnd;
            return None;
        }
        self.phase = Phase::Dimming(step, now + STEP_TIME);
        Some(Change::Step(step))
    }

    /// The direction of a new hold: opposite to the last one, or away from an end.
    fn begin_hold(&mut self, level: Level) -> Step {
        let opposite = match self.last_direction {
            Some(Step::UP) => Step::DOWN,
            _ => Step::UP,
        };
        let direction = match level {
            level if is_at_end(level, Step::UP) => Step::DOWN,
            level if is_at_end(level, Step::DOWN) => Step::UP,
            _ => opposite,
        };
        self.last_direction = Some(direction);
        direction
    }
}

/// Whether a hold goes no further: up to full, and down to the last step above off, because the next
/// press returns to the level that the hold leaves.
fn is_at_end(level: Level, step: Step) -> bool {
    match step {
        Step::DOWN => level.stepped(step).is_off(),
        _ => level == Level::FULL,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
    use tokio::task::JoinHandle;
    use tokio::time::sleep;

    use super::*;
    use crate::model::lights::Lights;

    const LED: LightId = LightId::FIRST;

    fn level(percent: f64) -> Level {
        Level::from_percent(percent).unwrap()
    }

    /// A finger on the button of a light, with tokio's paused clock.
    struct Finger {
        edges: UnboundedSender<Edge>,
        hub: Arc<Hub>,
        lights: Arc<Lights>,
        task: JoinHandle<()>,
    }

    impl Finger {
        fn on_light_at(percent: f64) -> Finger {
            let hub = Hub::with(Lights::led());
            let lights = hub.lights.clone();
            hub.change(LED, Change::Level(level(percent)));
            let shared = hub.clone();
            let (edges, mut received) = unbounded_channel();
            let task = tokio::spawn(async move { execute_presses(&mut received, &hub, LED).await });
            Finger {
                edges,
                hub: shared,
                lights,
                task,
            }
        }

        /// Presses for this long, and returns the resulting level.
        async fn press(&self, time: Duration) -> f64 {
            self.edges.send(Edge::Press).unwrap();
            sleep(time).await;
            self.edges.send(Edge::Release).unwrap();
            sleep(10 * STEP_TIME).await;
            self.lights.state(LED).level.percent()
        }

        /// Holds for this number of steps, and returns the resulting level.
        async fn hold(&self, steps: u32) -> f64 {
            // Release in the middle between two steps.
            self.press(HOLD_TIME + steps * STEP_TIME - STEP_TIME / 2)
                .await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_press_toggles_when_it_ends_and_is_recorded_as_the_button() {
        let finger = Finger::on_light_at(30.0);
        finger.edges.send(Edge::Press).unwrap();
        sleep(HOLD_TIME - STEP_TIME).await;
        assert_eq!(finger.lights.state(LED).level, level(30.0), "not yet");
        finger.edges.send(Edge::Release).unwrap();
        sleep(STEP_TIME).await;
        let state = finger.lights.state(LED);
        assert_eq!((state.level, state.by), (Level::OFF, Some(Actor::Button)));
        assert_eq!(finger.press(STEP_TIME).await, 30.0);
    }

    #[tokio::test(start_paused = true)]
    async fn each_hold_dims_the_other_way() {
        let finger = Finger::on_light_at(50.0);
        assert_eq!(finger.hold(10).await, 60.0);
        assert_eq!(finger.hold(25).await, 35.0);
        assert_eq!(finger.press(STEP_TIME).await, 0.0);
        assert_eq!(finger.press(STEP_TIME).await, 35.0);
        assert_eq!(
            finger.hold(5).await,
            40.0,
            "a press does not change the direction"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_brightens_from_off_and_dims_from_full() {
        let finger = Finger::on_light_at(50.0);
        assert_eq!(finger.hold(1).await, 51.0);
        assert_eq!(finger.hold(1).await, 50.0);
        finger.press(STEP_TIME).await;
        assert_eq!(finger.hold(7).await, 7.0);
        finger.hub.change(LED, Change::Level(Level::FULL));
        assert_eq!(finger.hold(4).await, 96.0);
        assert_eq!(finger.hold(3).await, 99.0);
        finger.hub.change(LED, Change::On(false));
        assert_eq!(finger.hold(2).await, 2.0, "up twice in a row");
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_stops_at_full_and_at_the_last_step_above_off() {
        let finger = Finger::on_light_at(50.0);
        assert_eq!(finger.hold(200).await, 100.0);
        assert_eq!(finger.hold(200).await, 1.0);
        assert_eq!(finger.hold(1).await, 2.0);
        let revision = finger.lights.state(LED).revision;
        assert_eq!(revision, 1 + 50 + 99 + 1, "no change is made at an end");
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_dims_without_pauses_between_its_steps() {
        let finger = Finger::on_light_at(50.0);
        finger.edges.send(Edge::Press).unwrap();
        sleep(HOLD_TIME + STEP_TIME / 2).await;
        for _ in 0..20 {
            let remaining = finger.lights.state(LED).remaining();
            assert!(remaining.is_some(), "the transition of the step runs");
            sleep(STEP_TIME).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_timer_runs_unless_a_step_is_due() {
        let mut button = PressDetector::default();
        let now = Instant::now();
        assert_eq!(button.due(), None);
        button.press(now);
        assert_eq!(button.due(), Some(now + HOLD_TIME));
        assert_eq!(
            button.step(now + HOLD_TIME, level(99.0)),
            Some(Change::Step(Step::UP))
        );
        assert_eq!(button.due(), Some(now + HOLD_TIME + STEP_TIME));
        assert_eq!(button.step(now + HOLD_TIME + STEP_TIME, Level::FULL), None);
        assert_eq!(button.due(), None, "held at the end");
        assert_eq!(button.release(), None);
        assert_eq!(button.due(), None);
    }

    #[tokio::test]
    async fn the_task_ends_with_the_edges() {
        let finger = Finger::on_light_at(50.0);
        drop(finger.edges);
        finger.task.await.unwrap();
    }

    proptest! {
        /// Also if an edge comes twice in a row: each press toggles at most once, and a hold ends with
        /// the release.
        #[test]
        fn edges_in_any_order_are_presses(edges in prop::collection::vec((any::<bool>(), 0_u64..900), 0..60)) {
            let mut button = PressDetector::default();
            let mut now = Instant::now();
            let (mut down, mut steps) = (false, 0);
            for (press, pause) in edges {
                if press {
                    button.press(now);
                    steps = if down { steps } else { 0 };
                    down = true;
                } else {
                    let toggles = button.release() == Some(Change::Toggle);
                    prop_assert_eq!(toggles, down && steps == 0);
                    prop_assert_eq!(button.due(), None);
                    down = false;
                }
                let end = now + Duration::from_millis(pause);
                while let Some(due) = button.due().filter(|due| *due <= end) {
                    prop_assert!(down, "a step without a press");
                    prop_assert!(button.step(due, Level::HALF).is_some());
                    steps += 1;
                }
                now = end;
            }
        }
    }
}
