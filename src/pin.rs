//! Moves the pins: one thread for each light, which follows [`Lights`] and writes duty cycles to a driver.
//!
//! A driver may block, and no hardware call may delay the network. Transitions and effects run in the
//! same thread. While nothing changes, it sleeps without a timer.

mod controller;
pub mod device_tree;
mod dither;
pub mod driver;
mod effect_player;
mod kernel_pwm;
mod output;
pub mod pwmchip;
mod simulated;
pub mod software_pwm;
mod transition;

use std::path::Path;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, ensure};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::{LightConfig, OnStop};
use crate::metrics::Writes;
use crate::model::lights::{Driver, LightId, Lights};
use crate::platform::supervisor::{Probe, Supervisor, heartbeat};
use controller::PinController;
use output::Opened;

/// A pin that is open, and dark so far.
pub struct Pin {
    config: LightConfig,
    opened: Opened,
}

/// The thread of a pin. It ends, with the pin off or kept, once its token is cancelled.
pub struct PinThread {
    /// The name of its light.
    pub light: String,
    /// Cancelled when the thread has ended: the pin has got its last duty cycle, or the thread panicked.
    pub ended: CancellationToken,
    /// Asks the thread whether it still runs: not while the driver hangs in a write.
    pub probe: Probe,
    /// Counts what the driver was given.
    pub(crate) writes: Arc<Writes>,
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

    /// The driver that moves the pin, with its frequency in Hz and its resolution.
    pub fn driver(&self) -> (Driver, u32, u32) {
        let opened = &self.opened;
        (opened.driver, opened.frequency, opened.resolution)
    }

    /// Starts the thread that moves this pin as the light says, until `stop`.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(
        self,
        lights: Arc<Lights>,
        light: LightId,
        supervisor: &Supervisor,
        stop: CancellationToken,
    ) -> anyhow::Result<PinThread> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .context("cannot start the pin's thread")?;
        let name = self.config.name.clone();
        let ended = CancellationToken::new();
        let end = ended.clone().drop_guard();
        let (probe, heartbeat) = heartbeat();
        let controller = PinController::new(self.config, self.opened, lights, light);
        let writes = controller.writes();
        let run = {
            let stop = stop.clone();
            async move {
                controller.run(stop, heartbeat).await;
                Ok(())
            }
        };
        let run = supervisor.watch(format_args!("light {name}: pin"), &stop, run);
        thread::Builder::new()
            .name(format!("pin-{}", light.index()))
            .spawn(move || {
                // Dropped last, after the pin.
                let _end = end;
                runtime.block_on(run);
            })
            .context("cannot start the pin's thread")?;
        Ok(PinThread {
            light: name,
            ended,
            probe,
            writes,
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
    use crate::model::hub::Hub;
    use crate::model::level::Level;
    use crate::model::lights::{Change, LightState};
    use crate::platform::supervisor::Failures;

    /// How long something may take that must come about.
    const LIMIT: Duration = Duration::from_secs(20);

    /// An LED whose every write hangs until the test lets it go on, and panics when the test is gone.
    struct Held {
        called: Sender<()>,
        go_on: Receiver<()>,
    }

    impl ErrorType for Held {
        type Error = output::WriteError;
    }

    impl SetDutyCycle for Held {
        fn max_duty_cycle(&self) -> u16 {
            u16::MAX
        }

        fn set_duty_cycle(&mut self, _: u16) -> Result<(), output::WriteError> {
            self.called.send(()).expect("a test that listens");
            self.go_on.recv().expect("a test that panics on purpose");
            Ok(())
        }
    }

    /// The thread of a light with such an LED.
    struct Test {
        hub: Arc<Hub>,
        thread: PinThread,
        /// Hears of each write as it begins.
        calls: Receiver<()>,
        go_on: Sender<()>,
        failures: Failures,
    }

    fn start_held() -> Test {
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
        let light = LightConfig::default().light(pin.driver());
        let hub = Hub::with(Lights::new(vec![(light, state)]));
        let (supervisor, failures) = Supervisor::new();
        let stop = CancellationToken::new();
        let thread = pin.start(hub.lights.clone(), LightId::FIRST, &supervisor, stop);
        Test {
            hub,
            thread: thread.unwrap(),
            failures,
            calls,
            go_on,
        }
    }

    #[tokio::test]
    async fn a_thread_answers_but_not_while_its_driver_hangs() {
        let test = start_held();
        test.calls.recv_timeout(LIMIT).unwrap();
        test.go_on.send(()).unwrap();
        let thread = test.thread;
        timeout(LIMIT, thread.probe.answered())
            .await
            .expect("an answer");

        test.hub.change(LightId::FIRST, Change::Level(Level::FULL));
        test.calls.recv_timeout(LIMIT).unwrap();
        let mut answer = std::pin::pin!(thread.probe.answered());
        let early = timeout(Duration::from_millis(200), &mut answer).await;
        assert!(early.is_err(), "it hangs in the write");
        test.go_on.send(()).unwrap();
        timeout(LIMIT, answer).await.expect("an answer after all");
        assert!(!thread.ended.is_cancelled());
    }

    #[tokio::test]
    async fn a_thread_that_panics_is_noticed_and_answers_no_more() {
        let mut test = start_held();
        let thread = test.thread;
        drop(test.go_on);
        timeout(LIMIT, thread.ended.cancelled())
            .await
            .expect("the end of the thread");
        let answer = timeout(Duration::from_millis(50), thread.probe.answered()).await;
        assert!(answer.is_err());
        let failure = timeout(LIMIT, test.failures.next())
            .await
            .unwrap()
            .to_string();
        assert!(
            failure.starts_with("light led: pin: panicked: "),
            "{failure}"
        );
    }
}
