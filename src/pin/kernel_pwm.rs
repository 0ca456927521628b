//! PWM by the kernel, on the pwmchip that drives the light's GPIO, through rppal.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use embedded_hal::pwm::{ErrorType, SetDutyCycle};
use rppal::pwm;
use tracing::warn;

use super::open_channel::OpenChannel;
use super::output::WriteError;
use super::pwmchip::{Channel, ChipKind};
use crate::model::level::Duty;

/// How long to wait for permission to a channel's files: udev sets their group some 300 ms after the
/// export.
const PERMISSION_TIMEOUT: Duration = Duration::from_secs(3);

/// After this time without a write the channel is read before the next one, as another program may have changed it.
/// Within a transition that would be much work for nothing.
const CHECK_AFTER: Duration = Duration::from_millis(100);

/// An exported and enabled channel.
pub struct KernelPwm {
    channel: OpenChannel,
    period_ns: u64,
    /// When a pulse was written last.
    written_at: Instant,
    /// The chip refuses pulses closer than this to 0 or to the whole period.
    margin_ns: u64,
}

impl KernelPwm {
    /// Exports and enables the channel, dark from the first moment; with `keep` a channel that runs goes on with the
    /// duty that it has.
    ///
    /// # Errors
    /// The channel's files cannot be written, or the chip does not take the period.
    pub fn open(
        channel: &Channel,
        frequency: u32,
        invert: bool,
        keep: bool,
    ) -> anyhow::Result<KernelPwm> {
        let margin_ns = margin_ns(channel);
        let period_ns = period_ns(frequency);
        let channel = retry_while_denied(|| OpenChannel::open(channel.chip, channel.channel))
            .context("cannot export the channel")?;
        let dark = if invert { Duty::FULL } else { Duty::OFF };
        let pulse_ns = match kept_pulse_ns(&channel, period_ns)? {
            Some(kept) if keep => kept,
            _ => dark.pulse_ns(period_ns),
        };
        set_up(&channel, period_ns, pulse_ns)?;
        Ok(KernelPwm {
            channel,
            period_ns,
            written_at: Instant::now(),
            margin_ns,
        })
    }
}

/// The pulse in ns of this period with which a channel that ran already, as dimmer lets it, goes on; `None` for any
/// other.
fn kept_pulse_ns(channel: &OpenChannel, period_ns: u64) -> anyhow::Result<Option<u64>> {
    if !channel.was_running() || channel.is_inversed().unwrap_or(false) {
        return Ok(None);
    }
    let period = channel.period_ns().context("cannot read the period")?;
    let pulse = channel.pulse_ns().context("cannot read the duty cycle")?;
    Ok(scaled(pulse, period, period_ns))
}

/// A pulse of one period as the same share of another; `None` without a period.
fn scaled(pulse: u64, from: u64, to: u64) -> Option<u64> {
    let scaled = (u128::from(pulse) * u128::from(to)).checked_div(u128::from(from))?;
    Some(u64::try_from(scaled).unwrap_or(to).min(to))
}

/// Gives a channel this period and this pulse in ns, the normal polarity, and enables it.
fn set_up(channel: &OpenChannel, period_ns: u64, pulse_ns: u64) -> anyhow::Result<()> {
    let left_ns = retry_while_denied(|| channel.period_ns()).context("cannot read the period")?;
    if channel.is_inversed().unwrap_or(false) {
        // The polarity of a channel that runs cannot be changed.
        retry_while_denied(|| channel.disable()).context("cannot disable the channel")?;
        retry_while_denied(|| channel.set_normal()).context("cannot set the polarity")?;
    }
    for write in opening_writes(left_ns, period_ns, pulse_ns) {
        write.apply(channel)?;
    }
    Ok(())
}

/// A write to a file of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    /// The period in ns.
    Period(u64),
    /// The pulse in ns.
    Pulse(u64),
    /// Enables the channel.
    Enable,
}

