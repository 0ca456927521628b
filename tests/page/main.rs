//! The web page in real browsers: Chromium, Firefox, and WebKit, the nearest to Safari on Linux. Each test that needs
//! one is ignored; scripts/test.sh installs the browsers and runs all.

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
#[path = "../common/pi.rs"]
mod pi;
#[path = "../common/proxy.rs"]
mod proxy;

mod accessibility;
mod activity;
mod backups;
mod bar;
mod effects;
mod fleet;
mod gestures;
mod greeting;
mod lamp;
mod languages;
mod links;
mod login;
mod many_lights;
mod matter;
mod offline;
mod refusals;
mod settings;
mod several_lights;
mod sheet;
mod sliders;
mod steps;
mod timers;
mod upgrades;
