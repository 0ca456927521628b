//! PWM by the kernel on a pwmchip that drives the light's GPIO, through rppal.

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

/// How long a channel's files may take to get their group after the export: udev gives it to them
/// some 300 ms later.
const PERMISSIONS: Duration = Duration::from_secs(3);

/// An exported channel that is enabled.
pub struct KernelPwm {
    pwm: Pwm,
    period_ns: u64,
    /// Pulses closer than this to none or to the whole period are refused.
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
        // rppal disables the channel as it opens it, and a disabled pwm-pio freezes where it is. So
        // a channel that still runs, as after a crash, goes dark before that. One that does not
        // run has no such file, or refuses, and is dark anyway.
        let pulse = format!("/sys/class/pwm/pwmchip{chip}/pwm{channel}/duty_cycle");
        let _ = fs::write(pulse, dark.pulse_ns(period_ns).to_string());

        let mut pwm =
            retried(|| Pwm::with_pwmchip(chip, channel)).context("cannot export the channel")?;
        // Off is a duty of 0 on a channel that stays enabled, also after the service.
        pwm.set_reset_on_drop(false);
        // Pulse 0 first: a period below the pulse that someone left there is refused.
        retried(|| pwm.set_pulse_width(Duration::ZERO)).context("cannot set the duty cycle")?;
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
pub fn period_ns(frequency: u32) -> u64 {
    u64::from(1_000_000_000 / frequency)
}

/// The pulse in ns for a duty: exact, but for what the chip refuses near both ends.
fn pulse_ns(duty: Duty, period_ns: u64, margin_ns: u64) -> u64 {
    match duty {
        Duty::OFF | Duty::FULL => duty.pulse_ns(period_ns),
        duty => {
            let most = period_ns.saturating_sub(margin_ns).max(margin_ns);
            duty.pulse_ns(period_ns).clamp(margin_ns, most)
        }
    }
}

/// Calls again while permission is denied, as udev may not have come by yet.
fn retried<T>(mut call: impl FnMut() -> pwm::Result<T>) -> pwm::Result<T> {
    let start = Instant::now();
    loop {
        match call() {
            Err(pwm::Error::Io(error))
                if error.kind() == io::ErrorKind::PermissionDenied
                    && start.elapsed() < PERMISSIONS =>
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
    fn a_pulse_keeps_clear_of_what_pwm_pio_refuses() {
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
