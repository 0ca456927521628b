//! `dimmer` dims the LEDs of a Raspberry Pi from any phone on the LAN.
//!
//! One watched value, many watchers: whatever changes a light calls
//! [`Lights::change`](lights::Lights::change), whatever follows one watches
//! [`Lights::watch`](lights::Lights::watch).
//!
//! | module | is |
//! |---|---|
//! | [`level`] | levels, duties and the curve between them |
//! | [`effect`] | what a light plays around its level |
//! | [`lights`] | the watched state and every change to it |
//! | [`activity`] | who is here, and who did what |
//! | [`presets`] | names for what the lights are set to |
//! | [`fleet`] | lights of other dimmers, by MQTT |
//! | [`hub`] | all that is kept, for all who change and follow it |
//! | [`timers`] | what is to happen at a time |
//! | [`button`] | buttons on the wall, which change the lights |
//! | `gpio` | takes GPIOs, for pins and buttons |
//! | [`pin`] | follows the lights and moves the pins |
//! | [`store`] | follows the lights and keeps their levels on disk |
//! | [`metrics`] | what Prometheus is told |
//! | [`mqtt`] | follows the lights and tells MQTT, and takes its commands |
//! | [`web`] | the page, `/ws` and the REST API |
//! | [`host`] | hosts as headers and settings write them |
//! | [`wire`] | what pages and the service say to each other |
//! | [`password`] | the password, and the hash that is kept of it |
//! | [`tls`] | the certificate, and how connections are opened with it |
//! | [`config`] | `dimmer.toml`, `DIMMER_…` variables and flags |
//! | [`service`] | puts all of these together |
//! | [`mdns`] | is found on the LAN, and finds others |
//! | [`systemd`] | its socket, and what it is told of the service |
//! | [`doctor`] | says what drives a GPIO here, and what would be better |
//! | [`client`] | the command line's side of `/ws` |

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod button;
pub mod client;
pub mod config;
pub mod doctor;
pub mod metrics;
pub mod model;
pub mod mqtt;
pub mod pin;
pub mod platform;
pub mod protocol;
pub mod scheduler;
pub mod service;
pub mod store;
pub mod web;
