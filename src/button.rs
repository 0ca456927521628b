//! A button on the wall, between a GPIO and GND: a press toggles its light, a hold dims it.
//!
//! Edges come by interrupt from a thread of rppal. The kernel debounces them, with a timer of its own
//! where the GPIOs cannot.

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

impl fmt::Display for Button {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Button {
    /// Listens to a GPIO, 0 to 27, with its pull-up, for the light called `light`.
    ///
    /// # Errors
    /// The GPIO or its interrupts cannot be had; the message says why and what to do.
    pub fn open(light: &str, gpio: u8) -> anyhow::Result<Button> {
        let name = format!("light {light}: button on GPIO {gpio}");
        let mut pin = gpio::take(gpio)
            .with_context(|| name.clone())?
            .into_input_pullup();
        let edges = listen(&mut pin)
            .map_err(gpio::advice)
            .with_context(|| name.clone())?;
        info!("{name}");
        Ok(Button { name, pin, edges })
    }

    /// Changes the light as the button says.
    ///
    /// # Errors
    /// The interrupts cannot be had any more.
    pub async fn run(mut self, hub: Arc<Hub>, light: LightId) -> anyhow::Result<()> {
        loop {
            follow(&mut self.edges, &hub, light).await;
            self.listen_again().map_err(gpio::advice)?;
        }
    }

