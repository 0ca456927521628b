//! What Prometheus is told: counts that only grow, and the lights as they are when it asks.
//!
//! To count costs an atomic addition, and all else is looked up when somebody asks.

use std::fmt::{Display, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::model::lights::Lights;

/// The media type of [`Metrics::text`].
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Where the parts of a [`Histogram`] end, in seconds. Above the last there is one more.
const BOUNDS: [f64; 11] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1,
];

/// Counts something, from 0 at the start of the service.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// One more.
    pub fn add(&self) {
        self.add_many(1);
    }

    fn add_many(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// How many there were so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many times were how long.
#[derive(Debug, Default)]
pub struct Histogram {
    /// Those up to each of [`BOUNDS`] and above the one before, then those above all.
    parts: [Count; BOUNDS.len() + 1],
    nanoseconds: Count,
}

impl Histogram {
    /// One more, which was this long.
    pub fn add(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let part = BOUNDS.partition_point(|bound| *bound < seconds);
        self.parts[part].add();
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.add_many(nanoseconds);
    }

    fn seconds(&self) -> f64 {
        Duration::from_nanos(self.nanoseconds.get()).as_secs_f64()
    }
}

/// What a light's driver was given.
#[derive(Debug, Default)]
pub struct Writes {
    /// Duties, those that it did not take, too.
    pub all: Count,
    /// Duties that it did not take.
    pub failed: Count,
    /// The times from a change of the light to the end of the first write for it.
    pub delay: Histogram,
}

/// All that is counted.
#[derive(Debug)]
pub struct Metrics {
    /// Messages from pages.
    pub messages: Count,
    /// Those and requests that asked for what cannot be, and changed nothing.
    pub refused: Count,
    /// In the order of the lights.
    writes: Vec<Arc<Writes>>,
}

impl Metrics {
    /// With what the driver of each light was given, in the order of the lights.
    pub fn new(writes: Vec<Arc<Writes>>) -> Metrics {
        Metrics {
            messages: Count::default(),
            refused: Count::default(),
            writes,
        }
    }

    /// Everything in Prometheus' text format, with the open pages, and those opened in all.
    pub fn text(&self, lights: &Lights, pages: usize, opened: u64) -> String {
        let mut text = Text(String::new());
        text.head("dimmer_build_info", "gauge", "The version that runs.");
        let version = format!("version={:?}", env!("CARGO_PKG_VERSION"));
        text.sample("dimmer_build_info", &version, 1);
        text.total("dimmer_pages", "gauge", "Open pages.", pages);
        for (name, help, count) in [
            ("dimmer_pages_opened_total", "Pages opened.", opened),
            (
                "dimmer_messages_total",
                "Messages from pages.",
                self.messages.get(),
            ),
            (
                "dimmer_refused_inputs_total",
                "Messages and requests that asked for what cannot be.",
                self.refused.get(),
            ),
        ] {
            text.total(name, "counter", help, count);
        }
        self.lights(lights, &mut text);
        text.0
    }

    fn lights(&self, lights: &Lights, text: &mut Text) {
        // A light's name needs no escapes: it has a to z, 0 to 9 and - alone.
        let list = lights.list().iter();
        let labels: Vec<_> = list
            .map(|light| format!("light={:?}", light.name))
            .collect();
        let states = lights.states().clone();

        text.each(
            "dimmer_light_level_ratio",
            "gauge",
            "The level that a light is at or on its way to, from 0 to 1.",
            labels
                .iter()
                .zip(states.iter().map(|state| state.level.percent() / 100.0)),
        );
        text.each(
            "dimmer_light_fault",
            "gauge",
            "1 while the driver of a light fails, else 0.",
            labels
                .iter()
                .zip(states.iter().map(|state| u8::from(state.fault.is_some()))),
        );
        text.each(
            "dimmer_driver_writes_total",
            "counter",
            "Duties given to the driver of a light.",
            labels
                .iter()
                .zip(self.writes.iter().map(|writes| writes.all.get())),
        );
        text.each(
            "dimmer_driver_failed_writes_total",
            "counter",
            "Those of them that it did not take.",
            labels
                .iter()
                .zip(self.writes.iter().map(|writes| writes.failed.get())),
        );
        let name = "dimmer_change_delay_seconds";
        text.head(
            name,
            "histogram",
            "Time from a change of a light to the end of the first write for it.",
        );
        for (label, writes) in labels.iter().zip(&self.writes) {
            text.histogram(name, label, &writes.delay);
        }
    }
}

/// Text in the making.
struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn sample(&mut self, name: &str, labels: &str, number: impl Display) {
        self.line(format_args!("{name}{{{labels}}} {number}"));
    }

    /// A metric without labels.
    fn total(&mut self, name: &str, kind: &str, help: &str, number: impl Display) {
        self.head(name, kind, help);
        self.line(format_args!("{name} {number}"));
    }

    /// A metric with a number for each light.
    fn each<'a>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        numbers: impl Iterator<Item = (&'a String, impl Display)>,
    ) {
        self.head(name, kind, help);
        for (label, number) in numbers {
            self.sample(name, label, number);
        }
    }

    fn histogram(&mut self, name: &str, label: &str, histogram: &Histogram) {
        let mut sum = 0;
        let bounds = BOUNDS.iter().map(f64::to_string).chain(["+Inf".into()]);
        for (bound, part) in bounds.zip(&histogram.parts) {
            sum += part.get();
            let labels = format!("{label},le={bound:?}");
            self.sample(&format!("{name}_bucket"), &labels, sum);
        }
        self.sample(&format!("{name}_sum"), label, histogram.seconds());
        self.sample(&format!("{name}_count"), label, sum);
    }

    fn line(&mut self, line: impl Display) {
        writeln!(self.0, "{line}").expect("memory takes all that is written to it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_counted_in_each_bucket_that_holds_it() {
        let histogram = Histogram::default();
        for micros in [1, 50, 51, 100_000, 100_001] {
            histogram.add(Duration::from_micros(micros));
        }
        let mut text = Text(String::new());
        text.histogram("delay", "light=\"led\"", &histogram);
        for line in [
            "delay_bucket{light=\"led\",le=\"0.00005\"} 2\n",
            "delay_bucket{light=\"led\",le=\"0.0001\"} 3\n",
            "delay_bucket{light=\"led\",le=\"0.05\"} 3\n",
            "delay_bucket{light=\"led\",le=\"0.1\"} 4\n",
            "delay_bucket{light=\"led\",le=\"+Inf\"} 5\n",
            "delay_sum{light=\"led\"} 0.200103\n",
            "delay_count{light=\"led\"} 5\n",
        ] {
            assert!(text.0.contains(line), "{line}{}", text.0);
        }
    }
}
