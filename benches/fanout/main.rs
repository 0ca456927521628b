//! The cost of keeping clients in step, compared with the least possible cost: `cargo bench --bench fanout`.
//!
//! docs/performance.md describes the method, the scenarios and the servers. Options select a part:
//! `--only floor,dimmer --clients 10,1000 --scenario paced --rounds 1`. `--record` writes the ratios to the floor to
//! ratios.json, and `--check` fails if a ratio is worse than the recorded one.

#![allow(clippy::unwrap_used, missing_docs)]

mod dialect;
mod floor;
mod load;
mod server;
#[path = "../stats/mod.rs"]
mod stats;
mod table;
mod textbook;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde::Serialize;

use dialect::Dialect;
use load::{LoadGenerator, Totals};
use server::{SERVERS, Server, cpu_time_between};
use stats::{millis, percentile};

/// Interval between the changes of a drag: a browser sends at most one per frame, 60 a second.
const PACE: Duration = Duration::from_nanos(1_000_000_000 / 60);
/// Changes of a drag: two seconds of them.
const DRAG: usize = 120;
/// Changes of a burst.
const BURST: usize = 100;
/// Bursts, each as soon as all watching clients have the last change of the one before.
const BURSTS: usize = 30;
/// Bursts of both senders, with silence between them.
const BOTH_BURSTS: usize = 3;
/// Changes of the only sender in a flood, each as soon as all watching clients have the one before.
const FLOOD: usize = 1500;
/// Changes of each of the two senders in a flood of both.
const BOTH_FLOOD: usize = 200;

/// Maximum number of clients for the tutorials' server: with 1000 it takes minutes.
const MAX_TUTORIAL_CLIENTS: usize = 100;

const SCENARIOS: [&str; 5] = ["paced", "burst", "flood", "both burst", "both flood"];

/// The figures of one server in one scenario and round: a line of `target/bench/fanout.jsonl`.
#[derive(Serialize)]
struct Sample {
    server: String,
    clients: usize,
    scenario: String,
    round: usize,
    figures: BTreeMap<String, f64>,
}

/// The combinations to measure.
struct Plan {
    servers: Vec<Server>,
    clients: Vec<usize>,
    scenarios: Vec<&'static str>,
    rounds: usize,
}

/// What to do with the ratios to the floor.
enum Mode {
    Print,
    Check,
    Record,
}

/// The file with the recorded ratios to the floor.
const RATIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/fanout/ratios.json");

fn main() -> anyhow::Result<()> {
    let mut plan = Plan {
        servers: SERVERS.to_vec(),
        clients: vec![10, 100, 1000],
        scenarios: SCENARIOS.to_vec(),
        rounds: 3,
    };
    let mut mode = Mode::Print;
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // Cargo passes this to every benchmark.
            "--bench" => continue,
            "--check" => {
                mode = Mode::Check;
                continue;
            }
            "--record" => {
                mode = Mode::Record;
                continue;
            }
            _ => {}
        }
        let value = arguments.next();
        let value = value.with_context(|| format!("{argument} needs a value"))?;
        let wanted = |name: &str| value.split(',').any(|wanted| name.starts_with(wanted));
        match argument.as_str() {
            "--serve" if value == "floor" => floor::serve(),
            "--serve" => textbook::serve(),
            "--only" => plan.servers.retain(|server| wanted(server.name)),
            "--scenario" => plan.scenarios.retain(|scenario| wanted(scenario)),
            "--clients" => {
                plan.clients = value.split(',').map(str::parse).collect::<Result<_, _>>()?
            }
            "--rounds" => plan.rounds = value.parse()?,
            _ => bail!(
                "unknown option {argument}; use --only, --clients, --scenario, --rounds, --check or --record"
            ),
        }
    }
    // Each client is an open file, here and in the server, which inherits the limit.
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;

    let samples = run(&plan)?;
    print!("{}", table::render(&samples));
    match mode {
        Mode::Print => Ok(()),
        Mode::Check => {
            let recorded = fs::read_to_string(RATIOS)
                .with_context(|| format!("cannot read {RATIOS}; create it with --record"))?;
            table::check(&samples, &serde_json::from_str(&recorded)?)
        }
        Mode::Record => {
            let ratios = serde_json::to_string_pretty(&table::ratios(&samples))?;
            Ok(fs::write(RATIOS, ratios + "\n")?)
        }
    }
}

