//! Measures GPIO 21 of an emulated Raspberry Pi that runs dimmer, from outside: docs/emulated-pi.md.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use crate::claims::{self, Claims, DIMMER, attempt};
use crate::common::TestClient;
use crate::machine::{Machine, PI_3B};
use crate::measure::{FREQUENCY, LEVELS, OUTPUT, PERIOD_NS, duty, has_the_duty, set};
use crate::waveform::{Period, median};
use crate::{block, button, invert, real_time, stop, thumb};
use dimmer::model::level::luminance;
use serde_json::json;
use tokio::time::sleep;

/// How long a fade takes to full, in seconds, and in how many windows it is measured.
const FADE: f64 = 10.0;
const FADE_WINDOWS: usize = 10;
/// How far a window of a fade may be from where it is due: in the last tenth, the steepest one, the
/// light rises by 0.25, and a period shows a duty from before it began.
const FADE_TOLERANCE: f64 = 0.05;

/// The Pi as it comes, where `auto` takes [`SOFTWARE`]. With the overlay that `dimmer doctor` advises
/// there it takes [`KERNEL`].
const STOCK: &str = "stock";
const SOFTWARE: &str = "software-pwm";
const KERNEL: &str = "kernel-pwm";

/// The kernels of Debian: the older one is from before Linux 6.11, which changed what a channel accepts.
const OLD: &str = "6.1";
const NEW: &str = "6.12";

#[test]
#[ignore = "needs QEMU; scripts/emulate.sh fetches it and runs this"]
fn on_an_emulated_pi() {
    claims::prove(async |lab, claims| {
        let overlays = prove(lab, STOCK, SOFTWARE, claims).await;
        let [on_any_gpio, on_gpio_18] = overlays.as_slice() else {
            panic!("dimmer doctor does not advise two overlays: {overlays:?}");
        };
        // As after adding the line to config.txt and a reboot.
        let advice = prove(lab, on_any_gpio, KERNEL, claims).await;
        claims.check(
            advice.is_empty(),
            "with it, dimmer doctor has no better advice",
        );
        block::drives_gpio_18(lab, on_gpio_18, NEW, claims).await;
        let mut machine = block::drives_gpio_18(lab, on_gpio_18, OLD, claims).await;
        software_drives_gpio_21(&mut machine, OLD, claims).await;
    });
}

/// The other driver on a Pi whose PWM block drives another GPIO.
async fn software_drives_gpio_21(machine: &mut Machine, kernel: &str, claims: &mut Claims) {
    claims.of(machine, kernel, SOFTWARE, 21);
    machine.start_dimmer(&format!("--frequency {FREQUENCY}"));
    let mut client = TestClient::open(machine.address(DIMMER)).await;
    has_the_duty(machine, &mut client, &LEVELS, claims).await;
    set(machine, &mut client, 50.0).await;
    real_time::is_as_said(machine, claims);
    machine.end_dimmer("TERM");
}

/// Everything that is claimed of a driver, on the Pi with this overlay. Returns the overlays that
/// `dimmer doctor` advises there.
async fn prove(
    lab: &Path,
    overlay: &str,
    driver: &'static str,
    claims: &mut Claims,
) -> Vec<String> {
    let start = Instant::now();
    let mut machine = Machine::boot(&PI_3B, &lab.join(NEW), overlay);
    let boot = start.elapsed().as_secs_f64();
    let name = match driver {
        SOFTWARE => SOFTWARE,
        _ => "kernel-pwm (pwm-gpio)",
    };
    claims.of(&mut machine, NEW, name, 21);
    println!("booted in {boot:.1} s with the device tree {overlay}");

    let advice = doctor_tells_the_truth(&mut machine, driver, claims);
    chooses_the_driver(&mut machine, driver, claims).await;

    machine.start_dimmer(&format!("--frequency {FREQUENCY}"));
    let mut client = TestClient::open(machine.address(DIMMER)).await;
    let hello = client.hello["lights"][0].to_string();
    claims.check(
        client.hello["lights"][0]["frequency"] == FREQUENCY,
        format!("hello says the frequency that was asked for: {hello}"),
    );
    claims.check(
        machine.function_select(21) == OUTPUT,
        "GPIO 21 is an output while dimmer serves",
    );
    has_the_duty(&mut machine, &mut client, &LEVELS, claims).await;
    fades_evenly(&mut machine, &mut client, claims).await;
    thumb::is_followed(&mut machine, &mut client, claims).await;
    if driver == KERNEL {
        gives_the_kernel_every_level_exactly(&mut machine, &mut client, claims).await;
    } else {
        real_time::is_as_said(&mut machine, claims);
    }
    drop(client);
    stop::goes_dark(&mut machine, claims).await;
    invert::is_the_other_way_round(&mut machine, claims).await;
    if driver == KERNEL {
        stop::stays_lit_where_it_is_asked_to(&mut machine, claims).await;
    } else {
        button::toggles_and_dims(&mut machine, claims).await;
    }
    println!("all in {:.0} s", start.elapsed().as_secs_f64());
    advice
}

