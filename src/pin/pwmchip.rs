//! Finds the pwmchip that drives a GPIO.
//!
//! The numbers of pwmchips change with the kernel and the overlays, and a fan hangs on some of
//! them, so a chip counts only by what its device tree node says that it drives.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::device_tree::{DeviceTree, numbers, strings};

/// Where the kernel shows pwmchips, below the root.
const CLASS: &str = "sys/class/pwm";

/// The driver behind a pwmchip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChipKind {
    /// The RP1's programmable I/O on any GPIO of a Pi 5.
    PwmPio,
    /// A timer of the kernel on any GPIO of any Pi.
    PwmGpio,
    /// The PWM block of a Pi up to the 4.
    Bcm2835,
    /// The PWM blocks of a Pi 5.
    Rp1,
}

impl ChipKind {
    const ALL: [ChipKind; 4] = [
        ChipKind::PwmPio,
        ChipKind::PwmGpio,
        ChipKind::Bcm2835,
        ChipKind::Rp1,
    ];

    /// The `compatible` string of its device tree node.
    fn compatible(self) -> &'static str {
        match self {
            ChipKind::PwmPio => "raspberrypi,pwm-pio-rp1",
            ChipKind::PwmGpio => "pwm-gpio",
            ChipKind::Bcm2835 => "brcm,bcm2835-pwm",
            ChipKind::Rp1 => "raspberrypi,rp1-pwm",
        }
    }

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            ChipKind::PwmPio => "pwm-pio",
            ChipKind::PwmGpio => "pwm-gpio",
            ChipKind::Bcm2835 => "pwm-bcm2835",
            ChipKind::Rp1 => "pwm-rp1",
        }
    }

    /// The finest pulse in ns.
    fn step_ns(self, node: &Path) -> u32 {
        match self {
            // Three cycles of the RP1's 200 MHz.
            ChipKind::PwmPio => 15,
            ChipKind::PwmGpio => 1,
            ChipKind::Bcm2835 | ChipKind::Rp1 => {
                // The block counts its clock, 10 MHz where the tree names none.
                let clock = numbers(&node.join("assigned-clock-rates"));
                let hz = clock.first().copied().unwrap_or(10_000_000);
                (1_000_000_000 / hz.max(1)).max(1)
            }
        }
    }

    /// Which of a block's channels can come out at a GPIO: BCM2711 and RP1 peripherals manuals.
    fn block_channel(self, gpio: u8) -> Option<u8> {
        match (self, gpio) {
            (ChipKind::Bcm2835, 12 | 18) | (ChipKind::Rp1, 12) => Some(0),
            (ChipKind::Bcm2835, 13 | 19) | (ChipKind::Rp1, 13) => Some(1),
            (ChipKind::Rp1, 14 | 18) => Some(2),
            (ChipKind::Rp1, 15 | 19) => Some(3),
            _ => None,
        }
    }
}

/// A pwmchip.
#[derive(Debug, Clone)]
pub struct Chip {
    /// Its number today.
    pub number: u8,
    /// Its device, such as `pwm_gpio@15`.
    pub device: String,
    /// What it is, if it is of a kind that may drive a light.
    pub kind: Option<ChipKind>,
    node: PathBuf,
}

/// A channel of a pwmchip that drives a GPIO.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    /// The chip's number today.
    pub chip: u8,
    /// The channel's number within the chip.
    pub channel: u8,
    /// What the chip is.
    pub kind: ChipKind,
    /// The finest pulse in ns.
    pub step_ns: u32,
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Channel { chip, channel, .. } = self;
        write!(f, "{}, pwmchip{chip} channel {channel}", self.kind.name())
    }
}

/// Every pwmchip below `root`, by number.
pub fn list(root: &Path) -> Vec<Chip> {
    let Ok(entries) = fs::read_dir(root.join(CLASS)) else {
        return Vec::new();
    };
    let mut chips: Vec<Chip> = entries
        .flatten()
        .filter_map(|entry| chip(&entry.path()))
        .collect();
    chips.sort_by_key(|chip| chip.number);
    chips
}

fn chip(path: &Path) -> Option<Chip> {
    let number = path
        .file_name()?
        .to_str()?
        .strip_prefix("pwmchip")?
        .parse()
        .ok()?;
    let device = fs::canonicalize(path.join("device")).ok();
    let device = device
        .as_deref()
        .and_then(Path::file_name)
        .unwrap_or_default();
    let node = path.join("device/of_node");
    let compatible = strings(&node.join("compatible"));
    let kind = ChipKind::ALL
        .into_iter()
        .find(|kind| compatible.iter().any(|name| name == kind.compatible()));
    Some(Chip {
        number,
        device: device.to_string_lossy().into_owned(),
        kind,
        node,
    })
}

/// The channel that drives a GPIO, if any does.
pub fn find(root: &Path, gpio: u8) -> Option<Channel> {
    list(root)
        .into_iter()
        .find_map(|chip| chip.channel(root, gpio))
}

impl Chip {
    /// The channel of this chip that drives a GPIO.
    pub fn channel(&self, root: &Path, gpio: u8) -> Option<Channel> {
        let kind = self.kind?;
        let channel = match kind {
            ChipKind::PwmPio | ChipKind::PwmGpio => {
                // An entry is the controller, the GPIO and its flags.
                let gpios = numbers(&self.node.join("gpios"));
                let mut entries = gpios.chunks_exact(3);
                let place = entries.position(|entry| entry[1] == u32::from(gpio))?;
                u8::try_from(place).ok()?
            }
            ChipKind::Bcm2835 | ChipKind::Rp1 => {
                let channel = kind.block_channel(gpio)?;
                // The block may be there without its pins, or be another one: a fan's.
                let node = fs::canonicalize(&self.node).ok()?;
                let users = DeviceTree::new(root).users(gpio);
                let mine = users
                    .iter()
                    .any(|user| fs::canonicalize(user).is_ok_and(|user| user == node));
                mine.then_some(channel)?
            }
        };
        Some(Channel {
            chip: self.number,
            channel,
            kind,
            step_ns: kind.step_ns(&self.node),
        })
    }
}
