//! Chooses and opens what moves a pin.

use std::path::Path;

use anyhow::{Context, bail};

use super::device_tree::DeviceTree;
use super::kernel_pwm::KernelPwm;
use super::output::Opened;
use super::pwmchip::{self, Channel};
use super::simulated::Simulated;
use super::software_pwm::SoftwarePwm;
use crate::config::{DriverChoice, LightConfig, OnStop};
use crate::model::lights::Driver;

/// Frequency of `kernel-pwm` and `simulated` where the settings name none, in Hz.
pub const KERNEL_FREQUENCY: u32 = 1000;
/// The same for `software-pwm`, which costs CPU with every period.
pub const SOFTWARE_FREQUENCY: u32 = 200;

/// What the settings and the machine come to.
#[derive(Debug, PartialEq)]
pub enum Choice {
    /// This channel of a pwmchip.
    Kernel(Channel),
    /// rppal's thread.
    Software,
    /// No pin, for this reason.
    Simulated(&'static str),
    /// The settings insist on a pwmchip, and none drives the GPIO.
    NoChip,
}

/// Chooses among the drivers of the machine below `root`.
pub fn choose(root: &Path, wanted: DriverChoice, gpio: u8) -> Choice {
    match wanted {
        DriverChoice::Simulated => Choice::Simulated("as the settings say"),
        DriverChoice::SoftwarePwm => Choice::Software,
        DriverChoice::KernelPwm => pwmchip::find(root, gpio).map_or(Choice::NoChip, Choice::Kernel),
        DriverChoice::Auto => match pwmchip::find(root, gpio) {
            Some(channel) => Choice::Kernel(channel),
            None if DeviceTree::new(root).is_pi() => Choice::Software,
            None => Choice::Simulated("as this is no Raspberry Pi"),
        },
    }
}

/// Whether a driver can do what the settings ask of it.
///
/// # Errors
/// It cannot; the message names the setting, its value and what is allowed.
pub fn check(choice: &Choice, light: &LightConfig) -> anyhow::Result<()> {
    match choice {
        Choice::NoChip => bail!(
            "kernel-pwm: no pwmchip drives GPIO {}; dimmer doctor says how to get one",
            light.gpio
        ),
        Choice::Software => {
            if light.on_stop == OnStop::Keep {
                bail!("on_stop = \"keep\" needs kernel-pwm: software-pwm ends with the service");
            }
            let frequency = light.frequency.unwrap_or(SOFTWARE_FREQUENCY);
            SoftwarePwm::check(frequency)
        }
        Choice::Kernel(_) | Choice::Simulated(_) => Ok(()),
    }
}

/// Opens the driver that the light's settings ask for.
///
/// # Errors
/// It cannot be opened, or cannot do what the settings ask of it.
pub fn open(light: &LightConfig, trace: Option<&Path>) -> anyhow::Result<Opened> {
    let choice = choose(Path::new("/"), light.driver, light.gpio);
    check(&choice, light)?;
    match choice {
        Choice::Kernel(channel) => kernel(light, channel),
        Choice::Software => software(light),
        Choice::Simulated(why) => Ok(simulated(light, trace, why)),
        Choice::NoChip => unreachable!("checked above"),
    }
}

fn kernel(light: &LightConfig, channel: Channel) -> anyhow::Result<Opened> {
    let frequency = light.frequency.unwrap_or(KERNEL_FREQUENCY);
    let output = KernelPwm::open(&channel, frequency, light.invert)
        .with_context(|| format!("kernel-pwm: pwmchip{}", channel.chip))?;
    Ok(Opened {
        output: Box::new(output),
        driver: Driver::KernelPwm,
        frequency,
        resolution: kernel_resolution(&channel, frequency),
        about: format!("kernel-pwm ({channel})"),
    })
}

/// How many pulse widths a channel has at a frequency in Hz.
pub fn kernel_resolution(channel: &Channel, frequency: u32) -> u32 {
    (1_000_000_000 / frequency / channel.step_ns).max(1)
}

fn software(light: &LightConfig) -> anyhow::Result<Opened> {
    let frequency = light.frequency.unwrap_or(SOFTWARE_FREQUENCY);
    let output = SoftwarePwm::open(light.gpio, frequency, light.invert)?;
    Ok(Opened {
        output: Box::new(output),
        driver: Driver::SoftwarePwm,
        frequency,
        resolution: SoftwarePwm::resolution(frequency),
        about: if SoftwarePwm::has_real_time() {
            "software-pwm with real-time priority".into()
        } else {
            "software-pwm without real-time priority (see LimitRTPRIO=99 of systemd)".into()
        },
    })
}

fn simulated(light: &LightConfig, trace: Option<&Path>, why: &str) -> Opened {
    Opened {
        output: Box::new(Simulated::new(trace.map(|folder| folder.join(&light.name)))),
        driver: Driver::Simulated,
        frequency: light.frequency.unwrap_or(KERNEL_FREQUENCY),
        resolution: 1 << 16,
        about: format!("simulated, {why}"),
    }
}
