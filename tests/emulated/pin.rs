//! Measures GPIO 21 of an emulated Raspberry Pi that runs dimmer, from outside: docs/emulated-pi.md.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use crate::browser::Browser;
use crate::button;
use crate::claims::{self, ATTEMPTS, Claims, DIMMER, TRACED_TOLERANCE};
use crate::common::{TestClient, linear, until};
use crate::machine::Machine;
use crate::samples::Samples;
use crate::waveform::{Period, mean, median};
use dimmer::model::level::luminance;
use serde_json::json;
use tokio::time::sleep;

/// What the duties are measured at, in Hz: slow enough that the emulation's own delays, tenths of a
/// millisecond, stay small in a period.
pub const FREQUENCY: u32 = 50;
/// A period of it in ns.
const PERIOD_NS: u64 = 1_000_000_000 / FREQUENCY as u64;

/// The levels to measure, in percent.
const LEVELS: [f64; 9] = [0.0, 0.1, 1.0, 5.0, 25.0, 50.0, 75.0, 99.0, 100.0];
/// How often the pin is looked at for each; and the trace runs meanwhile.
const SAMPLES: usize = 2_000;
/// How far the share of high looks may be from the duty, where chance does not explain more.
const SAMPLED_TOLERANCE: f64 = 0.02;

/// How long a fade takes to full, in seconds, and in how many windows it is measured.
const FADE: f64 = 3.0;
const FADE_WINDOWS: usize = 10;
/// How far a window of a fade may be from where it is due: in a tenth of 3 s, the steepest one, the
/// light rises by 0.25.
const FADE_TOLERANCE: f64 = 0.05;

/// GPIO 21's function select while it is an output.
const OUTPUT: u32 = 1;

/// The Pi as it comes, where `auto` takes [`SOFTWARE`]. With the overlay that `dimmer doctor` advises
/// there it takes [`KERNEL`].
const STOCK: &str = "stock";
const SOFTWARE: &str = "software-pwm";
const KERNEL: &str = "kernel-pwm";

#[test]
#[ignore = "needs QEMU; scripts/emulate.sh fetches it and runs this"]
fn on_an_emulated_pi() {
    claims::prove(async |lab, claims| {
        let overlay = prove(lab, STOCK, SOFTWARE, claims).await;
        let overlay = overlay.expect("dimmer doctor advises an overlay");
        // As after adding the line to config.txt and a reboot.
        let advice = prove(lab, &overlay, KERNEL, claims).await;
        claims.check(
            advice.is_none(),
            "with it, dimmer doctor has no better advice",
        );
    });
}

/// Everything that is claimed of a driver, on the Pi with this overlay. Returns the overlay that
/// `dimmer doctor` advises there, if any.
async fn prove(
    lab: &Path,
    overlay: &str,
    driver: &'static str,
    claims: &mut Claims,
) -> Option<String> {
    println!("\n== {driver}, on the Pi with the device tree {overlay}");
    let start = Instant::now();
    let mut machine = Machine::boot(lab, overlay);
    println!("booted in {:.1} s", start.elapsed().as_secs_f64());

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
        machine.function_select() == OUTPUT,
        "GPIO 21 is an output while dimmer serves",
    );
    has_the_duty(&mut machine, &mut client, driver, claims).await;
    fades_evenly(&mut machine, &mut client, claims).await;
    follows_a_thumb(&mut machine, &mut client, claims).await;
    if driver == KERNEL {
        gives_the_kernel_every_level_exactly(&mut machine, &mut client, claims).await;
    }
    drop(client);
    goes_dark(&mut machine, claims).await;
    if driver == KERNEL {
        stays_lit_where_it_is_asked_to(&mut machine, claims).await;
    } else {
        button::toggles_and_dims(&mut machine, claims).await;
    }
    advice
}