impl Write {
    fn apply(self, channel: &OpenChannel) -> anyhow::Result<()> {
        match self {
            Write::Period(ns) => retry_while_denied(|| channel.set_period_ns(ns))
                .with_context(|| format!("cannot set a period of {ns} ns")),
            Write::Pulse(ns) => {
                retry_while_denied(|| channel.set_pulse_ns(ns)).context("cannot set the duty cycle")
            }
            Write::Enable => {
                retry_while_denied(|| channel.enable()).context("cannot enable the channel")
            }
        }
    }
}

/// The writes that enable an exported channel with this period and pulse in ns, dark from the first moment if the pulse
/// is. `left` is the period in ns that a previous user left, 0 on a channel that was never used.
///
/// The kernel checks each write against the other values (`__pwm_apply()` in drivers/pwm/core.c):
/// - Before Linux 6.11 no write may leave a period of 0 or a pulse longer than the period, even on a
///   disabled channel. So a new channel takes its period first, and only that.
/// - Since 6.11 a channel may go from one such state to another, but not from a good one to one of
///   these; a running channel is not always checked.
///
/// So on a used channel the pulse comes first, as the new period may be shorter than the one that was left. It is
/// the same share of that one as the new pulse is of the new one, so a channel that runs shows the new duty at
/// once, as far as both periods allow: only an inverted one whose period changes cannot stay dark.
fn opening_writes(left: u64, period: u64, pulse: u64) -> Vec<Write> {
    let mut writes = Vec::new();
    if left > 0 {
        let same_share = scaled(pulse, period, left).unwrap_or(0);
        writes.push(Write::Pulse(same_share.min(period)));
    }
    writes.extend([Write::Period(period), Write::Pulse(pulse), Write::Enable]);
    writes
}

/// The period of a frequency in Hz, in ns.
fn period_ns(frequency: u32) -> u64 {
    u64::from(1_000_000_000 / frequency)
}

