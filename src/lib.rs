//! `dimmer` dims the LEDs of a Raspberry Pi from any phone on the LAN.
//!
//! One watched value, many watchers: inputs translate what they receive into commands that
//! [`Hub::execute`](model::hub::Hub::execute) carries out, and outputs follow
//! [`Lights::watch`](model::lights::Lights::watch).
//!
//! | module | what it is |
//! |---|---|
//! | [`model`] | the state and every change to it, without a network, a disk or a pin |
//! | [`protocol`] | the messages of clients and of the service, as types |
//! | [`config`] | settings: `dimmer.toml`, `DIMMER_…` variables and flags |
//! | [`platform`] | GPIOs, host names, mDNS, passwords, TLS, and the supervision of tasks |
//! | `metrics` | counters for Prometheus |
//! | `web` | the page, `/ws`, the REST API and Socket.IO |
//! | `matter` | home apps of phones, by Matter |
//! | [`mqtt`] | Home Assistant and other dimmers, over a broker |
//! | `scheduler` | runs timers when they are due |
//! | `button` | buttons on the wall |
//! | [`pin`] | moves the pins: drivers, transitions and effects |
//! | [`store`] | keeps levels, presets and timers on disk |
//! | [`client`] | the command line's side of `/ws` |
//! | [`service`] | puts these together, supervises and stops them |
//! | [`doctor`] | says what drives a GPIO, and what would be better |
//!
//! docs/design.md says which module may import from which.

#![cfg_attr(test, allow(clippy::unwrap_used))]
// Shared code that only MQTT, Socket.IO or mDNS uses stays where it is in a build without these.
#![cfg_attr(
    not(all(feature = "mdns", feature = "mqtt", feature = "socketio")),
    allow(dead_code)
)]

mod button;
pub mod client;
pub mod config;
pub mod doctor;
#[cfg_attr(not(feature = "matter"), path = "without/matter.rs")]
mod matter;
mod metrics;
pub mod model;
#[cfg_attr(not(feature = "mqtt"), path = "without/mqtt.rs")]
pub mod mqtt;
pub mod pin;
pub mod platform;
pub mod protocol;
mod scheduler;
pub mod service;
pub mod store;
mod web;
