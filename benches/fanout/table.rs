//! The table: medians of the rounds, their ratios, and what dimmer is to reach.

use std::fmt::Write;

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
    AtMost(f64),
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
    row("paced", "p50 µs", OfFloor(1.05, 0)),
    row("paced", "p99 µs", Goal::None),
    row("paced", "convergence ms", Goal::None),
    row("paced", "right", Exactly(1.0)),
    row("paced", "load's share of its core", Goal::None),
    row("burst", "µs CPU per 1,000 changes", OfFloor(0.03, 0)),
    row("burst", "delivered per change", Goal::None),
    row("burst", "convergence ms", OfFloor(0.03, 0)),
    row("burst", "right", Exactly(1.0)),
    row("burst", "cut off", Exactly(0.0)),
    row("burst by two", "µs CPU per 1,000 changes", Goal::None),
    row("burst by two", "own p50 µs", Goal::None),
    row("burst by two", "own p99 µs", OfFloor(2.0, 0)),
    row("burst by two", "right", Exactly(1.0)),
    row("burst by two", "cut off", Exactly(0.0)),
    row("flood by two", "µs CPU per 1,000 changes", Goal::None),
    row("flood by two", "right", Exactly(1.0)),
    row("flood by two", "cut off", Exactly(0.0)),
    row("any", "start ms", AtMost(20.0)),
    row("any", "idle KiB", AtMost(4096.0)),
    row("any", "KiB per page", AtMost(6.0)),
    row("any", "peak KiB", Goal::None),
];

/// The median and the spread (the largest less the smallest) of what passes.
pub fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}

fn figure(records: &[Record], server: &str, pages: usize, row: &Row) -> Option<f64> {
    let of_row = |record: &&Record| {
        record.server == server
            && record.pages == pages
            && (record.scenario == row.scenario || row.scenario == "any")
    };
    let figures = records.iter().filter(of_row);
    median(
        figures
            .filter_map(|record| record.figures.get(row.figure).copied())
            .collect(),
    )
}

/// The whole table in Markdown, without the servers that were not measured.
pub fn of(records: &[Record]) -> String {
    let servers: Vec<_> = SERVERS
        .iter()
        .map(|server| server.name)
        .filter(|name| records.iter().any(|record| record.server == *name))
        .collect();
    let mut sizes: Vec<_> = records.iter().map(|record| record.pages).collect();
    sizes.sort_unstable();
    sizes.dedup();

    let mut table = format!(
        "| scenario | figure | pages | {} | ÷ floor | ÷ textbook | goal |\n",
        servers.join(" | ")
    );
    table += "|---|---|";
    table += &"--:|".repeat(servers.len() + 4);
    table.push('\n');
    for row in &ROWS {
        for &pages in &sizes {
            let of = |server| figure(records, server, pages, row);
            if servers.iter().all(|server| of(server).is_none()) {
                continue;
            }
            let dimmer = of("dimmer");
            let ratio = |server| Some(dimmer? / of(server)?).filter(|ratio| ratio.is_finite());
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
        AtMost(most) => (dimmer.map(|figure| figure <= *most), format!("≤ {most}")),
        Exactly(wanted) => (dimmer.map(|figure| figure == *wanted), format!("{wanted}")),
        Goal::None | OfFloor(..) => return String::new(),
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
