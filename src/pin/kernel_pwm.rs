//! PWM by the kernel, on the pwmchip that drives the light's GPIO, through rppal.

use std::fs;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use embedded_hal::pwm::{ErrorType, SetDutyCycle};
use rppal::pwm::{self, Pwm};

use super::output::WriteError;
use super::pwmchip::{Channel, ChipKind};
use crate::model::level::Duty;

/// How long to wait for permission to a channel's files: udev sets their group some 300 ms after the
/// export.
const PERMISSION_TIMEOUT: Duration = Duration::from_secs(3);

/// An exported and enabled channel.
pub struct KernelPwm {
    pwm: Pwm,
    period_ns: u64,
    /// The chip refuses pulses closer than this to 0 or to the whole period.
    margin_ns: u64,
}

impl KernelPwm {
    /// Exports and enables the channel, dark from the first moment.
    ///
    /// # Errors
    /// The channel's files cannot be written, or the chip does not take the period.
    pub fn open(channel: &Channel, frequency: u32, invert: bool) -> anyhow::Result<KernelPwm> {
        // Kernels up to 2025-11 refuse a pwm-pio pulse within one of its 15 ns steps of an end.
        let margin_ns = match channel.kind {
            ChipKind::PwmPio => 2 * u64::from(channel.step_ns),
            _ => 0,
        };
        let Channel { chip, channel, .. } = *channel;
        let dark = if invert { Duty::FULL } else { Duty::OFF };
        let period_ns = period_ns(frequency);
        // rppal disables a channel when it opens it, and a disabled pwm-pio freezes at the level of that
        // moment. So a channel that still runs, as after a crash, gets dark first. A channel that
        // does not run has no such file or refuses the write, and is dark already.
        let pulse = format!("/sys/class/pwm/pwmchip{chip}/pwm{channel}/duty_cycle");
        let _ = fs::write(pulse, dark.pulse_ns(period_ns).to_string());

        let mut pwm = retry_while_denied(|| Pwm::with_pwmchip(chip, channel))
            .context("cannot export the channel")?;
        // Off is a duty of 0 on an enabled channel, also after the service has ended.
        pwm.set_reset_on_drop(false);
        // Pulse 0 first: the kernel refuses a period below the pulse that a previous user left.
        retry_while_denied(|| pwm.set_pulse_width(Duration::ZERO))
            .context("cannot set the duty cycle")?;
        pwm.set_period(Duration::from_nanos(period_ns))
            .with_context(|| format!("cannot set a period of {period_ns} ns"))?;
        pwm.set_pulse_width(Duration::from_nanos(dark.pulse_ns(period_ns)))
            .context("cannot set the duty cycle")?;
        pwm.enable().context("cannot enable the channel")?;
        Ok(KernelPwm {
            pwm,
            period_ns,
            margin_ns,
        })
    }
}

/// The period of a frequency in Hz, in ns.
fn period_ns(frequency: u32) -> u64 {
    u64::from(1_000_000_000 / frequency)
}

/// The pulse in ns for a duty: exact, except where the chip would refuse it near both ends.
fn pulse_ns(duty: Duty, period_ns: u64, margin_ns: u64) -> u64 {
    match duty {
        Duty::OFF | Duty::FULL => duty.pulse_ns(period_ns),
        duty => {
            let max = period_ns.saturating_sub(margin_ns).max(margin_ns);
            duty.pulse_ns(period_ns).clamp(margin_ns, max)
        }
    }
}

/// Repeats a call while permission is denied: udev may not have set the group yet.
fn retry_while_denied<T>(mut call: impl FnMut() -> pwm::Result<T>) -> pwm::Result<T> {
    let start = Instant::now();
    loop {
        match call() {
            Err(pwm::Error::Io(error))
                if error.kind() == io::ErrorKind::PermissionDenied
                    && start.elapsed() < PERMISSION_TIMEOUT =>
            {
                thread::sleep(Duration::from_millis(20));
            }
            result => return result,
        }
    }
}

impl ErrorType for KernelPwm {
    type Error = WriteError;
}

impl SetDutyCycle for KernelPwm {
    fn max_duty_cycle(&self) -> u16 {
        u16::MAX
    }

    fn set_duty_cycle(&mut self, duty: u16) -> Result<(), WriteError> {
        let pulse = pulse_ns(Duty(duty), self.period_ns, self.margin_ns);
        self.pwm
            .set_pulse_width(Duration::from_nanos(pulse))
            .map_err(|error| WriteError(format!("kernel-pwm: cannot set the duty cycle: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_pulse_is_one_that_pwm_pio_refuses() {
        let pulse = |duty| pulse_ns(Duty(duty), 1_000_000, 30);
        assert_eq!(pulse(0), 0);
        assert_eq!(pulse(1), 30);
        assert_eq!(pulse(3), 46, "3 of 65 535 is 45.8 ns");
        assert_eq!(pulse(65_534), 999_970);
        assert_eq!(pulse(65_535), 1_000_000);
    }

    #[test]
    fn without_a_margin_every_pulse_is_exact() {
        for duty in 0..=u16::MAX {
            let exact = (f64::from(duty) / 65_535.0 * 1e6).round() as u64;
            assert_eq!(pulse_ns(Duty(duty), 1_000_000, 0), exact);
        }
    }
}
