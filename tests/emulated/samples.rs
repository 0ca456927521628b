//! The duty of a pin, estimated from many samples.

/// Into how many batches the looks are divided to estimate the error.
const BATCHES: usize = 10;

/// Looks at a pin, in order.
pub struct Samples {
    high: Vec<bool>,
}

impl Samples {
    /// So many looks, one right after the other.
    pub fn take(count: usize, mut look: impl FnMut() -> bool) -> Samples {
        Samples {
            high: (0..count).map(|_| look()).collect(),
        }
    }

    pub fn len(&self) -> usize {
        self.high.len()
    }

    /// The share of looks that saw the pin high.
    pub fn high(&self) -> f64 {
        share(&self.high)
    }

    /// How often the pin was another than at the look before.
    pub fn transitions(&self) -> usize {
        self.high
            .windows(2)
            .filter(|pair| pair[0] != pair[1])
            .count()
    }

    /// The standard error of [`Samples::high`], by the means of ten batches. Neighbouring looks see
    /// the same pulse and are not independent; batches of several periods nearly are.
    pub fn standard_error(&self) -> f64 {
        let means: Vec<f64> = self
            .high
            .chunks_exact(self.high.len() / BATCHES)
            .map(share)
            .collect();
        let count = means.len() as f64;
        let mean = means.iter().sum::<f64>() / count;
        let squares: f64 = means.iter().map(|batch| (batch - mean).powi(2)).sum();
        (squares / (count - 1.0) / count).sqrt()
    }
}

fn share(looks: &[bool]) -> f64 {
    looks.iter().filter(|high| **high).count() as f64 / looks.len() as f64
}
