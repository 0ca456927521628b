//! A Raspberry Pi in QEMU, and what is measured on its pin: docs/emulated-pi.md.
//!
//! `scripts/emulate.sh` prepares the folder `DIMMER_LAB` that a test here needs, and runs that test.

#![allow(clippy::unwrap_used)]

#[path = "../common/browser.rs"]
mod browser;
#[path = "../common/mod.rs"]
mod common;

mod block;
mod button;
mod claims;
mod deployment;
mod first_boot;
mod invert;
mod machine;
mod measure;
mod pin;
mod real_time;
mod samples;
mod stop;
mod thumb;
mod waveform;
mod zero;
