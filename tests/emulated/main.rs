//! A Raspberry Pi in QEMU, and what is measured on its pin: docs/emulated-pi.md.
//!
//! `scripts/emulate.sh` prepares the folder `DIMMER_LAB` that a test here needs, and runs that test.

#![allow(clippy::unwrap_used)]

#[path = "../common/browser.rs"]
mod browser;
#[path = "../common/mod.rs"]
mod common;

mod button;
mod claims;
mod deployment;
mod machine;
mod pin;
mod samples;
mod waveform;
