//! Programs of others that speak with the service: MQTT brokers, Socket.IO libraries, Avahi, Prometheus, what README
//! names in "Works with". Each test that needs one is ignored; scripts/test.sh installs them and runs all.

#![allow(clippy::unwrap_used)]

#[path = "../common/broker.rs"]
mod broker;
#[path = "../common/browser.rs"]
mod browser;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/controller.rs"]
mod controller;
#[path = "../common/lan.rs"]
mod lan;

mod examples;
mod fleet;
mod home_assistant;
mod matter;
mod mdns;
mod mqtt;
mod proxies;
mod socketio;
mod works_with;
