//! PWM by a thread of rppal that switches the GPIO: works on every Pi without any set-up.
//!
//! Each edge costs CPU time (rppal busy-waits for up to 200 µs), and the edges jitter if the thread has
//! no real-time priority.

use std::path::Path;

use anyhow::{Context, ensure};
use embedded_hal::pwm::{ErrorType, SetDutyCycle};
use rppal::gpio::OutputPin;
use tracing::{info, warn};

use super::device_tree::DeviceTree;
use super::output::WriteError;
use super::real_time;
use crate::config::LightConfig;
use crate::model::level::Duty;
use crate::platform::gpio;

/// Highest frequency in Hz. At 1 kHz rppal's thread takes some 40 % of a core; above that, most of it.
const MAX_FREQUENCY: u32 = 1000;

/// The shortest step of a pulse in ns that the thread can time: the duration of some system calls.
const STEP_NS: u32 = 1000;

/// How long rppal's thread busy-waits per period, in ns: up to 200 µs for each of the two edges.
const BUSY_NS: u32 = 400_000;

/// An output pin with rppal's software PWM.
pub struct SoftwarePwm {
    pin: OutputPin,
    frequency: f64,
    priority: Priority,
}

/// What is known of the real-time priority of rppal's thread. Without that, the light flickers whenever
/// another process needs the CPU.
enum Priority {
    /// Nothing was written yet.
    NotRequested,
    /// This thread asked for it, and rppal's does not run yet.
    Requested(Result<(), String>),
    /// It was read from rppal's thread, and logged.
    Logged,
}

impl SoftwarePwm {
    /// Opens the GPIO as an output, dark from the first moment.
    ///
    /// # Errors
    /// The GPIO cannot be acquired; the message says why and what to do.
    pub fn open(light: &LightConfig, frequency: u32) -> anyhow::Result<SoftwarePwm> {
        let pin = gpio::acquire(light.gpio).context("software-pwm")?;
        let mut pin = if light.invert {
            pin.into_output_high()
        } else {
            pin.into_output_low()
        };
        // When the service ends, the pin remains an output at its last level instead of floating. But one that
        // was another device's gets back the function that it had.
        pin.set_reset_on_drop(light.allow_shared_gpio);
        Ok(SoftwarePwm {
            pin,
            frequency: f64::from(frequency),
            priority: Priority::NotRequested,
        })
    }

    /// Logs the priority of rppal's thread, once that runs.
    fn log_priority(&mut self) {
        let Priority::Requested(request) = &self.priority else {
            return;
        };
        let gpio = self.pin.pin();
        match (real_time::is_inherited(), request) {
            (true, _) => info!("GPIO {gpio}: software-pwm with real-time priority"),
            (false, Err(reason)) => {
                warn!("GPIO {gpio}: software-pwm without real-time priority: {reason}")
            }
            (false, Ok(())) => {
                warn!("GPIO {gpio}: software-pwm without real-time priority, though it was granted")
            }
        }
        self.priority = Priority::Logged;
    }

    /// Checks whether the machine whose files are below `root` has the device by which rppal switches the pins.
    /// Only on a Pi 5: on the others rppal falls back to /dev/mem.
    ///
    /// # Errors
    /// It has not.
    pub fn check_device(root: &Path) -> anyhow::Result<()> {
        ensure!(
            !DeviceTree::new(root).has_rp1() || root.join("dev/gpiomem0").exists(),
            "software-pwm: this kernel has no /dev/gpiomem0, which it needs on a Pi 5; use the kernel of Raspberry Pi OS, or kernel-pwm: run dimmer doctor"
        );
        Ok(())
    }

    /// Checks whether the thread can keep up with a frequency in Hz.
    ///
    /// # Errors
    /// The frequency is too high.
    pub fn check_frequency(frequency: u32) -> anyhow::Result<()> {
        ensure!(
            frequency <= MAX_FREQUENCY,
            "software-pwm: frequency must be from 1 to {MAX_FREQUENCY} Hz, not {frequency}"
        );
        Ok(())
    }

    /// The number of pulse widths at a frequency in Hz.
    pub fn resolution(frequency: u32) -> u32 {
        1_000_000_000 / frequency / STEP_NS
    }

    /// The share of one core that a frequency in Hz takes, in percent.
    pub fn cpu_percent(frequency: u32) -> f64 {
        f64::from(BUSY_NS) * f64::from(frequency) / 1e9 * 100.0
    }
}

impl ErrorType for SoftwarePwm {
    type Error = WriteError;
}

impl SetDutyCycle for SoftwarePwm {
    fn max_duty_cycle(&self) -> u16 {
        u16::MAX
    }

    /// 0 and full stop the PWM and set the pin: rppal's PWM would dip at full and keep running at 0.
    fn set_duty_cycle(&mut self, duty: u16) -> Result<(), WriteError> {
        // Here, in the thread that starts rppal's.
        if let Priority::NotRequested = self.priority {
            self.priority = Priority::Requested(real_time::request());
        }
        match Duty(duty) {
            Duty::OFF => self.pin.clear_pwm().map(|()| self.pin.set_low()),
            Duty::FULL => self.pin.clear_pwm().map(|()| self.pin.set_high()),
            duty => {
                let started = self.pin.set_pwm_frequency(self.frequency, duty.fraction());
                if started.is_ok() {
                    self.log_priority();
                }
                started
            }
        }
        .map_err(|error| WriteError(format!("software-pwm: {error}")))
    }
}
