//! Made-up Raspberry Pis: folders of plain files that look like those of the kernel.

#![allow(dead_code, clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::process::geteuid;
use tempfile::TempDir;

use crate::common::{Setup, TestServer, run_by};

/// A machine below a folder.
pub struct Machine {
    root: TempDir,
    phandles: u32,
}

impl Machine {
    pub fn new(model: &str, compatible: &[&str], kernel: &str) -> Machine {
        let machine = Machine {
            root: tempfile::tempdir().unwrap(),
            phandles: 0,
        };
        machine.write(
            "proc/sys/kernel/osrelease",
            format!("{kernel}\n").as_bytes(),
        );
        machine.write("boot/firmware/config.txt", b"");
        machine.write("etc/rpi-issue", b"");
        machine.property("", "model", &text(&[model]));
        machine.property("", "compatible", &text(compatible));
        let pi_5 = compatible.contains(&"brcm,bcm2712");
        let block = if pi_5 { "pwm-rp1" } else { "pwm-bcm2835" };
        match pi_5 {
            true => machine.offer("boot/firmware", &["pwm", "pwm-gpio", "pwm-pio"]),
            false => machine.offer("boot/firmware", &["pwm", "pwm-gpio"]),
        }
        machine.modules(kernel, &[block, "pwm-gpio", "pwm-pio-rp1"]);
        machine
    }

    /// Makes these all the overlays in a folder of the boot.
    pub fn offer(&self, boot: &str, overlays: &[&str]) {
        let folder = format!("{boot}/overlays");
        let _ = fs::remove_dir_all(self.path(&folder));
        fs::create_dir_all(self.path(&folder)).unwrap();
        for overlay in overlays {
            self.write(&format!("{folder}/{overlay}.dtbo"), b"");
        }
    }

    /// Makes these all the modules of a kernel; the PWM block's driver may be built in.
    pub fn modules(&self, kernel: &str, modules: &[&str]) {
        let list = |built_in: bool| {
            let modules = modules
                .iter()
                .filter(|module| (**module == "pwm-rp1") == built_in);
            let colon = if built_in { "" } else { ":" };
            let lines = modules.map(|module| format!("kernel/drivers/pwm/{module}.ko{colon}\n"));
            lines.collect::<String>()
        };
        let folder = format!("lib/modules/{kernel}");
        self.write(&format!("{folder}/modules.dep"), list(false).as_bytes());
        self.write(&format!("{folder}/modules.builtin"), list(true).as_bytes());
    }

    pub fn zero_w() -> Machine {
        let compatible = ["raspberrypi,model-zero-w", "brcm,bcm2835"];
        Machine::new(
            "Raspberry Pi Zero W Rev 1.1",
            &compatible,
            "6.6.31+rpt-rpi-v6",
        )
    }

    pub fn zero_2_w() -> Machine {
        let compatible = ["raspberrypi,model-zero-2-w", "brcm,bcm2837"];
        Machine::new(
            "Raspberry Pi Zero 2 W Rev 1.0",
            &compatible,
            "6.12.25+rpt-rpi-v8",
        )
    }

    pub fn pi_3b() -> Machine {
        let compatible = ["raspberrypi,3-model-b", "brcm,bcm2837"];
        Machine::new(
            "Raspberry Pi 3 Model B Rev 1.2",
            &compatible,
            "6.6.74+rpt-rpi-v8",
        )
    }

    pub fn pi_4b() -> Machine {
        let compatible = ["raspberrypi,4-model-b", "brcm,bcm2711"];
        Machine::new(
            "Raspberry Pi 4 Model B Rev 1.4",
            &compatible,
            "6.12.25+rpt-rpi-v8",
        )
    }

