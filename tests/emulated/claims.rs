//! Counts what is claimed of an emulated Raspberry Pi.

use std::env;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// The port of the service.
pub const DIMMER: u16 = 5000;
/// The port of the SSH server.
pub const SSH: u16 = 22;

/// How often a duty is measured before it counts as wrong: a busy host passes, a wrong duty does not.
pub const ATTEMPTS: usize = 3;
/// How far a traced duty may be off: 400 µs of the 20 ms that a period has at 50 Hz.
pub const TRACED_TOLERANCE: f64 = 0.02;

/// How many claims held, and how many did not.
#[derive(Default)]
pub struct Claims {
    held: usize,
    failed: usize,
}

impl Claims {
    pub fn check(&mut self, holds: bool, claim: impl Display) {
        if holds {
            self.held += 1;
            println!("ok      {claim}");
        } else {
            self.failed += 1;
            println!("FAILED  {claim}");
        }
    }

    fn end(self) {
        println!("\n{} claims hold, {} do not", self.held, self.failed);
        assert!(self.held > 0, "nothing was claimed");
        assert_eq!(self.failed, 0, "claims do not hold; see FAILED above");
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
