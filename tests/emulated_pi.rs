//! Measures GPIO 21 of an emulated Raspberry Pi that runs dimmer, from outside: docs/emulated-pi.md.
//!
//! `scripts/emulate.sh` prepares the folder `DIMMER_LAB` that this needs.

#![allow(clippy::unwrap_used)]

mod common;
#[path = "emulated_pi/machine.rs"]
mod machine;
#[path = "emulated_pi/samples.rs"]
mod samples;

use std::env;
use std::fmt::Display;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use common::{Page, linear};
use dimmer::level::luminance;
use machine::Machine;
use samples::Samples;
use serde_json::json;

/// What the duties are measured at, in Hz: slow enough that the emulation's own delays, tenths of a
/// millisecond, stay small in a period.
const FREQUENCY: u32 = 100;
/// A period of it in ns.
const PERIOD_NS: u64 = 1_000_000_000 / FREQUENCY as u64;

/// The levels to measure, in percent.
const LEVELS: [f64; 9] = [0.0, 0.1, 1.0, 5.0, 25.0, 50.0, 75.0, 99.0, 100.0];
/// How often the pin is read for each.
const SAMPLES: usize = 2_000;
/// How often at 0 and 100 percent: what may be wrong there is a short dip, rarely seen.
const SAMPLES_AT_AN_END: usize = 10_000;
/// How far the share of high samples may be from the duty, where chance does not explain more.
const TOLERANCE: f64 = 0.02;

/// How much darker than the one before a window of a fade may be: there are some 30 periods in one.
const FADE_NOISE: f64 = 0.03;
/// How far a window of a fade may be from where it is due.
const FADE_TOLERANCE: f64 = 0.1;

/// GPIO 21's function select while it is an output.
const OUTPUT: u32 = 1;

/// A driver, and the emulated Pi on which `auto` takes it.
struct Case {
    driver: &'static str,
    /// The device tree in the lab folder.
    tree: &'static str,
    /// Its frequency when nobody names one, in Hz.
    frequency: u32,
}

const CASES: [Case; 2] = [
    Case {
        driver: "software-pwm",
        tree: "stock.dtb",
        frequency: 200,
    },
    Case {
        driver: "kernel-pwm",
        tree: "pwm-gpio.dtb",
        frequency: 1000,
    },
];

