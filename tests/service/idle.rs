//! What the service does while nothing changes.

#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/lan.rs"]
mod lan;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Dimmer, Home, long, until};
use futures_util::StreamExt;
use futures_util::future::join_all;
use lan::with_lan;
use rustix::process::{Pid, Signal, kill_process};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::sleep;

const PAGES: usize = 100;

/// Whether strace is there, and may look into a program that it did not start.
fn can_trace() -> bool {
    let mut other = Command::new("sleep").arg("60").spawn().unwrap();
    let traced = Command::new("timeout")
        .args(["--signal=INT", "1", "strace", "-p"])
        .arg(other.id().to_string())
        .output();
    other.kill().unwrap();
    other.wait().unwrap();
    traced.is_ok_and(|traced| String::from_utf8_lossy(&traced.stderr).contains("attached"))
}

/// Every system call of the service that ends in this time, as strace writes it.
async fn calls(dimmer: &Dimmer, time: Duration) -> Vec<String> {
    let file = dimmer.home().path().join("calls");
    let mut strace = Command::new("strace")
        .args(["-f", "-tt", "-o"])
        .arg(&file)
        .args(["-p", &dimmer.pid().to_string()])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(strace.stderr.take().unwrap()).lines();
    assert!(said.next().unwrap().unwrap().contains("attached"));
    // To be looked into ends a wait, and each thread goes back to waiting.
    sleep(Duration::from_secs(1)).await;
    let before = fs::read_to_string(&file).unwrap();
    sleep(time).await;
    let calls = fs::read_to_string(&file).unwrap();
    kill_process(Pid::from_child(&strace), Signal::INT).unwrap();
    strace.wait().unwrap();
    // A wait that was under way then is on a line that was begun; one that is now has no result.
    let from = before.rfind('\n').map_or(0, |end| end + 1);
    let ended = calls[from..].lines().filter(|call| call.contains(" = "));
    ended.map(String::from).collect()
}

/// How many there are. Those that helped at the start end after ten seconds without work.
fn threads(dimmer: &Dimmer) -> usize {
    let tasks = format!("/proc/{}/task", dimmer.pid());
    fs::read_dir(tasks).unwrap().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_done_while_nothing_changes() {
    if !can_trace() {
        eprintln!(
            "!!! NOT TESTED: strace, which shows what the service does, is not there or may not look"
        );
        return;
    }
    let dimmer = Home::with("max_pages_per_address = 200\n").start();
    let mut pages = join_all((0..PAGES).map(|_| dimmer.page())).await;
    for page in &mut pages {
        while page.pages != PAGES as u64 {
            page.next().await;
        }
    }
    until("one thread is left, and that of the pin", async || {
        threads(&dimmer) == 2
    })
    .await;
    // Then the keep-alives are due at once, and not again for 20 s.
    let time = Duration::from_secs(if long() { 30 } else { 5 });
    let mut reading = JoinSet::new();
    for mut page in pages {
        page.settle().await;
        // To read is to answer.
        reading.spawn(async move { while page.socket.next().await.is_some() {} });
    }
    let calls = calls(&dimmer, time).await;
    let pings = calls.iter().filter(|call| call.contains(PING)).count();
    println!(
        "{} calls in {time:?} with {PAGES} pages, {pings} of them pings",
        calls.len()
    );
    if !long() {
        assert_eq!(calls, Vec::<String>::new());
    }
    let others: Vec<_> = calls.iter().filter(|call| !keeps_alive(call)).collect();
    assert!(others.is_empty(), "{others:#?}");
    assert_eq!(pings, if long() { PAGES } else { 0 });
}

#[test]
fn a_service_that_is_announced_looks_up_its_addresses_once_a_minute_and_does_nothing_else() {
    if !can_trace() {
        eprintln!("!!! NOT TESTED: strace is not there or may not look");
        return;
    }
    with_lan(|lan| {
        let home = Home::new();
        let mut command = home.command();
        command.args(["--listen", "0.0.0.0:5000"]);
        let dimmer = home.start_by(lan.kitchen.on(&command));
        Runtime::new().unwrap().block_on(async {
            until(
                "those of the service, the pin and mDNS are left",
                async || threads(&dimmer) == 3,
            )
            .await;
            let (time, most) = if long() { (90, 2) } else { (5, 0) };
            let time = Duration::from_secs(time);
            let calls = calls(&dimmer, time).await;
            println!("{} calls in {time:?}", calls.len());
            let look_ups = calls.iter().filter(|call| call.contains("SOCK_RAW"));
            assert!(look_ups.count() <= most, "{calls:#?}");
            assert!(long() || calls.is_empty(), "{calls:#?}");
        });
    });
}

/// A frame of nothing but its head, as strace shows it.
const PING: &str = r#""\211\0", 2"#;

/// Whether a call is one of those for a ping and its answer.
fn keeps_alive(call: &str) -> bool {
    let heard = |name| call.contains(name);
    call.contains(PING) || ["recvfrom(", "epoll_wait("].into_iter().any(heard)
}
