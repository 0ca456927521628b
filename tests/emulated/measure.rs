//! Sets the light of an emulated Raspberry Pi, and measures its pin.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use crate::claims::{Claims, attempt};
use crate::common::{TestClient, linear};
use crate::machine::Machine;
use crate::samples::Samples;
use crate::waveform::{Waveform, mean, median, median_length};

/// What the duties are measured at, in Hz: slow enough that the emulation's own delays, tenths of a
/// millisecond, stay small in a period.
pub const FREQUENCY: u32 = 10;
/// A period of it in ns.
pub const PERIOD_NS: u64 = 1_000_000_000 / FREQUENCY as u64;

/// The levels to measure, in percent.
pub const LEVELS: [f64; 9] = [0.0, 0.1, 1.0, 5.0, 25.0, 50.0, 75.0, 99.0, 100.0];
/// How often the pin is looked at for each; and the trace runs meanwhile.
const SAMPLES: usize = 2_000;
/// How far the share of high looks may be from the duty, where chance does not explain more.
const SAMPLED_TOLERANCE: f64 = 0.02;
/// How far a traced duty may be off: by this share of the high or the low part of the period, whichever is shorter, and
/// by at most this share of the whole period …
const RELATIVE_TOLERANCE: f64 = 0.2;
const TOLERANCE: f64 = 0.01;
/// … and by what the emulation delays an edge, in seconds.
const DELAY: f64 = 300e-6;
/// How far the length of a period may be from that of the frequency, as a share of it.
const LENGTH_TOLERANCE: f64 = 0.05;

/// A GPIO's function select while it is an output.
pub const OUTPUT: u32 = 1;

/// Sets a level and waits until the service has handled it, and so has the pin.
pub async fn set(machine: &mut Machine, client: &mut TestClient, level: f64) {
    client.change("led", json!({"level": level})).await;
    client.settled().await;
    pass_periods(machine);
}

/// Waits until the pin follows what its driver was told last: the kernel ends a period as it began. By the machine's own
/// clock, as an emulator that waits for a core of the host is late.
pub fn pass_periods(machine: &mut Machine) {
    machine.run(&format!("sleep {}", 3.0 / f64::from(FREQUENCY)));
}

pub fn duty(level: f64) -> f64 {
    f64::from(linear(level)) / 65_535.0
}

/// Whether the pin stays a low output from the next period on, for as long as it was looked at.
pub fn is_dark(machine: &mut Machine) -> bool {
    pass_periods(machine);
    let high = Samples::take(SAMPLES, || machine.pin_is_high()).high();
    high == 0.0 && machine.function_select(21) == OUTPUT
}

/// Whether a traced duty is the one that was asked for, and not one step of 1/64 off. NaN, where there were no pulses,
/// is not: so at 0.1 % the pin was seen high, and at 99 % low.
fn is_near(seen: f64, asked: f64) -> bool {
    let shorter = asked.min(1.0 - asked);
    let tolerance = (RELATIVE_TOLERANCE * shorter).min(TOLERANCE);
    (seen - asked).abs() <= tolerance + DELAY * f64::from(FREQUENCY)
}

/// What is done to the pin in a second.
pub async fn trace(machine: &mut Machine) -> Waveform {
    machine.start_trace();
    sleep(Duration::from_secs(1)).await;
    machine.end_trace()
}

/// Whether the pin is high for this share of the time, and for what share it was.
pub async fn follows(machine: &mut Machine, asked: f64) -> (bool, f64) {
    attempt(async || {
        let seen = median(&trace(machine).await.periods());
        (is_near(seen, asked), seen)
    })
    .await
}

/// The pin is high for the share of time that each level asks for: as looked at from outside, and by the trace of its
/// edges.
pub async fn has_the_duty(
    machine: &mut Machine,
    client: &mut TestClient,
    levels: &[f64],
    claims: &mut Claims,
) {
    println!("        Hz           sampled                                   traced");
    println!(
        "                asked   high    error   samples  changes    median  mean    periods  length"
    );
    for level in levels {
        set(machine, client, *level).await;
        let (holds, row) = if is_end(*level) {
            measure(machine, *level)
        } else {
            attempt(async || measure(machine, *level)).await
        };
        claims.check(holds, row);
    }
}

/// At an end there are no pulses that a host could draw out.
fn is_end(level: f64) -> bool {
    level == 0.0 || level == 100.0
}

/// Whether the pin has the duty of a level, and the row of the table.
fn measure(machine: &mut Machine, level: f64) -> (bool, String) {
    machine.start_trace();
    let samples = Samples::take(SAMPLES, || machine.pin_is_high());
    let waveform = machine.end_trace();
    let (asked, sampled, error) = (duty(level), samples.high(), samples.standard_error());
    let row = format!(
        "{FREQUENCY:>2}      {asked:.4}  {sampled:.4}  {error:.4}    {:>5}     {:>4}",
        samples.len(),
        samples.transitions(),
    );
    if is_end(level) {
        // rppal's own PWM would dip at full, for too short a time to be sampled.
        let quiet = waveform.writes() == (0, 0);
        let writes = if quiet { "no" } else { "some" };
        let row = format!("{row}    steady: {writes} writes");
        return (sampled == asked && quiet, row);
    }
    let periods = waveform.periods();
    let (middle, mean, length) = (median(&periods), mean(&periods), median_length(&periods));
    // Stalls of the host show in the samples, and in the mean; in the median only where most
    // periods have one.
    let stalls = (mean - middle).abs();
    let due = 1.0 / f64::from(FREQUENCY);
    let holds = (sampled - asked).abs() <= SAMPLED_TOLERANCE.max(3.0 * error) + stalls
        && is_near(middle, asked)
        && (length - due).abs() <= LENGTH_TOLERANCE * due;
    let row = format!(
        "{row}    {middle:.4}  {mean:.4}   {:>4}   {:.2} ms",
        periods.len(),
        length * 1000.0
    );
    (holds, row)
}

#[test]
fn the_tolerance_tells_64_steps_from_exact_duties_and_a_steady_pin_from_short_pulses() {
    let is_found = |level: &f64| !is_near((duty(*level) * 64.0).round() / 64.0, duty(*level));
    let found: Vec<f64> = LEVELS.into_iter().filter(is_found).collect();
    assert_eq!(found, [1.0, 99.0]);
    assert!(
        LEVELS
            .iter()
            .all(|level| is_near(duty(*level), duty(*level)))
    );
    // Without pulses there is no median.
    assert!(!is_near(median(&[]), duty(0.1)));
}
