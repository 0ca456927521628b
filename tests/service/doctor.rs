//! What `dimmer doctor` reports about each Pi, from made-up `/sys` trees that look like the kernel's.

use std::fs;

use dimmer::config::{DriverChoice, LightConfig};
use dimmer::doctor::{diagnose, report};
use dimmer::model::lights::Driver;
use dimmer::pin::driver::{Choice, choose};
use dimmer::pin::gpio_owner::GpioOwner;
use dimmer::pin::pwmchip::{Channel, ChipKind};
use serde_json::{Value, json};

use crate::pi::{Machine, cells, text};

impl Machine {
    /// The error of the report on a light on GPIO 21.
    fn error(&self, light: LightConfig) -> Option<String> {
        let report = report(self.root(), &[light]);
        lines(&report, "error")
            .first()
            .map(|line| (*line).to_owned())
    }

    fn choose(&self, gpio: u8) -> Choice {
        choose(self.root(), DriverChoice::Auto, gpio)
    }

    fn report(&self, gpio: u8) -> String {
        let light = LightConfig {
            gpio,
            ..LightConfig::default()
        };
        report(self.root(), &[light])
    }
}

fn channel(chip: u8, channel: u8, kind: ChipKind, step_ns: u32) -> Choice {
    Choice::Kernel(Channel {
        chip,
        channel,
        kind,
        step_ns,
    })
}

/// The lines of a report whose name is `name`.
fn lines<'a>(report: &'a str, name: &str) -> Vec<&'a str> {
    report
        .lines()
        .filter_map(|line| line.strip_prefix(name))
        .map(str::trim)
        .collect()
}

#[test]
fn without_an_overlay_auto_is_software_and_the_report_names_the_overlay_to_add() {
    for (machine, overlay) in [
        (Machine::zero_2_w(), "pwm-gpio"),
        (Machine::pi_3b(), "pwm-gpio"),
        (Machine::pi_4b(), "pwm-gpio"),
        (Machine::pi_5("6.6.74+rpt-rpi-2712", 0), "pwm-pio"),
        (Machine::pi_5("6.12.25+rpt-rpi-2712", 2), "pwm-pio"),
    ] {
        assert_eq!(machine.choose(21), Choice::Software);
        let report = machine.report(21);
        assert!(
            lines(&report, "auto takes")[0]
                .starts_with("software-pwm, 200 Hz, 5000 steps, up to 8 % of a core")
        );
        assert_eq!(
            lines(&report, "better"),
            [
                format!("kernel-pwm by {overlay}: add the line dtoverlay={overlay},gpio=21 to /boot/firmware/config.txt and reboot"),
                "kernel-pwm by the PWM block: move the LED to GPIO 18 (header pin 12), set gpio = 18, add the line dtoverlay=pwm,pin=18,func=2 to /boot/firmware/config.txt and reboot".into(),
            ]
        );
    }
}

#[test]
fn with_an_old_kernel_the_report_says_to_update_first() {
    let machine = Machine::zero_w();
    machine.offer("boot/firmware", &["pwm"]);
    machine.modules("6.6.31+rpt-rpi-v6", &["pwm-bcm2835"]);
    let report = machine.report(21);
    assert_eq!(lines(&report, "machine"), ["Raspberry Pi Zero W Rev 1.1"]);
    assert_eq!(lines(&report, "kernel"), ["6.6.31+rpt-rpi-v6"]);
    assert!(lines(&report, "better")[0].starts_with(
        "kernel-pwm by pwm-gpio: no overlay pwm-gpio in /boot/firmware/overlays: update the system"
    ));
}

#[test]
fn following_the_advice_changes_what_auto_takes() {
    for (mut machine, name, compatible, kind, step, steps) in [
        (
            Machine::zero_2_w(),
            "pwm_gpio",
            "pwm-gpio",
            ChipKind::PwmGpio,
            1,
            1_000_000,
        ),
        (
            Machine::pi_3b(),
            "pwm_gpio",
            "pwm-gpio",
            ChipKind::PwmGpio,
            1,
            1_000_000,
        ),
        (
            Machine::pi_4b(),
            "pwm_gpio",
            "pwm-gpio",
            ChipKind::PwmGpio,
            1,
            1_000_000,
        ),
        (
            Machine::pi_5("6.12.25", 2),
            "pwm_pio",
            "raspberrypi,pwm-pio-rp1",
            ChipKind::PwmPio,
            15,
            66_666,
        ),
    ] {
        machine.overlay(5, name, compatible, 21);
        assert_eq!(machine.choose(21), channel(5, 0, kind, step));
        assert_eq!(machine.choose(20), Choice::Software, "only that GPIO");
        let report = machine.report(21);
        let expected = format!(
            "kernel-pwm ({}, pwmchip5 channel 0), 1000 Hz, {steps} steps{}",
            kind.name(),
            match kind {
                ChipKind::PwmGpio => ", less the interrupt latency of some µs an edge",
                _ => "",
            }
        );
        assert_eq!(lines(&report, "auto takes"), [expected]);
        assert_eq!(lines(&report, "better"), Vec::<&str>::new());
        assert_eq!(
            lines(&report, "used by"),
            [format!("{name}@15 in the device tree")]
        );
    }
}

/// A Pi 5 with this kernel and `dtoverlay=pwm-pio,gpio=21`.
fn with_pwm_pio(kernel: &str) -> Machine {
    let mut machine = Machine::pi_5(kernel, 2);
    machine.overlay(5, "pwm_pio", "raspberrypi,pwm-pio-rp1", 21);
    machine
}

