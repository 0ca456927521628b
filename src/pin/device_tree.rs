//! Reads the device tree: the machine's model, and the users of each GPIO.
//!
//! All files are below a root folder: `/`, except in tests.

use std::fs;
use std::path::{Path, PathBuf};

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

    fn is_compatible(&self, prefix: &str) -> bool {
        let names = strings(&self.base.join("compatible"));
        names.iter().any(|name| name.starts_with(prefix))
    }

    /// The enabled nodes whose pins include the GPIO.
    pub fn users(&self, gpio: u8) -> Vec<PathBuf> {
        let mut nodes = Vec::new();
        collect(&self.base, &mut nodes);
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

fn is_enabled(node: &Path) -> bool {
    strings(&node.join("status"))
        .first()
        .is_none_or(|status| status == "okay" || status == "ok")
}

/// Collects every node below `node`, in a stable order.
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