fn main() -> ExitCode {
    let Some(lab) = env::var_os("DIMMER_LAB") else {
        println!("emulated_pi: skipped: run scripts/emulate.sh");
        return ExitCode::SUCCESS;
    };
    // Reading the pin blocks, so nothing else may wait for this thread.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut claims = Claims::default();
    for case in &CASES {
        runtime.block_on(prove(Path::new(&lab), case, &mut claims));
    }
    println!("\n{} claims hold, {} do not", claims.held, claims.failed);
    if claims.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What was claimed, and how much of it was seen.
#[derive(Default)]
struct Claims {
    held: usize,
    failed: usize,
}

impl Claims {
    fn check(&mut self, holds: bool, claim: impl Display) {
        if holds {
            self.held += 1;
            println!("ok      {claim}");
        } else {
            self.failed += 1;
            println!("FAILED  {claim}");
        }
    }
}

/// Everything that is claimed of a driver.
async fn prove(lab: &Path, case: &Case, claims: &mut Claims) {
    println!("\n== {} on {}", case.driver, case.tree);
    let start = Instant::now();
    let mut machine = Machine::boot(lab, case.tree);
    println!("booted in {:.1} s", start.elapsed().as_secs_f64());
    println!("{}\n", machine.run("dimmer doctor"));

    chooses_the_driver(&mut machine, case, claims).await;

    machine.start_dimmer(&format!("--frequency {FREQUENCY}"));
    let mut page = Page::open(machine.address()).await;
    let hello = page.hello["lights"][0].to_string();
    claims.check(
        page.hello["lights"][0]["frequency"] == FREQUENCY,
        format!("hello says the frequency that was asked for: {hello}"),
    );
    claims.check(
        machine.function_select() == OUTPUT,
        "GPIO 21 is an output while dimmer serves",
    );
    has_the_duty(&mut machine, &mut page, case, claims).await;
    if case.driver == "software-pwm" {
        rests_at_the_ends(&mut machine, &mut page, claims).await;
    }
    fades_evenly(&mut machine, &mut page, claims).await;
    if case.driver == "kernel-pwm" {
        gives_the_kernel_every_level_exactly(&mut machine, &mut page, claims).await;
    }
    drop(page);
    goes_dark(&mut machine, claims).await;
}

/// `auto` takes the driver that this Pi is for, and says so; and never a chip that drives another pin.
async fn chooses_the_driver(machine: &mut Machine, case: &Case, claims: &mut Claims) {
    if case.driver == "software-pwm" {
        // The Pi's own PWM block is a pwmchip, too, and has nothing to do with GPIO 21.
        let chips = machine.run("ls /sys/class/pwm");
        let answer = machine.run("dimmer serve --driver kernel-pwm 2>&1 || true");
        claims.check(
            chips == "pwmchip0" && answer.contains("no pwmchip drives GPIO 21"),
            format!("beside {chips}, kernel-pwm is refused: {answer}"),
        );
    }
    machine.start_dimmer("");
    let page = Page::open(machine.address()).await;
    let light = &page.hello["lights"][0];
    claims.check(
        light["driver"] == case.driver && light["frequency"] == case.frequency,
        format!("auto takes {} at {} Hz", case.driver, case.frequency),
    );
    machine.end_dimmer("TERM");
}

/// Sets a level and waits until the service has handled it, and the pin had time for a few periods.
async fn set(page: &mut Page, level: f64) {
    page.change("led", json!({"level": level})).await;
    page.settle().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// The pin is high for the share of time that the level asks for.
async fn has_the_duty(machine: &mut Machine, page: &mut Page, case: &Case, claims: &mut Claims) {
    println!("        driver        Hz   asked  measured  samples  std.error  transitions");
    for level in LEVELS {
        set(page, level).await;
        let asked = f64::from(linear(level)) / 65_535.0;
        let (mut holds, mut row) = measure(machine, case, level, asked);
        if !holds && !is_end(level) {
            // A host that stalls draws out the pulse under way, so chance gets one excuse. An end
            // does not: there are no pulses.
            println!("again   {row}");
            (holds, row) = measure(machine, case, level, asked);
        }
        claims.check(holds, row);
    }
}

fn is_end(level: f64) -> bool {
    level == 0.0 || level == 100.0
}

/// Whether the pin has the duty, and the row of the table.
fn measure(machine: &mut Machine, case: &Case, level: f64, asked: f64) -> (bool, String) {
    let count = if is_end(level) {
        SAMPLES_AT_AN_END
    } else {
        SAMPLES
    };
    let samples = Samples::take(count, || machine.pin_is_high());
    let (high, error) = (samples.high(), samples.standard_error());
    let moves = samples.transitions() > 0;
    let near = (high - asked).abs() <= TOLERANCE.max(3.0 * error);
    let holds = match level {
        _ if is_end(level) => high == asked,
        // 10 µs in 10 ms: two looks in 2,000 should see it, and none may.
        0.1 => near,
        _ => near && moves,
    };
    let row = format!(
        "{:<12} {FREQUENCY:>3}  {asked:.4}    {high:.4}    {:>5}     {error:.4}         {:>4}",
        case.driver,
        samples.len(),
        samples.transitions(),
    );
    (holds, row)
}

/// At 0 and 100 percent nothing switches the pin. rppal's thread would still dip at full, for too
/// short a time to be seen from outside.
async fn rests_at_the_ends(machine: &mut Machine, page: &mut Page, claims: &mut Claims) {
    let mut threads = Vec::new();
    for level in [0.0, 50.0, 100.0] {
        set(page, level).await;
        // rppal's thread has the name of the one that started it: the light's own.
        threads.push(machine.run("cat /proc/$(cat /tmp/pid)/task/*/comm | grep -c pin-0"));
    }
    claims.check(
        threads == ["1", "2", "1"],
        format!(
            "threads for the pin at 0, 50 and 100 %: {}",
            threads.join(", ")
        ),
    );
}

/// A transition brightens evenly to the eye, all the way.
async fn fades_evenly(machine: &mut Machine, page: &mut Page, claims: &mut Claims) {
    const WINDOWS: u32 = 10;
    const SECONDS: f64 = 3.0;
    set(page, 0.0).await;
    page.change("led", json!({"level": 100, "transition": SECONDS}))
        .await;
    let start = Instant::now();
    page.settle().await;
    let (mut due, mut high) = (Vec::new(), Vec::new());
    for number in 1..=WINDOWS {
        let share = f64::from(number) / f64::from(WINDOWS);
        let end = start + Duration::from_secs_f64(SECONDS * share);
        // The middle of the window: the light bends too little within one to matter.
        due.push(luminance(100.0 * (share - 0.5 / f64::from(WINDOWS))));
        high.push(Samples::take_until(end, || machine.pin_is_high()).high());
    }
    let off = due.iter().zip(&high).map(|(due, high)| (due - high).abs());
    let worst = off.fold(0.0, f64::max);
    claims.check(
        high.is_sorted_by(|one, next| *next > one - FADE_NOISE),
        format!("a fade of {SECONDS} s rises all the way: {}", shares(&high)),
    );
    claims.check(
        worst < FADE_TOLERANCE,
        format!(
            "evenly to the eye, {worst:.3} off at most: {}",
            shares(&due)
        ),
    );
}

fn shares(shares: &[f64]) -> String {
    let shares: Vec<String> = shares.iter().map(|share| format!("{share:.2}")).collect();
    shares.join(" ")
}

/// Each of the 1,001 levels reaches the kernel to the nanosecond.
async fn gives_the_kernel_every_level_exactly(
    machine: &mut Machine,
    page: &mut Page,
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
        // More would say no more.
        if wrong.len() == 3 {
            break;
        }
        let level = f64::from(tenths) / 10.0;
        page.change("led", json!({"level": level})).await;
        page.settle().await;
        let due = (f64::from(linear(level)) / 65_535.0 * PERIOD_NS as f64).round();
        let limit = Instant::now() + Duration::from_secs(1);
        // Settled means handled by the service; the pin's thread follows within a moment.
        loop {
            let has = machine.run(&format!("cat {channel}/duty_cycle"));
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

/// The pin is low after the service, however that ended.
async fn goes_dark(machine: &mut Machine, claims: &mut Claims) {
    let serve = format!("--frequency {FREQUENCY}");
    let mut page = Page::open(machine.address()).await;
    set(&mut page, 75.0).await;
    machine.end_dimmer("TERM");
    let dark = Samples::take(200, || machine.pin_is_high());
    claims.check(dark.high() == 0.0, "after SIGTERM the pin is low");
    claims.check(
        machine.function_select() == OUTPUT,
        "and still an output, so it does not float",
    );

    machine.start_dimmer(&serve);
    let mut page = Page::open(machine.address()).await;
    set(&mut page, 100.0).await;
    machine.end_dimmer("KILL");
    let lit = Samples::take(200, || machine.pin_is_high());
    claims.check(
        lit.high() == 1.0,
        "after SIGKILL at full the pin is still high",
    );
    println!("dimmer park: {}", machine.run("dimmer park 2>&1"));
    let dark = Samples::take(200, || machine.pin_is_high());
    claims.check(dark.high() == 0.0, "and after dimmer park low");
    claims.check(machine.function_select() == OUTPUT, "and still an output");
    println!("{}", machine.run("dimmer doctor"));
}
