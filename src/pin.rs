//! Moves the pins: one thread a light, which follows [`Lights`] and writes duties to its driver.
//!
//! A thread of its own because a driver may block, and no hardware call may hold up the pages.
//! Transitions run here, too. While nothing changes the thread sleeps without a timer.

mod controller;
pub mod device_tree;
mod dither;
pub mod driver;
mod effect_player;
mod kernel_pwm;
pub mod pwmchip;
mod simulated;
pub mod software_pwm;
mod transition;

use std::future;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, ensure};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::{LightConfig, OnStop};
use crate::metrics::Writes;
use crate::model::lights::{Driver, Light, Lights};
use controller::PinController;
use driver::Opened;

/// A pin that is open, and dark so far.
pub struct Pin {
    config: LightConfig,
    opened: Opened,
}

/// A thread that follows a light. It ends, with the pin off or kept, once its token is cancelled.
#[derive(Clone)]
pub struct Follower {
    /// The name of its light.
    pub light: String,
    /// Cancelled when the thread has ended: the pin has got its last duty, or the thread panicked.
    pub ended: CancellationToken,
    /// What its driver was given.
    pub writes: Arc<Writes>,
    asks: mpsc::Sender<Ask>,
}

/// Asks a pin's thread whether it is alive: it answers by sending.
type Ask = oneshot::Sender<()>;

impl Follower {
    /// Resolves once the thread answers: not while its driver hangs in a write, nor after its end.
    pub async fn answers(&self) {
        let (ask, answer) = oneshot::channel();
        if self.asks.send(ask).await.is_err() || answer.await.is_err() {
            future::pending().await
        }
    }
}

impl Pin {
    /// Opens the driver that the settings ask for. May block for seconds, until udev has come by.
    ///
    /// # Errors
    /// The driver cannot be opened; the message says why and what to do.
    pub fn open(config: LightConfig, trace: Option<&Path>) -> anyhow::Result<Pin> {
        let opened = driver::open(&config, trace)
            .with_context(|| format!("light {} on GPIO {}", config.name, config.gpio))?;
        info!(
            "light {}: GPIO {}: {}, {} Hz, {} steps",
            config.name, config.gpio, opened.about, opened.frequency, opened.resolution
        );
        Ok(Pin { config, opened })
    }

    /// What the light is, as told to pages and programs.
    pub fn light(&self) -> Light {
        Light {
            name: self.config.name.clone(),
            title: self.config.title().into(),
            hidden: self.config.hidden,
            gpio: self.config.gpio,
            driver: self.opened.driver,
            frequency: self.opened.frequency,
            resolution: self.opened.resolution,
            simulated: self.opened.driver == Driver::Simulated,
            transition: self.config.transition,
            fastest: self.config.fastest(),
        }
    }

    /// The GPIO of the light's button, if it has one.
    pub fn button_gpio(&self) -> Option<u8> {
        self.config.button_gpio
    }

    /// Starts the thread that moves this pin as the light at `index` says.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn follow(
        self,
        lights: Arc<Lights>,
        index: usize,
        stop: CancellationToken,
    ) -> anyhow::Result<Follower> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .context("cannot start the pin's thread")?;
        let light = self.config.name.clone();
        let ended = CancellationToken::new();
        // One is enough: who asks waits for the answer.
        let (asks, asked) = mpsc::channel(1);
        let end = ended.clone().drop_guard();
        let motion = PinController::new(self, lights, index);
        let writes = motion.writes();
        thread::Builder::new()
            .name(format!("pin-{index}"))
            .spawn(move || {
                // Dropped last, also by a panic.
                let _end = end;
                runtime.block_on(motion.run(stop, asked));
            })
            .context("cannot start the pin's thread")?;
        Ok(Follower {
            light,
            ended,
            writes,
            asks,
        })
    }
}

/// Puts the pins of the lights off without a service, as after a crash: those that are to be off
/// when the service stops.
///
/// # Errors
/// Some driver could not be opened; each such is logged, and all others are off.
pub fn park(lights: Vec<LightConfig>) -> anyhow::Result<()> {
    let mut failed = 0;
    for light in lights {
        if light.on_stop == OnStop::Keep {
            continue;
        }
        // An open pin is dark.
        match Pin::open(light, None) {
            Ok(Pin { config, .. }) => info!("light {}: off", config.name),
            Err(error) => {
                warn!("{error:#}");
                failed += 1;
            }
        }
    }
    ensure!(failed == 0, "{failed} of the pins may not be off");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    use embedded_hal::pwm::{ErrorType, SetDutyCycle};
    use tokio::time::timeout;

    use super::*;
    use crate::model::level::Level;
    use crate::model::lights::{Change, LightState};

    /// How long something may take that must come about.
    const LIMIT: Duration = Duration::from_secs(20);

    /// An LED whose every write hangs until the test lets it go on, and panics when the test is gone.
    struct Held {
        called: Sender<()>,
        go_on: Receiver<()>,
    }

    impl ErrorType for Held {
        type Error = driver::WriteError;
    }

    impl SetDutyCycle for Held {
        fn max_duty_cycle(&self) -> u16 {
            u16::MAX
        }

        fn set_duty_cycle(&mut self, _: u16) -> Result<(), driver::WriteError> {
            self.called.send(()).expect("a test that listens");
            self.go_on.recv().expect("a test that panics on purpose");
            Ok(())
        }
    }

    /// What happens to a light with such an LED.
    struct Test {
        lights: Arc<Lights>,
        follower: Follower,
        /// Hears of each write as it begins.
        calls: Receiver<()>,
        go_on: Sender<()>,
    }

    fn follow_held() -> Test {
        let (called, calls) = channel();
        let (go_on, held) = channel();
        let pin = Pin {
            config: LightConfig::default(),
            opened: Opened {
                output: Box::new(Held {
                    called,
                    go_on: held,
                }),
                driver: Driver::Simulated,
                frequency: 1000,
                resolution: 65_536,
                about: "held".into(),
            },
        };
        let state = LightState::new(Level::HALF, Level::HALF);
        let lights = Arc::new(Lights::new(vec![(pin.light(), state)]));
        let follower = pin.follow(lights.clone(), 0, CancellationToken::new());
        Test {
            lights,
            follower: follower.unwrap(),
            calls,
            go_on,
        }
    }

    #[tokio::test]
    async fn a_thread_answers_but_not_while_its_driver_hangs() {
        let test = follow_held();
        test.calls.recv_timeout(LIMIT).unwrap();
        test.go_on.send(()).unwrap();
        let follower = test.follower;
        timeout(LIMIT, follower.answers()).await.expect("an answer");

        test.lights
            .change(0, Change::Level(Level::FULL), None, None);
        test.calls.recv_timeout(LIMIT).unwrap();
        let mut answer = std::pin::pin!(follower.answers());
        let early = timeout(Duration::from_millis(200), &mut answer).await;
        assert!(early.is_err(), "it hangs in the write");
        test.go_on.send(()).unwrap();
        timeout(LIMIT, answer).await.expect("an answer after all");
        assert!(!follower.ended.is_cancelled());
    }

    #[tokio::test]
    async fn a_thread_that_panics_is_noticed_and_answers_no_more() {
        let test = follow_held();
        let follower = test.follower;
        drop(test.go_on);
        timeout(LIMIT, follower.ended.cancelled())
            .await
            .expect("the end of the thread");
        let answer = timeout(Duration::from_millis(50), follower.answers()).await;
        assert!(answer.is_err());
    }
}
