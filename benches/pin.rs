//! From a page's frame to the driver's call: `cargo bench --bench pin`.
//!
//! Both ends stamp the same clock: the page before it sends a level, the simulated driver when it
//! is called. So the figure holds the page's send, the kernel's loopback and the service.

#![allow(clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

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
use tokio::sync::oneshot;
use tokio::time::sleep;

/// Levels sent, each another than the last.
const CHANGES: u32 = 2000;
/// Pause between two: a thumb's 60 a second.
const PACE: Duration = Duration::from_millis(16);
/// Percent by which the page that floods steps up and down.
const STEP: f64 = 0.1;
/// Changes that are only parsed, applied and encoded.
const IN_MEMORY: u32 = 1_000_000;
/// Length of the fade whose CPU time is taken.
const FADE: Duration = Duration::from_secs(10);

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
    let quiet = shares(changes(&dimmer).await);
    println!(
        "frame to driver, {CHANGES} changes at 60/s: {}",
        show(quiet)
    );
    println!(
        "memory: {idle} KiB idle, {} KiB with one page",
        dimmer.memory()
    );
    let (flooded, steps) = under_a_flood(&dimmer).await;
    let flooded = shares(flooded);
    println!(
        "the same while another page steps {steps:.0} times a second: {}, p99 {:.1} x quiet",
        show(flooded),
        flooded[1].as_secs_f64() / quiet[1].as_secs_f64()
    );
    let size = fs::metadata(env!("CARGO_BIN_EXE_dimmer")).unwrap().len();
    println!("binary: {:.1} MiB", size as f64 / f64::from(1 << 20));
    let _deaf = dimmer.client().await;
    let start = Instant::now();
    dimmer.stop();
    println!(
        "stop with a page that does not answer: {:.1} ms",
        millis(start.elapsed())
    );
    fade().await;
}

/// The time of one change without a socket and without anyone who follows.
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
            unreachable!("{text} can be done");
        };
        let update = LightUpdate::new(&name, &state, message.seq);
        black_box(ServerMessage::Light(update).to_json());
    }
    start.elapsed() / IN_MEMORY
}

/// The time of each change on its way to the driver.
async fn changes(dimmer: &TestServer) -> Vec<Duration> {
    let mut client = dimmer.client().await;
    let mut sent = Vec::new();
    for change in 0..CHANGES {
        let level = f64::from(change % 99 + 1);
        sent.push((level, now()));
        client.say(json!({ "level": level })).await;
        client.hear_now();
        sleep(PACE).await;
    }
    let (last, _) = sent[sent.len() - 1];
    until("the last is there", async || {
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
            let its = calls.find(|(called, duty)| *called > sent && is_near(*duty, level));
            its.expect("no paced change is skipped").0 - sent
        })
        .collect()
}

/// Whether a duty is that of a level, or of a step of the flood from there: one may have come on top
/// before the pin's thread was awake.
fn is_near(duty: u16, level: f64) -> bool {
    duty.abs_diff(linear(level)) <= linear(1.5 * STEP)
}

/// The same while another page sends as many steps as it is read; also how many those are a second.
async fn under_a_flood(dimmer: &TestServer) -> (Vec<Duration>, f64) {
    let (stop, stopped) = oneshot::channel();
    let address = dimmer.address;
    // In a thread of its own, as the page that is measured is to wait for the service alone.
    let flood = thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        runtime.block_on(flood(address, stopped))
    });
    let changes = changes(dimmer).await;
    stop.send(()).unwrap();
    (changes, flood.join().unwrap())
}

async fn flood(address: SocketAddr, mut stopped: oneshot::Receiver<()>) -> f64 {
    let mut client = TestClient::open(address).await;
    let start = Instant::now();
    let mut steps = 0;
    while stopped.try_recv().is_err() {
        // So many on the way and no more, as the buffers of loopback hold minutes of them.
        for step in [STEP, -STEP].repeat(50) {
            client.say(json!({ "step": step })).await;
            steps += 1;
        }
        client.settle().await;
    }
    f64::from(steps) / start.elapsed().as_secs_f64()
}

/// What a fade of a light at 1 kHz costs, on a simulated LED that keeps no trace.
async fn fade() {
    let setup = Setup::new();
    let mut command = dimmer();
    command.arg("--config").arg(setup.write_settings());
    command.args(["--listen", "127.0.0.1:0", "--frequency", "1000"]);
    command.arg("--state-dir").arg(setup.path().join("state"));
    let dimmer = setup.start_by(command);
    let mut client = dimmer.client().await;
    client.say(json!({"level": 0})).await;
    client.settle().await;
    let before = schedule(&dimmer);
    client
        .say(json!({"level": 100, "transition": FADE.as_secs()}))
        .await;
    sleep(FADE).await;
    let after = schedule(&dimmer);
    let share = (after.0 - before.0).as_secs_f64() / FADE.as_secs_f64();
    println!(
        "a fade at 1 kHz: {:.1} % of a core, {:.0} wake-ups a second",
        share * 100.0,
        (after.1 - before.1) as f64 / FADE.as_secs_f64()
    );
}

/// The time that the service's threads have had on a processor, and how often they got it.
fn schedule(dimmer: &TestServer) -> (Duration, u64) {
    let tasks = fs::read_dir(format!("/proc/{}/task", dimmer.pid())).unwrap();
    let mut all = (Duration::ZERO, 0);
    for task in tasks {
        let path = task.unwrap().path().join("schedstat");
        // A thread may end just now.
        let line = fs::read_to_string(path).unwrap_or_default();
        let mut fields = line.split_whitespace().map(|field| field.parse().unwrap());
        all.0 += Duration::from_nanos(fields.next().unwrap_or_default());
        all.1 += fields.nth(1).unwrap_or_default();
    }
    all
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The median and the 99th percentile.
fn shares(mut times: Vec<Duration>) -> [Duration; 2] {
    times.sort();
    [50, 99].map(|share| times[(times.len() - 1) * share / 100])
}

fn show([p50, p99]: [Duration; 2]) -> String {
    format!("p50 {} µs, p99 {} µs", p50.as_micros(), p99.as_micros())
}
