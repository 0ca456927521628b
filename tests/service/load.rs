//! Many clients for a long time: memory does not grow, no client that reads is dropped, all end in step.

use std::time::{Duration, Instant};

use crate::common::{Setup, TestClient, TestServer, long, raise_file_limit, take_turn, until};
use futures_util::future::join_all;
use rand::RngExt;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

const ROUNDS: usize = 7;
/// More than this in KiB from one round to the next is growth.
const NOISE: i64 = 128;
/// More than this in KiB in all is growth, too: what a thousand clients take that are connected at once.
const MOST: i64 = 8192;

/// A thumb makes 60 changes a second.
const THUMB: Duration = Duration::from_millis(16);

/// A service with room for many clients from this address.
fn start() -> TestServer {
    raise_file_limit();
    Setup::with("max_pages = 2000\nmax_pages_per_address = 2000\n").start()
}

/// The level that a round ends with, which no drag passes.
fn last(round: usize) -> f64 {
    round as f64 + 0.5
}

/// Drags for this time, with this pause between changes, and ends at this level.
async fn drag(client: &mut TestClient, time: Duration, pace: Duration, last: f64) {
    let start = Instant::now();
    while start.elapsed() < time {
        let level = rand::rng().random_range(0..=100);
        client.change("led", json!({ "level": level })).await;
        client.drain();
        sleep(pace).await;
    }
    client.change("led", json!({ "level": last })).await;
    client.settled().await;
}

/// Reads until the level is this. Panics if the service closes the connection, or sends nothing for long.
async fn read(mut client: TestClient, last: f64) -> TestClient {
    while client.levels["led"] != last {
        client.next().await;
    }
    client
}

/// Asserts that half of the rounds took no more than the one before. The others may: how many clients are connected at the
/// same moment depends on the machine, and what the most took is kept for use again. What is lost is lost in every round.
fn assert_no_growth(what: &str, memory: &[u64]) {
    println!("{what}: {memory:?} KiB");
    let mut growth: Vec<_> = memory
        .windows(2)
        .map(|pair| pair[1] as i64 - pair[0] as i64)
        .collect();
    growth.sort();
    let median = growth[(growth.len() - 1) / 2];
    assert!(
        median < NOISE,
        "{what}: {median} KiB more in each round: {memory:?}"
    );
    let all: i64 = growth.iter().sum();
    assert!(all < MOST, "{what}: {all} KiB more: {memory:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drag_before_many_clients_leaves_all_in_step_and_takes_no_memory() {
    let _turn = take_turn();
    let (count, time) = match long() {
        true => (1000, Duration::from_secs(60)),
        false => (200, Duration::from_secs(5)),
    };
    let dimmer = start();
    let mut clients = dimmer.clients(count).await;
    let mut thumb = dimmer.client().await;
    let mut memory = Vec::new();
    for round in 0..ROUNDS {
        let mut reading = JoinSet::new();
        for client in clients {
            reading.spawn(read(client, last(round)));
        }
        drag(&mut thumb, time / ROUNDS as u32, THUMB, last(round)).await;
        let ended = Instant::now();
        // Panics if one was disconnected, or was sent nothing.
        clients = reading.join_all().await;
        println!(
            "{count} clients in step {:?} after the last input",
            ended.elapsed()
        );
        memory.push(dimmer.memory());
    }
    for client in &mut clients {
        client.settled().await;
        assert_eq!(client.levels["led"], thumb.levels["led"]);
        assert_eq!(client.pages as usize, count + 1);
    }
    assert_eq!(dimmer.level("led").await, thumb.levels["led"]);
    assert_no_growth("clients that read", &memory);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_reconnect_in_a_loop_leave_nothing_behind() {
    let _turn = take_turn();
    let times = if long() { 50 } else { 5 };
    let dimmer = start();
    let mut watcher = dimmer.client().await;
    let mut memory = Vec::new();
    for round in 0..ROUNDS {
        let reconnecting = (0..200).map(|number| {
            let address = dimmer.address;
            async move {
                for time in 0..times {
                    let mut client = TestClient::open(address).await;
                    client
                        .change("led", json!({ "level": (number + time) % 100 }))
                        .await;
                    if number % 2 == 0 {
                        client.socket.close(None).await.unwrap();
                    }
                }
            }
        });
        join_all(reconnecting).await;
        watcher.change("led", json!({ "level": last(round) })).await;
        until("all of them are gone", async || {
            watcher.settled().await;
            watcher.pages == 1
        })
        .await;
        memory.push(dimmer.memory());
    }
    watcher.settled().await;
    assert_eq!(dimmer.level("led").await, watcher.levels["led"]);
    assert_no_growth("clients that reconnect", &memory);
}

/// Less than what is left of the 20 s of silence after which the service sends a ping, when the short form has passed.
const BEFORE_A_PING: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_never_read_take_no_memory_and_put_nobody_out_of_step() {
    let _turn = take_turn();
    let time = Duration::from_secs(if long() { 20 } else { 5 });
    let dimmer = start();
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TestClient::open_with(dimmer.address, Some(1024)).await);
    }
    let mut thumb = dimmer.client().await;
    let mut other = dimmer.client().await;
    let mut memory = Vec::new();
    for round in 0..ROUNDS {
        let reading = tokio::spawn(read(other, last(round)));
        // So fast that a queue of unread messages would show.
        let pace = Duration::from_millis(1);
        drag(&mut thumb, time / ROUNDS as u32, pace, last(round)).await;
        other = reading.await.unwrap();
        memory.push(dimmer.memory());
    }
    assert_eq!(dimmer.level("led").await, thumb.levels["led"]);
    assert_no_growth("clients that never read", &memory);
    // One of them reads after all: it is sent the level without having to send anything, and before a ping.
    let reads = read(silent.remove(0), last(ROUNDS - 1));
    timeout(BEFORE_A_PING, reads)
        .await
        .expect("it receives the level");
}
