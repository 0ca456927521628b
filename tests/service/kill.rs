//! SIGKILL at any moment, again and again: what was acknowledged is there after the restart.
//!
//! This proves the order of the writes, not the disk: a killed program's writes are not lost, a
//! power cut's are. Against that the store syncs; see tests/service/faults.rs.

use std::fs;
use std::path::Path;
use std::pin::pin;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{LIMIT, Setup, TestClient, long, take_turn};
use futures_util::StreamExt;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::join;
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

/// How long an acknowledged level may be unwritten: the second between two writes.
const SECOND: Duration = Duration::from_secs(1);
/// The time of a write itself, into memory, on a busy test machine.
const WRITE: Duration = Duration::from_millis(1000);
/// The latest kill after a start.
const LATEST: Duration = Duration::from_millis(3500);

const SETTINGS: &str = "[[light]]\nname = \"desk\"\n[[light]]\nname = \"shelf\"\ngpio = 18\n";

/// What was sent, and when it was acknowledged.
struct Sent {
    level: f64,
    acknowledged: Option<Instant>,
}

/// The next message, or nothing once the service has ended.
async fn next(client: &mut TestClient) -> Option<Value> {
    match client.socket.next().await {
        Some(Ok(Message::Text(text))) => Some(serde_json::from_str(&text).unwrap()),
        _ => None,
    }
}

/// Drags one light up and down, so that no level comes again within one life of the service, and
/// records which levels are acknowledged. Ends with the service.
async fn drag(mut client: TestClient, first: f64, sent: &mut Vec<Sent>) {
    let mut tenths = (first * 10.0).round() as u32;
    loop {
        tenths = (tenths + 1) % 1001;
        let level = f64::from(tenths) / 10.0;
        sent.push(Sent {
            level,
            acknowledged: None,
        });
        let echo = json!({ "echo": tenths });
        for message in [json!({"light": "desk", "level": level}), echo.clone()] {
            if client.send_frame(message.to_string().into()).await.is_err() {
                return;
            }
        }
        loop {
            match next(&mut client).await {
                None => return,
                Some(message) if message == echo => break,
                Some(_) => {}
            }
        }
        sent.last_mut().unwrap().acknowledged = Some(Instant::now());
        // A thumb's pace.
        sleep(Duration::from_millis(5)).await;
    }
}

/// Load at the same time: changes of another light, as fast as the service takes them.
async fn press(mut client: TestClient) {
    let mut number = 0;
    loop {
        number += 1;
        let step = if number % 2 == 0 { 7 } else { -7 };
        let message = json!({"light": "shelf", "step": step}).to_string();
        if client.send_frame(message.into()).await.is_err() || next(&mut client).await.is_none() {
            return;
        }
    }
}

/// The level in the file, if one was written.
fn in_file(file: &Path) -> Option<f64> {
    let text = fs::read_to_string(file).ok()?;
    let contents: Value = serde_json::from_str(&text).expect("the file is whole");
    contents["lights"]["desk"]["level"].as_f64()
}

/// Returns at the moment when the folder or the file in it changes.
fn watch(folder: &Path) {
    let look = || {
        let file = fs::metadata(folder.join("levels.json"));
        let file = file.map(|file| (file.len(), file.modified().unwrap()));
        (fs::metadata(folder).unwrap().modified().unwrap(), file.ok())
    };
    let (start, before) = (Instant::now(), look());
    while look() == before {
        assert!(start.elapsed() < LIMIT, "nothing is written");
    }
}

/// Kills one service this many times. Returns the age of the oldest acknowledged level that a kill lost.
async fn kill(seed: u64, kills: u32) -> Duration {
    let mut random = StdRng::seed_from_u64(seed);
    let mut setup = Setup::with(SETTINGS);
    // In memory, so that a busy disk does not count as the service's own time.
    let memory = Some(Path::new("/dev/shm")).filter(|folder| folder.exists());
    let state = tempfile::tempdir_in(memory.unwrap_or(setup.path())).unwrap();
    let file = state.path().join("levels.json");
    let start = |setup: Setup| {
        setup.start_with(|command| {
            command.arg("--state-dir").arg(state.path());
        })
    };
    let mut first = 50.0;
    let mut oldest = Duration::ZERO;
    for number in 0..kills {
        let dimmer = start(setup);
        assert_eq!(dimmer.level("desk").await, first, "kill {number}");
        // The level at the start was written long ago.
        let mut sent = vec![Sent {
            level: first,
            acknowledged: None,
        }];
        let pid = Pid::from_raw(dimmer.pid().try_into().unwrap()).unwrap();
        let killed = {
            let clients = (dimmer.client().await, dimmer.client().await);
            let mut load =
                pin!(async { join!(drag(clients.0, first, &mut sent), press(clients.1)) });
            let moment = random.random_range(Duration::ZERO..LATEST);
            if number % 2 == 0 {
                assert!(timeout(moment, &mut load).await.is_err(), "it ended early");
            } else {
                // Where a kill hurts most: within half a millisecond of the beginning of a write.
                let folder = state.path().to_owned();
                let write = tokio::task::spawn_blocking(move || {
                    watch(&folder);
                    let spin = Instant::now();
                    while spin.elapsed() < moment / 7000 {}
                    kill_process(pid, Signal::KILL).unwrap();
                });
                join!(load.as_mut(), write).1.unwrap();
            }
            let killed = Instant::now();
            setup = dimmer.kill();
            killed
        };
        let kept = in_file(&file).unwrap_or(first);
        let newest = sent.iter().rposition(|sent| sent.level == kept);
        let newest = newest.unwrap_or_else(|| panic!("kill {number}: {kept} was never sent"));
        if let Some(lost) = sent[newest + 1..].iter().find_map(|sent| sent.acknowledged) {
            let age = killed - lost;
            assert!(
                age < SECOND + WRITE,
                "kill {number}: {kept} is kept, and the next was acknowledged {age:?} before"
            );
            oldest = oldest.max(age);
        }
        first = kept;
    }
    let dimmer = start(setup);
    assert_eq!(dimmer.level("desk").await, first);
    assert!(!file.with_extension("json.damaged").exists());
    oldest
}

#[test]
fn after_a_kill_at_any_moment_the_last_level_is_back_but_for_the_last_second() {
    let _turn = take_turn();
    let (services, kills) = if long() { (10, 50) } else { (5, 5) };
    let seed: u64 = rand::random();
    println!("seed {seed}");
    // Each in a thread of its own, as starting one would delay the timing of another.
    let threads: Vec<_> = (0..services)
        .map(|number| {
            thread::spawn(move || {
                let runtime = Runtime::new().unwrap();
                runtime.block_on(kill(seed.wrapping_add(number), kills))
            })
        })
        .collect();
    let oldest = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .max();
    println!(
        "{} kills; the oldest acknowledged level that was lost was {:?} old",
        services * u64::from(kills),
        oldest.unwrap()
    );
}
