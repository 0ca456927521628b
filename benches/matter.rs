//! What Matter costs: `cargo bench --profile dev --features matter --bench matter`, as root, with the release program in
//! `DIMMER_BIN`.
//!
//! - Memory of the service: with Matter off, on, and with a controller of each kind that has paired and subscribed.
//! - Latency from the call of a controller to the pin, beside that from the message of a page, in turns.

#![allow(clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/common/controller.rs"]
mod controller;
#[path = "../tests/common/lan.rs"]
mod lan;
mod stats;

use std::fs;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::{Setup, TestClient, TestServer};
use controller::{Controller, Maker};
use lan::{KITCHEN, Lan, with_lan};
use serde_json::{Value, json};
use stats::percentile;

/// Changes of each kind.
const CHANGES: u32 = 200;
/// Time for the memory to come to rest.
const REST: Duration = Duration::from_secs(3);
/// The endpoint of the light.
const LED: u16 = 2;

fn main() {
    with_lan(|lan| {
        let off = serve(&lan, "");
        show_memory("off", &off);
        drop(off);
        let service = serve(&lan, "[matter]\nenabled = true\n");
        show_memory("on", &service);
        let makers = [Maker::MatterJs, Maker::Chip];
        let mut controllers = makers.map(|maker| {
            let folder = service.setup().path().join(format!("{maker:?}"));
            let mut controller = Controller::start(maker, &lan.phone, &folder);
            controller.run(json!({"command": "pair", "code": code(&lan)}));
            show_memory(&format!("{maker:?} has paired and subscribed"), &service);
            controller
        });

        let mut latencies: [Vec<f64>; 3] = Default::default();
        lan.phone.within(async || {
            let mut page = TestClient::open(format!("{KITCHEN}:5000").parse().unwrap()).await;
            // Each differs from the one before, for Matter, too.
            let mut levels = (0..).map(|number: u32| 20 + 37 * number % 200);
            let mut level = || levels.next().unwrap();
            for _ in 0..CHANGES {
                let percent = (f64::from(level()) / 2.54).round();
                let sent = now();
                page.change("led", json!({"level": percent})).await;
                page.settled().await;
                latencies[0].push(written(&service) - sent);
                for (latencies, controller) in latencies[1..].iter_mut().zip(&mut controllers) {
                    let (level, sent) = (level(), now());
                    controller.run(
                        json!({"command": "level", "endpoint": LED, "level": level, "tenths": 0}),
                    );
                    latencies.push(written(&service) - sent);
                }
            }
        });
        for (name, latencies) in ["page", "matter.js", "CHIP SDK"].iter().zip(&mut latencies) {
            latencies.sort_by(f64::total_cmp);
            let [half, most] = [50, 99].map(|share| 1e3 * percentile(latencies, share));
            println!("{name:<10} to the pin: p50 {half:.2} ms, p99 {most:.2} ms");
        }
    });
}

fn serve(lan: &Lan, settings: &str) -> TestServer {
    let setup = Setup::with(settings);
    let mut command = setup.command();
    command.args(["--listen", "0.0.0.0:5000"]);
    setup.start_by(lan.kitchen.on(&command))
}

fn show_memory(what: &str, service: &TestServer) {
    sleep(REST);
    let (all, own) = (service.memory(), service.anonymous_memory());
    println!("{what}: {all} KiB resident, {own} KiB of them anonymous");
}

/// The digits to pair it, once that is allowed.
fn code(lan: &Lan) -> String {
    let mut command = common::dimmer();
    command.args(["matter", "open"]);
    let output = lan.kitchen.on(&command).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let answer = lan.phone.within(async || {
        let url = format!("http://{KITCHEN}:5000/api/matter");
        reqwest::get(url).await.unwrap().text().await.unwrap()
    });
    let answer: Value = serde_json::from_str(&answer).unwrap();
    answer["code"].as_str().unwrap().into()
}

/// Seconds since 1970.
fn now() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap().as_secs_f64()
}

/// When the pin was last written, in seconds since 1970.
fn written(service: &TestServer) -> f64 {
    let trace = fs::read_to_string(service.setup().trace_folder().join("led")).unwrap();
    let (time, _) = trace.lines().last().unwrap().split_once(' ').unwrap();
    time.parse::<f64>().unwrap() / 1e9
}
