//! Convergence as a property: whatever clients do, in any order of arrival, once all is handled the pins, the
//! state, every client and the store agree.
//!
//! A seed decides what the clients do. `DIMMER_SEED=n` repeats the services and actions of one that
//! failed; when the messages arrive is up to the system, so a rare failure may need several runs.

use std::collections::HashMap;
use std::fs;
use std::time::Instant;

use crate::common::{Setup, TestClient, TestServer, linear, long, take_turn, until};
use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

const LIGHTS: [&str; 3] = ["desk", "shelf", "door"];
const SETTINGS: &str = "[[light]]\nname = \"desk\"\n\
    [[light]]\nname = \"shelf\"\ngpio = 18\ncurve = \"linear\"\n\
    [[light]]\nname = \"door\"\ngpio = 12\n";
/// The most clients open at a time, beside the one that only watches.
const CLIENTS: usize = 8;
/// Actions before each wait for everything to be handled.
const ACTIONS: u32 = 12;
/// Rounds before the store, which is written once a second, is checked.
const ROUNDS: u32 = 50;

/// Each light's level.
type Levels = HashMap<String, f64>;

/// The clients of one service, and what decides what they do.
struct Model {
    dimmer: TestServer,
    http: Client,
    random: StdRng,
    /// Does nothing but watch, so that there is always one.
    watcher: TestClient,
    clients: Vec<TestClient>,
    /// Clients that have stopped reading.
    stalled: Vec<TestClient>,
    /// Set to show what happens to clients that break the rule of `seen`.
    ignores_seen: bool,
}

impl Model {
    async fn new(seed: u64, ignores_seen: bool) -> Model {
        let dimmer = Setup::with(SETTINGS).start();
        Model {
            watcher: dimmer.client().await,
            dimmer,
            // The service closes a connection after 10 s without a request, maybe just when one comes.
            http: Client::builder().pool_max_idle_per_host(0).build().unwrap(),
            random: StdRng::seed_from_u64(seed),
            clients: Vec::new(),
            stalled: Vec::new(),
            ignores_seen,
        }
    }

    /// Takes one of the clients out of the list.
    fn any(&mut self) -> Option<TestClient> {
        let count = self.clients.len();
        (count > 0).then(|| self.clients.swap_remove(self.random.random_range(0..count)))
    }

    async fn act(&mut self) {
        let light = LIGHTS[self.random.random_range(0..LIGHTS.len())];
        let action = self.random.random_range(0..100);
        if action < 8 {
            return self.join().await;
        }
        if action < 12 {
            let change = self.change();
            let url = self.dimmer.url(&format!("/api/lights/{light}"));
            let put = self.http.put(url).body(change.to_string());
            put.send().await.unwrap();
            return;
        }
        let Some(mut client) = self.any() else {
            return self.join().await;
        };
        match action {
            12..16 => return self.stalled.push(client),
            // The client is dropped with all that is on the way to it and from it.
            16..18 => return,
            18..20 => {
                // The client shuts down its sending half, and reads on: for the service it is gone.
                client.socket.get_mut().shutdown().await.unwrap();
                return;
            }
            20..22 => return client.socket.close(None).await.unwrap(),
            22..45 => {
                // A drag: the thumb does not wait for anything.
                for _ in 0..self.random.random_range(1..12) {
                    let level = self.random.random_range(0..=1000);
                    let level = json!({"level": f64::from(level) / 10.0});
                    client.change(light, level).await;
                }
            }
            45..55 => {
                // One of several lights, some of which may not exist.
                for _ in 0..self.random.random_range(1..4) {
                    let lights = self.changes();
                    client.change_together(lights).await;
                }
            }
            55..75 => {
                let change = self.change();
                client.change(light, change).await;
            }
            75..80 => {
                client
                    .send(json!({"name": format!("client {action}")}))
                    .await
            }
            80..85 => {
                client.settled().await;
            }
            _ => client.drain(),
        }
        self.clients.push(client);
    }

    async fn join(&mut self) {
        if let Some(client) = self.stalled.pop() {
            // A client that had stopped reads again.
            self.clients.push(client);
        } else if self.clients.len() < CLIENTS {
            let buffer = self.random.random_bool(0.3).then_some(2048);
            let mut client = TestClient::open_with(self.dimmer.address, buffer).await;
            client.ignores_seen = self.ignores_seen;
            if self.random.random_bool(0.5) {
                client.send(json!({"batch": true})).await;
            }
            self.clients.push(client);
        }
    }

    /// A change of any kind, invalid ones included.
    fn change(&mut self) -> Value {
        let random = &mut self.random;
        match random.random_range(0..10) {
            0..3 => json!({"step": random.random_range(-30..=30)}),
            3 => json!({"toggle": true}),
            4 => json!({"on": random.random_bool(0.5)}),
            5 => json!({"level": 150}),
            6 => json!({"level": random.random_range(0..=100), "transition": 0.02}),
            7 => json!({"level": f64::from(random.random_range(0..100_000)) / 1000.0}),
            _ => json!({"level": random.random_range(0..=100)}),
        }
    }

    /// Changes of some of the lights, which may be invalid.
    fn changes(&mut self) -> Value {
        let mut lights = serde_json::Map::new();
        let cellar = self.random.random_bool(0.1).then_some("cellar");
        for light in LIGHTS.into_iter().chain(cellar) {
            match self.random.random_range(0..4) {
                0 => {}
                1 => drop(lights.insert(light.into(), self.change())),
                _ => {
                    let level = self.random.random_range(0..=100);
                    lights.insert(light.into(), json!(level));
                }
            }
        }
        Value::Object(lights)
    }

