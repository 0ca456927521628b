//! Latency from a client's frame to the call of the driver: `cargo bench --bench pin`.
//!
//! Both ends read the same clock: the client before it sends a level, the simulated driver when it is called. So the
//! figure includes the client's send, the kernel's loopback and the service.

#![allow(clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;
mod stats;

use std::fs;
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::{Setup, TestClient, TestServer, dimmer, linear, until};
use dimmer::model::activity::Activity;
use dimmer::model::actor::Actor;
use dimmer::model::command::{Command, Outcome};
use dimmer::model::hub::Hub;
use dimmer::model::level::Level;
use dimmer::model::lights::{Light, LightState, Lights};
use dimmer::protocol::request::{ClientMessage, Request};
use dimmer::protocol::server_message::{LightUpdate, ServerMessage};
use serde_json::json;
use stats::{millis, p50_p99};
use tokio::sync::oneshot;
use tokio::time::sleep;

/// Number of levels sent; each differs from the one before.
const CHANGES: u32 = 2000;
/// Pause between two changes: a dragged slider sends 60 a second.
const PACE: Duration = Duration::from_millis(16);
/// Percent by which the flooding client steps up and down.
const STEP: f64 = 0.1;
/// Number of changes that are parsed, applied and encoded without a socket.
const IN_MEMORY: u32 = 1_000_000;
/// Duration of the transition whose CPU time is measured.
const TRANSITION: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    println!(
        "parse, apply and encode one change: {} ns",
        in_memory().as_nanos()
    );
    let start = Instant::now();
    let dimmer = Setup::new().start();
    println!("start to listening: {:.1} ms", millis(start.elapsed()));
    let idle = dimmer.memory();
    let quiet = p50_p99(change_latencies(&dimmer).await);
    println!(
        "frame to driver, {CHANGES} changes at 60/s: {}",
        format_percentiles(quiet)
    );
    println!(
        "memory: {idle} KiB idle, {} KiB with one client",
        dimmer.memory()
    );
    let (flooded, steps) = latencies_under_flood(&dimmer).await;
    let flooded = p50_p99(flooded);
    println!(
        "the same while another client sends {steps:.0} steps a second: {}, p99 {:.1} x quiet",
        format_percentiles(flooded),
        flooded[1].as_secs_f64() / quiet[1].as_secs_f64()
    );
    let size = fs::metadata(env!("CARGO_BIN_EXE_dimmer")).unwrap().len();
    println!("binary: {:.1} MiB", size as f64 / f64::from(1 << 20));
    let _unresponsive = dimmer.client().await;
    let start = Instant::now();
    dimmer.stop();
    println!(
        "stop with an unresponsive client: {:.1} ms",
        millis(start.elapsed())
    );
    transition().await;
}

/// Average time of one change, without a socket and without subscribers.
fn in_memory() -> Duration {
    let light = Light::simulated("led");
    let state = LightState::new(Level::HALF, Level::HALF);
    let hub = Hub::new(Lights::new(vec![(light, state)]), Activity::new(true));
    let actor = Actor::Api(Ipv4Addr::LOCALHOST.into());
    let text = r#"{"level":42.1,"light":"led","seq":17}"#;
    let start = Instant::now();
    for _ in 0..IN_MEMORY {
        let message = ClientMessage::parse(black_box(text));
        let name = message.light.unwrap();
        let Ok(Request::Change(wanted)) = message.request else {
            unreachable!("{text} is a change");
        };
        let command = Command::Change {
            target: hub.target(&name).unwrap(),
            change: wanted.change,
            transition: wanted.transition,
        };
        let Ok(Outcome::Light(state)) = hub.execute(&actor, command) else {
            unreachable!("{text} is a valid change");
        };
        let update = LightUpdate::new(&name, &state, message.seq);
        black_box(ServerMessage::Light(update).to_json());
    }
    start.elapsed() / IN_MEMORY
}

