//! Many clients drag a light, or several together: once all is handled, all clients, the state and the pins agree.

use std::time::{Duration, Instant};

use crate::common::{Setup, TestClient, TestServer, take_turn};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How long the clients drag.
const DRAG: Duration = Duration::from_secs(3);

/// Drags at random for a while as a thumb does: some 60 changes a second.
async fn drag(mut client: TestClient, seed: u64) -> TestClient {
    let mut random = StdRng::seed_from_u64(seed);
    let start = Instant::now();
    while start.elapsed() < DRAG {
        let change = match random.random_range(0..20) {
            0 => json!({"toggle": true}),
            1 => json!({"step": random.random_range(-20..=20)}),
            2 => json!({"level": f64::from(random.random_range(0..10_000)) / 100.0}),
            _ => json!({"level": random.random_range(0..=100)}),
        };
        client.change("led", change).await;
        // A thumb's pace is what is tested here.
        sleep(Duration::from_millis(random.random_range(5..=25))).await;
        if random.random_bool(0.3) {
            client.settled().await;
        }
    }
    client
}

/// Asserts that all agree, and prints how long that took after the last input.
async fn assert_in_step(dimmer: &TestServer, clients: &mut [TestClient]) {
    let ended = Instant::now();
    for client in clients.iter_mut() {
        client.settled().await;
    }
    // What each client sent is handled; now each gets what the others sent.
    for client in clients.iter_mut() {
        client.settled().await;
    }
    for light in clients[0].levels.keys() {
        let level = dimmer.level(light).await;
        for (number, client) in clients.iter().enumerate() {
            let shown = client.levels[light];
            assert_eq!(shown, level, "client {number} is out of step with {light}");
        }
        dimmer.pin_is_at(light, level).await;
    }
    println!("in step {:?} after the last input", ended.elapsed());
}

async fn dragging(count: u64) {
    let _turn = take_turn();
    let dimmer = TestServer::start();
    let mut dragging = JoinSet::new();
    for seed in 0..count {
        dragging.spawn(drag(dimmer.client().await, seed));
    }
    let mut clients = dragging.join_all().await;
    assert_in_step(&dimmer, &mut clients).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_that_drag_at_once_end_in_step() {
    dragging(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_clients_that_drag_at_once_end_in_step() {
    dragging(20).await;
}

/// Drags all of these lights together, and now and then one alone.
async fn drag_together(mut client: TestClient, seed: u64) -> TestClient {
    let mut random = StdRng::seed_from_u64(seed);
    let names: Vec<_> = client.levels.keys().cloned().collect();
    let start = Instant::now();
    while start.elapsed() < DRAG {
        let level = random.random_range(0..=100);
        let mut lights = Map::new();
        for (number, name) in names.iter().enumerate() {
            let change = match random.random_range(0..30) {
                // Lights that do not move are not in the message.
                0 => continue,
                1 => json!({"toggle": true}),
                2 => json!({"step": -7}),
                _ => json!(f64::from(level * (number as u32 + 1)) / 16.0),
            };
            lights.insert(name.clone(), change);
        }
        client.change_together(lights.into()).await;
        if random.random_bool(0.2) {
            client.change(&names[0], json!({ "level": level })).await;
        }
        // A thumb's pace is what is tested here.
        sleep(Duration::from_millis(random.random_range(15..=45))).await;
        if random.random_bool(0.3) {
            client.settled().await;
        }
    }
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn six_clients_that_drag_sixteen_lights_together_end_in_step() {
    let _turn = take_turn();
    let light = |n: u8| format!("[[light]]\nname = \"light-{n}\"\ngpio = {}\n", n + 2);
    let dimmer = Setup::with(&(0..16).map(light).collect::<String>()).start();
    let mut dragging = JoinSet::new();
    for seed in 0..6 {
        let mut client = dimmer.client().await;
        if seed % 2 == 0 {
            client.send(json!({"batch": true})).await;
        }
        dragging.spawn(drag_together(client, seed));
    }
    let mut clients = dragging.join_all().await;
    assert_in_step(&dimmer, &mut clients).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_vanishing_and_returning_clients_put_nobody_out_of_step() {
    let _turn = take_turn();
    let dimmer = TestServer::start();
    let mut dragging = JoinSet::new();
    for seed in 0..6 {
        dragging.spawn(drag(dimmer.client().await, seed));
    }
    let mut slow = JoinSet::new();
    for _ in 0..3 {
        let mut client = TestClient::open_with(dimmer.address, Some(2048)).await;
        slow.spawn(async move {
            let start = Instant::now();
            while start.elapsed() < DRAG {
                client.next().await;
                sleep(Duration::from_millis(100)).await;
            }
            client
        });
    }
    let mut restless = JoinSet::new();
    for seed in 0..6 {
        let address = dimmer.address;
        restless.spawn(async move {
            let mut random = StdRng::seed_from_u64(100 + seed);
            let start = Instant::now();
            while start.elapsed() < DRAG {
                let mut client = TestClient::open(address).await;
                for _ in 0..random.random_range(0..20) {
                    let level = random.random_range(0..=100);
                    client.change("led", json!({ "level": level })).await;
                }
                // The client is dropped without a close frame, with all that is on the way to it.
            }
            TestClient::open(address).await
        });
    }
    let mut clients = dragging.join_all().await;
    clients.extend(restless.join_all().await);
    clients.extend(slow.join_all().await);
    assert_in_step(&dimmer, &mut clients).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_reading_delays_nobody_and_costs_no_memory() {
    let _turn = take_turn();
    let dimmer = TestServer::start();
    let mut one = dimmer.client().await;
    let mut two = dimmer.client().await;
    let mut stopped = Vec::new();
    for _ in 0..20 {
        stopped.push(TestClient::open_with(dimmer.address, Some(1024)).await);
    }
    let round = async |one: &mut TestClient, two: &mut TestClient| {
        for step in 0..2_500 {
            one.change("led", json!({ "level": step % 101 })).await;
            // So that the newest level keeps moving, rather than one burst that the fan-out skips.
            if step % 20 == 0 {
                one.settled().await;
                two.settled().await;
                assert_eq!(two.levels["led"], one.levels["led"]);
            }
        }
        one.settled().await;
    };
    round(&mut one, &mut two).await;
    let before = dimmer.memory();
    for _ in 0..3 {
        round(&mut one, &mut two).await;
    }
    let grown = dimmer.memory().saturating_sub(before);
    assert!(
        grown < 1024,
        "{grown} KiB more for clients that do not read"
    );

    // One that reads again receives the newest level.
    let mut late = stopped.remove(0);
    late.settled().await;
    assert_eq!(late.levels["led"], one.levels["led"]);
}
