//! Reads the device tree: the machine's model, and the users of each GPIO.
//!
//! All files are below a root folder: `/`, except in tests.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of a node.
pub type Node = PathBuf;

/// The chips of the GPIOs of the header, up to the Pi 4 and on the Pi 5.
const GPIO_CHIPS: [&str; 3] = [
    "brcm,bcm2835-gpio",
    "brcm,bcm2711-gpio",
    "raspberrypi,rp1-gpio",
];

/// The folder of the device tree, below the root.
const BASE: &str = "sys/firmware/devicetree/base";

/// The device tree of the running kernel.
pub struct DeviceTree {
    base: PathBuf,
}

impl DeviceTree {
    /// The device tree below `root`. On a machine without one, every answer is empty or `false`.
    pub fn new(root: &Path) -> DeviceTree {
        DeviceTree {
            base: root.join(BASE),
        }
    }

    /// The model of the machine, such as `Raspberry Pi 4 Model B Rev 1.4`.
    pub fn model(&self) -> Option<String> {
        strings(&self.base.join("model")).into_iter().next()
    }

    /// Whether this is a Raspberry Pi.
    pub fn is_pi(&self) -> bool {
        self.is_compatible("raspberrypi,")
    }

    /// Whether this is a Pi 5, whose GPIOs are on the RP1 chip.
    pub fn has_rp1(&self) -> bool {
        self.is_compatible("brcm,bcm2712")
    }

    /// Whether a node with this `compatible` string is enabled.
    pub fn enables(&self, compatible: &str) -> bool {
        let mut nodes = Vec::new();
        collect(&self.base, &mut nodes);
        nodes.iter().any(|node| {
            is_enabled(node)
                && strings(&node.join("compatible"))
                    .iter()
                    .any(|name| name == compatible)
        })
    }

    /// When the bootloader in the EEPROM of a Pi 4 or 5 was built, in seconds since 1970.
    pub fn bootloader_built(&self) -> Option<u32> {
        let built = self.base.join("chosen/bootloader/build-timestamp");
        numbers(&built).first().copied()
    }

    fn is_compatible(&self, prefix: &str) -> bool {
        let names = strings(&self.base.join("compatible"));
        names.iter().any(|name| name.starts_with(prefix))
    }

    /// Every node, in a stable order.
    pub fn nodes(&self) -> Vec<Node> {
        let mut nodes = Vec::new();
        collect(&self.base, &mut nodes);
        nodes
    }

    /// The enabled nodes whose pins include the GPIO.
    pub fn users(&self, gpio: u8) -> Vec<Node> {
        let nodes = self.nodes();
        let groups: Vec<u32> = nodes
            .iter()
            .filter(|node| pins(node).contains(&gpio))
            .filter_map(|node| numbers(&node.join("phandle")).first().copied())
            .collect();
        nodes
            .iter()
            .filter(|node| is_enabled(node))
            .filter(|node| {
                let used = numbers(&node.join("pinctrl-0"));
                groups.iter().any(|phandle| used.contains(phandle))
            })
            .cloned()
            .collect()
    }
}

/// The enabled ones of these nodes with a line of the GPIO, such as a fan's.
pub fn line_users(nodes: &[Node], gpio: u8) -> Vec<Node> {
    let chips: Vec<u32> = nodes
        .iter()
        .filter(|node| {
            let names = strings(&node.join("compatible"));
            names.iter().any(|name| GPIO_CHIPS.contains(&name.as_str()))
        })
        .filter_map(|node| numbers(&node.join("phandle")).first().copied())
        .collect();
    let is_line = |name: &str| {
        matches!(name, "gpios" | "gpio") || name.ends_with("-gpios") || name.ends_with("-gpio")
    };
    let uses = |entry: &[u32]| chips.contains(&entry[0]) && entry.get(1) == Some(&u32::from(gpio));
    references(nodes, is_line, "#gpio-cells", uses)
}

/// The enabled ones of these nodes that use a channel of the pwmchip with this phandle, such as a fan.
pub fn channel_users(nodes: &[Node], chip: Option<u32>, channel: u8) -> Vec<Node> {
    let uses = |entry: &[u32]| Some(entry[0]) == chip && entry.get(1) == Some(&u32::from(channel));
    references(nodes, |name| name == "pwms", "#pwm-cells", uses)
}

/// The strings of a property; none if it is missing.
pub fn strings(property: &Path) -> Vec<String> {
    let bytes = fs::read(property).unwrap_or_default();
    bytes
        .split(|&byte| byte == 0)
        .filter(|text| !text.is_empty())
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect()
}

/// The numbers of a property, big-endian with 32 bits each; none if it is missing.
pub fn numbers(property: &Path) -> Vec<u32> {
    let bytes = fs::read(property).unwrap_or_default();
    let (words, _) = bytes.as_chunks();
    words.iter().map(|word| u32::from_be_bytes(*word)).collect()
}

/// The GPIOs of a pin group: numbers in Broadcom's binding, names in the RP1's.
fn pins(group: &Path) -> Vec<u8> {
    let by_number = numbers(&group.join("brcm,pins"));
    let by_name = strings(&group.join("pins"));
    by_number
        .into_iter()
        .filter_map(|number| u8::try_from(number).ok())
        .chain(
            by_name
                .iter()
                .filter_map(|name| name.strip_prefix("gpio")?.parse().ok()),
        )
        .collect()
}

/// The enabled ones of these nodes with a property that `has_name` and an entry that `uses`: the phandle of
/// another node, and as many numbers as that node's property `cells` says.
fn references(
    nodes: &[Node],
    has_name: impl Fn(&str) -> bool,
    cells: &str,
    uses: impl Fn(&[u32]) -> bool,
) -> Vec<Node> {
    let counts: HashMap<u32, usize> = nodes
        .iter()
        .filter_map(|node| {
            let count = *numbers(&node.join(cells)).first()?;
            let phandle = *numbers(&node.join("phandle")).first()?;
            Some((phandle, usize::try_from(count).ok()?))
        })
        .collect();
    let has_entry = |property: &Path| {
        let numbers = numbers(property);
        let mut rest = numbers.as_slice();
        while let Some(phandle) = rest.first() {
            // 0 stands for an entry that is left out.
            let count = match phandle {
                0 => 0,
                phandle => match counts.get(phandle) {
                    Some(count) => *count,
                    None => return false,
                },
            };
            let Some((entry, others)) = rest.split_at_checked(1 + count) else {
                return false;
            };
            if uses(entry) {
                return true;
            }
            rest = others;
        }
        false
    };
    nodes
        .iter()
        .filter(|node| is_enabled(node))
        .filter(|node| {
            let entries = fs::read_dir(node).into_iter().flatten().flatten();
            entries
                .filter(|entry| entry.file_name().to_str().is_some_and(&has_name))
                .any(|entry| has_entry(&entry.path()))
        })
        .cloned()
        .collect()
}

fn is_enabled(node: &Path) -> bool {
    strings(&node.join("status"))
        .first()
        .is_none_or(|status| status == "okay" || status == "ok")
}

/// Collects every node below `node`, in a stable order.
fn collect(node: &Path, nodes: &mut Vec<Node>) {
    let Ok(entries) = fs::read_dir(node) else {
        return;
    };
    let mut children: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect();
    children.sort();
    for child in children {
        collect(&child, nodes);
        nodes.push(child);
    }
}