#[test]
fn a_kernel_whose_driver_crashes_is_avoided_and_the_fixed_one_is_named() {
    for (kernel, symptom, source, fixed) in [
        (
            "6.12.34+rpt-rpi-2712",
            "crashes when it is enabled",
            "raspberrypi/linux#6971",
            "6.12.75",
        ),
        (
            "6.18.34-v8-16k+",
            "hangs the machine at any write",
            "raspberrypi/linux#7458",
            "June 2026",
        ),
    ] {
        let machine = with_pwm_pio(kernel);
        assert!(matches!(machine.choose(21), Choice::Fallback(..)));
        let text = machine.report(21);
        assert!(lines(&text, "auto takes")[0].starts_with("software-pwm, 200 Hz"));
        let avoids = lines(&text, "avoids");
        assert_eq!(avoids.len(), 1, "{text}");
        for part in [
            "kernel-pwm (pwm-pio, pwmchip5 channel 0): ",
            symptom,
            source,
            "sudo apt full-upgrade",
            fixed,
        ] {
            assert!(avoids[0].contains(part), "no {part}: {}", avoids[0]);
        }
        assert_eq!(lines(&text, "better"), Vec::<&str>::new());
        assert_eq!(lines(&text, "error"), Vec::<&str>::new());

        let demanded = LightConfig {
            driver: DriverChoice::KernelPwm,
            ..LightConfig::default()
        };
        let text = report(machine.root(), &[demanded]);
        assert!(lines(&text, "error")[0].contains(source), "{text}");

        let before = Machine::pi_5(kernel, 2).report(21);
        let better = lines(&before, "better")[0];
        assert!(
            better.contains(source)
                && better.contains("; then add the line dtoverlay=pwm-pio,gpio=21 to"),
            "the advice comes with the warning: {better}"
        );
    }
}

#[test]
fn other_kernels_and_other_drivers_are_not_avoided() {
    for kernel in [
        "6.6.74+rpt-rpi-2712",
        "6.8.0-1030-raspi",
        "6.12.28+rpt-rpi-2712",
        "6.12.38+deb13-arm64",
        "6.12.75+rpt-rpi-2712",
        "6.18.35+rpt-rpi-2712",
    ] {
        let machine = with_pwm_pio(kernel);
        assert_eq!(
            machine.choose(21),
            channel(5, 0, ChipKind::PwmPio, 15),
            "{kernel}"
        );
        assert_eq!(lines(&machine.report(21), "avoids"), Vec::<&str>::new());
    }
    let mut machine = Machine::pi_5("6.18.34-v8-16k+", 2);
    machine.overlay(5, "pwm_gpio", "pwm-gpio", 21);
    assert_eq!(machine.choose(21), channel(5, 0, ChipKind::PwmGpio, 1));
}

#[test]
fn a_fan_is_never_touched_whatever_its_number() {
    for (kernel, fan) in [("6.6.74", 0), ("6.12.25", 2)] {
        let machine = Machine::pi_5(kernel, fan);
        for gpio in 0..=27 {
            assert_eq!(machine.choose(gpio), Choice::Software, "GPIO {gpio}");
        }
        let report = machine.report(21);
        assert_eq!(
            lines(&report, &format!("pwmchip{fan}")),
            ["pwm-rp1 (1f0009c000.pwm): no GPIO of the header, never touched"]
        );
    }
    let mut machine = Machine::pi_4b();
    machine.chip(0, "i2c-fan", "fan@2f", "microchip,emc2305", None);
    assert_eq!(machine.choose(18), Choice::Software);
    let report = machine.report(18);
    assert_eq!(
        lines(&report, "pwmchip0"),
        ["i2c-fan: not for lights, never touched"]
    );
}

#[test]
fn the_pwm_block_counts_only_for_the_gpio_it_is_muxed_to() {
    for (gpio, there) in [(12, 0), (13, 1), (18, 0), (19, 1)] {
        let mut machine = Machine::pi_4b();
        machine.block(0, gpio);
        machine.property(
            "soc/pwm@7e20c000",
            "assigned-clock-rates",
            &cells(&[100_000_000]),
        );
        for other in [12, 13, 18, 19, 21] {
            let expected = match other == gpio {
                true => channel(0, there, ChipKind::Bcm2835, 10),
                false => Choice::Software,
            };
            assert_eq!(
                machine.choose(other),
                expected,
                "block on {gpio}, light on {other}"
            );
        }
    }
    for (gpio, there) in [(12, 0), (13, 1), (14, 2), (15, 3), (18, 2), (19, 3)] {
        let mut machine = Machine::pi_5("6.12.25", 2);
        let name = format!("gpio{gpio}");
        let pins = machine.pins("rp1_pwm0", &text(&[&name]), "pins");
        machine.chip(
            0,
            "1f00098000.pwm",
            "rp1/pwm@98000",
            "raspberrypi,rp1-pwm",
            Some(pins),
        );
        assert_eq!(machine.choose(gpio), channel(0, there, ChipKind::Rp1, 100));
        assert_eq!(machine.choose(21), Choice::Software);
    }
}

#[test]
fn a_block_that_is_switched_off_or_without_pins_does_not_count() {
    let mut machine = Machine::pi_4b();
    machine.block(0, 18);
    machine.property("soc/pwm@7e20c000", "status", &text(&["disabled"]));
    assert_eq!(machine.choose(18), Choice::Software);

    let mut machine = Machine::pi_4b();
    machine.chip(
        0,
        "fe20c000.pwm",
        "soc/pwm@7e20c000",
        "brcm,bcm2835-pwm",
        None,
    );
    assert_eq!(machine.choose(18), Choice::Software);
    assert_eq!(
        lines(&machine.report(18), "better"),
        [
            "kernel-pwm by the PWM block: add the line dtoverlay=pwm,pin=18,func=2 to /boot/firmware/config.txt and reboot"
        ]
    );
}