/// `dimmer doctor` knows the Pi, its chips and what `auto` takes. Returns the overlays that it advises.
fn doctor_tells_the_truth(machine: &mut Machine, driver: &str, claims: &mut Claims) -> Vec<String> {
    let report = machine.run("dimmer doctor");
    println!("{report}\n");
    let contains = |words: &str| report.contains(words);
    claims.check(
        contains("Raspberry Pi 3 Model B") && contains(&machine.run("uname -r")),
        "dimmer doctor names the machine and its kernel",
    );
    // The Pi's own PWM block is a pwmchip in both, and has nothing to do with GPIO 21.
    let chips = machine.run("ls /sys/class/pwm");
    let all = chips.split_whitespace().all(contains);
    let choice = match driver {
        SOFTWARE => contains("auto takes  software-pwm, 200 Hz"),
        _ => {
            contains("GPIO 21 on channel 0")
                && contains("auto takes  kernel-pwm (pwm-gpio, pwmchip")
        }
    };
    claims.check(
        all && choice && contains("no GPIO of the header, never touched"),
        format!(
            "and what drives what: {}",
            chips.split_whitespace().collect::<Vec<_>>().join(", ")
        ),
    );
    let lines = report.split("add the line dtoverlay=").skip(1);
    let overlays = lines.filter_map(|line| Some(line.split_once(' ')?.0.to_owned()));
    overlays
        .inspect(|overlay| println!("        and advises dtoverlay={overlay}"))
        .collect()
}

/// `auto` takes the driver that this Pi is for, says so, and does not flash as it opens it; and
/// never takes a chip that drives another pin.
async fn chooses_the_driver(machine: &mut Machine, driver: &str, claims: &mut Claims) {
    if driver == SOFTWARE {
        let answer = machine.run("dimmer serve --driver kernel-pwm 2>&1 || true");
        claims.check(
            answer.contains("no pwmchip drives GPIO 21"),
            format!("kernel-pwm is refused: {answer}"),
        );
    }
    let frequency = if driver == SOFTWARE { 200 } else { 1000 };
    machine.start_dimmer("");
    let mut client = TestClient::open(machine.address(DIMMER)).await;
    let light = &client.hello["lights"][0];
    claims.check(
        light["driver"] == driver && light["frequency"] == frequency,
        format!("auto takes {driver} at {frequency} Hz"),
    );
    set(machine, &mut client, 0.0).await;
    machine.end_dimmer("TERM");

    machine.start_trace();
    machine.start_dimmer("");
    machine.end_dimmer("TERM");
    let (high, low) = machine.end_trace().writes();
    claims.check(
        high == 0,
        format!(
            "from start to stop at level 0, the pin was set high {high} times, low {low} times"
        ),
    );
}

/// A transition brightens evenly to the eye, all the way.
async fn fades_evenly(machine: &mut Machine, client: &mut TestClient, claims: &mut Claims) {
    let (holds, seen) = attempt(async || fade(machine, client).await).await;
    claims.check(holds, seen);
}

async fn fade(machine: &mut Machine, client: &mut TestClient) -> (bool, String) {
    set(machine, client, 0.0).await;
    machine.start_trace();
    client
        .change("led", json!({"level": 100, "transition": FADE}))
        .await;
    client.settled().await;
    let start = since_1970();
    sleep(Duration::from_secs_f64(FADE)).await;
    let periods = machine.end_trace().periods();

    let mut windows: Vec<Vec<Period>> = (0..FADE_WINDOWS).map(|_| Vec::new()).collect();
    for period in periods {
        let share = (period.start - start).max(0.0) / FADE;
        let window = (share * FADE_WINDOWS as f64) as usize;
        windows[window.min(FADE_WINDOWS - 1)].push(period);
    }
    let seen: Vec<f64> = windows.iter().map(|window| median(window)).collect();
    // The middle of the window: the light bends too little within one to matter.
    let due: Vec<f64> = (0..FADE_WINDOWS)
        .map(|number| luminance(100.0 * (number as f64 + 0.5) / FADE_WINDOWS as f64))
        .collect();
    let off = due.iter().zip(&seen).map(|(due, seen)| (due - seen).abs());
    let worst = off.fold(0.0, f64::max);
    (
        seen.is_sorted() && worst <= FADE_TOLERANCE,
        format!(
            "a fade of {FADE} s rises all the way, {}, and evenly to the eye, {worst:.3} off at most from {}",
            shares(&seen),
            shares(&due)
        ),
    )
}

fn since_1970() -> f64 {
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    time.unwrap().as_secs_f64()
}

fn shares(shares: &[f64]) -> String {
    let shares: Vec<String> = shares.iter().map(|share| format!("{share:.2}")).collect();
    shares.join(" ")
}

/// Each of the 1,001 levels reaches the kernel to the nanosecond.
async fn gives_the_kernel_every_level_exactly(
    machine: &mut Machine,
    client: &mut TestClient,
    claims: &mut Claims,
) {
    let start = Instant::now();
    let channel = machine.run("dirname /sys/class/pwm/pwmchip*/pwm0/duty_cycle");
    let period = machine.run(&format!("cat {channel}/period"));
    claims.check(
        period == PERIOD_NS.to_string(),
        format!("the kernel's period is {period} ns"),
    );
    let mut wrong = Vec::new();
    for tenths in 0..=1000 {
        // More would show no more.
        if wrong.len() == 3 {
            break;
        }
        let level = f64::from(tenths) / 10.0;
        client.change("led", json!({"level": level})).await;
        client.settled().await;
        let due = (duty(level) * PERIOD_NS as f64).round();
        let limit = Instant::now() + Duration::from_secs(1);
        // Settled means handled by the service; the pin's thread follows within a moment.
        loop {
            // By the shell itself: a process for each of them would take the Pi a minute.
            let has = machine.run(&format!("read has <{channel}/duty_cycle; echo $has"));
            if has == due.to_string() {
                break;
            }
            if Instant::now() > limit {
                wrong.push(format!("{level} %: {has} ns, not {due}"));
                break;
            }
        }
    }
    claims.check(
        wrong.is_empty(),
        format!(
            "each of 1,001 levels has its exact duty_cycle ({:.0} s) {}",
            start.elapsed().as_secs_f64(),
            wrong.join(", ")
        ),
    );
}
