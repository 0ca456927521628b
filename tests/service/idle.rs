//! What the service does while nothing changes.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::{Setup, TestServer, long, need, until};
use crate::lan::with_lan;
use futures_util::StreamExt;
use rustix::process::{Pid, Signal, kill_process};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::sleep;

const CLIENTS: usize = 100;

/// Every system call of the service that ends within this time, as strace writes it.
async fn calls(dimmer: &TestServer, time: Duration) -> Vec<String> {
    let file = dimmer.setup().path().join("calls");
    let mut strace = Command::new("strace")
        .args(["-f", "-tt", "-o"])
        .arg(&file)
        .args(["-p", &dimmer.pid().to_string()])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(strace.stderr.take().unwrap()).lines();
    let first = output.next().unwrap().unwrap();
    assert!(first.contains("attached"), "strace may not look: {first}");
    // Attaching interrupts the wait of each thread, which then waits again.
    sleep(Duration::from_secs(1)).await;
    let before = fs::read_to_string(&file).unwrap();
    sleep(time).await;
    let calls = fs::read_to_string(&file).unwrap();
    kill_process(Pid::from_child(&strace), Signal::INT).unwrap();
    strace.wait().unwrap();
    // A wait that was under way before is on a line that had begun; a wait that is under way now has no result.
    let from = before.rfind('\n').map_or(0, |end| end + 1);
    let ended = calls[from..].lines().filter(|call| call.contains(" = "));
    ended.map(String::from).collect()
}

/// The number of threads. Those that helped at the start end after ten seconds without work.
fn threads(dimmer: &TestServer) -> usize {
    let tasks = format!("/proc/{}/task", dimmer.pid());
    fs::read_dir(tasks).unwrap().count()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs strace; scripts/test.sh installs it and runs this"]
async fn nothing_is_done_while_nothing_changes() {
    need("strace", "strace");
    let dimmer = Setup::with("max_pages_per_address = 200\n").start();
    let mut clients = dimmer.clients(CLIENTS).await;
    for client in &mut clients {
        while client.pages != CLIENTS as u64 {
            client.next().await;
        }
    }
    until("one thread is left, and that of the pin", async || {
        threads(&dimmer) == 2
    })
    .await;
    // The silence of all clients begins here, so no ping is due for 20 s.
    let time = Duration::from_secs(if long() { 30 } else { 5 });
    let mut reading = JoinSet::new();
    for mut client in clients {
        client.settled().await;
        // The library answers pings while it reads.
        reading.spawn(async move { while client.socket.next().await.is_some() {} });
    }
    let calls = calls(&dimmer, time).await;
    let pings = calls.iter().filter(|call| call.contains(PING)).count();
    println!(
        "{} calls in {time:?} with {CLIENTS} clients, {pings} of them pings",
        calls.len()
    );
    if !long() {
        assert_eq!(calls, Vec::<String>::new());
    }
    let others: Vec<_> = calls.iter().filter(|call| !keeps_alive(call)).collect();
    assert!(others.is_empty(), "{others:#?}");
    assert_eq!(pings, if long() { CLIENTS } else { 0 });
}

#[test]
#[ignore = "needs strace and network namespaces; scripts/test.sh installs what is missing and runs this"]
fn a_service_that_is_announced_looks_up_its_addresses_once_a_minute_and_does_nothing_else() {
    need("strace", "strace");
    with_lan(|lan| {
        let setup = Setup::new();
        let mut command = setup.command();
        command.args(["--listen", "0.0.0.0:5000"]);
        let dimmer = setup.start_by(lan.kitchen.on(&command));
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

/// A ping, a frame of nothing but its header, as strace shows it.
const PING: &str = r#""\211\0", 2"#;

/// Whether a call belongs to a ping and its answer.
fn keeps_alive(call: &str) -> bool {
    let is_named = |name| call.contains(name);
    call.contains(PING) || ["recvfrom(", "epoll_wait("].into_iter().any(is_named)
}
