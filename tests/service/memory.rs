//! The memory of a client, and two clients that send at once.

use crate::common::{Setup, TestServer};
use serde_json::json;

/// The most that a client may take, in KiB; clients that connect one after another take some 5 each.
const WEIGHT: u64 = 8;
const CLIENTS: usize = 300;

fn roomy() -> TestServer {
    Setup::with("max_pages = 1000\nmax_pages_per_address = 1000\n").start()
}

#[tokio::test]
async fn a_client_takes_little_memory() {
    let dimmer = roomy();
    // The first clients allocate what all share.
    let _first = dimmer.clients(10).await;
    let before = dimmer.memory();
    let _pages = dimmer.clients(CLIENTS).await;
    let weight = (dimmer.memory() - before) / CLIENTS as u64;
    println!("a client takes {weight} KiB");
    assert!(weight < WEIGHT, "a client takes {weight} KiB");
}

#[tokio::test]
async fn a_burst_of_two_clients_at_once_leaves_every_client_with_the_same_level() {
    let dimmer = roomy();
    let mut clients = dimmer.clients(30).await;
    for change in 0..50 {
        for sender in [0, 1] {
            let level = 50 * sender + change;
            clients[sender]
                .change("led", json!({ "level": level }))
                .await;
        }
    }
    // The two senders are first: once they are settled, all that they sent is handled.
    for client in &mut clients {
        client.settled().await;
    }
    // Also what the second sent after the first was settled.
    clients[0].settled().await;
    let level = dimmer.level("led").await;
    for client in &clients {
        assert_eq!(client.levels["led"], level);
    }
}
