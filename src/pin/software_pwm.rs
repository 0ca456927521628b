//! PWM by a thread of rppal that switches the GPIO: works on every Pi without any set-up.
//!
//! Each edge costs CPU time (rppal busy-waits for up to 200 µs), and the edges jitter if the thread has
//! no real-time priority.

use anyhow::{Context, ensure};
use embedded_hal::pwm::{ErrorType, SetDutyCycle};
use rppal::gpio::OutputPin;
use rustix::process::{Resource, getrlimit};
use rustix::thread::{CapabilitySet, capabilities};

use super::output::WriteError;
use crate::model::level::Duty;
use crate::platform::gpio;

/// Highest frequency in Hz. At 1 kHz rppal's thread takes some 40 % of a core; above that, most of it.
const MAX_FREQUENCY: u32 = 1000;

/// The shortest step of a pulse in ns that the thread can time: the duration of some system calls.
const STEP_NS: u32 = 1000;

/// How long rppal's thread busy-waits per period, in ns: up to 200 µs for each of the two edges.
const BUSY_NS: u32 = 400_000;

/// The real-time priority that rppal's thread requests.
const PRIORITY: u64 = 99;

/// An output pin with rppal's software PWM.
pub struct SoftwarePwm {
    pin: OutputPin,
    frequency: f64,
}

impl SoftwarePwm {
    /// Opens the GPIO as an output, dark from the first moment.
    ///
    /// # Errors
    /// The GPIO cannot be acquired; the message says why and what to do.
    pub fn open(gpio: u8, frequency: u32, invert: bool) -> anyhow::Result<SoftwarePwm> {
        let pin = gpio::acquire(gpio).context("software-pwm")?;
        let mut pin = if invert {
            pin.into_output_high()
        } else {
            pin.into_output_low()
        };
        // When the service ends, the pin remains an output at its last level instead of floating.
        pin.set_reset_on_drop(false);
        Ok(SoftwarePwm {
            pin,
            frequency: f64::from(frequency),
        })
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

    /// Whether this process may have real-time priority. Without that, the light flickers whenever
    /// another process needs the CPU.
    pub fn has_real_time() -> bool {
        let limit = getrlimit(Resource::Rtprio).current;
        limit.is_none_or(|limit| limit >= PRIORITY)
            || capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_NICE))
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
        match Duty(duty) {
            Duty::OFF => self.pin.clear_pwm().map(|()| self.pin.set_low()),
            Duty::FULL => self.pin.clear_pwm().map(|()| self.pin.set_high()),
            duty => self.pin.set_pwm_frequency(self.frequency, duty.fraction()),
        }
        .map_err(|error| WriteError(format!("software-pwm: {error}")))
    }
}
