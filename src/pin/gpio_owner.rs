//! Finds the device that the device tree has given a GPIO to, such as a sound card, a serial port or a fan.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::device_tree::{DeviceTree, Node, channel_users, line_users, numbers};
use super::pwmchip;

/// Where the firmware's settings are, below the root: as Raspberry Pi OS and Ubuntu have them, and before 2023.
const CONFIG_FILES: [&str; 2] = ["boot/firmware/config.txt", "boot/config.txt"];

/// A device whose driver is bound, and that uses a GPIO.
#[derive(Debug, PartialEq)]
pub struct GpioOwner {
    /// The name of its node, such as `i2s@7e203000`.
    pub device: String,
    /// Its driver, such as `bcm2835-i2s`.
    pub driver: String,
    /// The firmware's settings.
    file: &'static str,
    /// The lines there that may have enabled it.
    lines: Vec<String>,
}

impl GpioOwner {
    /// The owner of a GPIO of the machine whose files are below `root`, if there is one. A pwmchip that
    /// drives the GPIO is none: it is there for lights.
    pub fn of(root: &Path, gpio: u8) -> Option<GpioOwner> {
        let tree = DeviceTree::new(root);
        let nodes = tree.nodes();
        let drivers = drivers(root);
        let chips: Vec<_> = pwmchip::list(root)
            .into_iter()
            .filter_map(|chip| {
                let channel = chip.channel(root, gpio)?.channel;
                Some((fs::canonicalize(&chip.node).ok()?, channel))
            })
            .collect();
        let (user, device, driver) = tree
            .users(gpio)
            .into_iter()
            .chain(line_users(&nodes, gpio))
            .chain(chips.iter().flat_map(|(chip, channel)| {
                let phandle = numbers(&chip.join("phandle")).first().copied();
                channel_users(&nodes, phandle, *channel)
            }))
            .filter_map(|user| fs::canonicalize(user).ok())
            .filter(|user| !chips.iter().any(|(chip, _)| chip == user))
            // The initial settings of lines, which the chip of the GPIOs has itself.
            .filter(|user| !user.join("gpio-controller").exists())
            .find_map(|user| {
                // A node such as that of one LED is no device, but its parent is.
                let mut nodes = user.ancestors();
                let device = nodes
                    .find(|node| node.join("compatible").exists())?
                    .to_owned();
                let driver = drivers.get(&device)?.clone();
                Some((user, device, driver))
            })?;
        let (file, lines) = config_lines(root, gpio, &user, &device);
        Some(GpioOwner {
            device: name(&device),
            driver,
            file,
            lines,
        })
    }
}

impl fmt::Display for GpioOwner {
    /// The device, its driver, and the lines that may have enabled it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let GpioOwner {
            device,
            driver,
            file,
            lines,
        } = self;
        write!(f, "{device} (driver {driver}; ")?;
        match lines.as_slice() {
            [] => write!(f, "by default, or by a line of /{file}"),
            [line] => write!(f, "by the line {line} of /{file}"),
            lines => write!(f, "by one of these lines of /{file}: {}", lines.join(" ")),
        }?;
        f.write_str(")")
    }
}

/// The node and the driver of each device with a driver.
fn drivers(root: &Path) -> HashMap<PathBuf, String> {
    let entries = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten();
    entries(root.join("sys/bus"))
        .flat_map(|bus| entries(bus.path().join("devices")))
        .filter_map(|device| {
            let driver = fs::read_link(device.path().join("driver")).ok()?;
            let node = fs::canonicalize(device.path().join("of_node")).ok()?;
            Some((node, name(&driver)))
        })
        .collect()
}

/// The last part of a path.
fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The settings of the firmware, and the lines there that name the GPIO or the device; all overlays if none does.
fn config_lines(root: &Path, gpio: u8, user: &Node, device: &Node) -> (&'static str, Vec<String>) {
    let found = CONFIG_FILES
        .into_iter()
        .find(|file| root.join(file).exists());
    let file = found.unwrap_or(CONFIG_FILES[0]);
    let text = fs::read_to_string(root.join(file)).unwrap_or_default();
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| {
            ["dtoverlay=", "dtparam=", "enable_uart="]
                .iter()
                .any(|start| line.starts_with(start))
        })
        .collect();
    let words = [user, device].map(|node| match name(node).split('@').next() {
        Some("serial") => "uart".to_owned(),
        Some(word) => word
            .trim_end_matches(|digit: char| digit.is_ascii_digit())
            .to_owned(),
        None => String::new(),
    });
    let names_gpio = |line: &str| {
        line.split([',', '='])
            .any(|value| value.parse() == Ok(gpio))
    };
    let names_device = |line: &str| {
        words
            .iter()
            .any(|word| word.len() > 2 && line.contains(word))
    };
    let own = |line: &&&str| names_gpio(line) || names_device(line);
    let mut lines_of_device: Vec<_> = lines.iter().filter(own).collect();
    if lines_of_device.is_empty() {
        lines_of_device = lines
            .iter()
            .filter(|line| line.starts_with("dtoverlay="))
            .collect();
    }
    (
        file,
        lines_of_device
            .into_iter()
            .map(|line| (*line).to_owned())
            .collect(),
    )
}
