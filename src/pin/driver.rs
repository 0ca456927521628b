//! Chooses and opens what moves a pin.

use std::path::Path;

use anyhow::{Context, bail};
use embedded_hal::pwm::SetDutyCycle;
use rppal::system::DeviceInfo;

use super::kernel_pwm::{self, KernelPwm};
use super::simulated::Simulated;
use super::software_pwm::SoftwarePwm;
use crate::config::{DriverChoice, LightConfig, OnStop};
use crate::lights::Driver;

/// Frequency of `kernel-pwm` and `simulated` where the settings name none, in Hz.
const KERNEL_FREQUENCY: u32 = 1000;
/// The same for `software-pwm`, which costs CPU with every period.
const SOFTWARE_FREQUENCY: u32 = 200;

/// Where the kernel shows its devices.
const SYS: &str = "/sys";

/// What a pin's thread writes duties to.
pub type Output = Box<dyn SetDutyCycle<Error = WriteError> + Send>;

/// A duty that did not reach the pin: what failed and what to do about it, in one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WriteError(pub String);

impl embedded_hal::pwm::Error for WriteError {
    fn kind(&self) -> embedded_hal::pwm::ErrorKind {
        embedded_hal::pwm::ErrorKind::Other
    }
}

/// An output that is open, with what is true of it.
pub struct Opened {
    /// Takes the duties.
    pub output: Output,
    /// Which driver it is.
    pub driver: Driver,
    /// PWM frequency in Hz.
    pub frequency: u32,
    /// How many steps of light it can tell apart.
    pub resolution: u32,
    /// The driver for the log, with what it stands on.
    pub about: String,
}

/// Opens the driver that the light's settings ask for.
///
/// # Errors
/// It cannot be opened, or cannot do what the settings ask of it.
pub fn open(light: &LightConfig, trace: Option<&Path>) -> anyhow::Result<Opened> {
    let sys = Path::new(SYS);
    match light.driver {
        DriverChoice::Simulated => simulated(light, trace, "simulated"),
        DriverChoice::SoftwarePwm => software(light),
        DriverChoice::KernelPwm => match kernel_pwm::find(sys, light.gpio) {
            Some(channel) => kernel(light, channel),
            None => bail!(
                "kernel-pwm: no pwmchip drives GPIO {gpio}; add dtoverlay=pwm-gpio,gpio={gpio} \
                 (Pi 5: pwm-pio) to /boot/firmware/config.txt and reboot",
                gpio = light.gpio
            ),
        },
        DriverChoice::Auto => match kernel_pwm::find(sys, light.gpio) {
            Some(channel) => kernel(light, channel),
            None if DeviceInfo::new().is_ok() => software(light),
            None => simulated(light, trace, "simulated, as this is no Raspberry Pi"),
        },
    }
}

fn kernel(light: &LightConfig, channel: kernel_pwm::Channel) -> anyhow::Result<Opened> {
    let frequency = light.frequency.unwrap_or(KERNEL_FREQUENCY);
    let period_ns = u64::from(1_000_000_000 / frequency);
    let output = KernelPwm::open(&channel, period_ns, light.invert)
        .with_context(|| format!("kernel-pwm: pwmchip{}", channel.chip))?;
    Ok(Opened {
        output: Box::new(output),
        driver: Driver::KernelPwm,
        frequency,
        resolution: (1_000_000_000 / frequency / channel.step_ns).max(1),
        about: format!("kernel-pwm ({channel})"),
    })
}

fn software(light: &LightConfig) -> anyhow::Result<Opened> {
    if light.on_stop == OnStop::Keep {
        bail!("on_stop = \"keep\" needs kernel-pwm: software-pwm ends with the service");
    }
    let frequency = light.frequency.unwrap_or(SOFTWARE_FREQUENCY);
    let output = SoftwarePwm::open(light.gpio, frequency, light.invert)?;
    Ok(Opened {
        output: Box::new(output),
        driver: Driver::SoftwarePwm,
        frequency,
        resolution: SoftwarePwm::resolution(frequency),
        about: "software-pwm".into(),
    })
}

fn simulated(light: &LightConfig, trace: Option<&Path>, about: &str) -> anyhow::Result<Opened> {
    Ok(Opened {
        output: Box::new(Simulated::new(trace.map(|folder| folder.join(&light.name)))),
        driver: Driver::Simulated,
        frequency: light.frequency.unwrap_or(KERNEL_FREQUENCY),
        resolution: 1 << 16,
        about: about.into(),
    })
}
