//! `kernel-pwm` by the Pi's PWM block, on GPIO 18.
//!
//! QEMU has no PWM block, so nothing is seen at the pin. What is checked is what the kernel's driver of the block
//! accepted.

use std::path::Path;

use serde_json::json;

use crate::claims::{Claims, DIMMER};
use crate::common::TestClient;
use crate::machine::{Machine, PI_3B};
use crate::measure::duty;

const GPIO: u8 = 18;
/// The GPIO's function select while it is the output of the PWM block.
const ALT5: u32 = 2;
/// A period in ns at the default frequency.
const PERIOD_NS: u64 = 1_000_000;
const LEVEL: f64 = 25.0;

/// What another program may have left in a channel, and whether it runs: period and pulse in ns.
const LEFT: [(&str, u64, u64, bool); 5] = [
    ("running with a longer period", 20_000_000, 20_000_000, true),
    ("stopped with a longer period", 20_000_000, 5_000_000, false),
    ("running with a shorter period", 20_000, 10_000, true),
    ("stopped with a shorter period", 20_000, 20_000, false),
    ("running with the same period", PERIOD_NS, 1, true),
];

/// On a Pi with the overlay `auto` takes the PWM block, whatever another program has left in its channel.
/// Returns the Pi.
pub async fn drives_gpio_18(
    lab: &Path,
    overlay: &str,
    kernel: &str,
    claims: &mut Claims,
) -> Machine {
    let mut machine = Machine::boot(&PI_3B, &lab.join(kernel), overlay);
    claims.of(&mut machine, kernel, "kernel-pwm (PWM block)", GPIO);
    claims.check(
        machine.function_select(GPIO.into()) == ALT5,
        format!("with dtoverlay={overlay} GPIO {GPIO} is the PWM block's"),
    );
    let report = machine.run(&format!("dimmer doctor --gpio {GPIO}"));
    let choice = report.lines().find(|line| line.contains("auto takes"));
    claims.check(
        choice.is_some_and(|line| line.contains("kernel-pwm (pwm-bcm2835, pwmchip")),
        format!("dimmer doctor: {}", choice.unwrap_or_default().trim()),
    );

    for invert in [false, true] {
        if invert {
            machine.run("echo 0 >/sys/class/pwm/pwmchip0/unexport");
        }
        is_driven(&mut machine, "that was never used", invert, claims).await;
    }
    for (number, (what, period, pulse, runs)) in LEFT.into_iter().enumerate() {
        let enable = u8::from(runs);
        machine.run(&format!(
            "cd /sys/class/pwm/pwmchip0/pwm0 && echo 0 >enable && echo 0 >duty_cycle \
             && echo {period} >period && echo {pulse} >duty_cycle && echo {enable} >enable; cd /"
        ));
        is_driven(&mut machine, what, number % 2 == 1, claims).await;
    }
    machine
}

/// The service drives a channel in which another program has left this.
async fn is_driven(machine: &mut Machine, what: &str, invert: bool, claims: &mut Claims) {
    machine.run(&format!(
        "printf '[[light]]\\ngpio = {GPIO}\\ninvert = {invert}\\n' >/tmp/block.toml"
    ));
    machine.start_dimmer("--config /tmp/block.toml");
    let mut client = TestClient::open(machine.address(DIMMER)).await;
    client.change("led", json!({"level": LEVEL})).await;
    client.settled().await;
    let pulse = |level| {
        let duty = if invert {
            1.0 - duty(level)
        } else {
            duty(level)
        };
        format!("{} {PERIOD_NS} 1 normal", (duty * PERIOD_NS as f64).round())
    };
    let lit = channel(machine, &pulse(LEVEL));
    let driver = client.hello["lights"][0]["driver"].to_string();
    machine.end_dimmer("TERM");
    let dark = channel(machine, &pulse(0.0));
    claims.check(
        driver == "\"kernel-pwm\"" && lit == pulse(LEVEL) && dark == pulse(0.0),
        format!("a channel {what}, invert = {invert}: {driver}: {lit}, after SIGTERM {dark}"),
    );
}

/// What the channel has, within a second if that is what is due: pulse, period, enable and polarity.
fn channel(machine: &mut Machine, due: &str) -> String {
    machine.run(&format!(
        "cd /sys/class/pwm/pwmchip0/pwm0; for i in $(seq 10); do \
         HAS=$(echo $(cat duty_cycle period enable polarity)); [ \"$HAS\" = \"{due}\" ] && break; sleep 0.1; \
         done; cd /; echo $HAS"
    ))
}
