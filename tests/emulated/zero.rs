//! A Raspberry Pi Zero in QEMU, by the kernel for its ARMv6: `software-pwm` on GPIO 21.

use crate::claims::{self, Claims, DIMMER};
use crate::common::TestClient;
use crate::machine::{Machine, PI_ZERO};
use crate::measure::{FREQUENCY, LEVELS, has_the_duty, set};
use crate::{invert, real_time, stop, thumb};

const KERNEL: &str = "6.1";

#[test]
#[ignore = "needs QEMU; scripts/emulate.sh --zero fetches it and runs this"]
fn on_an_emulated_pi() {
    claims::prove(async |lab, claims| {
        let mut machine = Machine::boot(&PI_ZERO, &lab.join(KERNEL), "stock");
        claims.of(&mut machine, KERNEL, "software-pwm", 21);
        is_known(&mut machine, claims);

        machine.start_dimmer(&format!("--frequency {FREQUENCY}"));
        let mut client = TestClient::open(machine.address(DIMMER)).await;
        has_the_duty(&mut machine, &mut client, &LEVELS, claims).await;
        set(&mut machine, &mut client, 25.0).await;
        real_time::is_as_said(&mut machine, claims);
        thumb::is_followed(&mut machine, &mut client, claims).await;
        drop(client);
        stop::goes_dark(&mut machine, claims).await;
        invert::is_the_other_way_round(&mut machine, claims).await;
    });
}

/// `dimmer doctor` names the model and what `auto` takes.
fn is_known(machine: &mut Machine, claims: &mut Claims) {
    let report = machine.run("dimmer doctor");
    println!("{report}\n");
    claims.check(
        report.contains("Raspberry Pi Zero")
            && report.contains(&machine.run("uname -r"))
            && report.contains("auto takes  software-pwm, 200 Hz"),
        "dimmer doctor names the machine, its kernel and the driver",
    );
}
