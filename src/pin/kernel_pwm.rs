//! PWM by the kernel on a pwmchip, through rppal: `pwm-pio` (Pi 5) and `pwm-gpio` (every Pi).
//!
//! The numbers of pwmchips change with the kernel and the overlays, and a fan hangs on some of
//! them, so a chip is opened only if its device tree node says that it drives the light's GPIO.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use embedded_hal::pwm::{ErrorType, SetDutyCycle};
use rppal::pwm::{self, Pwm};

use super::driver::WriteError;
use crate::level::Duty;

/// How long a channel's files may take to get their group after the export: udev gives it to them
/// some 300 ms later.
const PERMISSIONS: Duration = Duration::from_secs(3);

/// A channel of a pwmchip that drives a GPIO.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    /// The chip's number today.
    pub chip: u8,
    /// The channel's number within the chip.
    pub channel: u8,
    /// The kernel driver behind it.
    pub kind: &'static str,
    /// The finest pulse width in ns.
    pub step_ns: u32,
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Channel {
            chip,
            channel,
            kind,
            ..
        } = self;
        write!(f, "{kind}, pwmchip{chip} channel {channel}")
    }
}

/// Finds the channel that drives a GPIO among the pwmchips below `sys`.
pub fn find(sys: &Path, gpio: u8) -> Option<Channel> {
    let mut chips: Vec<u8> = fs::read_dir(sys.join("class/pwm"))
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            name.to_str()?.strip_prefix("pwmchip")?.parse().ok()
        })
        .collect();
    chips.sort_unstable();
    chips.into_iter().find_map(|chip| {
        let node = sys.join(format!("class/pwm/pwmchip{chip}/device/of_node"));
        let (kind, step_ns) = kind(&fs::read(node.join("compatible")).ok()?)?;
        let channel = channel_of(&fs::read(node.join("gpios")).ok()?, gpio)?;
        Some(Channel {
            chip,
            channel,
            kind,
            step_ns,
        })
    })
}

/// The kernel driver and its finest pulse in ns, by the node's `compatible` strings.
fn kind(compatible: &[u8]) -> Option<(&'static str, u32)> {
    compatible
        .split(|&byte| byte == 0)
        .find_map(|name| match name {
            b"raspberrypi,pwm-pio-rp1" => Some(("pwm-pio", 15)),
            b"pwm-gpio" => Some(("pwm-gpio", 1)),
            _ => None,
        })
}

/// Which entry of a `gpios` property names the GPIO. An entry is three 32-bit big-endian numbers:
/// the controller, the GPIO, flags.
fn channel_of(gpios: &[u8], gpio: u8) -> Option<u8> {
    let position = gpios
        .chunks_exact(12)
        .position(|entry| entry[4..8] == u32::from(gpio).to_be_bytes())?;
    u8::try_from(position).ok()
}

/// An exported channel that is enabled.
pub struct KernelPwm {
    pwm: Pwm,
    period_ns: u64,
}

impl KernelPwm {
    /// Exports and enables the channel, dark from the first moment.
    ///
    /// # Errors
    /// The channel's files cannot be written, or the chip does not take the period.
    pub fn open(channel: &Channel, period_ns: u64, invert: bool) -> anyhow::Result<KernelPwm> {
        let mut pwm = retried(|| Pwm::with_pwmchip(channel.chip, channel.channel))
            .context("cannot export the channel")?;
        // A disabled pwm-pio freezes at whatever level it has, so off is a duty of 0 on a channel
        // that stays enabled, also after the service.
        pwm.set_reset_on_drop(false);
        let dark = if invert { Duty::FULL } else { Duty::OFF };
        // Pulse 0 first: a period below the pulse that someone left there is refused.
        retried(|| pwm.set_pulse_width(Duration::ZERO)).context("cannot set the duty cycle")?;
        pwm.set_period(Duration::from_nanos(period_ns))
            .with_context(|| format!("cannot set a period of {period_ns} ns"))?;
        pwm.set_pulse_width(Duration::from_nanos(dark.pulse_ns(period_ns)))
            .context("cannot set the duty cycle")?;
        pwm.enable().context("cannot enable the channel")?;
        Ok(KernelPwm { pwm, period_ns })
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
        let pulse = Duration::from_nanos(Duty(duty).pulse_ns(self.period_ns));
        self.pwm
            .set_pulse_width(pulse)
            .map_err(|error| WriteError(format!("kernel-pwm: cannot set the duty cycle: {error}")))
    }
}