    /// With its fan as this pwmchip: its number is another on each kernel.
    pub fn pi_5(kernel: &str, fan: u8) -> Machine {
        let compatible = ["raspberrypi,5-model-b", "brcm,bcm2712"];
        let mut machine = Machine::new("Raspberry Pi 5 Model B Rev 1.0", &compatible, kernel);
        machine.write("dev/gpiomem0", b"");
        let pins = machine.pins("rp1_pwm1_gpio45", &text(&["gpio45"]), "pins");
        machine.chip(
            fan,
            "1f0009c000.pwm",
            "rp1/pwm@9c000",
            "raspberrypi,rp1-pwm",
            Some(pins),
        );
        machine
    }

    pub fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub fn property(&self, node: &str, name: &str, bytes: &[u8]) {
        self.write(
            &format!("sys/firmware/devicetree/base/{node}/{name}"),
            bytes,
        );
    }

    /// A pin group, and the phandle it is known by.
    pub fn pins(&mut self, name: &str, pins: &[u8], property: &str) -> u32 {
        self.phandles += 1;
        let node = format!("soc/gpio@7e200000/{name}");
        self.property(&node, property, pins);
        self.property(&node, "phandle", &cells(&[self.phandles]));
        self.phandles
    }

    /// A pwmchip with its device and its device tree node.
    pub fn chip(
        &mut self,
        number: u8,
        device: &str,
        node: &str,
        compatible: &str,
        pins: Option<u32>,
    ) {
        self.property(node, "compatible", &text(&[compatible]));
        if let Some(phandle) = pins {
            self.property(node, "pinctrl-0", &cells(&[phandle]));
        }
        let base = self.root().join("sys");
        let device = base.join("devices/platform").join(device);
        let chip = device.join(format!("pwm/pwmchip{number}"));
        fs::create_dir_all(&chip).unwrap();
        fs::write(chip.join("export"), "").unwrap();
        symlink(
            base.join("firmware/devicetree/base").join(node),
            device.join("of_node"),
        )
        .unwrap();
        symlink(&device, chip.join("device")).unwrap();
        fs::create_dir_all(base.join("class/pwm")).unwrap();
        symlink(&chip, base.join(format!("class/pwm/pwmchip{number}"))).unwrap();
    }

    /// As `dtoverlay=pwm-gpio,gpio=N` and `pwm-pio` do.
    pub fn overlay(&mut self, number: u8, name: &str, compatible: &str, gpio: u8) {
        let pins = self.pins(
            &format!("{name}_pins@{gpio:x}"),
            &cells(&[gpio.into()]),
            "brcm,pins",
        );
        let node = format!("{name}@{gpio:x}");
        self.property(&node, "gpios", &cells(&[7, gpio.into(), 0]));
        self.chip(number, &node.clone(), &node, compatible, Some(pins));
    }

    /// As `dtoverlay=pwm,pin=N,func=M` does up to the Pi 4.
    pub fn block(&mut self, number: u8, gpio: u8) {
        let pins = self.pins("pwm_pins", &cells(&[gpio.into()]), "brcm,pins");
        self.chip(
            number,
            "fe20c000.pwm",
            "soc/pwm@7e20c000",
            "brcm,bcm2835-pwm",
            Some(pins),
        );
    }

    /// Binds a driver to the device of a node.
    pub fn bind(&self, bus: &str, node: &str, driver: &str) {
        let base = self.root().join("sys");
        let drivers = base.join(format!("bus/{bus}/drivers"));
        let device = base.join(format!("bus/{bus}/devices/{}", node.replace('/', ".")));
        fs::create_dir_all(&device).unwrap();
        fs::create_dir_all(drivers.join(driver)).unwrap();
        symlink(
            base.join("firmware/devicetree/base").join(node),
            device.join("of_node"),
        )
        .unwrap();
        symlink(drivers.join(driver), device.join("driver")).unwrap();
    }

    /// A chip of GPIOs, whose lines others have by this phandle.
    pub fn gpio_chip(&self, node: &str, compatible: &str, phandle: u32) {
        self.property(node, "compatible", &text(&[compatible]));
        self.property(node, "gpio-controller", b"");
        self.property(node, "phandle", &cells(&[phandle]));
        self.property(node, "#gpio-cells", &cells(&[2]));
    }

