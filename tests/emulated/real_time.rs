//! The real-time priority of the thread that switches the pin of an emulated Raspberry Pi.

use crate::claims::Claims;
use crate::machine::Machine;

/// `SCHED_RR`, which the threads of the pin ask for.
const ROUND_ROBIN: &str = "2";

/// The kernel says of the thread that switches the pin that it has the priority that the log and `dimmer doctor` say.
/// The light must be between off and full.
pub fn is_as_said(machine: &mut Machine, claims: &mut Claims) {
    let process = machine.run("cat /tmp/pid");
    let is_kept = is_kept(machine, &process);
    let log = machine.run("cat /tmp/log");
    let report = machine.run("dimmer doctor");
    claims.check(
        is_kept
            && log.contains("GPIO 21: software-pwm with real-time priority")
            && report.contains("% of a core, with real-time priority"),
        "the thread that switches the pin has real-time priority, as the log and doctor say",
    );
}

/// Whether the thread of the light, which starts rppal's, and rppal's, which switches the pin, have real-time priority.
pub fn is_kept(machine: &mut Machine, process: &str) -> bool {
    let threads = machine.run(&format!("cat /proc/{process}/task/*/stat"));
    // Both have the name of the first.
    let of_the_pin = threads.lines().filter(|thread| thread.contains("(pin-0)"));
    let policies: Vec<&str> = of_the_pin.filter_map(policy).collect();
    println!("        the policies of the pin's threads: {policies:?}");
    policies == [ROUND_ROBIN; 2]
}

/// The policy in a `/proc/…/stat`: the 39th field after the name in parentheses.
fn policy(stat: &str) -> Option<&str> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(38)
}
