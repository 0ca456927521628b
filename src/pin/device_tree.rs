//! What the device tree says of this machine: its model, and who uses which GPIO.
//!
//! Everything is read below a root folder, which is `/` but in tests.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the kernel shows the device tree, below the root.
const BASE: &str = "sys/firmware/devicetree/base";

/// The device tree of the running kernel.
pub struct DeviceTree {
    base: PathBuf,
}

impl DeviceTree {
    /// The tree below `root`; on a machine without one, all answers are empty.
    pub fn new(root: &Path) -> DeviceTree {
        DeviceTree {
            base: root.join(BASE),
        }
    }

    /// The machine's name for people, such as `Raspberry Pi 4 Model B Rev 1.4`.
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

    fn is_compatible(&self, start: &str) -> bool {
        let names = strings(&self.base.join("compatible"));
        names.iter().any(|name| name.starts_with(start))
    }

    /// The nodes in use whose pins include the GPIO.
    pub fn users(&self, gpio: u8) -> Vec<PathBuf> {
        let mut nodes = Vec::new();
        collect(&self.base, &mut nodes);
        let pins: Vec<(u32, &PathBuf)> = nodes
            .iter()
            .filter(|node| pins(node).contains(&gpio))
            .filter_map(|node| Some((*numbers(&node.join("phandle")).first()?, node)))
            .collect();
        nodes
            .iter()
            .filter(|node| is_enabled(node))
            .filter(|node| {
                let wanted = numbers(&node.join("pinctrl-0"));
                pins.iter().any(|(phandle, _)| wanted.contains(phandle))
            })
            .cloned()
            .collect()
    }
}

/// A property that holds strings.
pub fn strings(property: &Path) -> Vec<String> {
    let bytes = fs::read(property).unwrap_or_default();
    bytes
        .split(|&byte| byte == 0)
        .filter(|text| !text.is_empty())
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect()
}

/// A property that holds 32-bit numbers, which are big-endian.
pub fn numbers(property: &Path) -> Vec<u32> {
    let bytes = fs::read(property).unwrap_or_default();
    let (words, _) = bytes.as_chunks();
    words.iter().map(|word| u32::from_be_bytes(*word)).collect()
}

/// The GPIOs that a pin group names: by number in Broadcom's binding, by name in the RP1's.
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

fn is_enabled(node: &Path) -> bool {
    strings(&node.join("status"))
        .first()
        .is_none_or(|status| status == "okay" || status == "ok")
}

/// Every node of the tree, in a stable order.
fn collect(node: &Path, nodes: &mut Vec<PathBuf>) {
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
