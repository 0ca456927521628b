//! The statistics that the benchmarks report.

// No benchmark uses all of it.
#![allow(dead_code)]

use std::time::Duration;

/// A percentile of sorted values, which must not be empty; 50 is the median.
pub fn percentile<T: Copy>(sorted: &[T], percent: usize) -> T {
    sorted[(sorted.len() - 1) * percent / 100]
}

/// The median and the 99th percentile of durations in any order.
pub fn p50_p99(mut times: Vec<Duration>) -> [Duration; 2] {
    times.sort();
    [50, 99].map(|percent| percentile(&times, percent))
}

pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
