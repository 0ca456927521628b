//! Dithering: shows a brightness between two steps of a driver.
//!
//! A transition on a driver with few steps would climb a staircase, most visible in the dark, where one
//! step is a large part of the light. So the difference between the duty of one period and its target is
//! carried over to the next (first-order sigma-delta modulation): over some periods the mean is the
//! target.

use crate::model::level::Duty;

/// A duty has no more steps than this, however many the driver has.
const DUTY_STEPS: u32 = u16::MAX as u32;

/// Turns duty fractions into duties that the driver distinguishes.
#[derive(Debug)]
pub struct Dither {
    /// The number of steps between dark and full.
    steps: f64,
    /// The last target, in steps.
    target: f64,
    /// The last duty, in steps.
    step: f64,
    /// Sum of targets minus duties since the last [`Dither::steady_duty`], in steps: -1 to 1.
    error: f64,
}

impl Dither {
    /// For a dark light on a driver with this many steps, at least 1.
    pub fn new(resolution: u32) -> Dither {
        Dither {
            steps: f64::from(resolution.clamp(1, DUTY_STEPS)),
            target: 0.0,
            step: 0.0,
            error: 0.0,
        }
    }

    /// Whether the driver is so coarse that [`Dither::next_duty`] is better than
    /// [`Dither::steady_duty`].
    pub fn is_needed(&self) -> bool {
        self.steps < f64::from(DUTY_STEPS)
    }

    /// The duty for the next period of a moving light: one of the two steps around `fraction`, 0 to 1.
    pub fn next_duty(&mut self, fraction: f64) -> Duty {
        let target = fraction * self.steps;
        let wanted = target + self.error;
        let mut step = wanted.round().clamp(target.floor(), target.ceil());
        // While the target passes from 0.9 to 1.1, `wanted` may round to 2 right after 0. In a slow
        // transition that would be visible.
        if (target - self.target).abs() < 0.5 {
            step = step.clamp(self.step - 1.0, self.step + 1.0);
        }
        let duty = self.show(target, step);
        self.error = wanted - duty.fraction() * self.steps;
        duty
    }

    /// The duty for a light that stays at `fraction`, 0 to 1: the nearest step, but at least one for a
    /// light that is on. Resets the carried error.
    pub fn steady_duty(&mut self, fraction: f64) -> Duty {
        let target = fraction * self.steps;
        let min = if fraction > 0.0 { 1.0 } else { 0.0 };
        self.error = 0.0;
        self.show(target, target.round().max(min))
    }

    fn show(&mut self, target: f64, step: f64) -> Duty {
        self.target = target;
        self.step = step;
        Duty::from_fraction(step / self.steps)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_duty_and_no_sum_of_duties_is_more_than_a_step_off(
            start in 0.0..=1.0f64,
            slopes in prop::collection::vec((-1.0..=1.0f64, 1..100u32), 1..20),
        ) {
            let mut dither = Dither::new(100);
            let mut fraction = start;
            dither.steady_duty(fraction);
            let mut sum = 0.0;
            for (steps, periods) in slopes {
                for _ in 0..periods {
                    fraction = (fraction + steps / 100.0).clamp(0.0, 1.0);
                    let error = fraction - dither.next_duty(fraction).fraction();
                    sum += error;
                    prop_assert!(error.abs() * 100.0 < 1.01, "a step and a duty's rounding");
                    prop_assert!(f64::abs(sum) * 100.0 < 1.01);
                }
            }
        }
    }
}
