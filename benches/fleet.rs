//! One slider that moves many dimmers at once by MQTT: `cargo bench --bench fleet`.
//!
//! All dimmers run in one thread of this process, each with an MQTT connection of its own and a light without a pin;
//! mosquitto runs in another process. So the figures include the work of the broker and of all dimmers on a single
//! machine, whereas each real dimmer has a machine of its own.

#![allow(clippy::unwrap_used)]

#[path = "../tests/common/broker.rs"]
mod broker;
#[path = "../tests/common/mod.rs"]
mod common;
mod stats;

use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use broker::{Broker, MqttClient, options};
use common::until;
use dimmer::config::{Broker as BrokerAddress, MqttConfig};
use dimmer::model::activity::Activity;
use dimmer::model::hub::Hub;
use dimmer::model::level::Level;
use dimmer::model::lights::{Light, LightState, Lights};
use dimmer::model::settings::LightSettings;
use dimmer::mqtt;
use rumqttc::{AsyncClient, MqttOptions, PublishOptions};
use serde_json::json;
use stats::{millis, p50_p99};
use tokio_util::sync::CancellationToken;

/// Numbers of dimmers; the figures of the others are also given as ratios to the first.
const FLEET_SIZES: [usize; 3] = [10, 50, 200];
/// Number of moves; each raises the level by 0.1.
const MOVES: u16 = 300;
/// Pause between two moves.
const PACE: Duration = Duration::from_millis(30);
const GROUP: &str = "dimmer/group/all/set";

/// The moves that a dimmer applied, and when. A dimmer may skip moves, because the newest level wins.
type Arrivals = Arc<Mutex<Vec<(u16, Instant)>>>;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    println!(
        "| dimmers | until all have applied a move, p50 | p99 | ÷ {} dimmers, p50 | p99 |",
        FLEET_SIZES[0]
    );
    println!("|---|---|---|---|---|");
    let mut first = None;
    for count in FLEET_SIZES {
        let [p50, p99] = p50_p99(measure(count).await);
        let base = *first.get_or_insert([p50, p99]);
        println!(
            "| {count} | {:.1} ms | {:.1} ms | {:.1} | {:.1} |",
            millis(p50),
            millis(p99),
            millis(p50) / millis(base[0]),
            millis(p99) / millis(base[1]),
        );
    }
}

/// For each move, the time until all `count` dimmers have applied it or a later one.
async fn measure(count: usize) -> Vec<Duration> {
    let broker = Broker::start();
    let stop = CancellationToken::new();
    let fleet: Vec<_> = (0..count)
        .map(|number| start_dimmer(number, &broker, stop.clone()))
        .collect();
    let mqtt = MqttClient::open(&broker).await;
    for number in 0..count {
        let status = format!("dimmer/pi-{number}/status");
        mqtt.expect(&status, json!("online")).await;
    }
    drop(mqtt);
    let slider = publish_moves(options("slider", &broker), stop.clone());
    until("all dimmers have the last move", async || {
        fleet
            .iter()
            .all(|arrivals| arrival(arrivals, MOVES).is_some())
    })
    .await;
    stop.cancel();
    let sent = slider.join().unwrap();
    (1..=MOVES)
        .zip(sent)
        .map(|(step, sent)| {
            let arrived = fleet
                .iter()
                .map(|arrivals| arrival(arrivals, step).unwrap());
            arrived.max().unwrap().saturating_duration_since(sent)
        })
        .collect()
}

/// When a dimmer applied this move or a later one.
fn arrival(arrivals: &Arrivals, step: u16) -> Option<Instant> {
    let arrivals = arrivals.lock().unwrap();
    let index = arrivals.partition_point(|(applied, _)| *applied < step);
    arrivals.get(index).map(|(_, at)| *at)
}

/// Starts a dimmer, and a task that records when its light moves.
fn start_dimmer(number: usize, broker: &Broker, stop: CancellationToken) -> Arrivals {
    let light = Light::simulated("led");
    let state = LightState::new(Level::OFF, Level::FULL).with(LightSettings {
        groups: vec!["all".into()],
        ..LightSettings::default()
    });
    let lights = Lights::new(vec![(light, state)]);
    let config = MqttConfig {
        broker: BrokerAddress {
            host: "127.0.0.1".into(),
            port: broker.port,
            encrypted: false,
        },
        login: None,
        tls: None,
        node: format!("pi-{number}"),
        discovery_prefix: "homeassistant".into(),
        fleet: false,
        area: None,
        entities: Vec::new(),
        state_dir: std::env::temp_dir().join(format!("dimmer-bench/pi-{number}")),
    };
    let hub = Arc::new(Hub::new(lights, Activity::new(false)));
    let lights = hub.lights.clone();
    tokio::spawn(mqtt::run(hub, None, config, Arc::default(), stop));
    let arrivals = Arrivals::default();
    let record = arrivals.clone();
    tokio::spawn(async move {
        let mut watch = lights.watch();
        while watch.changed().await.is_ok() {
            let level = watch.borrow_and_update()[0].level;
            let step = (level.percent() * 10.0).round() as u16;
            record.lock().unwrap().push((step, Instant::now()));
        }
    });
    arrivals
}

/// Publishes all moves to the group, and stays connected until `stop`; returns the time of each move.
///
/// In a thread of its own, so that the dimmers do not delay it.
fn publish_moves(options: MqttOptions, stop: CancellationToken) -> JoinHandle<Vec<Instant>> {
    thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        runtime.block_on(async {
            let (client, mut events) = AsyncClient::builder(options).capacity(10).build();
            tokio::spawn(async move { while events.poll().await.is_ok() {} });
            let mut sent = Vec::new();
            for step in 1..=MOVES {
                tokio::time::sleep(PACE).await;
                sent.push(Instant::now());
                let level = f64::from(step) / 10.0;
                let message = json!({"state": "ON", "brightness": level}).to_string();
                let published = client.publish(GROUP, message, PublishOptions::at_least_once());
                published.await.unwrap();
            }
            // The event loop above may still have moves to send.
            stop.cancelled().await;
            sent
        })
    })
}
