//! The service as a process: what it does on the wire, at the pin, on the disk and for systemd. Needs nothing but Rust;
//! the few tests that need more are ignored, each with its reason.

#![allow(clippy::unwrap_used)]

#[path = "../common/broker.rs"]
mod broker;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/lan.rs"]
mod lan;
#[path = "../common/pi.rs"]
mod pi;

mod activity;
mod api;
mod apt_repository;
mod assets;
mod attackers;
mod attacks;
mod backups;
mod certificate;
mod cli;
mod completion;
mod convergence;
mod cost;
mod deploy;
mod doctor;
mod documentation;
mod effects;
mod examples;
mod faults;
mod frames;
mod fuzz;
mod greeting;
mod idle;
mod in_step;
mod kernel_pwm;
mod kill;
mod layers;
mod lifecycle;
mod limits;
mod load;
mod memory;
mod metrics;
mod openapi;
mod origin;
mod password;
mod presets;
mod refusals;
mod settings;
mod systemd;
mod timers;
mod tls;
mod wire;
