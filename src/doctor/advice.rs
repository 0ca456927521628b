//! Better drivers for a GPIO, and the steps to each. Advises only what the machine can do: overlays and
//! modules that are there, GPIOs on its header that nothing else uses.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::config::LightConfig;
use crate::pin::device_tree::DeviceTree;
use crate::pin::driver::Choice;
use crate::pin::kernel_bug::{KernelBug, release};
use crate::pin::pwmchip::{self, ChipKind};

/// Where lines for the boot belong: if the first file of a pair exists, into the second. The first such
/// pair counts.
const CONFIGS: [(&str, &str); 4] = [
    // Debian's raspi-firmware rewrites config.txt with each kernel.
    (
        "etc/default/raspi-firmware",
        "/etc/default/raspi-firmware-custom",
    ),
    // Ubuntu up to 20.04.
    ("boot/firmware/usercfg.txt", "/boot/firmware/usercfg.txt"),
    ("boot/firmware/config.txt", "/boot/firmware/config.txt"),
    // Raspberry Pi OS before Bookworm.
    ("boot/config.txt", "/boot/config.txt"),
];

/// The folders of the overlays; the first that exists counts. Ubuntu has `current` since 25.10.
const OVERLAYS: [&str; 3] = [
    "boot/firmware/current/overlays",
    "boot/firmware/overlays",
    "boot/overlays",
];

/// Since when the bootloader in the EEPROM of a Pi 5 can load `pwm-pio`: one of 2024-09-23 cannot, one
/// of this day can (raspberrypi/linux#6523, #6559). In seconds since 1970.
const PIO_BOOTLOADER: u32 = 1_731_369_600;
const PIO_BOOTLOADER_DATE: &str = "2024-11-12";

/// The GPIOs that the overlay `pwm` routes the PWM block to, and its `func`. GPIO 14 and 15 of a Pi 5 are missing,
/// because no `func` of the overlay makes them PWM.
const BLOCK_GPIOS: [(u8, u8); 4] = [(18, 2), (12, 4), (13, 4), (19, 2)];

/// The pin of each GPIO, from 0 on, on the header of 40 pins. The first 26 are the same on the boards that have no more,
/// except on those before revision 2.
const HEADER_PINS: [u8; 28] = [
    27, 28, 3, 5, 7, 29, 31, 26, 24, 21, 19, 23, 32, 33, 8, 10, 36, 11, 12, 35, 38, 40, 15, 16, 18,
    22, 37, 13,
];

/// The GPIOs on the 26 pins of the first boards, and of those before revision 2.
const HEADER_26: [u8; 17] = [2, 3, 4, 7, 8, 9, 10, 11, 14, 15, 17, 18, 22, 23, 24, 25, 27];
const HEADER_26_REVISION_1: [u8; 17] =
    [0, 1, 4, 7, 8, 9, 10, 11, 14, 15, 17, 18, 21, 22, 23, 24, 25];

/// Lines of the report about a light with this driver: each a name and a value, the best advice first. `lights` are all
/// that the settings name.
pub fn advice(
    root: &Path,
    choice: &Choice,
    light: &LightConfig,
    lights: &[LightConfig],
) -> Vec<(&'static str, String)> {
    let tree = &DeviceTree::new(root);
    let machine = Machine { root, tree };
    let mut lines = match choice {
        Choice::Software | Choice::NoChip if tree.is_pi() => machine.advice(light.gpio, lights),
        Choice::Kernel(channel) if channel.kind == ChipKind::Bcm2835 => {
            let silence = machine.silence().map(|step| ("better", step));
            silence.into_iter().collect()
        }
        // A fallback needs another kernel, not another line: the report says so.
        _ => Vec::new(),
    };
    lines.extend(dark_boot(&machine, choice, light).map(|line| ("at boot", line)));
    lines
}

/// The pin of a GPIO on the header of the machine whose files are below `root`; `None` if it has none, or another header
/// than [`HEADER_PINS`].
pub fn header_pin(root: &Path, gpio: u8) -> Option<u8> {
    let tree = &DeviceTree::new(root);
    let machine = Machine { root, tree };
    let is_there = tree.is_pi() && !machine.is_first() && machine.has_on_header(gpio);
    let pin = HEADER_PINS.get(usize::from(gpio)).copied();
    pin.filter(|_| is_there)
}

/// The steps that keep the LED of a light with `invert` dark from the boot on, if they are not taken yet. Not where the
/// PWM block drives it, which is low until the service starts whatever the firmware has set.
fn dark_boot(machine: &Machine, choice: &Choice, light: &LightConfig) -> Option<String> {
    let is_by_the_block =
        |channel: &pwmchip::Channel| matches!(channel.kind, ChipKind::Bcm2835 | ChipKind::Rp1);
    match choice {
        Choice::Simulated(_) => return None,
        Choice::Kernel(channel) if is_by_the_block(channel) => return None,
        _ if !light.invert => return None,
        _ => {}
    }
    let line = format!("gpio={}=op,dh", light.gpio);
    let file = machine.root.join(machine.config().trim_start_matches('/'));
    let has_line = fs::read_to_string(file)
        .is_ok_and(|config| config.lines().any(|other| other.trim() == line));
    (!has_line).then(|| {
        let steps = join(machine.boot_steps(&line));
        format!("the LED is lit from the boot until the service starts: {steps}")
    })
}

