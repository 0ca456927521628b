//! A button on GPIO 20 of the emulated Pi.
//!
//! QEMU's GPIOs make no interrupts. So the kernel's simulated GPIO chip stands in for the Pi's, by
//! its file and its name: the kernel debounces and hands on its edges as it does a Pi's.

use serde_json::Value;

use crate::claims::{Claims, DIMMER, attempt};
use crate::common::TestClient;
use crate::machine::Machine;
use crate::measure::{FREQUENCY, duty, follows, is_dark, set};

/// The level before the first press.
const LEVEL: f64 = 40.0;

/// How often the contacts of a bouncing button close and open before they settle: for some 10 ms.
const BOUNCES: u32 = 50;

/// A press toggles the light however much it bounces, and a hold dims it, all the way to the pin.
pub async fn toggles_and_dims(machine: &mut Machine, claims: &mut Claims) {
    wire(machine);
    machine.run("printf '[[light]]\\nbutton_gpio = 20\\n' >/tmp/button.toml");
    machine.start_dimmer(&format!(
        "--frequency {FREQUENCY} --config /tmp/button.toml"
    ));
    let mut client = TestClient::open(machine.address(DIMMER)).await;
    let (holds, seen) = attempt(async || {
        set(machine, &mut client, LEVEL).await;
        let before = interrupts(machine);
        let levels = presses(machine, &mut client, "0.1").await;
        let edges = interrupts(machine) - before;
        (
            levels == [0.0] && is_dark(machine),
            format!("a press of {edges} edges switches off once: {levels:?}"),
        )
    })
    .await;
    claims.check(holds, seen);
    let (holds, seen) = attempt(async || {
        set(machine, &mut client, LEVEL).await;
        set(machine, &mut client, 0.0).await;
        let levels = presses(machine, &mut client, "0.1").await;
        let (is_followed, seen) = follows(machine, duty(LEVEL)).await;
        (
            levels == [LEVEL] && is_followed,
            format!("the next one on again: {levels:?}, and the pin is high for {seen:.4}"),
        )
    })
    .await;
    claims.check(holds, seen);
    for (verb, by) in [("brightens", 20.0), ("dims", -20.0)] {
        let (holds, seen) = attempt(async || hold(machine, &mut client, verb, by).await).await;
        claims.check(holds, seen);
    }

    let (holds, seen) = attempt(async || {
        set(machine, &mut client, LEVEL).await;
        machine.run("kill -STOP $(cat /tmp/pid); kill -CONT $(cat /tmp/pid); sleep 0.5");
        let levels = presses(machine, &mut client, "0.1").await;
        (
            levels == [0.0],
            format!("a press also counts after the process was stopped and goes on: {levels:?}"),
        )
    })
    .await;
    claims.check(holds, seen);

    machine.run("printf '[[light]]\\ngpio = 22\\nbutton_gpio = 20\\n' >/tmp/other.toml");
    let other = "dimmer --config /tmp/other.toml --state-dir /tmp/other --listen 0.0.0.0:5001";
    let answer = machine.run(&format!("! timeout 20 {other} 2>&1"));
    claims.check(
        answer.contains("GPIO 20 is in use by"),
        format!("a GPIO in use is refused: {answer}"),
    );
    machine.end_dimmer("TERM");
}

/// Puts the simulated chip where rppal looks for the Pi's, with an open button on GPIO 20.
fn wire(machine: &mut Machine) {
    machine.run(
        "modprobe gpio-sim && mount -t configfs none /sys/kernel/config \
         && cd /sys/kernel/config/gpio-sim && mkdir -p pi/bank && echo 28 >pi/bank/num_lines \
         && echo pinctrl-bcm2835 >pi/bank/label && echo 1 >pi/live \
         && mv /dev/$(cat pi/bank/chip_name) /dev/gpiochip0 && cd / \
         && LINE=$(echo /sys/devices/platform/gpio-sim*/gpiochip*/sim_gpio20/pull) \
         && echo pull-up >$LINE",
    );
}

/// How many edges the kernel has seen.
fn interrupts(machine: &mut Machine) -> u32 {
    let line = machine.run("grep RPPAL /proc/interrupts");
    let numbers = line
        .split_whitespace()
        .map_while(|word| word.trim_end_matches(':').parse::<u32>().ok());
    // The first number is the interrupt's own.
    numbers.skip(1).sum()
}

/// Presses the button for this many seconds, with bounce at either end, and returns the levels that
/// the client receives from the button.
async fn presses(machine: &mut Machine, client: &mut TestClient, seconds: &str) -> Vec<f64> {
    let bounce =
        format!("for i in $(seq {BOUNCES}); do echo pull-down >$LINE; echo pull-up >$LINE; done");
    // Then, by its own clock, as long as an edge is debounced, and longer.
    machine.run(&format!(
        "{bounce}; echo pull-down >$LINE; sleep {seconds}; {bounce}; sleep 0.3"
    ));
    let received = client.settled().await;
    let by_button = |message: &&Value| message["by"] == "button";
    let levels = received.iter().filter(by_button);
    levels
        .filter_map(|message| message["level"].as_f64())
        .collect()
}

/// A hold of a second changes the level one way, by as much at least, and the pin follows.
async fn hold(
    machine: &mut Machine,
    client: &mut TestClient,
    verb: &str,
    by: f64,
) -> (bool, String) {
    set(machine, client, LEVEL).await;
    let levels = presses(machine, client, "1.2").await;
    let last = client.levels["led"];
    let (is_followed, seen) = follows(machine, duty(last)).await;
    let one_way = levels.is_sorted_by(|one, next| (next - one) * by > 0.0);
    let steps = levels.len();
    (
        one_way && (last - LEVEL) / by >= 1.0 && is_followed,
        format!(
            "a hold {verb} in {steps} steps, from {LEVEL} to {last} %, and the pin is high for {seen:.4}"
        ),
    )
}
