//! From a page's frame to the driver's call: `cargo bench --bench pin`.
//!
//! Both ends stamp the same clock: the page before it sends a level, the simulated driver when it
//! is called. So the figure holds the page's send, the kernel's loopback and the service.

#![allow(clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::{Dimmer, Home, linear, until};
use serde_json::json;
use tokio::time::sleep;

/// Levels sent, each another than the last.
const CHANGES: u32 = 2000;
/// Pause between two: a thumb's 60 a second.
const PACE: Duration = Duration::from_millis(16);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let start = Instant::now();
    let dimmer = Home::new().start();
    println!("start to listening: {:.1} ms", millis(start.elapsed()));
    let idle = dimmer.memory();
    let quiet = changes(&dimmer).await;
    println!(
        "frame to driver, {CHANGES} changes at 60/s: {}",
        summary(quiet)
    );
    println!(
        "memory: {idle} KiB idle, {} KiB with one page",
        dimmer.memory()
    );
    let size = fs::metadata(env!("CARGO_BIN_EXE_dimmer")).unwrap().len();
    println!("binary: {:.1} MiB", size as f64 / f64::from(1 << 20));
    let _deaf = dimmer.page().await;
    let start = Instant::now();
    dimmer.stop();
    println!(
        "stop with a page that does not answer: {:.1} ms",
        millis(start.elapsed())
    );
}

/// The time of each change on its way to the driver.
async fn changes(dimmer: &Dimmer) -> Vec<Duration> {
    let mut page = dimmer.page().await;
    let mut sent = Vec::new();
    for change in 0..CHANGES {
        let level = f64::from(change % 1000 + 1) / 10.0;
        sent.push((linear(level), now()));
        page.say(json!({ "level": level })).await;
        sleep(PACE).await;
    }
    let last = linear(f64::from((CHANGES - 1) % 1000 + 1) / 10.0);
    until("the last is there", async || {
        dimmer.duties("led").last() == Some(&last)
    })
    .await;
    let trace = fs::read_to_string(dimmer.home().trace_folder().join("led")).unwrap();
    let mut called: HashMap<u16, Vec<Duration>> = HashMap::new();
    for line in trace.lines() {
        let (time, duty) = line.split_once(' ').unwrap();
        let time = Duration::from_nanos(time.parse().unwrap());
        called.entry(duty.parse().unwrap()).or_default().push(time);
    }
    sent.into_iter()
        .map(|(duty, sent)| {
            let calls = called.get(&duty).expect("no paced change is skipped");
            *calls.iter().find(|called| **called > sent).unwrap() - sent
        })
        .collect()
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn summary(mut times: Vec<Duration>) -> String {
    times.sort();
    let share = |share: usize| times[(times.len() - 1) * share / 100].as_micros();
    format!("p50 {} µs, p99 {} µs", share(50), share(99))
}