#[test]
fn an_i2s_hat_on_the_pin_is_named() {
    let mut machine = Machine::pi_4b();
    let pins = machine.pins("i2s_pins", &cells(&[18, 19, 20, 21]), "brcm,pins");
    machine.property("soc/i2s@7e203000", "pinctrl-0", &cells(&[pins]));
    machine.property("soc/i2s@7e203000", "status", &text(&["disabled"]));
    assert_eq!(
        lines(&machine.report(21), "used by"),
        Vec::<&str>::new(),
        "no HAT"
    );

    machine.property("soc/i2s@7e203000", "status", &text(&["okay"]));
    assert_eq!(
        lines(&machine.report(21), "used by"),
        ["i2s@7e203000 in the device tree"]
    );
    assert_eq!(lines(&machine.report(22), "used by"), Vec::<&str>::new());
}

#[test]
fn a_frequency_that_pwm_gpio_cannot_hold_is_refused_with_the_reason() {
    let at = |frequency| LightConfig {
        frequency: Some(frequency),
        ..LightConfig::default()
    };
    let mut machine = with_config("");
    machine.overlay(5, "pwm_gpio", "pwm-gpio", 21);
    let error = machine.error(at(10_001)).unwrap();
    for part in [
        "pwm-gpio: frequency must be from 1 to 10000 Hz, not 10001",
        "two interrupts",
    ] {
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(machine.error(at(10_000)), None);
    assert_eq!(with_pwm_pio("6.12.75").error(at(100_000)), None);
}

#[test]
fn a_pi_5_without_gpiomem0_is_told_which_file_is_missing_and_what_helps() {
    let machine = Machine::pi_5("6.12.25", 2);
    let software = LightConfig {
        driver: DriverChoice::SoftwarePwm,
        ..LightConfig::default()
    };
    assert_eq!(machine.error(software.clone()), None);
    fs::remove_file(machine.path("dev/gpiomem0")).unwrap();
    for light in [software, LightConfig::default()] {
        let error = machine.error(light).unwrap();
        for part in ["no /dev/gpiomem0", "Raspberry Pi OS", "kernel-pwm"] {
            assert!(error.contains(part), "{error}");
        }
    }
    let machine = with_pwm_pio("6.12.75");
    fs::remove_file(machine.path("dev/gpiomem0")).unwrap();
    assert_eq!(
        machine.error(LightConfig::default()),
        None,
        "kernel-pwm needs none"
    );
    assert_eq!(Machine::pi_4b().error(LightConfig::default()), None);
}

/// A Pi 4 with these lines in config.txt, and its GPIOs as phandle 90.
fn with_config(lines: &str) -> Machine {
    let machine = Machine::pi_4b();
    machine.write("boot/firmware/config.txt", lines.as_bytes());
    machine.gpio_chip("soc/gpio@7e200000", "brcm,bcm2711-gpio", 90);
    machine
}

#[test]
fn a_gpio_of_another_device_is_taken_only_by_who_means_it() {
    const LINES: &str = "# dtparam=i2s=off\ndtparam=audio=on\ndtoverlay=vc4-kms-v3d\n";

    let mut hat = with_config(&format!("{LINES}dtparam=i2s=on\n"));
    let pins = hat.pins("i2s_pins", &cells(&[18, 19, 20, 21]), "brcm,pins");
    let node = "soc/i2s@7e203000";
    hat.property(node, "compatible", &text(&["brcm,bcm2835-i2s"]));
    hat.property(node, "pinctrl-0", &cells(&[pins]));
    assert_eq!(hat.error(LightConfig::default()), None, "no driver");
    hat.bind("platform", node, "bcm2835-i2s");

    let mut spi = with_config(&format!("{LINES}dtoverlay=spi1-1cs\n"));
    let pins = spi.pins("spi1_pins", &cells(&[19, 20, 21]), "brcm,pins");
    spi.property(
        "soc/spi@7e215080",
        "compatible",
        &text(&["brcm,bcm2835-aux-spi"]),
    );
    spi.property("soc/spi@7e215080", "pinctrl-0", &cells(&[pins]));
    spi.bind("platform", "soc/spi@7e215080", "spi-bcm2835aux");

    let fan = with_config(&format!("{LINES}dtoverlay=gpio-fan,gpiopin=21\n"));
    fan.property("fan@0", "compatible", &text(&["gpio-fan"]));
    fan.property("fan@0", "gpios", &cells(&[90, 21, 0]));
    fan.bind("platform", "fan@0", "gpio-fan");

    let led = with_config(&format!("{LINES}dtoverlay=gpio-led,gpio=21\n"));
    led.property("leds", "compatible", &text(&["gpio-leds"]));
    led.property("leds/myled1", "gpios", &cells(&[0, 90, 20, 0, 90, 21, 0]));
    led.bind("platform", "leds", "leds-gpio");

    // By the very pwmchip that would be taken.
    let mut backlight = with_config("dtoverlay=pwm-gpio,gpio=21\n");
    backlight.overlay(5, "pwm_gpio", "pwm-gpio", 21);
    backlight.property("pwm_gpio@15", "phandle", &cells(&[91]));
    backlight.property("pwm_gpio@15", "#pwm-cells", &cells(&[3]));
    backlight.property("led-controller", "compatible", &text(&["pwm-leds"]));
    backlight.property("led-controller/a", "pwms", &cells(&[91, 0, 1_000_000, 0]));
    backlight.bind("platform", "led-controller", "leds_pwm");

    let no_line = " by default, or by a line of /boot/firmware/config.txt)";
    let mut serial = Machine::pi_3b();
    let pins = serial.pins("uart0_pins", &cells(&[21]), "brcm,pins");
    serial.property("soc/serial@7e201000", "compatible", &text(&["arm,pl011"]));
    serial.property("soc/serial@7e201000", "pinctrl-0", &cells(&[pins]));
    serial.bind("amba", "soc/serial@7e201000", "uart-pl011");

    for (machine, device, line) in [
        (
            hat,
            "i2s@7e203000 (driver bcm2835-i2s;",
            "by the line dtparam=i2s=on of /boot/",
        ),
        (
            spi,
            "spi@7e215080 (driver spi-bcm2835aux;",
            "the line dtoverlay=spi1-1cs of",
        ),
        (
            fan,
            "fan@0 (driver gpio-fan;",
            "the line dtoverlay=gpio-fan,gpiopin=21 of",
        ),
        (
            led,
            "leds (driver leds-gpio;",
            "the line dtoverlay=gpio-led,gpio=21 of",
        ),
        (
            backlight,
            "led-controller (driver leds_pwm;",
            "the line dtoverlay=pwm-gpio,gpio=21 of",
        ),
        (serial, "serial@7e201000 (driver uart-pl011;", no_line),
    ] {
        for driver in [DriverChoice::Auto, DriverChoice::SoftwarePwm] {
            let light = LightConfig {
                driver,
                ..LightConfig::default()
            };
            let error = machine.error(light.clone()).expect(device);
            for part in [
                "will not start: GPIO 21 belongs to ",
                device,
                line,
                "allow_shared_gpio",
            ] {
                assert!(error.contains(part), "no {part}: {error}");
            }
            let meant = LightConfig {
                allow_shared_gpio: true,
                ..light.clone()
            };
            assert_eq!(machine.error(meant), None);
            let other = LightConfig { gpio: 22, ..light };
            assert_eq!(machine.error(other.clone()), None);
            let button = LightConfig {
                button_gpio: Some(21),
                ..other
            };
            assert!(
                machine
                    .error(button)
                    .expect(device)
                    .contains("GPIO 21 belongs")
            );
        }
        let simulated = LightConfig {
            driver: DriverChoice::Simulated,
            ..LightConfig::default()
        };
        assert_eq!(machine.error(simulated), None);
    }
}

#[test]
fn a_gpio_that_only_seems_to_belong_to_another_device_is_taken() {
    // The pwmchip that is there for the light, whichever driver is chosen.
    let mut own = with_config("");
    own.overlay(5, "pwm_gpio", "pwm-gpio", 21);
    own.property("pwm_gpio@15", "gpios", &cells(&[90, 21, 0]));
    own.bind("platform", "pwm_gpio@15", "pwm-gpio");

    // Line 21 of another chip, and an entry that leads nowhere.
    let other = with_config("");
    other.gpio_chip("expander", "raspberrypi,firmware-gpio", 92);
    other.property("leds", "compatible", &text(&["gpio-leds"]));
    other.property("leds/act", "gpios", &cells(&[92, 21, 0]));
    other.property("leds/odd", "gpios", &cells(&[93, 90, 21, 0]));
    other.bind("platform", "leds", "leds-gpio");

    // What the chip of the GPIOs sets at the boot.
    let mut initial = with_config("");
    let pins = initial.pins("gpioout", &cells(&[21]), "brcm,pins");
    initial.property("soc/gpio@7e200000", "pinctrl-0", &cells(&[pins]));
    initial.bind("platform", "soc/gpio@7e200000", "pinctrl-bcm2835");

    // A device without a driver, below a bus with one.
    let mut unused = with_config("");
    let pins = unused.pins("i2s_pins", &cells(&[21]), "brcm,pins");
    unused.property("soc", "compatible", &text(&["simple-bus"]));
    unused.bind("platform", "soc", "simple-pm-bus");
    unused.property(
        "soc/i2s@7e203000",
        "compatible",
        &text(&["brcm,bcm2835-i2s"]),
    );
    unused.property("soc/i2s@7e203000", "pinctrl-0", &cells(&[pins]));

    for machine in [own, other, initial, unused] {
        assert_eq!(GpioOwner::of(machine.root(), 21), None);
        for driver in [DriverChoice::Auto, DriverChoice::SoftwarePwm] {
            let light = LightConfig {
                driver,
                ..LightConfig::default()
            };
            assert_eq!(machine.error(light), None);
        }
    }
}

#[test]
fn the_button_of_a_light_is_reported_with_the_other_user_of_its_gpio() {
    let mut machine = Machine::pi_4b();
    let button = |driver| LightConfig {
        button_gpio: Some(20),
        driver,
        ..LightConfig::default()
    };
    let report_on = |machine: &Machine, driver| report(machine.root(), &[button(driver)]);
    let text = report_on(&machine, DriverChoice::Auto);
    let expected = ["GPIO 20: a press toggles, a hold dims"];
    assert_eq!(lines(&text, "button"), expected);
    assert_eq!(lines(&text, "used by"), Vec::<&str>::new());

    let text = report_on(&machine, DriverChoice::Simulated);
    let expected = ["none on GPIO 20, as the light is simulated"];
    assert_eq!(lines(&text, "button"), expected);

    machine.overlay(0, "pwm_gpio", "pwm-gpio", 20);
    let text = report_on(&machine, DriverChoice::Auto);
    assert_eq!(lines(&text, "used by").len(), 1, "{text}");
    assert_eq!(lines(&machine.report(21), "button"), Vec::<&str>::new());
}

#[test]
fn the_file_to_edit_is_the_one_that_is_there() {
    let machine = Machine::pi_3b();
    fs::rename(
        machine.path("boot/firmware/config.txt"),
        machine.path("boot/config.txt"),
    )
    .unwrap();
    fs::remove_dir_all(machine.path("boot/firmware")).unwrap();
    machine.offer("boot", &["pwm-gpio"]);
    assert!(lines(&machine.report(21), "better")[0].ends_with("to /boot/config.txt and reboot"));

    // Ubuntu's config.txt includes this one.
    let machine = Machine::pi_3b();
    machine.write("boot/firmware/usercfg.txt", b"");
    let expected = "to /boot/firmware/usercfg.txt and reboot";
    assert!(lines(&machine.report(21), "better")[0].ends_with(expected));

    // Debian's config.txt is generated; no Debian has these overlays, but one can bring them.
    let machine = Machine::pi_3b();
    machine.write("etc/default/raspi-firmware", b"");
    let expected = "to /etc/default/raspi-firmware-custom, run sudo update-initramfs -u and reboot";
    assert!(lines(&machine.report(21), "better")[0].ends_with(expected));
}

/// A distribution, as far as it matters to advice.
#[derive(Debug, Clone, Copy, PartialEq)]
enum System {
    RaspberryPiOs,
    Debian,
    Ubuntu,
}

/// Each Pi of the table, with its `compatible` strings.
const MODELS: [(&str, [&str; 2]); 5] = [
    (
        "Raspberry Pi Zero W Rev 1.1",
        ["raspberrypi,model-zero-w", "brcm,bcm2835"],
    ),
    (
        "Raspberry Pi Zero 2 W Rev 1.0",
        ["raspberrypi,model-zero-2-w", "brcm,bcm2837"],
    ),
    (
        "Raspberry Pi 3 Model B Rev 1.2",
        ["raspberrypi,3-model-b", "brcm,bcm2837"],
    ),
    (
        "Raspberry Pi 4 Model B Rev 1.4",
        ["raspberrypi,4-model-b", "brcm,bcm2711"],
    ),
    (
        "Raspberry Pi 5 Model B Rev 1.0",
        ["raspberrypi,5-model-b", "brcm,bcm2712"],
    ),
];

/// What a line of advice contains.
const PWM_GPIO: &str = "add the line dtoverlay=pwm-gpio,gpio=21 to ";
const PWM_PIO: &str = "kernel-pwm by pwm-pio: add the line dtoverlay=pwm-pio,gpio=21 to ";
const BAD_PWM_PIO: &str = "fixed in June 2026, so in any later 6.18; 6.12.75 works, too; then add the line dtoverlay=pwm-pio,gpio=21 to ";
const BLOCK: &str = "move the LED to GPIO 18 (header pin 12), set gpio = 18, add the line dtoverlay=pwm,pin=18,func=2 to ";
const UPDATE: &str =
    "update the system (sudo apt full-upgrade), reboot and run dimmer doctor again";
const NONE: &str = "no kernel-pwm here: no overlay ";

/// A row of the table: a system with its kernel, the overlays that it has beside each other, and the advice for GPIO 21
/// up to the Pi 4 and on the Pi 5.
type Row = (
    System,
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
);

const ALL: &[&str] = &["pwm", "pwm-gpio", "pwm-pio"];

/// What each system offers. Debian's overlays are those of its raspi-firmware 1.20240424; the others are typical, and
/// were not read from an image.
#[rustfmt::skip]
const TABLE: [Row; 15] = {
    use System::{Debian, RaspberryPiOs, Ubuntu};
    [
        (RaspberryPiOs, "6.1.21-v8+",              &["pwm"], &[BLOCK],           &[BLOCK]),
        (RaspberryPiOs, "6.6.31+rpt-rpi-v8",       &["pwm"], &[UPDATE, BLOCK],   &[UPDATE, BLOCK]),
        (RaspberryPiOs, "6.8.0-v8+",               &["pwm"], &[UPDATE, BLOCK],   &[UPDATE, BLOCK]),
        (RaspberryPiOs, "6.12.75+rpt-rpi-v8",      ALL,      &[PWM_GPIO, BLOCK], &[PWM_PIO, BLOCK]),
        (RaspberryPiOs, "6.18.34+rpt-rpi-v8",      ALL,      &[PWM_GPIO, BLOCK], &[BAD_PWM_PIO, PWM_GPIO, BLOCK]),
        (Debian,        "6.1.0-56-arm64",          &[],      &[NONE],            &[NONE]),
        (Debian,        "6.6.13+bpo-arm64",        &[],      &[NONE],            &[NONE]),
        (Debian,        "6.8.12-arm64",            &[],      &[NONE],            &[NONE]),
        (Debian,        "6.12.117+deb13-arm64",    &[],      &[NONE],            &[NONE]),
        (Debian,        "6.18.9+deb14-arm64",      &[],      &[NONE],            &[NONE]),
        (Ubuntu,        "6.1.0-1001-raspi",        &["pwm"], &[BLOCK],           &[BLOCK]),
        (Ubuntu,        "6.6.0-1001-raspi",        &["pwm"], &[BLOCK],           &[BLOCK]),
        (Ubuntu,        "6.8.0-1030-raspi",        &["pwm"], &[BLOCK],           &[BLOCK]),
        (Ubuntu,        "6.12.0-1001-raspi",       ALL,      &[PWM_GPIO, BLOCK], &[PWM_PIO, BLOCK]),
        (Ubuntu,        "6.18.0-1003-raspi",       ALL,      &[PWM_GPIO, BLOCK], &[BAD_PWM_PIO, PWM_GPIO, BLOCK]),
    ]
};

impl Machine {
    /// A Pi with what a system of the table offers.
    fn with(model: &str, compatible: &[&str], row: &Row) -> Machine {
        let (system, kernel, overlays, ..) = *row;
        let pi_5 = compatible.contains(&"brcm,bcm2712");
        let machine = Machine::new(model, compatible, kernel);
        let mut modules = vec![if pi_5 { "pwm-rp1" } else { "pwm-bcm2835" }];
        if overlays == ALL {
            modules.extend(["pwm-gpio", "pwm-pio-rp1"]);
        }
        machine.modules(kernel, &modules);
        fs::remove_dir_all(machine.path("boot")).unwrap();
        let (boot, config) = match system {
            // Bullseye.
            System::RaspberryPiOs if kernel.starts_with("6.1.") => ("boot", "boot/config.txt"),
            // A/B boot.
            System::Ubuntu if overlays == ALL => {
                ("boot/firmware/current", "boot/firmware/config.txt")
            }
            _ => ("boot/firmware", "boot/firmware/config.txt"),
        };
        machine.offer(boot, overlays);
        machine.write(config, b"");
        match system {
            System::RaspberryPiOs => {}
            System::Debian => {
                machine.offer(boot, &["hifiberry-dac", "pi4-spidev"]);
                machine.write("etc/default/raspi-firmware", b"");
                fs::remove_file(machine.path("etc/rpi-issue")).unwrap();
            }
            System::Ubuntu => fs::remove_file(machine.path("etc/rpi-issue")).unwrap(),
        }
        if !pi_5 && system != System::Debian {
            machine.property("soc/audio", "compatible", &text(&["brcm,bcm2835-audio"]));
        }
        machine
    }

    /// All advice for a GPIO, the best first.
    fn advice(&self, gpio: u8) -> Vec<String> {
        let report = self.report(gpio);
        let advice = [lines(&report, "better"), lines(&report, "no better")].concat();
        advice.into_iter().map(str::to_owned).collect()
    }
}

#[test]
fn each_machine_gets_the_advice_that_it_can_follow() {
    for (model, compatible) in MODELS {
        for row in &TABLE {
            let machine = Machine::with(model, &compatible, row);
            let (system, kernel, _, up_to_4, on_5) = row;
            let is_5 = model.starts_with("Raspberry Pi 5");
            let expected = if is_5 { on_5 } else { up_to_4 };
            let advice = machine.advice(21);
            let mut pairs = advice.iter().zip(*expected);
            let as_expected = pairs.all(|(line, part)| line.contains(part));
            assert!(
                as_expected && advice.len() == expected.len(),
                "{model}, {system:?}, {kernel}: {advice:#?}"
            );
            for line in [14, 18]
                .into_iter()
                .flat_map(|gpio| machine.advice(gpio))
                .chain(advice)
            {
                can_follow(&machine, row, is_5, &line);
            }
        }
    }
}

/// Checks that advice needs only what is there.
fn can_follow(machine: &Machine, row: &Row, is_5: bool, line: &str) {
    let (system, kernel, overlays, ..) = *row;
    let context = format!("{system:?}, {kernel}, Pi 5: {is_5}: {line}");
    assert!(
        !line.contains(UPDATE) || system == System::RaspberryPiOs,
        "{context}"
    );
    assert!(!line.contains("eeprom"), "{context}");
    let Some((_, rest)) = line.split_once("dtoverlay=") else {
        return;
    };
    let (overlay, rest) = rest.split_once(' ').unwrap();
    let (file, _) = rest
        .strip_prefix("to /")
        .unwrap()
        .split_once([' ', ','])
        .unwrap();
    assert!(machine.path(file).exists(), "{context}");
    let (name, parameters) = overlay.split_once(',').unwrap();
    assert!(overlays.contains(&name), "{context}");
    let module = match (name, is_5) {
        ("pwm", true) => "pwm-rp1",
        ("pwm", false) => "pwm-bcm2835",
        ("pwm-pio", true) => "pwm-pio-rp1",
        ("pwm-gpio", _) => "pwm-gpio",
        _ => panic!("{context}"),
    };
    let has = ["modules.dep", "modules.builtin"].iter().any(|list| {
        let list = machine.path(&format!("lib/modules/{kernel}/{list}"));
        let list = fs::read_to_string(list).unwrap();
        list.contains(&format!("/{module}.ko"))
    });
    assert!(has, "{context}");
    if name == "pwm" {
        let functions = [
            "pin=12,func=4",
            "pin=13,func=4",
            "pin=18,func=2",
            "pin=19,func=2",
        ];
        assert!(functions.contains(&parameters), "{context}");
        assert_eq!(line.contains("dtparam=audio=off"), !is_5, "{context}");
    }
}

#[test]
fn gpio_14_and_15_of_a_pi_5_get_no_func_that_is_a_uart() {
    let machine = Machine::pi_5("6.12.75+rpt-rpi-2712", 2);
    for gpio in [14, 15] {
        let overlay = format!("dtoverlay=pwm-pio,gpio={gpio} ");
        assert!(machine.advice(gpio)[0].contains(&overlay));
    }
    machine.offer("boot/firmware", &["pwm"]);
    fs::remove_file(machine.path("etc/rpi-issue")).unwrap();
    for gpio in [14, 15] {
        let advice = machine.advice(gpio);
        assert_eq!(advice.len(), 1, "{advice:?}");
        assert!(advice[0].contains("move the LED to GPIO 18"), "{advice:?}");
    }
}

#[test]
fn an_old_bootloader_is_updated_before_pwm_pio() {
    // Those of raspberrypi/linux#6559 and #6523: 2024-09-23, 2024-11-12 16:10:44.
    for (built, is_old) in [(1_727_096_576, true), (1_731_427_844, false)] {
        let machine = Machine::pi_5("6.12.75+rpt-rpi-2712", 2);
        machine.property("chosen/bootloader", "build-timestamp", &cells(&[built]));
        let advice = machine.advice(21);
        let update = "kernel-pwm by pwm-pio: update the bootloader to one of 2024-11-12 or later (sudo rpi-eeprom-update -a), add the line ";
        assert_eq!(advice[0].starts_with(update), is_old, "{advice:?}");
        assert!(!advice[1].contains("eeprom"), "{advice:?}");
    }
}

#[test]
fn a_gpio_that_a_board_of_26_pins_lacks_is_not_advised() {
    for (model, lacks, has) in [
        ("Raspberry Pi Model B Rev 1", 27, 21),
        ("Raspberry Pi Model B Rev 2", 21, 27),
        ("Raspberry Pi Model A Rev 2", 21, 27),
        ("Raspberry Pi Model B Plus Rev 1.2", 28, 21),
    ] {
        let compatible = ["raspberrypi,model-b", "brcm,bcm2835"];
        let machine = Machine::new(model, &compatible, "6.12.75+rpt-rpi-v6");
        let header = |gpio| lines(&machine.report(gpio), "header").len();
        assert_eq!(header(has), 0, "{model}");
        assert!(machine.advice(has)[0].contains(&format!("pwm-gpio,gpio={has} ")));
        if lacks <= 27 {
            assert_eq!(header(lacks), 1, "{model}");
            let advice = machine.advice(lacks);
            assert_eq!(advice.len(), 1, "{model}: {advice:?}");
            assert!(advice[0].contains(BLOCK), "{model}: {advice:?}");
        }
    }
}

#[test]
fn the_led_is_not_sent_to_a_gpio_that_is_taken() {
    let mut machine = Machine::pi_4b();
    let light = |gpio, button_gpio| LightConfig {
        gpio,
        button_gpio,
        ..LightConfig::default()
    };
    for other in [light(18, None), light(20, Some(18))] {
        let text = report(machine.root(), &[light(21, None), other]);
        let elsewhere = lines(&text, "better")[1];
        assert!(
            elsewhere.contains("move the LED to GPIO 12 (header pin 32)"),
            "{text}"
        );
        assert!(elsewhere.contains("dtoverlay=pwm,pin=12,func=4 "), "{text}");
    }

    let pins = machine.pins("i2s_pins", &cells(&[18, 19, 20]), "brcm,pins");
    machine.property("soc/i2s@7e203000", "pinctrl-0", &cells(&[pins]));
    assert!(machine.advice(21)[1].contains("move the LED to GPIO 12 "));

    // The block has a GPIO already: then that needs no line, unless another light has it.
    let mut machine = Machine::pi_4b();
    machine.block(0, 13);
    let expected =
        "kernel-pwm by the PWM block: move the LED to GPIO 13 (header pin 33) and set gpio = 13";
    assert_eq!(machine.advice(21)[1], expected);
    let text = report(machine.root(), &[light(21, None), light(13, None)]);
    assert_eq!(lines(&text, "better").len(), 1, "{text}");
}

#[test]
fn a_light_on_the_pwm_block_is_told_when_the_headphone_jack_has_it_too() {
    let mut machine = Machine::pi_4b();
    machine.block(0, 18);
    assert_eq!(machine.advice(18), Vec::<String>::new());
    machine.property("soc/audio", "compatible", &text(&["brcm,bcm2835-audio"]));
    assert_eq!(
        machine.advice(18),
        [
            "set dtparam=audio=off in /boot/firmware/config.txt (the headphone jack uses the same PWM block)"
        ]
    );
}

#[test]
fn an_inverted_light_is_told_how_to_be_dark_from_the_boot_on() {
    const FILE: &str = "boot/firmware/config.txt";
    let at_boot = |machine: &Machine, invert, driver| {
        let light = LightConfig {
            invert,
            driver,
            ..LightConfig::default()
        };
        let text = report(machine.root(), &[light]);
        lines(&text, "at boot")
            .iter()
            .map(|line| (*line).to_owned())
            .collect::<Vec<_>>()
    };
    let mut machine = Machine::pi_4b();
    let advice = [
        "the LED is lit from the boot until the service starts: add the line gpio=21=op,dh to /boot/firmware/config.txt and reboot",
    ];
    assert_eq!(at_boot(&machine, true, DriverChoice::Auto), advice);
    assert!(at_boot(&machine, false, DriverChoice::Auto).is_empty());
    assert!(at_boot(&machine, true, DriverChoice::Simulated).is_empty());
    machine.overlay(0, "pwm_gpio", "pwm-gpio", 21);
    assert_eq!(at_boot(&machine, true, DriverChoice::Auto), advice);
    machine.write(FILE, b"gpio=21=op\ngpio=2=op,dh\n");
    assert_eq!(at_boot(&machine, true, DriverChoice::Auto), advice);
    machine.write(FILE, b"[all]\ngpio=21=op,dh\n");
    assert!(at_boot(&machine, true, DriverChoice::Auto).is_empty());

    let mut machine = Machine::pi_4b();
    machine.block(0, 18);
    let inverted = LightConfig {
        gpio: 18,
        invert: true,
        ..LightConfig::default()
    };
    let text = report(machine.root(), &[inverted]);
    assert!(lines(&text, "at boot").is_empty(), "{text}");
}

/// What the API says of lights with these settings.
fn diagnosis(machine: &Machine, settings: &[LightConfig]) -> Value {
    let light = |config: &LightConfig| config.light((Driver::SoftwarePwm, 200, 5000));
    let lights: Vec<_> = settings.iter().map(light).collect();
    json!(diagnose(machine.root(), &lights, settings))
}

#[test]
fn the_api_gives_the_advice_of_the_report() {
    let mut silenced = Machine::pi_4b();
    silenced.block(0, 18);
    let settings = |gpio, invert| LightConfig {
        gpio,
        invert,
        ..LightConfig::default()
    };
    let names = ["better", "no better", "header", "at boot"];
    let mut given = 0;
    for machine in [Machine::pi_4b(), Machine::zero_w(), silenced] {
        machine.property("soc/mailbox", "compatible", &text(&["brcm,bcm2835-audio"]));
        for settings in [
            [settings(21, true), settings(20, false)],
            [settings(18, false), settings(5, true)],
        ] {
            let report = report(machine.root(), &settings);
            let is_advice = |line: &&str| names.iter().any(|name| line.starts_with(name));
            let reported: Vec<_> = report.lines().filter(is_advice).collect();
            let diagnosis = diagnosis(&machine, &settings);
            let lights = diagnosis["lights"].as_array().unwrap().iter();
            let advice = lights.flat_map(|light| light["advice"].as_array().unwrap());
            let text = |field: &Value| field.as_str().unwrap().to_owned();
            let advice =
                advice.map(|line| format!("{:<12}{}", text(&line["kind"]), text(&line["text"])));
            assert_eq!(advice.collect::<Vec<_>>(), reported);
            given += reported.len();
        }
    }
    assert!(given > 10, "{given}");
}

#[test]
fn modules_that_cannot_be_read_are_no_reason_against_an_overlay() {
    let machine = Machine::pi_4b();
    let better = lines(&machine.report(21), "better").join("\n");
    let modules = machine.path("lib/modules");
    fs::remove_dir_all(&modules).unwrap();
    assert!(
        !lines(&machine.report(21), "better")
            .join("\n")
            .contains("add the line")
    );
    fs::write(modules, "").unwrap();
    assert_eq!(lines(&machine.report(21), "better").join("\n"), better);
    assert!(
        better.contains("add the line dtoverlay=pwm-gpio,gpio=21"),
        "{better}"
    );
}

#[test]
fn the_api_names_the_machine_and_the_pin_on_its_header() {
    let pi_4b = Machine::pi_4b();
    let on = |machine: &Machine, gpio| {
        let settings = LightConfig {
            gpio,
            ..LightConfig::default()
        };
        diagnosis(machine, &[settings])
    };
    let light = &on(&pi_4b, 21)["lights"][0];
    assert_eq!(
        (&light["driver"], &light["frequency"]),
        (&json!("software-pwm"), &json!(200))
    );
    assert_eq!(on(&pi_4b, 21)["machine"], "Raspberry Pi 4 Model B Rev 1.4");
    let pins: Vec<_> = (0..=27)
        .map(|gpio| on(&pi_4b, gpio)["lights"][0]["pin"].as_u64().unwrap())
        .collect();
    // The power and the ground have the other twelve.
    let others = [1, 2, 4, 6, 9, 14, 17, 20, 25, 30, 34, 39];
    for pin in 1..=40 {
        assert_ne!(pins.contains(&pin), others.contains(&pin), "{pin}");
    }
    assert_eq!((pins[2], pins[18], pins[21]), (3, 12, 40));

    let compatible = ["raspberrypi,model-b", "brcm,bcm2835"];
    for (model, gpio, pin) in [
        ("Raspberry Pi Model B Rev 2", 17, json!(11)),
        ("Raspberry Pi Model B Rev 2", 21, json!(null)),
        ("Raspberry Pi Model B Rev 1", 21, json!(null)),
        ("Raspberry Pi Model B Plus Rev 1.2", 21, json!(40)),
    ] {
        let machine = Machine::new(model, &compatible, "6.6.31+rpt-rpi-v6");
        assert_eq!(
            on(&machine, gpio)["lights"][0]["pin"],
            pin,
            "{model}: {gpio}"
        );
    }
    let other = Machine::new("Some board", &["vendor,board"], "6.6.31");
    assert_eq!(on(&other, 21)["lights"][0]["pin"], json!(null));
}

#[test]
fn files_are_shown_with_their_owner_and_mode() {
    let machine = Machine::pi_4b();
    machine.write("dev/gpiomem", b"");
    let files = machine.report(21);
    let files = lines(&files, "file");
    assert!(files[0].starts_with("/dev/gpiomem: user "), "{files:?}");
    assert!(
        files[0].contains("mode 0644") && files[0].ends_with("can be opened"),
        "{files:?}"
    );
    assert_eq!(files[1], "/dev/gpiomem0: missing");
}

#[test]
fn a_machine_other_than_a_pi_is_simulated() {
    let root = tempfile::tempdir().unwrap();
    let text = report(root.path(), &[LightConfig::default()]);
    assert_eq!(lines(&text, "machine"), ["no device tree here"]);
    assert_eq!(
        lines(&text, "auto takes"),
        ["simulated, because this is not a Raspberry Pi"]
    );
    assert_eq!(
        choose(root.path(), DriverChoice::KernelPwm, 21),
        Choice::NoChip
    );
}
