//! An LED between the supply and the pin of an emulated Raspberry Pi, so that it is lit while the pin is low.

use crate::claims::{Claims, DIMMER};
use crate::common::TestClient;
use crate::machine::Machine;
use crate::measure::{FREQUENCY, OUTPUT, duty, follows, set, trace};

/// The levels to measure, in percent, between the ends.
const LEVELS: [f64; 3] = [0.1, 25.0, 99.0];

/// With `invert` the pin is low for the share of time that the level asks for, and a start at level 0 does not flash.
pub async fn is_the_other_way_round(machine: &mut Machine, claims: &mut Claims) {
    let settings = format!("[[light]]\nfrequency = {FREQUENCY}\ninvert = true\n");
    machine.run(&format!("printf '%s' '{settings}' >/tmp/invert.toml"));
    machine.start_dimmer("--config /tmp/invert.toml");
    let mut client = TestClient::open(machine.address(DIMMER)).await;
    for level in LEVELS {
        set(machine, &mut client, level).await;
        let (holds, seen) = follows(machine, 1.0 - duty(level)).await;
        claims.check(
            holds,
            format!("with invert the pin is high for {seen:.4} at {level} %"),
        );
    }
    for (level, high) in [(100.0, false), (0.0, true)] {
        set(machine, &mut client, level).await;
        let is_steady = trace(machine).await.writes() == (0, 0);
        claims.check(
            is_steady && machine.pin_is_high() == high,
            format!("and steady at {level} %"),
        );
    }

    machine.start_trace();
    machine.end_dimmer("TERM");
    machine.start_dimmer("--config /tmp/invert.toml");
    machine.end_dimmer("TERM");
    machine.run("dimmer park --config /tmp/invert.toml");
    let (high, low) = machine.end_trace().writes();
    claims.check(
        low == 0 && machine.pin_is_high() && machine.function_select(21) == OUTPUT,
        format!(
            "through stops, a start and a park at level 0 it was set high {high} times, low {low} times"
        ),
    );
}
