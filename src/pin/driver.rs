//! Chooses and opens the driver of a pin.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, bail};
use rppal::pwm;

use super::device_tree::DeviceTree;
use super::gpio_owner::GpioOwner;
use super::kernel_bug::KernelBug;
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
    /// `software-pwm` instead of `kernel-pwm` on this channel, which must not be touched.
    Fallback(Channel, &'static KernelBug),
    /// No pin, for this reason.
    Simulated(&'static str),
    /// None: the settings demand `kernel-pwm`, and no pwmchip drives the GPIO.
    NoChip,
    /// None: the settings demand `kernel-pwm` on this channel, which must not be touched.
    Forbidden(Channel, &'static KernelBug),
}

/// Chooses a driver for a GPIO of the machine whose files are below `root`.
pub fn choose(root: &Path, wanted: DriverChoice, gpio: u8) -> Choice {
    match wanted {
        DriverChoice::Simulated => Choice::Simulated("as configured"),
        DriverChoice::SoftwarePwm => Choice::Software,
        DriverChoice::KernelPwm => match find_channel(root, gpio) {
            Some((channel, Some(bug))) => Choice::Forbidden(channel, bug),
            Some((channel, None)) => Choice::Kernel(channel),
            None => Choice::NoChip,
        },
        DriverChoice::Auto => match find_channel(root, gpio) {
            Some((channel, Some(bug))) => Choice::Fallback(channel, bug),
            Some((channel, None)) => Choice::Kernel(channel),
            None if DeviceTree::new(root).is_pi() => Choice::Software,
            None => Choice::Simulated("because this is not a Raspberry Pi"),
        },
    }
}

/// The channel that drives a GPIO, with the known bug of the running kernel in its driver.
fn find_channel(root: &Path, gpio: u8) -> Option<(Channel, Option<&'static KernelBug>)> {
    let channel = pwmchip::find(root, gpio)?;
    let bug = KernelBug::here(root, channel.kind);
    Some((channel, bug))
}

/// Checks whether the chosen driver supports the light's settings on the machine whose files are below
/// `root`, and whether its GPIOs belong to no other device.
///
/// # Errors
/// It does not; the message names the setting, its value and what is allowed, or the device.
pub(crate) fn check(root: &Path, choice: &Choice, light: &LightConfig) -> anyhow::Result<()> {
    check_settings(choice, light)?;
    if matches!(choice, Choice::Software | Choice::Fallback(..)) {
        SoftwarePwm::check_device(root)?;
    }
    if light.allow_shared_gpio || matches!(choice, Choice::Simulated(_)) {
        return Ok(());
    }
    for gpio in [Some(light.gpio), light.button_gpio].into_iter().flatten() {
        if let Some(owner) = GpioOwner::of(root, gpio) {
            bail!(
                "GPIO {gpio} belongs to {owner}; remove that and reboot, choose another GPIO, or set allow_shared_gpio = true to take it all the same"
            );
        }
    }
    Ok(())
}

fn check_settings(choice: &Choice, light: &LightConfig) -> anyhow::Result<()> {
    match choice {
        Choice::NoChip => bail!(
            "kernel-pwm: no pwmchip drives GPIO {}; run dimmer doctor to see how to get one",
            light.gpio
        ),
        Choice::Forbidden(channel, bug) => bail!("kernel-pwm ({channel}): {bug}"),
        Choice::Software => {
            if light.on_stop == OnStop::Keep {
                bail!("on_stop = \"keep\" needs kernel-pwm: software-pwm stops with the service");
            }
            let frequency = light.frequency.unwrap_or(SOFTWARE_FREQUENCY);
            SoftwarePwm::check_frequency(frequency)
        }
        Choice::Kernel(channel) => {
            let frequency = light.frequency.unwrap_or(KERNEL_FREQUENCY);
            match channel.kind.max_frequency() {
                Some(max) if frequency > max => bail!(
                    "{}: frequency must be from 1 to {max} Hz, not {frequency}: each period takes two interrupts, which come some µs late",
                    channel.kind.name()
                ),
                _ => Ok(()),
            }
        }
        Choice::Fallback(..) | Choice::Simulated(_) => Ok(()),
    }
}

/// Opens the chosen driver, which supports the light's settings.
///
/// # Errors
/// The driver cannot be opened.
pub(crate) fn open(
    choice: Choice,
    light: &LightConfig,
    trace: Option<&Path>,
) -> anyhow::Result<OpenOutput> {
    match choice {
        Choice::Simulated(reason) => Ok(open_simulated(light, trace, reason)),
        choice => open_pwm(choice, light, open_kernel, open_software),
    }
}

/// Opens a driver that moves a pin. If `auto` chose `kernel-pwm` and that cannot be opened, it is
/// `software-pwm`.
fn open_pwm(
    choice: Choice,
    light: &LightConfig,
    kernel: impl FnOnce(&LightConfig, &Channel) -> anyhow::Result<OpenOutput>,
    software: impl FnOnce(&LightConfig) -> anyhow::Result<OpenOutput>,
) -> anyhow::Result<OpenOutput> {
    let reason = match choice {
        Choice::Software => return software(light),
        Choice::Fallback(channel, bug) => format!("kernel-pwm ({channel}): {bug}"),
        Choice::Kernel(channel) => match kernel(light, &channel) {
            Err(error) if light.driver == DriverChoice::Auto && !is_in_use(&error) => format!(
                "{error:#}; run dimmer doctor, correct that and restart, or set driver = \"software-pwm\""
            ),
            result => return result,
        },
        Choice::Simulated(_) | Choice::NoChip | Choice::Forbidden(..) => {
            unreachable!("not opened here")
        }
    };
    let mut open = software(&software_instead(light))
        .with_context(|| format!("{reason}; and in its place"))?;
    open.fallback = Some(match light.on_stop {
        OnStop::Keep => format!("{reason}; until then on_stop = \"keep\" has no effect"),
        _ => reason,
    });
    Ok(open)
}

/// Whether a channel belongs to another driver of the kernel, such as that of a fan. Then its GPIO must
/// not be taken from it.
fn is_in_use(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref(),
        Some(pwm::Error::Io(error)) if error.kind() == ErrorKind::ResourceBusy
    )
}

/// The settings of a light for `kernel-pwm` without those that `software-pwm` does not support.
pub(crate) fn software_instead(light: &LightConfig) -> LightConfig {
    LightConfig {
        frequency: light
            .frequency
            .filter(|frequency| SoftwarePwm::check_frequency(*frequency).is_ok()),
        on_stop: OnStop::Off,
        ..light.clone()
    }
}

fn open_kernel(light: &LightConfig, channel: &Channel) -> anyhow::Result<OpenOutput> {
    let frequency = light.frequency.unwrap_or(KERNEL_FREQUENCY);
    let keep = light.on_stop == OnStop::Keep;
    let output = KernelPwm::open(channel, frequency, light.invert, keep)
        .with_context(|| format!("kernel-pwm: pwmchip{}", channel.chip))?;
    Ok(OpenOutput {
        output: Box::new(output),
        driver: Driver::KernelPwm,
        frequency,
        resolution: kernel_resolution(channel, frequency),
        description: format!("kernel-pwm ({channel})"),
        fallback: None,
    })
}

/// The number of pulse widths of a channel at a frequency in Hz.
pub(crate) fn kernel_resolution(channel: &Channel, frequency: u32) -> u32 {
    (1_000_000_000 / frequency / channel.step_ns).max(1)
}

fn open_software(light: &LightConfig) -> anyhow::Result<OpenOutput> {
    let frequency = light.frequency.unwrap_or(SOFTWARE_FREQUENCY);
    let output = SoftwarePwm::open(light, frequency)?;
    Ok(OpenOutput {
        output: Box::new(output),
        driver: Driver::SoftwarePwm,
        frequency,
        resolution: SoftwarePwm::resolution(frequency),
        description: "software-pwm".into(),
        fallback: None,
    })
}

fn open_simulated(light: &LightConfig, trace: Option<&Path>, reason: &str) -> OpenOutput {
    OpenOutput {
        output: Box::new(Simulated::new(trace.map(|folder| folder.join(&light.name)))),
        driver: Driver::Simulated,
        frequency: light.frequency.unwrap_or(KERNEL_FREQUENCY),
        resolution: 1 << 16,
        description: format!("simulated, {reason}"),
        fallback: None,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::anyhow;

    use super::*;
    use crate::pin::pwmchip::ChipKind;

    const CHANNEL: Channel = Channel {
        chip: 3,
        channel: 0,
        kind: ChipKind::PwmPio,
        step_ns: 15,
    };

    /// An output of the kind that `open_software` returns.
    fn opened(light: &LightConfig) -> OpenOutput {
        OpenOutput {
            driver: Driver::SoftwarePwm,
            frequency: light.frequency.unwrap_or(SOFTWARE_FREQUENCY),
            ..open_simulated(light, None, "in a test")
        }
    }

    /// Opens `kernel-pwm`, which fails with this error, for a light with these settings.
    fn open_without_kernel(
        light: &LightConfig,
        error: io::ErrorKind,
    ) -> anyhow::Result<OpenOutput> {
        let fail = |_: &LightConfig, _: &Channel| {
            Err(anyhow!(pwm::Error::Io(error.into())).context("kernel-pwm: pwmchip3"))
        };
        let choice = Choice::Kernel(CHANNEL);
        open_pwm(choice, light, fail, |light| Ok(opened(light)))
    }

    #[test]
    fn auto_falls_back_to_software_and_says_why() {
        let light = LightConfig::default();
        let open = open_without_kernel(&light, ErrorKind::InvalidInput).unwrap();
        assert_eq!(open.driver, Driver::SoftwarePwm);
        assert_eq!(open.frequency, SOFTWARE_FREQUENCY);
        let reason = open.fallback.unwrap();
        for part in [
            "kernel-pwm: pwmchip3: I/O error: invalid input parameter",
            "run dimmer doctor",
            "restart",
        ] {
            assert!(reason.contains(part), "{reason}");
        }
        assert!(!reason.contains("on_stop"), "{reason}");
    }

    #[test]
    fn a_fallback_drops_what_software_does_not_support() {
        let light = LightConfig {
            frequency: Some(20_000),
            on_stop: OnStop::Keep,
            ..LightConfig::default()
        };
        let open = open_without_kernel(&light, ErrorKind::InvalidInput).unwrap();
        assert_eq!(open.frequency, SOFTWARE_FREQUENCY);
        let reason = open.fallback.unwrap();
        assert!(
            reason.ends_with("on_stop = \"keep\" has no effect"),
            "{reason}"
        );

        let light = LightConfig {
            frequency: Some(300),
            ..light
        };
        let open = open_without_kernel(&light, ErrorKind::InvalidInput).unwrap();
        assert_eq!(open.frequency, 300);
    }

    #[test]
    fn software_pwm_cannot_keep_a_duty() {
        let light = LightConfig {
            on_stop: OnStop::Keep,
            ..LightConfig::default()
        };
        let error = check_settings(&Choice::Software, &light).unwrap_err();
        let error = error.to_string();
        assert!(
            error.starts_with("on_stop = \"keep\" needs kernel-pwm"),
            "{error}"
        );
        assert!(check_settings(&Choice::Kernel(CHANNEL), &light).is_ok());
    }

    #[test]
    fn kernel_pwm_as_demanded_stays_an_error() {
        let light = LightConfig {
            driver: DriverChoice::KernelPwm,
            ..LightConfig::default()
        };
        let error = open_without_kernel(&light, ErrorKind::InvalidInput).err();
        let error = format!("{:#}", error.unwrap());
        assert!(error.starts_with("kernel-pwm: pwmchip3: "), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }

    #[test]
    fn a_pin_of_another_device_is_not_taken() {
        let light = LightConfig::default();
        assert!(open_without_kernel(&light, ErrorKind::ResourceBusy).is_err());
    }

    #[test]
    fn a_driver_with_a_bug_is_never_opened() {
        let bug = KernelBug::of(CHANNEL.kind, "6.18.34-v8-16k+").unwrap();
        let light = LightConfig::default();
        let never = |_: &LightConfig, _: &Channel| panic!("opened");
        let choice = Choice::Fallback(CHANNEL, bug);
        let open = open_pwm(choice, &light, never, |light| Ok(opened(light))).unwrap();
        assert_eq!(open.driver, Driver::SoftwarePwm);
        let reason = open.fallback.unwrap();
        assert!(
            reason.contains("hangs the machine at any write"),
            "{reason}"
        );

        let error = check_settings(&Choice::Forbidden(CHANNEL, bug), &light).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains("hangs the machine at any write"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }

    #[test]
    fn if_software_fails_too_both_reasons_are_given() {
        let light = LightConfig::default();
        let kernel = |_: &LightConfig, _: &Channel| Err(anyhow!("no kernel"));
        let software = |_: &LightConfig| Err(anyhow!("no software"));
        let result = open_pwm(Choice::Kernel(CHANNEL), &light, kernel, software);
        let error = format!("{:#}", result.err().unwrap());
        assert!(
            error.contains("no kernel") && error.ends_with("no software"),
            "{error}"
        );
    }
}