    /// The thread of rppal has ended by itself, as it does when the process was stopped and goes on.
    fn listen_again(&mut self) -> Result<(), Error> {
        match self.pin.clear_async_interrupt() {
            Err(Error::Io(error)) if error.kind() == ErrorKind::Interrupted => {}
            ended => ended?,
        }
        self.edges = listen(&mut self.pin)?;
        Ok(())
    }
}

/// What happens at a pin from now on. It ends with the thread of rppal.
fn listen(pin: &mut InputPin) -> Result<UnboundedReceiver<Edge>, Error> {
    let (sender, edges) = mpsc::unbounded_channel();
    // rppal asks the kernel only in its thread, which would keep an error to itself. So ask here first.
    pin.set_interrupt(Trigger::Both, Some(DEBOUNCE))?;
    pin.set_async_interrupt(Trigger::Both, Some(DEBOUNCE), move |event| {
        let edge = match event.trigger {
            Trigger::FallingEdge => Edge::Press,
            _ => Edge::Release,
        };
        // Nobody listens once the service stops.
        let _ = sender.send(edge);
    })?;
    Ok(edges)
}

/// Changes a light by the edges of its button, until they end.
async fn follow(edges: &mut UnboundedReceiver<Edge>, hub: &Hub, light: LightId) {
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
                let level = hub.lights.state(light).level;
                (button.step(Instant::now(), level), Some(STEP))
            }
        };
        if let Some(change) = change {
            let command = Command::Change {
                target: Target::Own(light),
                change,
                transition,
            };
            if let Err(error) = hub.execute(&Actor::Button, command) {
                warn!("a button: {error}");
            }
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

    /// A finger on the button of a light. Time is the test's own.
    struct Finger {
        edges: UnboundedSender<Edge>,
        hub: Arc<Hub>,
        lights: Arc<Lights>,
        follower: JoinHandle<()>,
    }

    impl Finger {
        fn on_a_light_at(percent: f64) -> Finger {
            let hub = Hub::with(Lights::led());
            let lights = hub.lights.clone();
            hub.change(LED, Change::Level(level(percent)));
            let shared = hub.clone();
            let (edges, mut heard) = unbounded_channel();
            let follower = tokio::spawn(async move { follow(&mut heard, &hub, LED).await });
            Finger {
                edges,
                hub: shared,
                lights,
                follower,
            }
        }

        /// Presses for this long, and returns the level that comes of it.
        async fn presses(&self, time: Duration) -> f64 {
            self.edges.send(Edge::Press).unwrap();
            sleep(time).await;
            self.edges.send(Edge::Release).unwrap();
            sleep(10 * STEP).await;
            self.lights.state(LED).level.percent()
        }

        /// Holds for so many steps.
        async fn holds(&self, steps: u32) -> f64 {
            // In the middle between two steps.
            self.presses(HOLD + steps * STEP - STEP / 2).await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_press_toggles_when_it_ends_and_says_who_did_it() {
        let finger = Finger::on_a_light_at(30.0);
        finger.edges.send(Edge::Press).unwrap();
        sleep(HOLD - STEP).await;
        assert_eq!(finger.lights.state(LED).level, level(30.0), "not yet");
        finger.edges.send(Edge::Release).unwrap();
        sleep(STEP).await;
        let state = finger.lights.state(LED);
        assert_eq!((state.level, state.by), (Level::OFF, Some(Actor::Button)));
        assert_eq!(finger.presses(STEP).await, 30.0);
    }

    #[tokio::test(start_paused = true)]
    async fn each_hold_dims_the_other_way() {
        let finger = Finger::on_a_light_at(50.0);
        assert_eq!(finger.holds(10).await, 60.0);
        assert_eq!(finger.holds(25).await, 35.0);
        assert_eq!(finger.presses(STEP).await, 0.0);
        assert_eq!(finger.presses(STEP).await, 35.0);
        assert_eq!(finger.holds(5).await, 40.0, "a press turns nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_brightens_from_off_and_dims_from_full() {
        let finger = Finger::on_a_light_at(50.0);
        assert_eq!(finger.holds(1).await, 51.0);
        assert_eq!(finger.holds(1).await, 50.0);
        finger.presses(STEP).await;
        assert_eq!(finger.holds(7).await, 7.0);
        finger.hub.change(LED, Change::Level(Level::FULL));
        assert_eq!(finger.holds(4).await, 96.0);
        assert_eq!(finger.holds(3).await, 99.0);
        finger.hub.change(LED, Change::On(false));
        assert_eq!(finger.holds(2).await, 2.0, "up twice in a row");
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_stops_at_full_and_at_the_last_step_above_off() {
        let finger = Finger::on_a_light_at(50.0);
        assert_eq!(finger.holds(200).await, 100.0);
        assert_eq!(finger.holds(200).await, 1.0);
        assert_eq!(finger.holds(1).await, 2.0);
        let revision = finger.lights.state(LED).revision;
        assert_eq!(revision, 1 + 50 + 99 + 1, "nothing is said at an end");
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_dims_evenly_without_a_pause() {
        let finger = Finger::on_a_light_at(50.0);
        finger.edges.send(Edge::Press).unwrap();
        sleep(HOLD + STEP / 2).await;
        for _ in 0..20 {
            let left = finger.lights.state(LED).remaining();
            assert!(left.is_some(), "it is on its way to the next step");
            sleep(STEP).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_timer_runs_but_for_a_step() {
        let mut button = Presses::default();
        let now = Instant::now();
        assert_eq!(button.due(), None);
        button.press(now);
        assert_eq!(button.due(), Some(now + HOLD));
        assert_eq!(
            button.step(now + HOLD, level(99.0)),
            Some(Change::Step(Step::UP))
        );
        assert_eq!(button.due(), Some(now + HOLD + STEP));
        assert_eq!(button.step(now + HOLD + STEP, Level::FULL), None);
        assert_eq!(button.due(), None, "held at the end");
        assert_eq!(button.release(), None);
        assert_eq!(button.due(), None);
    }

    #[tokio::test]
    async fn it_ends_with_its_edges() {
        let finger = Finger::on_a_light_at(50.0);
        drop(finger.edges);
        finger.follower.await.unwrap();
    }

    proptest! {
        /// Whatever edges come, twice the same among them: each press toggles at most once, and
        /// what it does ends with its release.
        #[test]
        fn edges_in_any_order_are_presses(edges in prop::collection::vec((any::<bool>(), 0_u64..900), 0..60)) {
            let mut button = Presses::default();
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
                    prop_assert!(down, "a step without a finger");
                    prop_assert!(button.step(due, Level::HALF).is_some());
                    steps += 1;
                }
                now = end;
            }
        }
    }
}
