//! Metrics for Prometheus: counters, and the state of the lights at the time of the scrape.
//!
//! To count costs an atomic addition; everything else is read at the scrape.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::model::hub::Hub;
use crate::model::lights::Lights;
use crate::platform::process::ProcessUsage;

/// The media type of [`Metrics::text`].
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Upper bounds of the buckets of a [`Histogram`] in seconds, without the last: +Inf.
const BOUNDS: [f64; 11] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1,
];

/// A counter, 0 at the start of the service.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn add(&self) {
        self.add_many(1);
    }

    fn add_many(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// The count since the start.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Whether something holds now; not at the start of the service.
#[derive(Debug, Default)]
pub struct Flag(AtomicBool);

impl Flag {
    /// Sets whether it holds.
    pub fn set(&self, holds: bool) {
        self.0.store(holds, Ordering::Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A histogram of durations.
#[derive(Debug, Default)]
pub struct Histogram {
    /// The durations in each bucket alone: not cumulative, unlike Prometheus' buckets.
    buckets: [Counter; BOUNDS.len() + 1],
    /// The sum of all durations.
    nanoseconds: Counter,
}

impl Histogram {
    /// Adds a duration.
    pub fn add(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = BOUNDS.partition_point(|bound| *bound < seconds);
        self.buckets[bucket].add();
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.add_many(nanoseconds);
    }

    fn sum_seconds(&self) -> f64 {
        Duration::from_nanos(self.nanoseconds.get()).as_secs_f64()
    }
}

/// The writes to a light's driver.
#[derive(Debug, Default)]
pub struct WriteMetrics {
    /// All writes, including those that failed.
    pub all: Counter,
    /// Writes that failed.
    pub failed: Counter,
    /// Times from a change of the light to the end of the first write for that change.
    pub delay: Histogram,
}

/// All counters of the service.
#[derive(Debug)]
pub struct Metrics {
    /// Messages of WebSocket clients.
    pub messages: Counter,
    /// Messages and REST requests that were refused, and changed nothing.
    pub refused: Counter,
    /// The number of HTTP requests by route and status.
    requests: Mutex<BTreeMap<(String, u16), u64>>,
    /// Timers that were due.
    pub timers_due: Arc<Counter>,
    /// Whether the MQTT broker is connected; `None` if the settings name none.
    mqtt_connected: Option<Arc<Flag>>,
    /// In the order of the lights.
    writes: Vec<Arc<WriteMetrics>>,
}

impl Metrics {
    /// Takes the writes to the driver of each light, in the order of the lights.
    pub fn new(writes: Vec<Arc<WriteMetrics>>) -> Metrics {
        Metrics {
            timers_due: Arc::default(),
            mqtt_connected: None,
            messages: Counter::default(),
            refused: Counter::default(),
            requests: Mutex::default(),
            writes,
        }
    }

    /// Adds the connection to an MQTT broker, and returns the flag for whether there is one.
    pub fn add_mqtt(&mut self) -> Arc<Flag> {
        self.mqtt_connected.insert(Arc::default()).clone()
    }

    /// Counts an HTTP request of this route, one of those that the service has, which bounds their number.
    pub fn add_request(&self, route: &str, status: u16) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((route.into(), status)).or_default() += 1;
    }

    /// All metrics in Prometheus' text format, with the number of `connected` clients and the total of
    /// clients so far.
    pub fn text(&self, hub: &Hub, connected: usize, total: u64) -> String {
        let mut text = Exposition(String::new());
        text.head(
            "dimmer_build_info",
            "gauge",
            "The version of the running service.",
        );
        let version = format!("version={:?}", env!("CARGO_PKG_VERSION"));
        text.sample("dimmer_build_info", &version, 1);
        text.single(
            "dimmer_pages",
            "gauge",
            "Connected WebSocket clients.",
            connected,
        );
        for (name, help, count) in [
            (
                "dimmer_pages_opened_total",
                "WebSocket clients that have connected.",
                total,
            ),
            (
                "dimmer_messages_total",
                "Messages of WebSocket clients.",
                self.messages.get(),
            ),
            (
                "dimmer_refused_inputs_total",
                "Messages and requests that were refused.",
                self.refused.get(),
            ),
            (
                "dimmer_timers_due_total",
                "Timers that were due.",
                self.timers_due.get(),
            ),
        ] {
            text.single(name, "counter", help, count);
        }
        text.single(
            "dimmer_timers",
            "gauge",
            "Timers that are set.",
            hub.timers.all().len(),
        );
        if let Some(connected) = &self.mqtt_connected {
            text.single(
                "dimmer_mqtt_connected",
                "gauge",
                "1 while the MQTT broker is connected, else 0.",
                u8::from(connected.get()),
            );
        }
        self.requests(&mut text);
        self.lights(&hub.lights, &mut text);
        process(&mut text);
        text.0
    }

    fn requests(&self, text: &mut Exposition) {
        let name = "dimmer_http_requests_total";
        text.head(name, "counter", "HTTP requests by route and status.");
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        for ((route, status), count) in requests.iter() {
            text.sample(name, &format!("route={route:?},status=\"{status}\""), count);
        }
    }

    fn lights(&self, lights: &Lights, text: &mut Exposition) {
        // A light's name needs no escapes: it consists of a to z, 0 to 9 and -.
        let list = lights.list().iter();
        let labels: Vec<_> = list
            .map(|light| format!("light={:?}", light.name))
            .collect();
        let states = lights.states().clone();

        text.per_light(
            "dimmer_light_level_ratio",
            "gauge",
            "The level of a light, from 0 to 1; during a transition, the level that it leads to.",
            labels
                .iter()
                .zip(states.iter().map(|state| state.level.percent() / 100.0)),
        );
        text.per_light(
            "dimmer_light_fault",
            "gauge",
            "1 while the driver of a light fails, else 0.",
            labels
                .iter()
                .zip(states.iter().map(|state| u8::from(state.fault.is_some()))),
        );
        text.per_light(
            "dimmer_driver_writes_total",
            "counter",
            "Writes of a duty cycle to the driver of a light.",
            labels
                .iter()
                .zip(self.writes.iter().map(|writes| writes.all.get())),
        );
        text.per_light(
            "dimmer_driver_failed_writes_total",
            "counter",
            "Writes to the driver of a light that failed.",
            labels
                .iter()
                .zip(self.writes.iter().map(|writes| writes.failed.get())),
        );
        let name = "dimmer_change_delay_seconds";
        text.head(
            name,
            "histogram",
            "Time from a change of a light to the end of the first write for that change.",
        );
        for (label, writes) in labels.iter().zip(&self.writes) {
            text.histogram(name, label, &writes.delay);
        }
    }
}

/// The metrics that every client library of Prometheus has, under their usual names.
fn process(text: &mut Exposition) {
    // Without /proc there are none of them.
    let Ok(usage) = ProcessUsage::now() else {
        return;
    };
    for (name, kind, help, number) in [
        (
            "process_cpu_seconds_total",
            "counter",
            "Processor time, user and system.",
            usage.cpu.as_secs_f64(),
        ),
        (
            "process_virtual_memory_bytes",
            "gauge",
            "Virtual memory.",
            usage.virtual_memory as f64,
        ),
        (
            "process_resident_memory_bytes",
            "gauge",
            "Resident memory.",
            usage.resident_memory as f64,
        ),
        (
            "process_open_fds",
            "gauge",
            "Open file descriptors.",
            usage.open_files as f64,
        ),
        (
            "process_max_fds",
            "gauge",
            "The most open file descriptors.",
            usage.max_files.map_or(f64::INFINITY, |max| max as f64),
        ),
        (
            "process_start_time_seconds",
            "gauge",
            "Start of the process, in seconds since 1970.",
            usage.start.as_duration().as_secs_f64(),
        ),
    ] {
        // Prometheus reads +Inf, and Rust writes inf.
        let number = number.to_string().replace("inf", "+Inf");
        text.single(name, kind, help, number);
    }
}

/// A response in Prometheus' text exposition format.
struct Exposition(String);

impl Exposition {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn sample(&mut self, name: &str, labels: &str, number: impl Display) {
        self.line(format_args!("{name}{{{labels}}} {number}"));
    }

    /// A metric without labels.
    fn single(&mut self, name: &str, kind: &str, help: &str, number: impl Display) {
        self.head(name, kind, help);
        self.line(format_args!("{name} {number}"));
    }

    /// A metric with a sample for each light.
    fn per_light<'a>(
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
        let mut count = 0;
        let bounds = BOUNDS.iter().map(f64::to_string).chain(["+Inf".into()]);
        for (bound, bucket) in bounds.zip(&histogram.buckets) {
            count += bucket.get();
            let labels = format!("{label},le={bound:?}");
            self.sample(&format!("{name}_bucket"), &labels, count);
        }
        self.sample(&format!("{name}_sum"), label, histogram.sum_seconds());
        self.sample(&format!("{name}_count"), label, count);
    }

    fn line(&mut self, line: impl Display) {
        writeln!(self.0, "{line}").expect("writing to a String does not fail");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_each_bucket_that_includes_it() {
        let histogram = Histogram::default();
        for micros in [1, 50, 51, 100_000, 100_001] {
            histogram.add(Duration::from_micros(micros));
        }
        let mut text = Exposition(String::new());
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