/// How close to 0 and to the whole period a pulse may be, in ns: kernels up to 2025-11 refuse a pwm-pio
/// pulse within one of its 15 ns steps of an end.
fn margin_ns(channel: &Channel) -> u64 {
    match channel.kind {
        ChipKind::PwmPio => 2 * u64::from(channel.step_ns),
        _ => 0,
    }
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

impl KernelPwm {
    /// Whether the channel has another period or polarity than it was given, or is disabled. What cannot be read
    /// fails at the write as well, with a better error.
    fn is_changed(&self) -> bool {
        self.channel
            .period_ns()
            .is_ok_and(|now| now != self.period_ns)
            || self.channel.is_inversed().unwrap_or(false)
            || self.channel.is_enabled().is_ok_and(|enabled| !enabled)
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
        if self.written_at.elapsed() >= CHECK_AFTER && self.is_changed() {
            warn!("kernel-pwm: another program has changed the channel; it is set up again");
            set_up(&self.channel, self.period_ns, pulse)
                .map_err(|error| WriteError(format!("kernel-pwm: {error:#}")))?;
        }
        self.written_at = Instant::now();
        self.channel
            .set_pulse_ns(pulse)
            .map_err(|error| WriteError(format!("kernel-pwm: cannot set the duty cycle: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rules by which a kernel accepts a write to a channel.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Rules {
        /// Every state must be valid: up to Linux 6.10.
        Before6_11,
        /// From one invalid state to another, and anything on a running channel: Linux 6.11.
        Since6_11,
        /// As 6.11's comment describes its rules: what a disabled channel has does not matter.
        AsDescribed,
    }

    const RULES: [Rules; 3] = [Rules::Before6_11, Rules::Since6_11, Rules::AsDescribed];

    /// A channel as the kernel keeps it.
    #[derive(Debug, Clone, Copy, PartialEq)]
    struct FakeChannel {
        rules: Rules,
        period: u64,
        pulse: u64,
        enabled: bool,
    }

    impl FakeChannel {
        fn new(rules: Rules) -> FakeChannel {
            FakeChannel {
                rules,
                period: 0,
                pulse: 0,
                enabled: false,
            }
        }

        fn is_valid(&self) -> bool {
            let fits = self.period > 0 && self.pulse <= self.period;
            match self.rules {
                Rules::Before6_11 => fits,
                Rules::Since6_11 => self.enabled || fits,
                Rules::AsDescribed => !self.enabled || fits,
            }
        }

        fn write(&mut self, write: Write) -> Result<(), &'static str> {
            let mut next = *self;
            match write {
                Write::Period(ns) => next.period = ns,
                Write::Pulse(ns) => next.pulse = ns,
                Write::Enable => next.enabled = true,
            }
            let refuses = match self.rules {
                Rules::Before6_11 => !next.is_valid(),
                Rules::Since6_11 | Rules::AsDescribed => !next.is_valid() && self.is_valid(),
            };
            if refuses {
                return Err("EINVAL");
            }
            *self = next;
            Ok(())
        }

        /// Whether the LED may be lit. A disabled channel counts as dark: what its pin does is the
        /// chip's affair.
        fn is_lit(&self, dark: Duty) -> bool {
            self.enabled && self.pulse != dark.pulse_ns(self.period)
        }
    }

    const PERIOD: u64 = 1_000_000;

    /// Opens a channel as `KernelPwm::open` does, and checks each moment.
    /// Returns the moments with light.
    fn open_fake(mut channel: FakeChannel, dark: Duty) -> usize {
        let mut lit = 0;
        let before = channel;
        for write in opening_writes(channel.period, PERIOD, dark.pulse_ns(PERIOD)) {
            if let Err(error) = channel.write(write) {
                panic!("{before:?}, dark at {dark:?}: {write:?}: {error}");
            }
            lit += usize::from(channel.is_lit(dark));
        }
        let opened = FakeChannel {
            rules: before.rules,
            period: PERIOD,
            pulse: dark.pulse_ns(PERIOD),
            enabled: true,
        };
        assert_eq!(channel, opened, "from {before:?}");
        lit
    }

    #[test]
    fn a_new_channel_opens_dark_on_every_kernel() {
        for rules in RULES {
            for dark in [Duty::OFF, Duty::FULL] {
                assert_eq!(open_fake(FakeChannel::new(rules), dark), 0, "{rules:?}");
            }
        }
    }

    #[test]
    fn a_channel_that_another_program_left_opens_dark_on_every_kernel() {
        for rules in RULES {
            for dark in [Duty::OFF, Duty::FULL] {
                for period in [1, 20_000, PERIOD - 1, PERIOD, PERIOD + 1, 20 * PERIOD] {
                    for pulse in [0, 1, period / 2, period] {
                        let left = FakeChannel {
                            rules,
                            period,
                            pulse,
                            enabled: false,
                        };
                        assert_eq!(open_fake(left, dark), 0, "{left:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_pulse_that_was_set_before_any_period_is_no_obstacle() {
        for rules in [Rules::Since6_11, Rules::AsDescribed] {
            for dark in [Duty::OFF, Duty::FULL] {
                for pulse in [1, PERIOD, 2 * PERIOD] {
                    let mut left = FakeChannel::new(rules);
                    left.write(Write::Pulse(pulse)).unwrap();
                    assert_eq!(open_fake(left, dark), 0, "{left:?}");
                }
            }
        }
    }

    #[test]
    fn a_channel_that_still_runs_stays_dark() {
        for rules in RULES {
            for dark in [Duty::OFF, Duty::FULL] {
                for period in [20_000, PERIOD, 20 * PERIOD] {
                    let running = FakeChannel {
                        rules,
                        period,
                        pulse: dark.pulse_ns(period),
                        enabled: true,
                    };
                    // Only one value can be written at a time, and an inverted pulse is the whole period.
                    let inevitable = dark == Duty::FULL && period != PERIOD;
                    let lit = open_fake(running, dark);
                    assert_eq!(lit, usize::from(inevitable), "{running:?}");
                }
            }
        }
    }

    #[test]
    fn a_channel_that_another_program_changed_is_set_up_again_on_every_kernel() {
        for rules in RULES {
            for (period, left_pulse) in [(20_000, 20_000), (PERIOD, 0), (20 * PERIOD, 5 * PERIOD)] {
                for enabled in [false, true] {
                    for pulse in [0, 1, PERIOD / 3, PERIOD] {
                        let mut channel = FakeChannel {
                            rules,
                            period,
                            pulse: left_pulse,
                            enabled,
                        };
                        let before = channel;
                        for write in opening_writes(period, PERIOD, pulse) {
                            let result = channel.write(write);
                            assert!(result.is_ok(), "{before:?}, {pulse} ns: {write:?}");
                        }
                        let opened = FakeChannel {
                            period: PERIOD,
                            pulse,
                            enabled: true,
                            ..before
                        };
                        assert_eq!(channel, opened, "from {before:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_kernel_before_6_11_refuses_a_pulse_without_a_period() {
        let mut channel = FakeChannel::new(Rules::Before6_11);
        assert!(channel.write(Write::Pulse(0)).is_err());
        assert!(channel.write(Write::Enable).is_err());
        assert!(channel.write(Write::Period(PERIOD)).is_ok());
        assert!(channel.write(Write::Pulse(PERIOD)).is_ok());
        assert!(channel.write(Write::Period(PERIOD - 1)).is_err());
        assert!(
            FakeChannel::new(Rules::Since6_11)
                .write(Write::Pulse(0))
                .is_ok()
        );
    }

    #[test]
    fn a_kept_pulse_is_the_same_share_of_any_period() {
        assert_eq!(scaled(250_000, PERIOD, PERIOD), Some(250_000));
        assert_eq!(scaled(250_000, PERIOD, 20 * PERIOD), Some(5_000_000));
        assert_eq!(scaled(PERIOD, PERIOD, 3), Some(3));
        assert_eq!(scaled(2 * PERIOD, PERIOD, PERIOD), Some(PERIOD));
        assert_eq!(scaled(u64::MAX, u64::MAX, u64::MAX), Some(u64::MAX));
        assert_eq!(scaled(0, 0, PERIOD), None);
    }

    fn channel(kind: ChipKind, step_ns: u32) -> Channel {
        Channel {
            chip: 0,
            channel: 0,
            kind,
            step_ns,
        }
    }

    #[test]
    fn no_pulse_is_one_that_pwm_pio_refuses() {
        let margin = margin_ns(&channel(ChipKind::PwmPio, 15));
        let pulse = |duty| pulse_ns(Duty(duty), 1_000_000, margin);
        assert_eq!(pulse(0), 0);
        assert_eq!(pulse(1), 30);
        assert_eq!(pulse(3), 46, "3 of 65 535 is 45.8 ns");
        assert_eq!(pulse(65_534), 999_970);
        assert_eq!(pulse(65_535), 1_000_000);
    }

    #[test]
    fn the_period_is_that_of_the_frequency() {
        for (frequency, period) in [(1, 1_000_000_000), (50, 20_000_000), (1_000, 1_000_000)] {
            assert_eq!(period_ns(frequency), period);
        }
    }

    #[test]
    fn a_permission_that_udev_gives_late_is_waited_for_and_no_other_error_is() {
        let fail = |kind: io::ErrorKind| Err(pwm::Error::Io(kind.into()));
        let mut calls = 0;
        let result = retry_while_denied(|| {
            calls += 1;
            match calls {
                1 | 2 => fail(io::ErrorKind::PermissionDenied),
                _ => Ok(()),
            }
        });
        assert!(result.is_ok() && calls == 3, "{result:?} after {calls}");

        let mut calls = 0;
        let result: pwm::Result<()> = retry_while_denied(|| {
            calls += 1;
            fail(io::ErrorKind::InvalidInput)
        });
        assert!(result.is_err() && calls == 1, "{result:?} after {calls}");
    }

    #[test]
    fn every_other_chip_gets_every_pulse_exactly() {
        for kind in [ChipKind::PwmGpio, ChipKind::Bcm2835, ChipKind::Rp1] {
            let margin = margin_ns(&channel(kind, 100));
            for duty in 0..=u16::MAX {
                let exact = (f64::from(duty) / 65_535.0 * 1e6).round() as u64;
                assert_eq!(pulse_ns(Duty(duty), 1_000_000, margin), exact);
            }
        }
    }
}
