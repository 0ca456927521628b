//! Chooses and opens the driver of a pin.

use std::path::Path;

use anyhow::{Context, bail};

use super::device_tree::DeviceTree;
use super::kernel_pwm::KernelPwm;
use super::output::OpenOutput;
use super::pwmchip::{self, Channel};
use super::simulated::Simulated;
use super::software_pwm::SoftwarePwm;
use crate::config::{DriverChoice, LightConfig, OnStop};
use crate::model::lights::Driver;

/// Default frequency of `kernel-pwm` and `simulated`, in Hz.
pub(crate) const KERNEL_FREQUENCY: u32 = 1000;
/// Default frequency of `software-pwm`, in Hz: lower, because each period costs CPU time.
pub(crate) const SOFTWARE_FREQUENCY: u32 = 200;

/// The driver that results from the settings and the machine.
#[derive(Debug, PartialEq)]
pub enum Choice {
    /// `kernel-pwm` on this channel of a pwmchip.
    Kernel(Channel),
    /// `software-pwm`: rppal's thread.
    Software,
    /// No pin, for this reason.
    Simulated(&'static str),
    /// None: the settings demand `kernel-pwm`, and no pwmchip drives the GPIO.
    NoChip,
}

/// Chooses a driver for a GPIO of the machine whose files are below `root`.
pub fn choose(root: &Path, wanted: DriverChoice, gpio: u8) -> Choice {
    match wanted {
        DriverChoice::Simulated => Choice::Simulated("as configured"),
        DriverChoice::SoftwarePwm => Choice::Software,
        DriverChoice::KernelPwm => pwmchip::find(root, gpio).map_or(Choice::NoChip, Choice::Kernel),
        DriverChoice::Auto => match pwmchip::find(root, gpio) {
            Some(channel) => Choice::Kernel(channel),
            None if DeviceTree::new(root).is_pi() => Choice::Software,
            None => Choice::Simulated("because this is not a Raspberry Pi"),
        },
    }
}

/// Checks whether the chosen driver supports the light's settings.
///
/// # Errors
/// It does not; the message names the setting, its value and what is allowed.
pub(crate) fn check(choice: &Choice, light: &LightConfig) -> anyhow::Result<()> {
    match choice {
        Choice::NoChip => bail!(
            "kernel-pwm: no pwmchip drives GPIO {}; run dimmer doctor to see how to get one",
            light.gpio
        ),
        Choice::Software => {
            if light.on_stop == OnStop::Keep {
                bail!("on_stop = \"keep\" needs kernel-pwm: software-pwm stops with the service");
            }
            let frequency = light.frequency.unwrap_or(SOFTWARE_FREQUENCY);
            SoftwarePwm::check_frequency(frequency)
        }
        Choice::Kernel(_) | Choice::Simulated(_) => Ok(()),
    }
}

/// Opens the driver that the light's settings ask for.
///
/// # Errors
/// The driver cannot be opened, or does not support the settings.
pub(crate) fn open(light: &LightConfig, trace: Option<&Path>) -> anyhow::Result<OpenOutput> {
    let choice = choose(Path::new("/"), light.driver, light.gpio);
    check(&choice, light)?;
    match choice {
        Choice::Kernel(channel) => open_kernel(light, channel),
        Choice::Software => open_software(light),
        Choice::Simulated(reason) => Ok(open_simulated(light, trace, reason)),
        Choice::NoChip => unreachable!("checked above"),
    }
}

fn open_kernel(light: &LightConfig, channel: Channel) -> anyhow::Result<OpenOutput> {
    let frequency = light.frequency.unwrap_or(KERNEL_FREQUENCY);
    let output = KernelPwm::open(&channel, frequency, light.invert)
        .with_context(|| format!("kernel-pwm: pwmchip{}", channel.chip))?;
    Ok(OpenOutput {
        output: Box::new(output),
        driver: Driver::KernelPwm,
        frequency,
        resolution: kernel_resolution(&channel, frequency),
        description: format!("kernel-pwm ({channel})"),
    })
}

/// The number of pulse widths of a channel at a frequency in Hz.
pub(crate) fn kernel_resolution(channel: &Channel, frequency: u32) -> u32 {
    (1_000_000_000 / frequency / channel.step_ns).max(1)
}

fn open_software(light: &LightConfig) -> anyhow::Result<OpenOutput> {
    let frequency = light.frequency.unwrap_or(SOFTWARE_FREQUENCY);
    let output = SoftwarePwm::open(light.gpio, frequency, light.invert)?;
    Ok(OpenOutput {
        output: Box::new(output),
        driver: Driver::SoftwarePwm,
        frequency,
        resolution: SoftwarePwm::resolution(frequency),
        description: if SoftwarePwm::has_real_time() {
            "software-pwm with real-time priority".into()
        } else {
            "software-pwm without real-time priority (set LimitRTPRIO=99 in systemd)".into()
        },
    })
}

fn open_simulated(light: &LightConfig, trace: Option<&Path>, reason: &str) -> OpenOutput {
    OpenOutput {
        output: Box::new(Simulated::new(trace.map(|folder| folder.join(&light.name)))),
        driver: Driver::Simulated,
        frequency: light.frequency.unwrap_or(KERNEL_FREQUENCY),
        resolution: 1 << 16,
        description: format!("simulated, {reason}"),
    }
}
