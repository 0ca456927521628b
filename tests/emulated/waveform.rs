//! GPIO 21's waveform, from QEMU's trace of every write to a register of a device.

/// Sets the GPIOs 0 to 31 whose bits are 1 high; [`GPCLR0`] sets them low. From the peripherals on.
const GPSET0: u32 = 0x20_001c;
const GPCLR0: u32 = 0x20_0028;
const GPIO_21: u32 = 1 << 21;

/// What was done to the pin while the trace ran.
pub struct Waveform {
    writes: Vec<Write>,
}

struct Write {
    /// Seconds since 1970 by the host's clock, to the microsecond.
    time: f64,
    high: bool,
}

/// From one rise of the pin to the next.
pub struct Period {
    /// When it began, in seconds since 1970.
    pub start: f64,
    pub seconds: f64,
    /// The share of it that the pin was high.
    pub high: f64,
}

impl Period {
    /// For how long the pin was low, in seconds.
    pub fn low(&self) -> f64 {
        self.seconds * (1.0 - self.high)
    }
}

impl Waveform {
    /// From lines like `71@1795244320.364264:memory_region_ops_write cpu 0 mr 0x7f… addr 0x3f20001c
    /// value 0x200000 size 4 name 'bcm2835_gpio'`.
    pub fn parse(trace: &str, peripherals: u32) -> Waveform {
        let [set, clear] = [GPSET0, GPCLR0].map(|at| format!(" addr {:#x} ", peripherals + at));
        let write = |line: &str| {
            let high = line.contains(&set);
            if !high && !line.contains(&clear) {
                return None;
            }
            let (_, rest) = line.split_once('@').unwrap();
            let (time, rest) = rest.split_once(':').unwrap();
            let (_, rest) = rest.split_once(" value 0x").unwrap();
            let (value, _) = rest.split_once(' ').unwrap();
            let time = time.parse().unwrap();
            let bits = u32::from_str_radix(value, 16).unwrap();
            (bits & GPIO_21 != 0).then_some(Write { time, high })
        };
        Waveform {
            writes: trace.lines().filter_map(write).collect(),
        }
    }

    /// How often the pin was set high, and how often low.
    pub fn writes(&self) -> (usize, usize) {
        let high = self.writes.iter().filter(|write| write.high).count();
        (high, self.writes.len() - high)
    }

    /// The whole periods in it.
    pub fn periods(&self) -> Vec<Period> {
        let edges: Vec<&Write> = self
            .writes
            .chunk_by(|one, next| one.high == next.high)
            .map(|same| &same[0])
            .collect();
        let first = edges.iter().position(|edge| edge.high).unwrap_or(0);
        edges[first..]
            .windows(3)
            .step_by(2)
            .map(|edges| {
                let seconds = edges[2].time - edges[0].time;
                Period {
                    start: edges[0].time,
                    seconds,
                    high: (edges[1].time - edges[0].time) / seconds,
                }
            })
            .collect()
    }
}

/// The median duty. A host that stalls lengthens the part of the period under way, high or low,
/// so single periods may be far off, and their mean with them. NaN where there is none.
pub fn median(periods: &[Period]) -> f64 {
    middle(periods.iter().map(|period| period.high).collect())
}

/// The length of the middle one in seconds, as far as stalls go like [`median`]. NaN where there is none.
pub fn median_length(periods: &[Period]) -> f64 {
    let lengths = periods.iter().map(|period| period.seconds).collect();
    middle(lengths)
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The share of all their time that the pin was high.
pub fn mean(periods: &[Period]) -> f64 {
    let (mut high, mut all) = (0.0, 0.0);
    for period in periods {
        high += period.high * period.seconds;
        all += period.seconds;
    }
    high / all
}
