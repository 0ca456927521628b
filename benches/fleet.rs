//! A slider that moves many dimmers at once by MQTT: `cargo bench --bench fleet`.
//!
//! The dimmers are this program's own MQTT, each with a connection and a light without a pin, in one
//! thread; the broker is a mosquitto beside it. So the figures hold the broker's work and theirs for
//! all of them on one machine, where real ones each have their own.

#![allow(clippy::unwrap_used)]

#[path = "../tests/common/broker.rs"]
mod broker;
#[path = "../tests/common/mod.rs"]
mod common;

use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use broker::{Broker, MqttClient, options};
use common::until;
use dimmer::config::{Broker as Address, MqttConfig};
use dimmer::model::activity::Activity;
use dimmer::model::hub::Hub as Dimmer;
use dimmer::model::level::Level;
use dimmer::model::lights::{Light, LightState, Lights};
use dimmer::mqtt;
use rumqttc::{AsyncClient, MqttOptions, QoS};
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// How many dimmers, and what the others are compared with.
const FLEETS: [usize; 3] = [10, 50, 200];
/// Levels that the slider goes through, each above the last, in steps of 0.1.
const MOVES: u16 = 300;
/// Pause between two.
const PACE: Duration = Duration::from_millis(30);
const GROUP: &str = "dimmer/group/all/set";

/// When a dimmer had which move, or a later one.
type Arrivals = Arc<Mutex<Vec<(u16, Instant)>>>;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    println!(
        "| dimmers | until all have a move, p50 | p99 | to {}, p50 | p99 |",
        FLEETS[0]
    );
    println!("|---|---|---|---|---|");
    let mut first = None;
    for count in FLEETS {
        let [p50, p99] = shares(measure(count).await);
        let to = *first.get_or_insert([p50, p99]);
        println!(
            "| {count} | {:.1} ms | {:.1} ms | {:.1} | {:.1} |",
            millis(p50),
            millis(p99),
            millis(p50) / millis(to[0]),
            millis(p99) / millis(to[1]),
        );
    }
}

/// The time of each move until every one of so many dimmers has it.
async fn measure(count: usize) -> Vec<Duration> {
    let broker = Broker::start();
    let stop = CancellationToken::new();
    let fleet: Vec<_> = (0..count)
        .map(|number| dimmer(number, &broker, stop.clone()))
        .collect();
    let mqtt = MqttClient::open(&broker).await;
    for number in 0..count {
        let status = format!("dimmer/pi-{number}/status");
        mqtt.hears(&status, json!("online")).await;
    }
    drop(mqtt);
    let slider = slide(options("slider", &broker), stop.clone());
    until("all have the last", async || {
        fleet.iter().all(|arrivals| has(arrivals, MOVES).is_some())
    })
    .await;
    stop.cancel();
    let sent = slider.join().unwrap();
    (1..=MOVES)
        .zip(sent)
        .map(|(step, sent)| {
            let last = fleet.iter().map(|arrivals| has(arrivals, step).unwrap());
            last.max().unwrap().saturating_duration_since(sent)
        })
        .collect()
}

/// When a dimmer had this move.
fn has(arrivals: &Arrivals, step: u16) -> Option<Instant> {
    let arrivals = arrivals.lock().unwrap();
    let index = arrivals.partition_point(|(its, _)| *its < step);
    arrivals.get(index).map(|(_, at)| *at)
}

/// Starts a dimmer, and what notes when its light moves.
fn dimmer(number: usize, broker: &Broker, stop: CancellationToken) -> Arrivals {
    let light = Light::simulated("led");
    let state = LightState::new(Level::OFF, Level::FULL);
    let lights = Lights::new(vec![(light, state)]);
    let config = MqttConfig {
        broker: Address {
            host: "127.0.0.1".into(),
            port: broker.port,
            encrypted: false,
        },
        login: None,
        tls: None,
        node: format!("pi-{number}"),
        discovery_prefix: "homeassistant".into(),
        fleet: false,
    };
    let groups = vec![vec!["all".into()]];
    let hub = Arc::new(Dimmer::new(lights, Activity::new(false)));
    let lights = hub.lights.clone();
    tokio::spawn(mqtt::run(hub, groups, config, stop));
    let arrivals = Arrivals::default();
    let notes = arrivals.clone();
    tokio::spawn(async move {
        let mut watch = lights.watch();
        while watch.changed().await.is_ok() {
            let level = watch.borrow_and_update()[0].level;
            let step = (level.percent() * 10.0).round() as u16;
            notes.lock().unwrap().push((step, Instant::now()));
        }
    });
    arrivals
}

/// Moves the group, from a thread of its own so that the dimmers do not hold it up, and stays until
/// `stop`; returns when it sent each move.
fn slide(options: MqttOptions, stop: CancellationToken) -> JoinHandle<Vec<Instant>> {
    thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        runtime.block_on(async {
            let (client, mut events) = AsyncClient::new(options, 10);
            tokio::spawn(async move { while events.poll().await.is_ok() {} });
            let mut sent = Vec::new();
            for step in 1..=MOVES {
                tokio::time::sleep(PACE).await;
                sent.push(Instant::now());
                let level = f64::from(step) / 10.0;
                let message = json!({"state": "ON", "brightness": level}).to_string();
                let published = client.publish(GROUP, QoS::AtLeastOnce, false, message);
                published.await.unwrap();
            }
            // Until then it may still have something to send.
            stop.cancelled().await;
            sent
        })
    })
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The median and the 99th percentile.
fn shares(mut times: Vec<Duration>) -> [Duration; 2] {
    times.sort();
    [50, 99].map(|share| times[(times.len() - 1) * share / 100])
}
