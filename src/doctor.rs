//! `dimmer doctor`: what this machine is, what drives each GPIO here, and what would be better; and
//! what `dimmer serve --check` says.
//!
//! It only reads, and everything below a root folder, which is `/` but in tests.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use anyhow::Context;
use rustix::fs::{Access, access};

use crate::config::{Config, DriverChoice, LightConfig};
use crate::pin::device_tree::DeviceTree;
use crate::pin::driver::{self, Choice, KERNEL_FREQUENCY, SOFTWARE_FREQUENCY};
use crate::pin::pwmchip::{self, Chip};
use crate::pin::software_pwm::SoftwarePwm;

/// Devices through which rppal reaches the GPIOs: up to the Pi 4, on the Pi 5, and without either.
const GPIO_DEVICES: [&str; 3] = ["dev/gpiomem", "dev/gpiomem0", "dev/mem"];

/// The GPIOs of the header, of which a chip may drive any.
const HEADER: std::ops::RangeInclusive<u8> = 0..=27;

/// What is true of the machine below `root`, for each of the lights.
pub fn report(root: &Path, lights: &[LightConfig]) -> String {
    let tree = DeviceTree::new(root);
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{name:<12}{value}");
    };
    let model = tree.model();
    line("machine", model.as_deref().unwrap_or("no device tree here"));
    let kernel = kernel(root);
    line("kernel", kernel.as_deref().unwrap_or("not known"));
    for device in GPIO_DEVICES {
        line("file", &permissions(root, device));
    }
    let chips = pwmchip::list(root);
    if chips.is_empty() {
        line("pwmchips", "none");
    }
    for chip in &chips {
        line(&format!("pwmchip{}", chip.number), &about(root, chip));
        for file in ["export", "unexport"] {
            let file = format!("sys/class/pwm/pwmchip{}/{file}", chip.number);
            line("file", &permissions(root, &file));
        }
    }
    for light in lights {
        let gpio = light.gpio;
        line(&format!("light {}", light.name), &format!("GPIO {gpio}"));
        let choice = driver::choose(root, light.driver, gpio);
        let verb = match light.driver {
            DriverChoice::Auto => "auto takes",
            _ => "settings",
        };
        line(verb, &outcome(&choice, light));
        if let Err(error) = driver::check(&choice, light) {
            line("but", &format!("it will not start: {error}"));
        }
        for user in users(&tree, gpio) {
            line("pin of", &user);
        }
        for advice in advice(root, &tree, &choice, gpio) {
            line("better", &advice);
        }
        let Some(gpio) = light.button_gpio else {
            continue;
        };
        line("button", &button(&choice, gpio));
        for user in users(&tree, gpio) {
            line("pin of", &user);
        }
    }
    text
}

/// What a service with these settings would do on the machine below `root`, a line each for the port,
/// the lights and their buttons. No pin is touched.
///
/// # Errors
/// It would not start; the message names the light and what is wrong with it.
pub fn plan(root: &Path, config: &Config) -> anyhow::Result<String> {
    let mut text = format!("listen {}\n", config.listen);
    for light in &config.lights {
        let LightConfig { name, gpio, .. } = light;
        let choice = driver::choose(root, light.driver, *gpio);
        driver::check(&choice, light).with_context(|| format!("light {name} on GPIO {gpio}"))?;
        text += &format!("light {name}: GPIO {gpio}: {}\n", outcome(&choice, light));
        if let Some(gpio) = light.button_gpio {
            text += &format!("light {name}: button: {}\n", button(&choice, gpio));
        }
    }
    if let Some(mqtt) = &config.mqtt {
        text += &format!("mqtt {} as {}\n", mqtt.broker, mqtt.node);
    }
    Ok(text)
}

/// Who has a GPIO by the device tree.
fn users(tree: &DeviceTree, gpio: u8) -> impl Iterator<Item = String> {
    tree.users(gpio).into_iter().map(|user| {
        let name = user.file_name().unwrap_or_default().to_string_lossy();
        format!("{name} in the device tree")
    })
}

/// The button of a light that has this driver.
fn button(choice: &Choice, gpio: u8) -> String {
    match choice {
        Choice::Simulated(_) => format!("none on GPIO {gpio}, as the light is simulated"),
        _ => format!("GPIO {gpio}: a press toggles, a hold dims"),
    }
}

fn kernel(root: &Path) -> Option<String> {
    let release = fs::read_to_string(root.join("proc/sys/kernel/osrelease")).ok()?;
    Some(release.trim().to_owned())
}

