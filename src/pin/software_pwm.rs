//! PWM by a thread that switches the GPIO, through rppal: works on every Pi without any set-up.
//!
//! It needs the CPU for every edge (rppal busy-waits up to 200 µs for each), and jitters where the
//! thread gets no real-time priority.

use anyhow::{Context, ensure};
use embedded_hal::pwm::{ErrorType, SetDutyCycle};
use rppal::gpio::OutputPin;
use rustix::process::{Resource, getrlimit};
use rustix::thread::{CapabilitySet, capabilities};

use super::output::WriteError;
use crate::model::level::Duty;
use crate::platform::gpio;

/// Highest frequency in Hz. At 1 kHz rppal's thread takes some 40 % of a core; past it, most.
const MAX_FREQUENCY: u32 = 1000;

/// The finest pulse in ns that the thread can time: some system calls' worth.
const STEP_NS: u32 = 1000;

/// How long rppal's thread busy-waits in each period, in ns: up to 200 µs for either edge.
const BUSY_NS: u32 = 400_000;

/// The real-time priority that rppal's thread asks for.
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
    /// The GPIO cannot be had.
    pub fn open(gpio: u8, frequency: u32, invert: bool) -> anyhow::Result<SoftwarePwm> {
        let pin = gpio::take(gpio).context("software-pwm")?;
        let mut pin = if invert {
            pin.into_output_high()
        } else {
            pin.into_output_low()
        };
        // The pin stays an output at its last level, rather than floating, when the service ends.
        pin.set_reset_on_drop(false);
        Ok(SoftwarePwm {
            pin,
            frequency: f64::from(frequency),
        })
    }

    /// Whether a frequency in Hz is one that the thread can keep.
    ///
    /// # Errors
    /// It is too high.
    pub fn check(frequency: u32) -> anyhow::Result<()> {
        ensure!(
            frequency <= MAX_FREQUENCY,
            "software-pwm: frequency must be from 1 to {MAX_FREQUENCY} Hz, not {frequency}"
        );
        Ok(())
    }

    /// How many pulse widths there are at a frequency in Hz.
    pub fn resolution(frequency: u32) -> u32 {
        1_000_000_000 / frequency / STEP_NS
    }

    /// The share of one core that a frequency in Hz takes, in percent.
    pub fn cpu_percent(frequency: u32) -> f64 {
        f64::from(BUSY_NS) * f64::from(frequency) / 1e9 * 100.0
    }

    /// Whether this process may have real-time priority. Without it the light flickers whenever
    /// something else wants the CPU.
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

    /// The two ends are steady levels: rppal's PWM would still dip at full and run on at zero.
    fn set_duty_cycle(&mut self, duty: u16) -> Result<(), WriteError> {
        match Duty(duty) {
            Duty::OFF => self.pin.clear_pwm().map(|()| self.pin.set_low()),
            Duty::FULL => self.pin.clear_pwm().map(|()| self.pin.set_high()),
            duty => self.pin.set_pwm_frequency(self.frequency, duty.fraction()),
        }
        .map_err(|error| WriteError(format!("software-pwm: {error}")))
    }
}