/// A Raspberry Pi, as far as it matters to advice.
struct Machine<'a> {
    root: &'a Path,
    tree: &'a DeviceTree,
}

impl Machine<'_> {
    fn advice(&self, gpio: u8, lights: &[LightConfig]) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        let mut missing = Vec::new();
        if self.has_on_header(gpio) {
            let mut is_best = true;
            for kind in self.kinds(gpio) {
                let way = format!("kernel-pwm by {}: ", way(kind));
                match (self.lack(kind), KernelBug::here(self.root, kind)) {
                    (None, None) => {
                        lines.push(("better", way + &join(self.steps(kind, gpio))));
                        break;
                    }
                    (None, Some(bug)) => {
                        let steps = join(self.steps(kind, gpio));
                        lines.push(("better", format!("{way}{bug}; then {steps}")));
                    }
                    (Some(lack), _) if is_best && self.gets_updates() => {
                        let update = "update the system (sudo apt full-upgrade), reboot and run dimmer doctor again";
                        lines.push(("better", format!("{way}{lack}: {update}")));
                    }
                    (Some(lack), _) => missing.push(lack),
                }
                is_best = false;
            }
        } else {
            let line = format!("GPIO {gpio} is not on the header of this board");
            lines.push(("header", line));
        }
        if let Some(steps) = self.elsewhere(gpio, lights) {
            let line = format!("kernel-pwm by the PWM block: {}", join(steps));
            lines.push(("better", line));
        }
        if lines.is_empty() {
            let missing = missing.join("; ");
            lines.push(("no better", format!("no kernel-pwm here: {missing}")));
        }
        lines
    }

    /// What can drive a GPIO, the best first.
    fn kinds(&self, gpio: u8) -> Vec<ChipKind> {
        let block = BLOCK_GPIOS
            .iter()
            .any(|(block_gpio, _)| *block_gpio == gpio);
        let mut kinds = Vec::new();
        if block {
            kinds.push(self.block());
        }
        if self.tree.has_rp1() {
            kinds.push(ChipKind::PwmPio);
        }
        kinds.push(ChipKind::PwmGpio);
        kinds
    }

    fn block(&self) -> ChipKind {
        match self.tree.has_rp1() {
            true => ChipKind::Rp1,
            false => ChipKind::Bcm2835,
        }
    }

    /// What is missing for a pwmchip of this kind, if anything.
    fn lack(&self, kind: ChipKind) -> Option<String> {
        let overlay = overlay(kind);
        let folders = OVERLAYS.iter();
        let Some(folder) = folders
            .copied()
            .find(|folder| self.root.join(folder).is_dir())
        else {
            return Some("no folder of overlays in /boot/firmware or /boot".into());
        };
        if !self.root.join(format!("{folder}/{overlay}.dtbo")).exists() {
            return Some(format!("no overlay {overlay} in /{folder}"));
        }
        let module = module(kind);
        let kernel = release(self.root).unwrap_or_default();
        // Files of modules by their paths, which may be compressed, as in pwm-gpio.ko.xz.
        let file = format!("{module}.ko");
        let is_it = |path: &str| {
            path.rsplit('/')
                .next()
                .is_some_and(|name| name.starts_with(&file))
        };
        let has = ["modules.dep", "modules.builtin"].iter().any(|list| {
            let list = self.root.join(format!("lib/modules/{kernel}/{list}"));
            match fs::read_to_string(list) {
                Ok(list) => list.split([' ', ':', '\n']).any(is_it),
                // systemd hides the modules from the service (ProtectKernelModules=yes): then the overlay counts, as
                // both come with the kernel.
                Err(error) => error.kind() != ErrorKind::NotFound,
            }
        });
        (!has).then(|| format!("kernel {kernel} has no module {module}"))
    }

    /// Whether an update brings every driver: Raspberry Pi OS since Bookworm.
    fn gets_updates(&self) -> bool {
        self.root.join("etc/rpi-issue").exists()
            && self.root.join("boot/firmware/config.txt").exists()
    }

    /// The steps that give a GPIO a pwmchip of this kind.
    fn steps(&self, kind: ChipKind, gpio: u8) -> Vec<String> {
        let mut steps = Vec::new();
        let old = |built| built < PIO_BOOTLOADER;
        if kind == ChipKind::PwmPio && self.tree.bootloader_built().is_some_and(old) {
            steps.push(format!(
                "update the bootloader to one of {PIO_BOOTLOADER_DATE} or later (sudo rpi-eeprom-update -a)"
            ));
        }
        let overlay = match block_function(gpio) {
            Some(function) if kind == self.block() => format!("pwm,pin={gpio},func={function}"),
            _ => format!("{},gpio={gpio}", overlay(kind)),
        };
        let mut boot = self.boot_steps(&format!("dtoverlay={overlay}"));
        if kind == ChipKind::Bcm2835 {
            boot.splice(1..1, self.silence());
        }
        steps.extend(boot);
        steps
    }

    /// The steps that bring a line to the boot: the line first.
    fn boot_steps(&self, line: &str) -> Vec<String> {
        let file = self.config();
        let mut steps = vec![format!("add the line {line} to {file}")];
        if file.starts_with("/etc/") {
            steps.push("run sudo update-initramfs -u".into());
        }
        steps.push("reboot".into());
        steps
    }

    /// The step that takes the PWM block of a Pi up to the 4 from the headphone jack, if it has it.
    fn silence(&self) -> Option<String> {
        let sounds = self.tree.enables("brcm,bcm2835-audio");
        sounds.then(|| {
            let file = self.config();
            format!("set dtparam=audio=off in {file} (the headphone jack uses the same PWM block)")
        })
    }

    /// The steps to a GPIO that the PWM block reaches, if one is free and on the header.
    fn elsewhere(&self, gpio: u8, lights: &[LightConfig]) -> Option<Vec<String>> {
        let block = self.block();
        let is_set = |gpio| {
            let uses = |light: &LightConfig| light.gpio == gpio || light.button_gpio == Some(gpio);
            lights.iter().any(uses)
        };
        let move_to = |gpio: u8| {
            let pin = HEADER_PINS[usize::from(gpio)];
            vec![
                format!("move the LED to GPIO {gpio} (header pin {pin})"),
                format!("set gpio = {gpio}"),
            ]
        };
        // The block is routed to a GPIO already, and to no second one by the same overlay.
        let routed = |(gpio, _): &&(u8, u8)| {
            pwmchip::find(self.root, *gpio).is_some_and(|channel| channel.kind == block)
        };
        if let Some((other, _)) = BLOCK_GPIOS.iter().find(routed) {
            return (!is_set(*other)).then(|| move_to(*other));
        }
        if block_function(gpio).is_some() || self.lack(block).is_some() {
            return None;
        }
        let (other, _) = BLOCK_GPIOS.iter().find(|(other, _)| {
            self.has_on_header(*other) && !is_set(*other) && self.tree.users(*other).is_empty()
        })?;
        let mut steps = move_to(*other);
        steps.extend(self.steps(block, *other));
        Some(steps)
    }

    /// Whether this is one of the first boards, before revision 2.
    fn is_first(&self) -> bool {
        let model = self.tree.model().unwrap_or_default();
        model == "Raspberry Pi Model B" || model.starts_with("Raspberry Pi Model B Rev 1")
    }

    fn has_on_header(&self, gpio: u8) -> bool {
        let model = self.tree.model().unwrap_or_default();
        let Some(board) = model.strip_prefix("Raspberry Pi Model ") else {
            return true;
        };
        match board {
            _ if self.is_first() => HEADER_26_REVISION_1.contains(&gpio),
            _ if board.contains("Plus") || board.contains('+') => true,
            _ => HEADER_26.contains(&gpio),
        }
    }

    /// The file to which the lines for the boot belong.
    fn config(&self) -> &'static str {
        let mut configs = CONFIGS.iter();
        let exists = |(if_exists, _): &&(&str, &str)| self.root.join(if_exists).exists();
        configs
            .find(exists)
            .map_or("/boot/firmware/config.txt", |(_, file)| file)
    }
}

