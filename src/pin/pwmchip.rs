//! Finds the pwmchip that drives a GPIO.
//!
//! The numbers of pwmchips change with the kernel and the overlays, and some of them drive a fan. So a
//! chip is chosen only by what its device tree node says that it drives.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::device_tree::{DeviceTree, numbers, strings};

/// The folder of the pwmchips, below the root.
const CLASS: &str = "sys/class/pwm";

/// The kernel driver of a pwmchip.
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

    /// The name of the kernel driver.
    pub fn name(self) -> &'static str {
        match self {
            ChipKind::PwmPio => "pwm-pio",
            ChipKind::PwmGpio => "pwm-gpio",
            ChipKind::Bcm2835 => "pwm-bcm2835",
            ChipKind::Rp1 => "pwm-rp1",
        }
    }

    /// The highest frequency in Hz below that of the settings: a timer of the kernel interrupts a core twice a
    /// period, so at 10 kHz 20 000 times a second, and a delay of some µs is a visible part of a shorter period.
    pub fn max_frequency(self) -> Option<u32> {
        match self {
            ChipKind::PwmGpio => Some(10_000),
            ChipKind::PwmPio | ChipKind::Bcm2835 | ChipKind::Rp1 => None,
        }
    }

    /// The step of the pulse width in ns.
    fn step_ns(self, node: &Path) -> u32 {
        match self {
            // Three cycles of the RP1's 200 MHz.
            ChipKind::PwmPio => 15,
            ChipKind::PwmGpio => 1,
            ChipKind::Bcm2835 | ChipKind::Rp1 => {
                // The block counts the cycles of its clock: 10 MHz if the tree names no rate.
                let clock = numbers(&node.join("assigned-clock-rates"));
                let hz = clock.first().copied().unwrap_or(10_000_000);
                (1_000_000_000 / hz.max(1)).max(1)
            }
        }
    }

    /// The channel of a PWM block that can be routed to a GPIO (BCM2711 and RP1 peripherals manuals).
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
pub(crate) struct Chip {
    /// Its number, which another boot may change.
    pub number: u8,
    /// The name of its device, such as `pwm_gpio@15`.
    pub device: String,
    /// `None` if it is of a kind that never drives a light.
    pub kind: Option<ChipKind>,
    /// Its device tree node.
    pub node: PathBuf,
}

/// A channel of a pwmchip, which drives a GPIO.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    /// The chip's number, which another boot may change.
    pub chip: u8,
    /// The channel's number within the chip.
    pub channel: u8,
    /// The kind of the chip.
    pub kind: ChipKind,
    /// The step of the pulse width in ns.
    pub step_ns: u32,
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Channel { chip, channel, .. } = self;
        write!(f, "{}, pwmchip{chip} channel {channel}", self.kind.name())
    }
}

/// Every pwmchip of the machine whose files are below `root`, sorted by number.
pub(crate) fn list(root: &Path) -> Vec<Chip> {
    let Ok(entries) = fs::read_dir(root.join(CLASS)) else {
        return Vec::new();
    };
    let mut chips: Vec<Chip> = entries
        .flatten()
        .filter_map(|entry| read_chip(&entry.path()))
        .collect();
    chips.sort_by_key(|chip| chip.number);
    chips
}

fn read_chip(path: &Path) -> Option<Chip> {
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

/// The channel that drives a GPIO, if there is one.
pub(crate) fn find(root: &Path, gpio: u8) -> Option<Channel> {
    list(root)
        .into_iter()
        .find_map(|chip| chip.channel(root, gpio))
}

impl Chip {
    /// The channel of this chip that drives a GPIO, if there is one.
    pub fn channel(&self, root: &Path, gpio: u8) -> Option<Channel> {
        let kind = self.kind?;
        let channel = match kind {
            ChipKind::PwmPio | ChipKind::PwmGpio => {
                // Each entry has three cells: the controller, the GPIO and its flags.
                let gpios = numbers(&self.node.join("gpios"));
                let mut entries = gpios.chunks_exact(3);
                let index = entries.position(|entry| entry[1] == u32::from(gpio))?;
                u8::try_from(index).ok()?
            }
            ChipKind::Bcm2835 | ChipKind::Rp1 => {
                let channel = kind.block_channel(gpio)?;
                // The block may be enabled without its pins, or be another one, such as a fan's.
                let node = fs::canonicalize(&self.node).ok()?;
                let users = DeviceTree::new(root).users(gpio);
                let is_user = users
                    .iter()
                    .any(|user| fs::canonicalize(user).is_ok_and(|user| user == node));
                is_user.then_some(channel)?
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
