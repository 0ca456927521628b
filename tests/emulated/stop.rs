//! The pin of an emulated Raspberry Pi after the service has stopped, and when it starts again.

use crate::claims::{Claims, DIMMER};
use crate::common::TestClient;
use crate::machine::Machine;
use crate::measure::{FREQUENCY, duty, follows, is_dark, set};

/// The pin is low after the service, however that ended, and still an output, so it does not float.
pub async fn goes_dark(machine: &mut Machine, claims: &mut Claims) {
    let serve = format!("--frequency {FREQUENCY}");
    for signal in ["TERM", "INT"] {
        let mut client = TestClient::open(machine.address(DIMMER)).await;
        set(machine, &mut client, 75.0).await;
        machine.end_dimmer(signal);
        claims.check(
            is_dark(machine),
            format!("after SIG{signal} the pin is a low output"),
        );
        machine.start_dimmer(&serve);
    }
    let mut client = TestClient::open(machine.address(DIMMER)).await;
    set(machine, &mut client, 100.0).await;
    machine.end_dimmer("KILL");
    claims.check(
        machine.pin_is_high(),
        "after SIGKILL at full the pin is still high",
    );
    println!("dimmer park: {}", machine.run("dimmer park 2>&1"));
    claims.check(is_dark(machine), "and after dimmer park a low output");
}

/// With `on_stop = "keep"` the kernel goes on, also through the next start.
pub async fn stays_lit_where_it_is_asked_to(machine: &mut Machine, claims: &mut Claims) {
    let settings = format!("[[light]]\nfrequency = {FREQUENCY}\non_stop = \"keep\"\n");
    machine.run(&format!("printf '%s' '{settings}' >/tmp/keep.toml"));
    machine.start_dimmer("--config /tmp/keep.toml");
    let mut client = TestClient::open(machine.address(DIMMER)).await;
    set(machine, &mut client, 25.0).await;
    machine.end_dimmer("TERM");
    let (is_kept, kept) = follows(machine, duty(25.0)).await;
    claims.check(
        is_kept,
        format!("with on_stop = \"keep\" the pin is high for {kept:.4} after SIGTERM at 25 %"),
    );

    machine.start_dimmer("--config /tmp/keep.toml");
    let mut client = TestClient::open(machine.address(DIMMER)).await;
    let (is_kept, kept) = follows(machine, duty(25.0)).await;
    claims.check(
        client.levels["led"] == 25.0 && is_kept,
        format!("and for {kept:.4} after the next start"),
    );
    // At full each edge would be a dip.
    set(machine, &mut client, 100.0).await;
    machine.start_trace();
    machine.end_dimmer("TERM");
    machine.start_dimmer("--config /tmp/keep.toml");
    let mut client = TestClient::open(machine.address(DIMMER)).await;
    client.settled().await;
    let (high, low) = machine.end_trace().writes();
    claims.check(
        client.levels["led"] == 100.0 && (high, low) == (0, 0) && machine.pin_is_high(),
        format!("from a stop at full to the next start the pin was set high {high} times, low {low} times"),
    );
    machine.end_dimmer("TERM");
    machine.run("dimmer park");
    claims.check(is_dark(machine), "until dimmer park");
}
