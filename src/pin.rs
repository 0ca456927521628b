//! Moves the pins: one thread per light follows [`Lights`] and writes duty cycles to a driver.
//!
//! A thread, because a driver may block, and no hardware call may delay the network. Transitions and
//! effects run in the same thread. While nothing changes, it sleeps without a timer.

mod controller;
pub(crate) mod device_tree;
mod dither;
pub mod driver;
mod effect_player;
pub mod gpio_owner;
pub mod kernel_bug;
mod kernel_pwm;
mod open_channel;
mod output;
pub mod pwmchip;
pub(crate) mod real_time;
mod simulated;
pub(crate) mod software_pwm;
mod transition;

use std::path::Path;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, ensure};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::{LightConfig, OnStop};
use crate::metrics::WriteMetrics;
use crate::model::lights::{Driver, LightId, Lights};
use crate::platform::gpio_lock::GpioLock;
use crate::platform::supervisor::{Probe, Supervisor, heartbeat};
use controller::PinController;
use driver::Choice;
use output::OpenOutput;

/// A pin that no other process has, with its driver; not opened yet.
pub struct Reservation {
    config: LightConfig,
    choice: Choice,
    /// `None` for a simulated pin.
    lock: Option<GpioLock>,
}

/// An open pin, which is dark, or goes on if it was to keep its duty.
pub struct Pin {
    config: LightConfig,
    open: OpenOutput,
    /// Dropped last, once the pin has its final duty.
    lock: Option<GpioLock>,
}

/// The thread of a pin. It ends once its token is cancelled, and leaves the pin as `on_stop` says.
pub struct PinThread {
    /// The name of its light.
    pub light: String,
    /// Cancelled when the thread has ended: the final duty has been written, or the thread panicked.
    pub ended: CancellationToken,
    /// Asks the thread whether it still runs. No answer while the driver hangs in a write.
    pub probe: Probe,
    /// The metrics of the writes to the driver.
    pub(crate) writes: Arc<WriteMetrics>,
}

/// Names the light and the GPIO that an error is about.
fn subject(light: &LightConfig) -> String {
    format!("light {} on GPIO {}", light.name, light.gpio)
}

impl Reservation {
    /// Chooses the driver that the settings ask for, and locks the GPIO. Touches no pin.
    ///
    /// # Errors
    /// The driver does not support the settings, or another process has the GPIO; the message says what to do.
    pub fn new(config: LightConfig) -> anyhow::Result<Reservation> {
        let reserve = || {
            let choice = driver::choose(Path::new("/"), config.driver, config.gpio);
            driver::check(Path::new("/"), &choice, &config)?;
            let lock = match choice {
                Choice::Simulated(_) => None,
                _ => Some(GpioLock::take(config.gpio)?),
            };
            anyhow::Ok((choice, lock))
        };
        let (choice, lock) = reserve().with_context(|| subject(&config))?;
        Ok(Reservation {
            config,
            choice,
            lock,
        })
    }

    /// Opens the driver. May block for seconds: udev sets permissions late.
    ///
    /// # Errors
    /// The driver cannot be opened; the message says why and what to do.
    pub fn open(self, trace: Option<&Path>) -> anyhow::Result<Pin> {
        let Reservation {
            mut config,
            choice,
            lock,
        } = self;
        let open = driver::open(choice, &config, trace).with_context(|| subject(&config))?;
        info!(
            "light {}: GPIO {}: {}, {} Hz, {} steps",
            config.name, config.gpio, open.description, open.frequency, open.resolution
        );
        if let Some(reason) = &open.fallback {
            warn!(
                "light {}: {} instead of kernel-pwm: {reason}",
                config.name,
                open.driver.name()
            );
            config = driver::software_instead(&config);
        }
        Ok(Pin { config, open, lock })
    }
}

impl Pin {
    /// The pin's driver, its frequency in Hz and its resolution in steps.
    pub fn driver(&self) -> (Driver, u32, u32) {
        (self.open.driver, self.open.frequency, self.open.resolution)
    }

    /// If `auto` chose `kernel-pwm` and the pin is on `software-pwm`: why, and what to do, in one line.
    pub fn fallback(&self) -> Option<&str> {
        self.open.fallback.as_deref()
    }