/// A file with its owner and mode, and whether this user may write to it.
fn permissions(root: &Path, file: &str) -> String {
    let path = root.join(file);
    let Ok(metadata) = fs::metadata(&path) else {
        return format!("/{file}: missing");
    };
    let mode = metadata.permissions().mode() & 0o7777;
    let (user, group) = (metadata.uid(), metadata.gid());
    let may = match access(&path, Access::WRITE_OK) {
        Ok(()) => "can be opened",
        Err(_) if group != 0 && mode & 0o020 != 0 => {
            "cannot be opened: add the user to that group (sudo adduser $USER gpio)"
        }
        Err(_) => "cannot be opened: only root may",
    };
    format!("/{file}: user {user}, group {group}, mode {mode:04o}, {may}")
}

/// What a pwmchip is and drives.
fn about(root: &Path, chip: &Chip) -> String {
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

/// The driver that a light gets, with its frequency and resolution.
fn outcome(choice: &Choice, light: &LightConfig) -> String {
    match choice {
        Choice::Kernel(channel) => {
            let frequency = light.frequency.unwrap_or(KERNEL_FREQUENCY);
            let steps = driver::kernel_resolution(channel, frequency);
            format!("kernel-pwm ({channel}), {frequency} Hz, {steps} steps")
        }
        Choice::Software => {
            let frequency = light.frequency.unwrap_or(SOFTWARE_FREQUENCY);
            let steps = SoftwarePwm::resolution(frequency);
            let percent = SoftwarePwm::cpu_percent(frequency);
            let priority = match SoftwarePwm::has_real_time() {
                true => "with real-time priority",
                false => "without real-time priority",
            };
            format!(
                "software-pwm, {frequency} Hz, {steps} steps, up to {percent:.0} % of a core, {priority}"
            )
        }
        Choice::Simulated(why) => format!("simulated, {why}"),
        Choice::NoChip => "kernel-pwm".into(),
    }
}

/// What would be better than `choice`, best first, and exactly how to get it.
fn advice(root: &Path, tree: &DeviceTree, choice: &Choice, gpio: u8) -> Vec<String> {
    if !tree.is_pi() || matches!(choice, Choice::Kernel(_) | Choice::Simulated(_)) {
        return Vec::new();
    }
    let file = match root.join("boot/config.txt").exists()
        && !root.join("boot/firmware/config.txt").exists()
    {
        true => "/boot/config.txt",
        false => "/boot/firmware/config.txt",
    };
    let add = |overlay: &str| format!("add the line dtoverlay={overlay} to {file} and reboot");
    if let Some(function) = block_function(tree, gpio) {
        let overlay = format!("pwm,pin={gpio},func={function}");
        return vec![format!("kernel-pwm by the PWM block: {}", add(&overlay))];
    }
    let driver = if tree.has_rp1() {
        "pwm-pio"
    } else {
        "pwm-gpio"
    };
    let mut here = format!("kernel-pwm by {driver}: ");
    if kernel(root).is_some_and(|release| !has_pwm_gpio(&release)) {
        here += "first update the system to kernel 6.6.62 or newer (sudo apt full-upgrade), then ";
    }
    here += &add(&format!("{driver},gpio={gpio}"));
    let elsewhere = format!(
        "kernel-pwm by the PWM block: move the LED to GPIO 18 (header pin 12), set gpio = 18, {}",
        add("pwm,pin=18,func=2")
    );
    vec![here, elsewhere]
}

/// The function that puts the PWM block on a GPIO, where it can be: the `pwm` overlay's `func`.
fn block_function(tree: &DeviceTree, gpio: u8) -> Option<u8> {
    match gpio {
        12 | 13 => Some(4),
        18 | 19 => Some(2),
        14 | 15 if tree.has_rp1() => Some(4),
        _ => None,
    }
}

/// Whether a kernel of the Raspberry Pi has `pwm-gpio`: since 6.11, and in 6.6 since 6.6.62.
fn has_pwm_gpio(release: &str) -> bool {
    let mut numbers = release
        .split(|character: char| !character.is_ascii_digit())
        .map_while(|number| number.parse::<u32>().ok());
    let mut next = || numbers.next().unwrap_or(0);
    let version = (next(), next(), next());
    version >= (6, 11, 0) || version.0 == 6 && version.1 == 6 && version.2 >= 62
}
