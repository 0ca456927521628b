//! The table: medians of the rounds, their ratios, and what dimmer is to reach. And the check of those
//! ratios against recorded ones.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::ensure;
use serde::{Deserialize, Serialize};

use crate::Record;
use crate::server::SERVERS;

/// A row for each number of pages.
struct Row {
    scenario: &'static str,
    figure: &'static str,
    goal: Goal,
}

/// What dimmer is to reach.
enum Goal {
    None,
    /// At most so many times the floor's, from so many pages on.
    OfFloor(f64, usize),
    /// At most this, from so many pages on.
    AtMost(f64, usize),
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

const ROWS: [Row; 24] = [
    row("paced", "µs CPU per 1,000 delivered", OfFloor(1.10, 100)),
    row("paced", "µs CPU per 1,000 changes", Goal::None),
    row("paced", "p50 µs", OfFloor(1.05, 100)),
    row("paced", "p99 µs", Goal::None),
    row("paced", "convergence ms", Goal::None),
    row("paced", "right", Exactly(1.0)),
    row("paced", "load's share of its core", Goal::None),
    row("burst", "µs CPU per 1,000 changes", OfFloor(0.03, 100)),
    row("burst", "delivered per change", Goal::None),
    row("burst", "convergence ms", OfFloor(0.03, 100)),
    row("burst", "right", Exactly(1.0)),
    row("burst", "cut off", Exactly(0.0)),
    row("both burst", "µs CPU per 1,000 changes", Goal::None),
    row("both burst", "own p50 µs", Goal::None),
    row("both burst", "own p99 µs", OfFloor(2.0, 0)),
    row("both burst", "right", Exactly(1.0)),
    row("both burst", "cut off", Exactly(0.0)),
    row("both flood", "µs CPU per 1,000 changes", Goal::None),
    row("both flood", "right", Exactly(1.0)),
    row("both flood", "cut off", Exactly(0.0)),
    row("any", "start ms", AtMost(20.0, 0)),
    row("any", "idle KiB", AtMost(4096.0, 0)),
    row("any", "KiB per page", AtMost(6.0, 1000)),
    row("any", "peak KiB", Goal::None),
];

/// What a server got in one round, in the scenarios of a row.
fn in_round(
    records: &[Record],
    row: &Row,
    server: &str,
    pages: usize,
    round: usize,
) -> Option<f64> {
    let figures = records.iter().filter(|record| {
        record.server == server
            && record.pages == pages
            && record.round == round
            && (record.scenario == row.scenario || row.scenario == "any")
    });
    typical(
        row,
        figures.filter_map(|record| record.figures.get(row.figure).copied()),
    )
}

/// The median; of what always has to be so, the worst.
fn typical(row: &Row, figures: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut figures: Vec<_> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    match row.goal {
        Exactly(wanted) => figures
            .into_iter()
            .max_by(|a, b| (a - wanted).abs().total_cmp(&(b - wanted).abs())),
        _ => figures.get(figures.len() / 2).copied(),
    }
}

fn rounds(records: &[Record]) -> std::ops::Range<usize> {
    0..records
        .iter()
        .map(|record| record.round + 1)
        .max()
        .unwrap_or(0)
}

/// One figure for each round.
fn figures(records: &[Record], row: &Row, server: &str, pages: usize) -> Vec<f64> {
    rounds(records)
        .filter_map(|round| in_round(records, row, server, pages, round))
        .collect()
}

/// dimmer's figure by another server's, for each round: what slows the machine slows both.
fn ratios_to(records: &[Record], row: &Row, server: &str, pages: usize) -> Vec<f64> {
    rounds(records)
        .filter_map(|round| {
            let of = |server| in_round(records, row, server, pages, round);
            Some(of("dimmer")? / of(server)?).filter(|ratio| ratio.is_finite())
        })
        .collect()
}

fn sizes(records: &[Record]) -> Vec<usize> {
    let mut sizes: Vec<_> = records.iter().map(|record| record.pages).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// A ratio to the floor.
#[derive(Serialize, Deserialize)]
pub struct Ratio {
    ratio: f64,
    /// Between the lowest and the highest of the rounds.
    spread: f64,
}

/// By scenario, figure and number of pages.
pub type Ratios = BTreeMap<String, Ratio>;

/// The ratios to the floor of every figure that has a limit.
pub fn ratios(records: &[Record]) -> Ratios {
    let mut ratios = Ratios::new();
    let limited = |row: &&Row| matches!(row.goal, OfFloor(..) | AtMost(..));
    for row in ROWS.iter().filter(limited) {
        for pages in sizes(records) {
            let rounds = ratios_to(records, row, "floor", pages);
            let Some(ratio) = typical(row, rounds.iter().copied()) else {
                continue;
            };
            let least = rounds.iter().copied().fold(ratio, f64::min);
            let most = rounds.iter().copied().fold(ratio, f64::max);
            let [ratio, spread] = [ratio, most - least].map(|figure| (figure * 1e3).round() / 1e3);
            let name = format!("{}, {}, {pages} pages", row.scenario, row.figure);
            ratios.insert(name, Ratio { ratio, spread });
        }
    }
    ratios
}

/// Fails where a ratio is worse than the recorded one by more than a fifth and both runs' noise, or
/// where a page is wrong or cut off.
pub fn check(records: &[Record], recorded: &Ratios) -> anyhow::Result<()> {
    let mut worse = Vec::new();
    for (name, now) in ratios(records) {
        let Some(then) = recorded.get(&name) else {
            continue;
        };
        if now.ratio > then.ratio * 1.2 + then.spread + now.spread {
            worse.push(format!(
                "{name}: {} × floor, recorded {}",
                now.ratio, then.ratio
            ));
        }
    }
    for row in &ROWS {
        let Exactly(wanted) = row.goal else { continue };
        for pages in sizes(records) {
            let figures = figures(records, row, "dimmer", pages);
            if figures.iter().any(|figure| *figure != wanted) {
                worse.push(format!(
                    "{}, {}, {pages} pages: {figures:?}",
                    row.scenario, row.figure
                ));
            }
        }
    }
    ensure!(
        worse.is_empty(),
        "worse than recorded:\n{}",
        worse.join("\n")
    );
    Ok(())
}

/// The whole table in Markdown, without the servers that were not measured.
pub fn of(records: &[Record]) -> String {
    let servers: Vec<_> = SERVERS
        .iter()
        .map(|server| server.name)
        .filter(|name| records.iter().any(|record| record.server == *name))
        .collect();
    let mut table = format!(
        "| scenario | figure | pages | {} | ÷ floor | ÷ textbook | goal |\n",
        servers.join(" | ")
    );
    table += "|---|---|";
    table += &"--:|".repeat(servers.len() + 4);
    table.push('\n');
    for row in &ROWS {
        for pages in sizes(records) {
            let of = |server| typical(row, figures(records, row, server, pages));
            if servers.iter().all(|server| of(server).is_none()) {
                continue;
            }
            let dimmer = of("dimmer");
            let ratio = |server| typical(row, ratios_to(records, row, server, pages));
            write!(table, "| {} | {} | {pages} |", row.scenario, row.figure).unwrap();
            for server in &servers {
                write!(table, " {} |", number(of(server))).unwrap();
            }
            for server in ["floor", "textbook"] {
                write!(table, " {} |", number(ratio(server))).unwrap();
            }
            writeln!(
                table,
                " {} |",
                verdict(&row.goal, pages, dimmer, ratio("floor"))
            )
            .unwrap();
        }
    }
    table
}

fn verdict(goal: &Goal, pages: usize, dimmer: Option<f64>, of_floor: Option<f64>) -> String {
    let (reached, text) = match goal {
        OfFloor(most, from) if pages >= *from => (
            of_floor.map(|ratio| ratio <= *most),
            format!("≤ {most} × floor"),
        ),
        AtMost(most, from) if pages >= *from => {
            (dimmer.map(|figure| figure <= *most), format!("≤ {most}"))
        }
        Exactly(wanted) => (dimmer.map(|figure| figure == *wanted), format!("{wanted}")),
        Goal::None | OfFloor(..) | AtMost(..) => return String::new(),
    };
    match reached {
        Some(true) => format!("✓ {text}"),
        Some(false) => format!("✗ {text}"),
        None => text,
    }
}

/// With three digits that count.
fn number(figure: Option<f64>) -> String {
    match figure {
        None => String::new(),
        Some(figure) if figure.fract() == 0.0 => format!("{figure}"),
        Some(figure) if figure.abs() < 10.0 => format!("{figure:.3}"),
        Some(figure) if figure.abs() < 100.0 => format!("{figure:.1}"),
        Some(figure) => format!("{figure:.0}"),
    }
}