    async fn state(&self) -> Levels {
        let url = self.dimmer.url("/api/lights");
        let lights: Value = self
            .http
            .get(url)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let lights = lights.as_array().unwrap().iter();
        lights
            .map(|light| {
                let name = light["name"].as_str().unwrap().to_owned();
                (name, light["level"].as_f64().unwrap())
            })
            .collect()
    }

    /// Waits until everything sent is handled, and returns the levels, or an error that names a client out of step.
    async fn settled(&mut self) -> Result<Levels, String> {
        // What clients sent before they vanished is handled until the service notices that they are gone.
        let open = 1 + self.clients.len() + self.stalled.len();
        let watcher = &mut self.watcher;
        until("the clients that left are gone", async || {
            watcher.settled().await;
            watcher.pages == open as u64
        })
        .await;
        // The first time what each client sent is handled; the second time each has what the others sent.
        for _ in 0..2 {
            for client in self.clients.iter_mut().chain([&mut self.watcher]) {
                client.settled().await;
            }
        }
        let state = self.state().await;
        for client in self.clients.iter().chain([&self.watcher]) {
            if client.levels != state {
                return Err(format!(
                    "a client shows {:?}, but it is {state:?}",
                    client.levels
                ));
            }
        }
        for (light, level) in &state {
            until("the pin follows", async || {
                self.dimmer.duty(light) == Some(linear(*level))
            })
            .await;
        }
        Ok(state)
    }

    /// Waits until the store holds these levels.
    async fn assert_kept(&self, state: &Levels) {
        let file = self.dimmer.setup().levels_file();
        until("the store follows", async || {
            let text = fs::read_to_string(&file).unwrap_or_default();
            let contents: Value = serde_json::from_str(&text).unwrap_or_default();
            let level = |light: &String| contents["lights"][light]["level"].as_f64();
            state.iter().all(|(light, at)| level(light) == Some(*at))
        })
        .await;
    }

    /// This many rounds, each of actions and a wait until everything is handled. The error names the first client that was out of step.
    async fn rounds(&mut self, count: u32) -> Result<(), String> {
        for round in 0..count {
            for _ in 0..ACTIONS {
                self.act().await;
            }
            let state = self
                .settled()
                .await
                .map_err(|error| format!("round {round}: {error}"))?;
            if round % ROUNDS == ROUNDS - 1 {
                self.assert_kept(&state).await;
            }
        }
        Ok(())
    }
}

/// One service with clients that do what the seed says.
async fn simulate(seed: u64, rounds: u32) {
    println!("DIMMER_SEED={seed} repeats this one");
    let mut model = Model::new(seed, false).await;
    model.rounds(rounds).await.unwrap_or_else(|error| {
        panic!("DIMMER_SEED={seed}: {error}");
    });
}

/// The seed in `DIMMER_SEED`, or a few random ones.
fn seeds() -> Vec<u64> {
    match std::env::var("DIMMER_SEED") {
        Ok(seed) => vec![seed.parse().expect("DIMMER_SEED is a number")],
        Err(_) => (0..4).map(|_| rand::random()).collect(),
    }
}

#[tokio::test]
async fn all_clients_agree_once_everything_sent_is_handled() {
    let _turn = take_turn();
    let rounds = ROUNDS * if long() { 100 } else { 10 };
    let start = Instant::now();
    let seeds = seeds();
    let count = seeds.len() as u32 * rounds;
    join_all(seeds.into_iter().map(|seed| simulate(seed, rounds))).await;
    println!(
        "{count} rounds, {} actions, in {:?}",
        count * ACTIONS,
        start.elapsed()
    );
}

#[tokio::test]
async fn the_simulation_finds_clients_that_ignore_seen() {
    let _turn = take_turn();
    let mut model = Model::new(1, true).await;
    let found = model.rounds(400).await;
    println!("{found:?}");
    assert!(found.unwrap_err().contains("a client shows"));
}

/// The race that `seq` and `seen` are for: A sends a level while B's older one is on the way to it.
/// Returns what A shows once all is handled, and the state.
async fn race(ignores_seen: bool) -> (f64, f64) {
    let dimmer = TestServer::start();
    let mut a = dimmer.client().await;
    a.ignores_seen = ignores_seen;
    let mut b = dimmer.client().await;
    a.settled().await;
    a.change("led", json!({"level": 50})).await;
    a.settled().await;
    b.settled().await;

    b.change("led", json!({"level": 10})).await;
    // B's level has arrived at A, but A has not read it when it sends its own.
    let mut byte = [0];
    a.socket.get_ref().peek(&mut byte).await.unwrap();
    a.change("led", json!({"level": 90})).await;
    let received = a.settled().await;
    assert_eq!(received, [json!({"light": "led", "level": 10, "seen": 1})]);
    b.settled().await;
    assert_eq!(b.levels["led"], 90.0);
    (a.levels["led"], dimmer.level("led").await)
}

#[tokio::test]
async fn an_older_level_that_comes_after_a_newer_one_was_sent_is_ignored() {
    assert_eq!(race(false).await, (90.0, 90.0));
}

#[tokio::test]
async fn a_client_that_ignores_seen_ends_out_of_step() {
    assert_eq!(race(true).await, (10.0, 90.0));
}
