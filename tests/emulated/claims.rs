//! Counts what is claimed of an emulated Raspberry Pi.

use std::env;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use crate::machine::Machine;

/// The port of the service.
pub const DIMMER: u16 = 5000;
/// The port of the SSH server.
pub const SSH: u16 = 22;

/// How often something is measured before it counts as wrong: a busy host passes, a wrong duty does not.
const ATTEMPTS: usize = 5;

/// Measures something, which a host that stalls delays: whether it is as it should be, and what was measured. Does so
/// again a few times where it is not, and prints what was seen.
pub async fn attempt<T: Display>(mut measure: impl AsyncFnMut() -> (bool, T)) -> (bool, T) {
    for _ in 1..ATTEMPTS {
        let (is_right, seen) = measure().await;
        if is_right {
            return (is_right, seen);
        }
        println!("again   {seen}");
    }
    measure().await
}

/// What is claimed of a Pi with a driver: a row of the matrix.
struct Row {
    subject: String,
    held: usize,
    failed: usize,
}

/// How many claims held, and how many did not.
#[derive(Default)]
pub struct Claims {
    rows: Vec<Row>,
}

impl Claims {
    /// What is checked from now on is claimed of this Pi, which should run this kernel, with this driver on this GPIO.
    pub fn of(&mut self, machine: &mut Machine, kernel: &str, driver: &str, gpio: u8) {
        let model = machine.run("tr -d '\\0' </proc/device-tree/model");
        let version = machine.run("uname -r");
        let architecture = machine.run("uname -m");
        let subject =
            format!("{model:<26}  {version:<22}  {architecture:<12}  {driver:<25}  {gpio:<4}");
        println!("\n== {subject}");
        self.rows.push(Row {
            subject,
            held: 0,
            failed: 0,
        });
        self.check(
            version.starts_with(&format!("{kernel}.")),
            format!("this is Linux {kernel}"),
        );
    }

    pub fn check(&mut self, holds: bool, claim: impl Display) {
        let row = self.rows.last_mut().expect("claims are made of a Pi");
        if holds {
            row.held += 1;
            println!("ok      {claim}");
        } else {
            row.failed += 1;
            println!("FAILED  {claim}");
        }
    }

    /// Prints the matrix.
    fn end(self) {
        println!(
            "\n{:<26}  {:<22}  {:<12}  {:<25}  GPIO  claims",
            "model", "kernel", "architecture", "driver"
        );
        for row in &self.rows {
            println!("{}  {} hold, {} do not", row.subject, row.held, row.failed);
        }
        assert!(!self.rows.is_empty(), "nothing was claimed");
        let failed: usize = self.rows.iter().map(|row| row.failed).sum();
        assert_eq!(failed, 0, "claims do not hold; see FAILED above");
    }
}

/// Checks claims in the lab that scripts/emulate.sh made: a kernel, device trees and the rest.
pub fn prove(claims: impl AsyncFnOnce(&Path, &mut Claims)) {
    let lab = env::var_os("DIMMER_LAB").map(PathBuf::from);
    let lab = lab.expect("DIMMER_LAB is not set: run scripts/emulate.sh");
    // The monitor blocks, so nothing else may wait for this thread.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut all = Claims::default();
    runtime.block_on(claims(&lab, &mut all));
    all.end();
}
