//! `dimmer doctor`: describes the machine, the driver of each light's GPIO, and how to get a better one. So does
//! [`diagnose`], for `/api/doctor`. Also describes what `dimmer serve --check` would start.
//!
//! Only reads. All files are below a root folder: `/`, except in tests.

mod advice;

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use anyhow::Context;
use rustix::fs::{Access, access};

use crate::config::{Config, DriverChoice, LightConfig};
use crate::model::lights::Light;
use crate::pin::device_tree::DeviceTree;
use crate::pin::driver::{self, Choice, KERNEL_FREQUENCY, SOFTWARE_FREQUENCY};
use crate::pin::kernel_bug::release;
use crate::pin::pwmchip::{self, Chip, ChipKind};
use crate::pin::real_time;
use crate::pin::software_pwm::SoftwarePwm;
use crate::platform::gpio_lock::Holder;
use crate::protocol::resource::{AdviceResource, DiagnosisResource, DoctorResource};
use advice::{advice, header_pin};

/// The devices through which rppal accesses the GPIOs: up to the Pi 4, on the Pi 5, and if there is
/// neither.
const GPIO_DEVICES: [&str; 3] = ["dev/gpiomem", "dev/gpiomem0", "dev/mem"];

/// The GPIOs of the header.
const HEADER: std::ops::RangeInclusive<u8> = 0..=27;

/// Describes the machine whose files are below `root`, and for each light its driver and how to get a
/// better one. Each line is a name and a value.
pub fn report(root: &Path, lights: &[LightConfig]) -> String {
    let tree = DeviceTree::new(root);
    let mut report = Report(String::new());
    report.machine(root, &tree);
    for light in lights {
        report.light(root, &tree, light, lights);
    }
    report.0
}

/// What drives the pins of these lights, with their settings, on the machine whose files are below `root`, and the
/// advice of [`report`].
pub fn diagnose(root: &Path, lights: &[Light], settings: &[LightConfig]) -> DoctorResource {
    let diagnoses = lights.iter().zip(settings).map(|(light, config)| {
        let choice = driver::choose(root, config.driver, config.gpio);
        let advice = advice(root, &choice, config, settings).into_iter();
        let advice = advice.map(|(kind, text)| AdviceResource { kind, text });
        DiagnosisResource::new(light, header_pin(root, light.gpio), advice.collect())
    });
    DoctorResource {
        machine: DeviceTree::new(root).model(),
        lights: diagnoses.collect(),
    }
}

/// Lines of a name and a value.
struct Report(String);

impl Report {
    fn line(&mut self, name: &str, value: &str) {
        // Writing to a String does not fail.
        let _ = writeln!(self.0, "{name:<12}{value}");
    }

    fn machine(&mut self, root: &Path, tree: &DeviceTree) {
        let model = tree.model();
        self.line("machine", model.as_deref().unwrap_or("no device tree here"));
        let kernel = release(root);
        self.line("kernel", kernel.as_deref().unwrap_or("unknown"));
        for device in GPIO_DEVICES {
            self.line("file", &permissions(root, device));
        }
        let chips = pwmchip::list(root);
        if chips.is_empty() {
            self.line("pwmchips", "none");
        }
        for chip in &chips {
            let name = format!("pwmchip{}", chip.number);
            self.line(&name, &describe_chip(root, chip));
            for file in ["export", "unexport"] {
                let file = format!("sys/class/pwm/{name}/{file}");
                self.line("file", &permissions(root, &file));
            }
        }
    }

    fn light(
        &mut self,
        root: &Path,
        tree: &DeviceTree,
        light: &LightConfig,
        lights: &[LightConfig],
    ) {
        let gpio = light.gpio;
        self.line(&format!("light {}", light.name), &format!("GPIO {gpio}"));
        let choice = driver::choose(root, light.driver, gpio);
        let name = match light.driver {
            DriverChoice::Auto => "auto takes",
            _ => "settings",
        };
        self.line(name, &describe_driver(&choice, light));
        if let Some(reason) = avoided(&choice) {
            self.line("avoids", &reason);
        }
        if let Err(error) = driver::check(root, &choice, light) {
            self.line("error", &format!("the service will not start: {error}"));
        }
        if !matches!(choice, Choice::Simulated(_))
            && let Some(holder) = Holder::of(gpio)
        {
            self.line("held by", &holder.to_string());
        }
        self.users(tree, gpio);
        for (name, line) in advice(root, &choice, light, lights) {
            self.line(name, &line);
        }
        if let Some(gpio) = light.button_gpio {
            self.line("button", &describe_button(&choice, gpio));
            self.users(tree, gpio);
        }
    }

    /// The users of a GPIO in the device tree.
    fn users(&mut self, tree: &DeviceTree, gpio: u8) {
        for user in tree.users(gpio) {
            let name = user.file_name().unwrap_or_default().to_string_lossy();
            self.line("used by", &format!("{name} in the device tree"));
        }
    }
}