/// The time from sending each change to the call of the driver.
async fn change_latencies(dimmer: &TestServer) -> Vec<Duration> {
    let mut client = dimmer.client().await;
    let mut sent = Vec::new();
    for change in 0..CHANGES {
        let level = f64::from(change % 99 + 1);
        sent.push((level, now()));
        client.send(json!({ "level": level })).await;
        client.drain();
        sleep(PACE).await;
    }
    let (last, _) = sent[sent.len() - 1];
    until("the driver has the last level", async || {
        dimmer.duty("led").is_some_and(|duty| is_near(duty, last))
    })
    .await;
    let trace = fs::read_to_string(dimmer.setup().trace_folder().join("led")).unwrap();
    let mut calls = trace.lines().map(|line| {
        let (time, duty) = line.split_once(' ').unwrap();
        let time = Duration::from_nanos(time.parse().unwrap());
        (time, duty.parse().unwrap())
    });
    sent.into_iter()
        .map(|(level, sent)| {
            let call = calls.find(|(called, duty)| *called > sent && is_near(*duty, level));
            call.expect("no paced change is skipped").0 - sent
        })
        .collect()
}

/// Whether a duty is that of a level, give or take one step of the flood: a step may be applied on top before the pin's
/// thread wakes.
fn is_near(duty: u16, level: f64) -> bool {
    duty.abs_diff(linear(level)) <= linear(1.5 * STEP)
}

/// The latencies while another client sends steps as fast as the service reads them; and how many steps a second
/// those are.
async fn latencies_under_flood(dimmer: &TestServer) -> (Vec<Duration>, f64) {
    let (stop, stopped) = oneshot::channel();
    let address = dimmer.address;
    // In a thread of its own, so that the measured client waits for nothing but the service.
    let flood = thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        runtime.block_on(flood(address, stopped))
    });
    let latencies = change_latencies(dimmer).await;
    stop.send(()).unwrap();
    (latencies, flood.join().unwrap())
}

/// Sends steps until `stopped`; returns the steps per second.
async fn flood(address: SocketAddr, mut stopped: oneshot::Receiver<()>) -> f64 {
    let mut client = TestClient::open(address).await;
    let start = Instant::now();
    let mut steps = 0;
    while stopped.try_recv().is_err() {
        // Never more than 100 unread steps: the loopback's buffers hold minutes of them.
        for step in [STEP, -STEP].repeat(50) {
            client.send(json!({ "step": step })).await;
            steps += 1;
        }
        client.settled().await;
    }
    f64::from(steps) / start.elapsed().as_secs_f64()
}

/// Measures the CPU time of a transition at 1 kHz, on a simulated LED that writes no trace.
async fn transition() {
    let setup = Setup::new();
    let mut command = dimmer();
    command.arg("--config").arg(setup.write_settings());
    command.args(["--listen", "127.0.0.1:0", "--frequency", "1000"]);
    command.arg("--state-dir").arg(setup.path().join("state"));
    let dimmer = setup.start_by(command);
    let mut client = dimmer.client().await;
    client.send(json!({"level": 0})).await;
    client.settled().await;
    let before = scheduled(&dimmer);
    client
        .send(json!({"level": 100, "transition": TRANSITION.as_secs()}))
        .await;
    sleep(TRANSITION).await;
    let after = scheduled(&dimmer);
    let share = (after.0 - before.0).as_secs_f64() / TRANSITION.as_secs_f64();
    println!(
        "a transition at 1 kHz: {:.1} % of a core, {:.0} wake-ups a second",
        share * 100.0,
        (after.1 - before.1) as f64 / TRANSITION.as_secs_f64()
    );
}

/// CPU time of all threads of the service, and how often the kernel scheduled them.
fn scheduled(dimmer: &TestServer) -> (Duration, u64) {
    let tasks = fs::read_dir(format!("/proc/{}/task", dimmer.pid())).unwrap();
    let mut total = (Duration::ZERO, 0);
    for task in tasks {
        let path = task.unwrap().path().join("schedstat");
        // The thread may have ended in the meantime.
        let line = fs::read_to_string(path).unwrap_or_default();
        let mut fields = line.split_whitespace().map(|field| field.parse().unwrap());
        total.0 += Duration::from_nanos(fields.next().unwrap_or_default());
        total.1 += fields.nth(1).unwrap_or_default();
    }
    total
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

fn format_percentiles([p50, p99]: [Duration; 2]) -> String {
    format!("p50 {} µs, p99 {} µs", p50.as_micros(), p99.as_micros())
}