/// The name of the way by which a kind drives a GPIO.
fn way(kind: ChipKind) -> &'static str {
    match kind {
        ChipKind::PwmPio | ChipKind::PwmGpio => kind.name(),
        ChipKind::Bcm2835 | ChipKind::Rp1 => "the PWM block",
    }
}

/// The overlay that adds a pwmchip of this kind.
fn overlay(kind: ChipKind) -> &'static str {
    match kind {
        ChipKind::PwmPio | ChipKind::PwmGpio => kind.name(),
        ChipKind::Bcm2835 | ChipKind::Rp1 => "pwm",
    }
}

/// The module with the driver of this kind.
fn module(kind: ChipKind) -> &'static str {
    match kind {
        ChipKind::PwmPio => "pwm-pio-rp1",
        _ => kind.name(),
    }
}

/// The `func` of the overlay `pwm` for a GPIO, if the PWM block reaches it.
fn block_function(gpio: u8) -> Option<u8> {
    let mut gpios = BLOCK_GPIOS.iter();
    let (_, function) = gpios.find(|(block_gpio, _)| *block_gpio == gpio)?;
    Some(*function)
}

/// `a, b and c`.
fn join(mut steps: Vec<String>) -> String {
    let last = steps.pop().unwrap_or_default();
    match steps.is_empty() {
        true => last,
        false => format!("{} and {last}", steps.join(", ")),
    }
}