/// Measures the servers in turns, so that other load on the machine affects all of them alike.
fn run(plan: &Plan) -> anyhow::Result<Vec<Sample>> {
    // The target folder: the benchmark is target/release/deps/fanout-HASH.
    let program = env::current_exe()?;
    let folder = program.ancestors().nth(3).unwrap_or(Path::new("."));
    let folder = folder.join("bench");
    fs::create_dir_all(&folder)?;
    let mut file = fs::File::create(folder.join("fanout.jsonl"))?;
    let mut samples = Vec::new();
    for round in 0..plan.rounds {
        for &clients in &plan.clients {
            for &scenario in &plan.scenarios {
                for &server in &plan.servers {
                    if server.dialect == Dialect::SocketIo && clients > MAX_TUTORIAL_CLIENTS {
                        continue;
                    }
                    let run = format!("{} with {clients} clients, {scenario}", server.name);
                    eprintln!("round {round}: {run}");
                    match measure(server, clients, scenario) {
                        Ok(figures) => {
                            let sample = Sample {
                                server: server.name.into(),
                                clients,
                                scenario: scenario.into(),
                                round,
                                figures,
                            };
                            writeln!(file, "{}", serde_json::to_string(&sample)?)?;
                            samples.push(sample);
                        }
                        Err(error) => eprintln!("!!! NOT MEASURED: {run}: {error:#}"),
                    }
                }
            }
        }
    }
    ensure!(
        !samples.is_empty(),
        "nothing was measured: every server failed, or --only and --scenario match none"
    );
    Ok(samples)
}

/// Starts the server, runs the scenario, and returns the figures by name.
fn measure(
    server: Server,
    clients: usize,
    scenario: &str,
) -> anyhow::Result<BTreeMap<String, f64>> {
    let running = server.start()?;
    // Lets the server finish what it does after it listens.
    sleep(Duration::from_millis(100));
    let idle = running.memory("VmRSS:")?;
    let both = scenario.starts_with("both");
    let senders = 1 + usize::from(both);
    let mut load = LoadGenerator::open(running.address, server.dialect, clients, senders)?;
    let with_clients = running.memory("VmRSS:")?;

    let start = Instant::now();
    let before = running.cpu_times()?;
    let mut convergences = Vec::new();
    match scenario {
        "paced" => convergences.push(load.drag(DRAG, PACE)?),
        "burst" => {
            for _ in 0..BURSTS {
                load.burst(BURST)?;
                convergences.push(load.converge()?);
            }
        }
        "flood" => {
            for _ in 0..FLOOD {
                load.burst(1)?;
                convergences.push(load.converge()?);
            }
        }
        "both burst" => {
            for _ in 0..BOTH_BURSTS {
                load.burst(BURST / 2)?;
                load.settle()?;
            }
        }
        _ => load.flood(BOTH_FLOOD)?,
    }
    let time = start.elapsed();
    load.settle()?;
    let cpu_time = cpu_time_between(&before, &running.cpu_times()?);

    let Totals {
        mut watcher_latencies,
        mut sender_latencies,
        delivered,
        changes,
        busy,
    } = std::mem::take(&mut load.totals);
    let mut figures = BTreeMap::new();
    let mut add = |name: &str, figure: f64| figures.insert(name.to_owned(), figure);
    add("start ms", millis(running.startup));
    add("idle KiB", idle);
    add("KiB per client", (with_clients - idle) / clients as f64);
    add("peak KiB", running.memory("VmHWM:")?);
    add("µs CPU per 1,000 delivered", cpu_time / delivered as f64);
    add("µs CPU per 1,000 changes", cpu_time / changes as f64);
    add("delivered per change", delivered as f64 / changes as f64);
    add("µs per change", time.as_secs_f64() * 1e6 / changes as f64);
    add("load generator busy", busy.div_duration_f64(time));
    add("in step", load.in_step());
    add("disconnected", load.disconnected() as f64);
    for (name, latencies) in [
        ("", &mut watcher_latencies),
        ("sender ", &mut sender_latencies),
    ] {
        if !latencies.is_empty() {
            latencies.sort_unstable();
            let micros = |percent| percentile(latencies, percent) as f64 / 1e3;
            add(&format!("{name}p50 µs"), micros(50));
            add(&format!("{name}p99 µs"), micros(99));
        }
    }
    // A run in which a client never received the last change has no convergence.
    if let Some(mut times) = convergences.into_iter().collect::<Option<Vec<_>>>() {
        times.sort();
        if let Some(median) = times.get(times.len() / 2) {
            add("convergence ms", millis(*median));
        }
    }
    Ok(figures)
}