/// What a service with these settings would do on the machine whose files are below `root`: a line each
/// for the port, the lights, their buttons and MQTT. Touches no pin.
///
/// # Errors
/// The service would not start; the message names the light and says what is wrong with its settings.
pub fn plan(root: &Path, config: &Config) -> anyhow::Result<String> {
    let mut text = format!("listen {}\n", config.listen);
    for light in &config.lights {
        let LightConfig { name, gpio, .. } = light;
        let choice = driver::choose(root, light.driver, *gpio);
        driver::check(root, &choice, light)
            .with_context(|| format!("light {name} on GPIO {gpio}"))?;
        let driver = describe_driver(&choice, light);
        text += &format!("light {name}: GPIO {gpio}: {driver}\n");
        if let Some(reason) = avoided(&choice) {
            text += &format!("light {name}: avoids {reason}\n");
        }
        if let Some(gpio) = light.button_gpio {
            let button = describe_button(&choice, gpio);
            text += &format!("light {name}: button: {button}\n");
        }
    }
    if config.matter {
        text += "matter: home apps can be paired\n";
    }
    if let Some(mqtt) = &config.mqtt {
        text += &format!("mqtt {} as {}\n", mqtt.broker, mqtt.node);
    }
    Ok(text)
}

/// What the button on this GPIO does, for a light with this driver.
fn describe_button(choice: &Choice, gpio: u8) -> String {
    match choice {
        Choice::Simulated(_) => format!("none on GPIO {gpio}, as the light is simulated"),
        _ => format!("GPIO {gpio}: a press toggles, a hold dims"),
    }
}

/// Describes a file: its owner and mode, and whether the current user may write to it.
fn permissions(root: &Path, file: &str) -> String {
    let path = root.join(file);
    let Ok(metadata) = fs::metadata(&path) else {
        return format!("/{file}: missing");
    };
    let mode = metadata.permissions().mode() & 0o7777;
    let (user, group) = (metadata.uid(), metadata.gid());
    let access = match access(&path, Access::WRITE_OK) {
        Ok(()) => "can be opened",
        Err(_) if group != 0 && mode & 0o020 != 0 => {
            "cannot be opened: add the user to that group (sudo adduser $USER gpio)"
        }
        Err(_) => "cannot be opened: only root may",
    };
    format!("/{file}: user {user}, group {group}, mode {mode:04o}, {access}")
}

/// Describes a pwmchip and the GPIOs that it drives.
fn describe_chip(root: &Path, chip: &Chip) -> String {
    let device = &chip.device;
    let Some(kind) = chip.kind else {
        return format!("{device}: not for lights, never touched");
    };
    let pins: Vec<_> = HEADER
        .filter_map(|gpio| {
            let channel = chip.channel(root, gpio)?.channel;
            Some(format!("GPIO {gpio} on channel {channel}"))
        })
        .collect();
    let pins = match pins.as_slice() {
        [] => "no GPIO of the header, never touched".into(),
        pins => pins.join(", "),
    };
    format!("{} ({device}): {pins}", kind.name())
}

/// Describes the driver of a light, with its frequency and resolution.
fn describe_driver(choice: &Choice, light: &LightConfig) -> String {
    match choice {
        Choice::Kernel(channel) => {
            let frequency = light.frequency.unwrap_or(KERNEL_FREQUENCY);
            let steps = driver::kernel_resolution(channel, frequency);
            let latency = match channel.kind {
                ChipKind::PwmGpio => ", less the interrupt latency of some µs an edge",
                _ => "",
            };
            format!("kernel-pwm ({channel}), {frequency} Hz, {steps} steps{latency}")
        }
        Choice::Software => describe_software(light),
        Choice::Fallback(..) => describe_software(&driver::software_instead(light)),
        Choice::Simulated(reason) => format!("simulated, {reason}"),
        Choice::NoChip => "kernel-pwm".into(),
        Choice::Forbidden(channel, _) => format!("kernel-pwm ({channel})"),
    }
}

/// The driver that `auto` would choose if it had no bug, with the bug and what to do.
fn avoided(choice: &Choice) -> Option<String> {
    match choice {
        Choice::Fallback(channel, bug) => Some(format!("kernel-pwm ({channel}): {bug}")),
        _ => None,
    }
}

fn describe_software(light: &LightConfig) -> String {
    let frequency = light.frequency.unwrap_or(SOFTWARE_FREQUENCY);
    let steps = SoftwarePwm::resolution(frequency);
    let percent = SoftwarePwm::cpu_percent(frequency);
    // That of the service if it runs, else what this user would get.
    let service = Holder::of(light.gpio).and_then(|holder| real_time::of_pins(holder.process?));
    let has_priority =
        service.unwrap_or_else(|| real_time::request().is_ok() && real_time::is_granted());
    let priority = match has_priority {
        true => "with real-time priority",
        false => "without real-time priority",
    };
    format!(
        "software-pwm, {frequency} Hz, {steps} steps, up to {percent:.0} % of a core, {priority}"
    )
}