    /// The folder that has its files.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }
}

pub fn text(strings: &[&str]) -> Vec<u8> {
    strings
        .iter()
        .flat_map(|string| [string.as_bytes(), b"\0"].concat())
        .collect()
}

pub fn cells(numbers: &[u32]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|number| number.to_be_bytes())
        .collect()
}

/// A Pi with `dtoverlay=pwm-gpio,gpio=…`, whose channel is exported.
pub struct FakePi {
    machine: Machine,
    /// Another in each test, because a GPIO has one owner on the whole machine, which is the real one here.
    pub gpio: u8,
}

/// A GPIO that no other test of this crate has. Tests that name theirs have those from 22 on.
fn next_gpio() -> u8 {
    static NEXT: AtomicU8 = AtomicU8::new(2);
    let gpio = NEXT.fetch_add(1, Ordering::Relaxed);
    assert!(gpio < 22, "there are more tests than GPIOs");
    gpio
}

/// The folder of the channel that drives this GPIO.
fn channel(machine: &Machine, chip: u8, gpio: u8) -> PathBuf {
    let device = format!("sys/devices/platform/pwm_gpio@{gpio:x}");
    machine
        .path(&device)
        .join(format!("pwm/pwmchip{chip}/pwm0"))
}

/// Leaves this in the files of a channel.
fn leave(channel: &Path, period: u64, pulse: u64, enable: u64) {
    fs::create_dir(channel).unwrap();
    let files = [
        ("period", period),
        ("duty_cycle", pulse),
        ("enable", enable),
    ];
    for (file, value) in files {
        fs::write(channel.join(file), value.to_string()).unwrap();
    }
}

impl FakePi {
    /// On a GPIO that no other test of this crate has.
    pub fn new() -> FakePi {
        FakePi::left_running(next_gpio(), 1_000_000, 0)
    }

    /// The same with a second such channel; its GPIO.
    pub fn with_another() -> (FakePi, u8) {
        let (mut pi, gpio) = (FakePi::new(), next_gpio());
        pi.machine.overlay(1, "pwm_gpio", "pwm-gpio", gpio);
        leave(&channel(&pi.machine, 1, gpio), 1_000_000, 0, 1);
        (pi, gpio)
    }

    /// Another program has left the channel running with this period and pulse in ns.
    pub fn left_running(gpio: u8, period: u64, pulse: u64) -> FakePi {
        FakePi::left(gpio, period, pulse, 1)
    }

    /// Another program has left this in the files of the channel.
    pub fn left(gpio: u8, period: u64, pulse: u64, enable: u64) -> FakePi {
        let mut machine = Machine::pi_4b();
        machine.overlay(0, "pwm_gpio", "pwm-gpio", gpio);
        let pi = FakePi { machine, gpio };
        leave(&pi.channel(), period, pulse, enable);
        pi
    }

    pub fn channel(&self) -> PathBuf {
        channel(&self.machine, 0, self.gpio)
    }

    /// The value of a file of the channel; empty while that is being written.
    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.channel().join(file)).unwrap()
    }

    /// The command that runs another on this Pi.
    pub fn on(&self, command: &Command) -> Command {
        let mut unshare = Command::new("unshare");
        if !geteuid().is_root() {
            unshare.args(["--user", "--map-root-user"]);
        }
        unshare
            .args(["--mount", "sh", "-c"])
            .arg(r#"mount --bind "$0" /sys && exec "$@""#)
            .arg(self.machine.path("sys"));
        run_by(unshare, command)
    }

    /// The settings of a light on its GPIO, with more of them.
    pub fn setup(&self, settings: &str) -> Setup {
        let gpio = self.gpio;
        Setup::with(&format!("[[light]]\ngpio = {gpio}\n{settings}\n"))
    }

    pub fn start(&self, setup: Setup) -> TestServer {
        let command = self.on(&setup.command());
        setup.start_by(command)
    }
}