    /// Starts the thread that moves this pin as the light's state says, until `stop`.
    ///
    /// # Errors
    /// The system cannot start another thread.
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
        let ended_guard = ended.clone().drop_guard();
        let (probe, heartbeat) = heartbeat();
        let controller = PinController::new(self.config, self.open, lights, light);
        let writes = controller.writes();
        let run = {
            let stop = stop.clone();
            async move {
                controller.run(stop, heartbeat).await;
                Ok(())
            }
        };
        let run = supervisor.watch(format_args!("light {name}: pin"), &stop, run);
        let lock = self.lock;
        thread::Builder::new()
            .name(format!("pin-{}", light.index()))
            .spawn(move || {
                // Dropped in reverse, after the pin.
                let _ended_guard = ended_guard;
                let _lock = lock;
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

/// Switches off the pins without a service, as after a crash, except those that keep their duty when
/// the service stops and those that another process has.
///
/// # Errors
/// A driver cannot be opened, or another process has the pin; each failure is logged, and all other pins
/// are off.
pub fn park(lights: Vec<LightConfig>) -> anyhow::Result<()> {
    let mut failed = 0;
    for light in lights {
        if light.on_stop == OnStop::Keep {
            continue;
        }
        // To open a pin makes it dark.
        match Reservation::new(light).and_then(|pin| pin.open(None)) {
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

    /// The longest wait for what must happen.
    const TIMEOUT: Duration = Duration::from_secs(20);

    /// An output whose every write hangs until the test releases it, and panics if the test has dropped
    /// its end.
    struct HangingOutput {
        started: Sender<()>,
        release: Receiver<()>,
    }

    impl ErrorType for HangingOutput {
        type Error = output::WriteError;
    }

    impl SetDutyCycle for HangingOutput {
        fn max_duty_cycle(&self) -> u16 {
            u16::MAX
        }

        fn set_duty_cycle(&mut self, _: u16) -> Result<(), output::WriteError> {
            self.started.send(()).expect("the test receives");
            self.release.recv().expect("the test panics on purpose");
            Ok(())
        }
    }

    /// The running thread of a light with such an output.
    struct HangingPin {
        hub: Arc<Hub>,
        thread: PinThread,
        /// Receives a message when a write begins.
        started: Receiver<()>,
        release: Sender<()>,
        failures: Failures,
    }

    fn start_hanging_pin() -> HangingPin {
        let (start, started) = channel();
        let (release, released) = channel();
        let pin = Pin {
            config: LightConfig::default(),
            open: OpenOutput {
                output: Box::new(HangingOutput {
                    started: start,
                    release: released,
                }),
                driver: Driver::Simulated,
                frequency: 1000,
                resolution: 65_536,
                description: "hanging".into(),
                fallback: None,
            },
            lock: None,
        };
        let state = LightState::new(Level::HALF, Level::HALF);
        let light = LightConfig::default().light(pin.driver());
        let hub = Hub::with(Lights::new(vec![(light, state)]));
        let (supervisor, failures) = Supervisor::new();
        let stop = CancellationToken::new();
        let thread = pin.start(hub.lights.clone(), LightId::FIRST, &supervisor, stop);
        HangingPin {
            hub,
            thread: thread.unwrap(),
            started,
            release,
            failures,
        }
    }

    #[tokio::test]
    async fn a_thread_answers_except_while_its_driver_hangs() {
        let pin = start_hanging_pin();
        pin.started.recv_timeout(TIMEOUT).unwrap();
        pin.release.send(()).unwrap();
        let thread = pin.thread;
        timeout(TIMEOUT, thread.probe.answered())
            .await
            .expect("an answer");

        pin.hub.change(LightId::FIRST, Change::Level(Level::FULL));
        pin.started.recv_timeout(TIMEOUT).unwrap();
        let mut answer = std::pin::pin!(thread.probe.answered());
        let early = timeout(Duration::from_millis(200), &mut answer).await;
        assert!(early.is_err(), "the thread hangs in the write");
        pin.release.send(()).unwrap();
        timeout(TIMEOUT, answer).await.expect("an answer after all");
        assert!(!thread.ended.is_cancelled());
    }

    #[tokio::test]
    async fn a_thread_that_panics_is_noticed_and_answers_no_more() {
        let mut pin = start_hanging_pin();
        let thread = pin.thread;
        drop(pin.release);
        timeout(TIMEOUT, thread.ended.cancelled())
            .await
            .expect("the end of the thread");
        let answer = timeout(Duration::from_millis(50), thread.probe.answered()).await;
        assert!(answer.is_err());
        let failure = timeout(TIMEOUT, pin.failures.next())
            .await
            .unwrap()
            .to_string();
        assert!(
            failure.starts_with("light led: pin: panicked: "),
            "{failure}"
        );
    }
}
