//! The table of results: medians of the rounds, their ratios, and the goals for dimmer; and the check of the ratios
//! against the recorded ones.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::ensure;
use serde::{Deserialize, Serialize};

use crate::Sample;
use crate::server::SERVERS;

/// A figure of a scenario; the table has a row of it for each number of clients.
struct Row {
    /// `any` combines all scenarios.
    scenario: &'static str,
    figure: &'static str,
    goal: Goal,
}

/// The goal for dimmer.
enum Goal {
    None,
    /// Maximum ratios to the floor, each from its number of clients on, in rising order.
    OfFloor(&'static [(usize, f64)]),
    /// A maximum, from this number of clients on.
    AtMost(f64, usize),
    /// A value that every round must have.
    Exactly(f64),
}
use Goal::{AtMost, Exactly, OfFloor};

const fn row(scenario: &'static str, figure: &'static str, goal: Goal) -> Row {
    Row {
        scenario,
        figure,
        goal,
    }
}

const ROWS: [Row; 28] = [
    row(
        "paced",
        "µs CPU per 1,000 delivered",
        OfFloor(&[(10, 1.25), (100, 1.10)]),
    ),
    row("paced", "µs CPU per 1,000 changes", Goal::None),
    row("paced", "p50 µs", OfFloor(&[(10, 1.10), (100, 1.05)])),
    row("paced", "p99 µs", Goal::None),
    row("paced", "convergence ms", Goal::None),
    row("paced", "in step", Exactly(1.0)),
    row("paced", "load generator busy", Goal::None),
    row("burst", "µs CPU per 1,000 changes", OfFloor(&[(100, 0.03)])),
    row("burst", "delivered per change", Goal::None),
    row(
        "burst",
        "convergence ms",
        OfFloor(&[(10, 0.10), (100, 0.05), (1000, 0.03)]),
    ),
    row("burst", "in step", Exactly(1.0)),
    row("burst", "disconnected", Exactly(0.0)),
    row("flood", "µs CPU per 1,000 changes", Goal::None),
    row("flood", "µs per change", OfFloor(&[(10, 1.0)])),
    row("flood", "in step", Exactly(1.0)),
    row("flood", "disconnected", Exactly(0.0)),
    row("both burst", "µs CPU per 1,000 changes", Goal::None),
    row("both burst", "sender p50 µs", Goal::None),
    row("both burst", "sender p99 µs", OfFloor(&[(10, 2.0)])),
    row("both burst", "in step", Exactly(1.0)),
    row("both burst", "disconnected", Exactly(0.0)),
    row("both flood", "µs CPU per 1,000 changes", Goal::None),
    row("both flood", "in step", Exactly(1.0)),
    row("both flood", "disconnected", Exactly(0.0)),
    row("any", "start ms", AtMost(20.0, 0)),
    row("any", "idle KiB", AtMost(4608.0, 0)),
    row("any", "KiB per client", AtMost(5.5, 1000)),
    row("any", "peak KiB", Goal::None),
];

/// A server's figure in one round; the median if the row combines scenarios.
fn in_round(
    samples: &[Sample],
    row: &Row,
    server: &str,
    clients: usize,
    round: usize,
) -> Option<f64> {
    let samples = samples.iter().filter(|sample| {
        sample.server == server
            && sample.clients == clients
            && sample.round == round
            && (sample.scenario == row.scenario || row.scenario == "any")
    });
    summarize(
        row,
        samples.filter_map(|sample| sample.figures.get(row.figure).copied()),
    )
}

/// The median; for a goal that every round must reach, the worst value.
fn summarize(row: &Row, figures: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut figures: Vec<_> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    match row.goal {
        Exactly(goal) => figures
            .into_iter()
            .max_by(|a, b| (a - goal).abs().total_cmp(&(b - goal).abs())),
        _ => figures.get(figures.len() / 2).copied(),
    }
}

fn rounds(samples: &[Sample]) -> std::ops::Range<usize> {
    0..samples
        .iter()
        .map(|sample| sample.round + 1)
        .max()
        .unwrap_or(0)
}

/// A server's figures, one for each round in which it was measured.
fn figures(samples: &[Sample], row: &Row, server: &str, clients: usize) -> Vec<f64> {
    rounds(samples)
        .filter_map(|round| in_round(samples, row, server, clients, round))
        .collect()
}

/// dimmer's figure divided by another server's, for each round: a busy machine slows down both alike.
fn ratios_to(samples: &[Sample], row: &Row, server: &str, clients: usize) -> Vec<f64> {
    rounds(samples)
        .filter_map(|round| {
            let figure = |server| in_round(samples, row, server, clients, round);
            Some(figure("dimmer")? / figure(server)?).filter(|ratio| ratio.is_finite())
        })
        .collect()
}

/// The numbers of clients that were measured.
fn client_counts(samples: &[Sample]) -> Vec<usize> {
    let mut counts: Vec<_> = samples.iter().map(|sample| sample.clients).collect();
    counts.sort_unstable();
    counts.dedup();
    counts
}

/// dimmer's ratio to the floor.
#[derive(Serialize, Deserialize)]
pub struct Ratio {
    ratio: f64,
    /// Difference between the highest and the lowest round.
    spread: f64,
}

/// By scenario, figure and number of clients.
pub type Ratios = BTreeMap<String, Ratio>;

/// The ratios to the floor of every figure whose goal is a maximum.
pub fn ratios(samples: &[Sample]) -> Ratios {
    let mut ratios = Ratios::new();
    let limited = |row: &&Row| matches!(row.goal, OfFloor(..) | AtMost(..));
    for row in ROWS.iter().filter(limited) {
        for clients in client_counts(samples) {
            let rounds = ratios_to(samples, row, "floor", clients);
            let Some(ratio) = summarize(row, rounds.iter().copied()) else {
                continue;
            };
            let min = rounds.iter().copied().fold(ratio, f64::min);
            let max = rounds.iter().copied().fold(ratio, f64::max);
            let [ratio, spread] = [ratio, max - min].map(|figure| (figure * 1e3).round() / 1e3);
            let name = format!("{}, {}, {clients} clients", row.scenario, row.figure);
            ratios.insert(name, Ratio { ratio, spread });
        }
    }
    ratios
}

/// Fails if a ratio exceeds the recorded one by more than a fifth plus the spread of both runs, or if a client is
/// disconnected or out of step.
pub fn check(samples: &[Sample], recorded: &Ratios) -> anyhow::Result<()> {
    let mut worse = Vec::new();
    for (name, measured) in ratios(samples) {
        let Some(recorded) = recorded.get(&name) else {
            continue;
        };
        if measured.ratio > recorded.ratio * 1.2 + recorded.spread + measured.spread {
            worse.push(format!(
                "{name}: {} × floor, recorded {}",
                measured.ratio, recorded.ratio
            ));
        }
    }
    for row in &ROWS {
        let Exactly(goal) = row.goal else { continue };
        for clients in client_counts(samples) {
            let figures = figures(samples, row, "dimmer", clients);
            if figures.iter().any(|figure| *figure != goal) {
                worse.push(format!(
                    "{}, {}, {clients} clients: {figures:?} by round, not {goal}",
                    row.scenario, row.figure
                ));
            }
        }
    }
    ensure!(
        worse.is_empty(),
        "dimmer is worse than recorded:\n{}",
        worse.join("\n")
    );
    Ok(())
}

/// The table in Markdown, with the servers that were measured.
pub fn render(samples: &[Sample]) -> String {
    let servers: Vec<_> = SERVERS
        .iter()
        .map(|server| server.name)
        .filter(|name| samples.iter().any(|sample| sample.server == *name))
        .collect();
    let mut table = format!(
        "| scenario | figure | clients | {} | ÷ floor | ÷ textbook | goal |\n",
        servers.join(" | ")
    );
    table += "|---|---|";
    table += &"--:|".repeat(servers.len() + 4);
    table.push('\n');
    for row in &ROWS {
        for clients in client_counts(samples) {
            let median = |server| summarize(row, figures(samples, row, server, clients));
            if servers.iter().all(|server| median(server).is_none()) {
                continue;
            }
            let dimmer = median("dimmer");
            let ratio = |server| summarize(row, ratios_to(samples, row, server, clients));
            write!(table, "| {} | {} | {clients} |", row.scenario, row.figure).unwrap();
            for server in &servers {
                write!(table, " {} |", format_figure(median(server))).unwrap();
            }
            for server in ["floor", "textbook"] {
                write!(table, " {} |", format_figure(ratio(server))).unwrap();
            }
            writeln!(
                table,
                " {} |",
                verdict(&row.goal, clients, dimmer, ratio("floor"))
            )
            .unwrap();
        }
    }
    table
}

/// The goal, marked with whether dimmer reaches it; empty if there is none for this number of clients.
fn verdict(goal: &Goal, clients: usize, dimmer: Option<f64>, floor_ratio: Option<f64>) -> String {
    let (reached, text) = match goal {
        OfFloor(maxima) => {
            let Some((_, max)) = maxima.iter().rfind(|(from, _)| clients >= *from) else {
                return String::new();
            };
            (
                floor_ratio.map(|ratio| ratio <= *max),
                format!("≤ {max} × floor"),
            )
        }
        AtMost(max, from) if clients >= *from => {
            (dimmer.map(|figure| figure <= *max), format!("≤ {max}"))
        }
        Exactly(goal) => (dimmer.map(|figure| figure == *goal), format!("{goal}")),
        Goal::None | AtMost(..) => return String::new(),
    };
    match reached {
        Some(true) => format!("✓ {text}"),
        Some(false) => format!("✗ {text}"),
        None => text,
    }
}

/// Formats with three significant digits, or more before the decimal point.
fn format_figure(figure: Option<f64>) -> String {
    match figure {
        None => String::new(),
        Some(figure) if figure.fract() == 0.0 => format!("{figure}"),
        Some(figure) if figure.abs() < 10.0 => format!("{figure:.3}"),
        Some(figure) if figure.abs() < 100.0 => format!("{figure:.1}"),
        Some(figure) => format!("{figure:.0}"),
    }
}
