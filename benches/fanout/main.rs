//! What it costs to keep pages in step, beside what it would at least: `cargo bench --bench fanout`.
//!
//! docs/performance.md says what is measured, and what each server is that dimmer is compared with.
//! Arguments choose: `--only floor,dimmer --pages 10,1000 --scenario paced --rounds 1`. `--record` keeps the
//! ratios to the floor in ratios.json, and `--check` fails where they are worse than those.

#![allow(clippy::unwrap_used, missing_docs)]

mod dialect;
mod floor;
mod load;
mod server;
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
use load::{Load, Tally};
use server::{SERVERS, Server, between};

/// A thumb makes 60 changes a second.
const PACE: Duration = Duration::from_nanos(1_000_000_000 / 60);
/// Changes of a drag: two seconds.
const DRAG: usize = 120;
/// Changes of a burst.
const BURST: usize = 100;
const BURSTS: usize = 3;
/// Between bursts: dimmer reads a page's next hundred frames after a tenth of a second.
const PAUSE: Duration = Duration::from_millis(150);
/// Changes of each of two pages; with an echo for each they are within dimmer's 1000 frames a second.
const FLOOD: usize = 200;

/// Pages that the tutorials' servers are given at most: with 1000 they take minutes.
const MOST_TUTORIAL: usize = 100;

const SCENARIOS: [&str; 4] = ["paced", "burst", "both burst", "both flood"];

/// One server's figures in one scenario, once.
#[derive(Serialize)]
struct Record {
    server: String,
    pages: usize,
    scenario: String,
    round: usize,
    figures: BTreeMap<String, f64>,
}

/// What is to be measured.
struct Plan {
    servers: Vec<Server>,
    pages: Vec<usize>,
    scenarios: Vec<&'static str>,
    rounds: usize,
}

/// The ratios to the floor that are recorded in the repository.
const RATIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/fanout/ratios.json");

fn main() -> anyhow::Result<()> {
    let mut plan = Plan {
        servers: SERVERS.to_vec(),
        pages: vec![10, 100, 1000],
        scenarios: SCENARIOS.to_vec(),
        rounds: 3,
    };
    let mut then = String::new();
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        // Cargo's own.
        if argument == "--bench" {
            continue;
        }
        if argument == "--check" || argument == "--record" {
            then = argument;
            continue;
        }
        let value = arguments.next();
        let value = value.with_context(|| format!("{argument} needs a value"))?;
        let wanted = |name: &str| value.split(',').any(|wanted| name.starts_with(wanted));
        match argument.as_str() {
            "--serve" if value == "floor" => floor::serve(),
            "--serve" => textbook::serve(),
            "--only" => plan.servers.retain(|server| wanted(server.name)),
            "--scenario" => plan.scenarios.retain(|scenario| wanted(scenario)),
            "--pages" => plan.pages = value.split(',').map(str::parse).collect::<Result<_, _>>()?,
            "--rounds" => plan.rounds = value.parse()?,
            _ => bail!(
                "there are --only, --pages, --scenario, --rounds, --check and --record, but no {argument}"
            ),
        }
    }
    // Each page is an open file.
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;

    let records = run(&plan)?;
    print!("{}", table::of(&records));
    match then.as_str() {
        "--check" => {
            let recorded = fs::read_to_string(RATIOS).context("nothing is recorded")?;
            table::check(&records, &serde_json::from_str(&recorded)?)
        }
        "--record" => {
            let ratios = serde_json::to_string_pretty(&table::ratios(&records))?;
            Ok(fs::write(RATIOS, ratios + "\n")?)
        }
        _ => Ok(()),
    }
}

/// Measures in turns, so that what else the machine does meets all servers alike.
fn run(plan: &Plan) -> anyhow::Result<Vec<Record>> {
    // The folder of the build, wherever that is.
    let program = env::current_exe()?;
    let folder = program.ancestors().nth(3).unwrap_or(Path::new("."));
    let folder = folder.join("bench");
    fs::create_dir_all(&folder)?;
    let mut file = fs::File::create(folder.join("fanout.jsonl"))?;
    let mut records = Vec::new();
    for round in 0..plan.rounds {
        for &pages in &plan.pages {
            for &scenario in &plan.scenarios {
                for &server in &plan.servers {
                    if server.dialect == Dialect::SocketIo && pages > MOST_TUTORIAL {
                        continue;
                    }
                    let what = format!("{} with {pages} pages, {scenario}", server.name);
                    eprintln!("round {round}: {what}");
                    match measure(server, pages, scenario) {
                        Ok(figures) => {
                            let record = Record {
                                server: server.name.into(),
                                pages,
                                scenario: scenario.into(),
                                round,
                                figures,
                            };
                            writeln!(file, "{}", serde_json::to_string(&record)?)?;
                            records.push(record);
                        }
                        Err(error) => eprintln!("!!! NOT MEASURED: {what}: {error:#}"),
                    }
                }
            }
        }
    }
    ensure!(!records.is_empty(), "nothing was measured");
    Ok(records)
}

fn measure(server: Server, pages: usize, scenario: &str) -> anyhow::Result<BTreeMap<String, f64>> {
    let running = server.start()?;
    // What a start leaves to do.
    sleep(Duration::from_millis(100));
    let idle = running.memory("VmRSS:")?;
    let both = scenario.starts_with("both");
    let mut load = Load::open(
        running.address,
        server.dialect,
        pages,
        1 + usize::from(both),
    )?;
    let open = running.memory("VmRSS:")?;

    let start = Instant::now();
    let before = running.spent()?;
    let mut convergences = Vec::new();
    match scenario {
        "paced" => convergences.push(load.drag(DRAG, PACE)?),
        "burst" => {
            for _ in 0..BURSTS {
                load.burst(BURST)?;
                convergences.push(load.converge()?);
                sleep(PAUSE);
            }
        }
        "both burst" => {
            for _ in 0..BURSTS {
                load.burst(BURST / 2)?;
                load.settle()?;
            }
        }
        _ => load.flood(FLOOD)?,
    }
    let time = start.elapsed();
    load.settle()?;
    let spent = between(&before, &running.spent()?);

    let Tally {
        mut latencies,
        mut own_latencies,
        delivered,
        changes,
        busy,
    } = std::mem::take(&mut load.tally);
    let mut figures = BTreeMap::new();
    let mut add = |name: &str, figure: f64| figures.insert(name.to_owned(), figure);
    add("start ms", running.start.as_secs_f64() * 1e3);
    add("idle KiB", idle);
    add("KiB per page", (open - idle) / pages as f64);
    add("peak KiB", running.memory("VmHWM:")?);
    add("µs CPU per 1,000 delivered", spent / delivered as f64);
    add("µs CPU per 1,000 changes", spent / changes as f64);
    add("delivered per change", delivered as f64 / changes as f64);
    add("load's share of its core", busy.div_duration_f64(time));
    add("right", load.right());
    add("cut off", load.gone() as f64);
    for (name, latencies) in [("", &mut latencies), ("own ", &mut own_latencies)] {
        if !latencies.is_empty() {
            latencies.sort_unstable();
            let share = |share: usize| latencies[(latencies.len() - 1) * share / 100] as f64 / 1e3;
            add(&format!("{name}p50 µs"), share(50));
            add(&format!("{name}p99 µs"), share(99));
        }
    }
    // A page that never gets the last change has no time of convergence.
    if let Some(mut times) = convergences.into_iter().collect::<Option<Vec<_>>>() {
        times.sort();
        if let Some(median) = times.get(times.len() / 2) {
            add("convergence ms", median.as_secs_f64() * 1e3);
        }
    }
    Ok(figures)
}
