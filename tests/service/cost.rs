//! What a change costs the service: instructions in user space, and system calls. Unlike times, these are much the same on
//! a busy machine, so each has a bound here. docs/performance.md says what they are made of.

use std::env;
use std::fs;
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use crate::common::{Setup, TestServer, need, run_by, until};

/// Changes in two runs of the service. What its start, its clients and its end cost is in both, and cancels out.
const CHANGES: [u32; 2] = [100, 600];
/// Clients that watch, in two pairs of runs.
const WATCHING: [usize; 2] = [1, 11];

/// The most of both that a change may cost with so many clients: a sixth, or one call for each, above what it does. What
/// it costs with one depends on how busy the machine is, so the difference of the two has no bound of its own.
const MAX_INSTRUCTIONS: [f64; 2] = [41_000.0, 61_000.0];
const MAX_CALLS: [f64; 2] = [10.0, 28.0];

/// Counts what a service does from its start to its end.
struct Counter {
    folder: TempDir,
    command: Command,
    /// What precedes the count in the file `report`, and the column of the count behind that.
    label: &'static str,
    column: usize,
}

impl Counter {
    fn new(program: &str, label: &'static str, column: usize) -> Counter {
        need(program, program);
        Counter {
            folder: tempfile::tempdir().unwrap(),
            command: Command::new(program),
            label,
            column,
        }
    }

    /// Instructions in user space.
    fn of_instructions() -> Counter {
        let mut counter = Counter::new("valgrind", "Collected :", 0);
        let file = |name| counter.folder.path().join(name).display().to_string();
        let (profile, report) = (file("profile"), file("report"));
        counter
            .command
            .arg("--tool=callgrind")
            .arg(format!("--callgrind-out-file={profile}"))
            .arg(format!("--log-file={report}"));
        counter
    }

    fn of_system_calls() -> Counter {
        let mut counter = Counter::new("strace", "100.00", 2);
        // As a grandchild, so that the service gets the signal to stop.
        let report = counter.folder.path().join("report");
        counter
            .command
            .args(["-D", "-f", "-q", "-c", "-o"])
            .arg(report);
        counter
    }

    /// The count of a service that handles so many changes, with so many clients that watch.
    async fn count(self, changes: u32, watching: usize) -> f64 {
        let setup = Setup::new();
        let command = run_by(self.command, &setup.command());
        let dimmer = setup.start_by(command);
        change(&dimmer, changes, watching).await;
        dimmer.stop();
        let mut count = None;
        until("there is a report", async || {
            let report = fs::read_to_string(self.folder.path().join("report"));
            let report = report.unwrap_or_default();
            let (_, total) = report.split_once(self.label).unwrap_or_default();
            let total = total.split_whitespace().nth(self.column);
            count = total.and_then(|total| total.parse().ok());
            count.is_some()
        })
        .await;
        count.unwrap()
    }
}

/// One client makes so many changes, each when all others have the one before.
async fn change(dimmer: &TestServer, changes: u32, watching: usize) {
    let mut sender = dimmer.client().await;
    let mut watching = dimmer.clients(watching).await;
    for number in 0..changes {
        let level = f64::from(1 + number % 99);
        sender.change("led", json!({"level": level})).await;
        for client in &mut watching {
            while client.levels["led"] != level {
                client.next().await;
            }
        }
    }
}

/// What one change costs with so many clients that watch.
async fn cost(counter: fn() -> Counter) -> [f64; 2] {
    let mut costs = [0.0; 2];
    for (cost, watching) in costs.iter_mut().zip(WATCHING) {
        let [short, long] = CHANGES;
        let counted =
            counter().count(long, watching).await - counter().count(short, watching).await;
        *cost = counted / f64::from(long - short);
    }
    costs
}

fn assert_at_most(what: &str, costs: [f64; 2], most: [f64; 2]) {
    for ((cost, most), watching) in costs.into_iter().zip(most).zip(WATCHING) {
        println!("{what}: {cost:.1} a change with {watching} clients");
        assert!(
            cost <= most,
            "{what}: {cost} with {watching} clients, not {most}"
        );
    }
}

#[tokio::test]
#[ignore = "needs valgrind, strace and a release build; scripts/test.sh has them and runs this"]
async fn a_change_costs_no_more_than_it_did() {
    assert!(
        env::var_os("DIMMER_BIN").is_some(),
        "DIMMER_BIN must be a release build"
    );
    let instructions = cost(Counter::of_instructions).await;
    assert_at_most("instructions", instructions, MAX_INSTRUCTIONS);
    let calls = cost(Counter::of_system_calls).await;
    assert_at_most("system calls", calls, MAX_CALLS);
}
