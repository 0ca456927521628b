//! What the tests of every crate share, one noun a file. A crate that needs a browser, an MQTT broker or a LAN
//! includes `browser.rs`, `broker.rs` or `lan.rs` beside this module.

// No crate uses all of it.
#![allow(dead_code, unused_imports, clippy::unwrap_used)]

mod client;
mod example;
mod program;
pub mod raw;
mod repository;
mod server;
mod setup;
mod turn;

use std::time::{Duration, Instant};

pub use client::{TestClient, raise_file_limit};
pub use example::{Example, example};
pub use program::{fetched, need, run_by};
pub use raw::{Answer, UPGRADE, read_to_end};
pub use repository::Repository;
pub use server::TestServer;
pub use setup::{Setup, dimmer, duties};
pub use turn::{Turn, take_turn};

/// How long a condition may take to come true; long, as test machines stall.
pub const LIMIT: Duration = Duration::from_secs(20);

/// The duty of a level on the linear curve.
pub fn linear(level: f64) -> u16 {
    (level / 100.0 * 65535.0).round() as u16
}

/// Whether the tests are to take their time: more rounds, more clients, longer measurements.
pub fn long() -> bool {
    std::env::var_os("DIMMER_LONG").is_some_and(|long| long == "1")
}

/// Waits until the condition holds, and panics with `what` if it does not within [`LIMIT`].
pub async fn until(what: &str, holds: impl AsyncFnMut() -> bool) {
    until_within(LIMIT, what, holds).await;
}

/// The same with another limit.
pub async fn until_within(limit: Duration, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < limit, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
