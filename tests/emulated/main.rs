//! A Raspberry Pi in QEMU, and what is measured on its pin.

#![allow(dead_code)]

pub mod machine;
pub mod samples;
pub mod waveform;

use std::env;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The port of the service.
pub const DIMMER: u16 = 5000;
/// The port of the SSH server.
pub const SSH: u16 = 22;

/// How often a duty is measured before it counts as wrong: a busy host passes, a wrong duty does not.
pub const ATTEMPTS: usize = 3;
/// How far a traced duty may be off: 400 µs of the 20 ms that a period has at 50 Hz.
pub const TRACED_TOLERANCE: f64 = 0.02;

/// What was claimed, and how much of it was seen.
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

    fn end(self) -> ExitCode {
        println!("\n{} claims hold, {} do not", self.held, self.failed);
        if self.failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

/// Checks claims in the lab; without one says how to get it.
pub fn prove(claims: impl AsyncFnOnce(&Path, &mut Claims)) -> ExitCode {
    // What scripts/emulate.sh makes: a kernel, device trees and the rest.
    let Some(lab) = env::var_os("DIMMER_LAB").map(PathBuf::from) else {
        println!("skipped: run scripts/emulate.sh");
        return ExitCode::SUCCESS;
    };
    // The monitor blocks, so nothing else may wait for this thread.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut all = Claims::default();
    runtime.block_on(claims(&lab, &mut all));
    all.end()
}