/// `dimmer doctor` knows the Pi, its chips and what `auto` takes. Returns the overlay that it advises.
fn doctor_tells_the_truth(
    machine: &mut Machine,
    driver: &str,
    claims: &mut Claims,
) -> Option<String> {
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
    let (_, line) = report.split_once("add the line dtoverlay=")?;
    let (overlay, _) = line.split_once(' ')?;
    println!("        and advises dtoverlay={overlay}");
    Some(overlay.to_owned())
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
    set(&mut client, 0.0).await;
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

/// Sets a level and waits until the service has handled it, and the pin had time for a few periods.
pub async fn set(client: &mut TestClient, level: f64) {
    client.change("led", json!({"level": level})).await;
    client.settled().await;
    sleep(Duration::from_millis(100)).await;
}

pub fn duty(level: f64) -> f64 {
    f64::from(linear(level)) / 65_535.0
}

/// The pin is high for the share of time that the level asks for: as looked at from outside, and by
/// the trace of its edges.
async fn has_the_duty(
    machine: &mut Machine,
    client: &mut TestClient,
    driver: &str,
    claims: &mut Claims,
) {
    println!("                           sampled                                  traced");
    println!(
        "        driver        Hz   asked   high    error   samples  changes  median  mean    periods"
    );
    for level in LEVELS {
        set(client, level).await;
        let (mut holds, mut row) = measure(machine, driver, level);
        for _ in 1..ATTEMPTS {
            if holds || is_end(level) {
                break;
            }
            println!("again   {row}");
            (holds, row) = measure(machine, driver, level);
        }
        claims.check(holds, row);
    }
}

/// At an end there are no pulses that a host could draw out.
fn is_end(level: f64) -> bool {
    level == 0.0 || level == 100.0
}

/// Whether the pin has the duty of a level, and the row of the table.
fn measure(machine: &mut Machine, driver: &str, level: f64) -> (bool, String) {
    machine.start_trace();
    let samples = Samples::take(SAMPLES, || machine.pin_is_high());
    let waveform = machine.end_trace();
    let (asked, sampled, error) = (duty(level), samples.high(), samples.standard_error());
    let row = format!(
        "{driver:<12} {FREQUENCY:>3}  {asked:.4}  {sampled:.4}  {error:.4}    {:>5}     {:>4}",
        samples.len(),
        samples.transitions(),
    );
    if is_end(level) {
        // rppal's own PWM would dip at full, for too short a time to be sampled.
        let quiet = waveform.writes() == (0, 0);
        let writes = if quiet { "no" } else { "some" };
        let row = format!("{row}  steady: {writes} writes");
        return (sampled == asked && quiet, row);
    }
    let periods = waveform.periods();
    let (middle, mean) = (median(&periods), mean(&periods));
    // Stalls of the host show in the samples, and in the mean; in the median only where most
    // periods have one.
    let stalls = (mean - middle).abs();
    let near = (sampled - asked).abs() <= SAMPLED_TOLERANCE.max(3.0 * error) + stalls
        && (middle - asked).abs() <= TRACED_TOLERANCE;
    let row = format!("{row}  {middle:.4}  {mean:.4}  {:>4}", periods.len());
    (near, row)
}

/// A transition brightens evenly to the eye, all the way.
async fn fades_evenly(machine: &mut Machine, client: &mut TestClient, claims: &mut Claims) {
    set(client, 0.0).await;
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
    claims.check(
        seen.is_sorted(),
        format!("a fade of {FADE} s rises all the way: {}", shares(&seen)),
    );
    claims.check(
        worst <= FADE_TOLERANCE,
        format!(
            "evenly to the eye, {worst:.3} off at most: {}",
            shares(&due)
        ),
    );
}

fn since_1970() -> f64 {
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    time.unwrap().as_secs_f64()
}

fn shares(shares: &[f64]) -> String {
    let shares: Vec<String> = shares.iter().map(|share| format!("{share:.2}")).collect();
    shares.join(" ")
}

/// The page that the Pi serves, in a phone's browser: the pin goes where the thumb does.
async fn follows_a_thumb(machine: &mut Machine, client: &mut TestClient, claims: &mut Claims) {
    const LIGHT: &str = "led";
    set(client, 20.0).await;
    let browser = Browser::chromium();
    let phone = browser
        .phone_in("en-US", machine.address(DIMMER).port())
        .await;
    phone.press("[data-light=led] .track").await;
    for (slide, level) in [(40.0, 60.0), (-30.0, 30.0), (20.0, 50.0)] {
        phone.slide(slide).await;
        until("another client has the level", async || {
            client.settled().await;
            client.levels[LIGHT] == level
        })
        .await;
        sleep(Duration::from_millis(100)).await;
        machine.start_trace();
        sleep(Duration::from_secs(1)).await;
        let seen = median(&machine.end_trace().periods());
        claims.check(
            phone.level(LIGHT).await == level && (seen - duty(level)).abs() <= TRACED_TOLERANCE,
            format!("a thumb slides to {level} %, in Chromium, and the pin is high for {seen:.4}"),
        );
    }
    phone.release().await;
    browser.close().await;
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

/// The pin is low after the service, however that ended, and still an output, so it does not float.
async fn goes_dark(machine: &mut Machine, claims: &mut Claims) {
    let serve = format!("--frequency {FREQUENCY}");
    for signal in ["TERM", "INT"] {
        let mut client = TestClient::open(machine.address(DIMMER)).await;
        set(&mut client, 75.0).await;
        machine.end_dimmer(signal);
        claims.check(
            is_dark(machine),
            format!("after SIG{signal} the pin is a low output"),
        );
        machine.start_dimmer(&serve);
    }
    let mut client = TestClient::open(machine.address(DIMMER)).await;
    set(&mut client, 100.0).await;
    machine.end_dimmer("KILL");
    claims.check(
        machine.pin_is_high(),
        "after SIGKILL at full the pin is still high",
    );
    println!("dimmer park: {}", machine.run("dimmer park 2>&1"));
    claims.check(is_dark(machine), "and after dimmer park a low output");
}

pub fn is_dark(machine: &mut Machine) -> bool {
    let high = Samples::take(SAMPLES, || machine.pin_is_high()).high();
    high == 0.0 && machine.function_select() == OUTPUT
}

/// With `on_stop = "keep"` the kernel goes on.
async fn stays_lit_where_it_is_asked_to(machine: &mut Machine, claims: &mut Claims) {
    let settings = format!("[[light]]\nfrequency = {FREQUENCY}\non_stop = \"keep\"\n");
    machine.run(&format!("printf '%s' '{settings}' >/tmp/keep.toml"));
    machine.start_dimmer("--config /tmp/keep.toml");
    let mut client = TestClient::open(machine.address(DIMMER)).await;
    set(&mut client, 25.0).await;
    machine.end_dimmer("TERM");
    machine.start_trace();
    sleep(Duration::from_secs(1)).await;
    let kept = median(&machine.end_trace().periods());
    claims.check(
        (kept - duty(25.0)).abs() <= TRACED_TOLERANCE,
        format!("with on_stop = \"keep\" the pin is high for {kept:.4} after SIGTERM at 25 %"),
    );
    machine.run("dimmer park");
    claims.check(is_dark(machine), "until dimmer park");
}
