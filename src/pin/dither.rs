//! Shows light that lies between two steps of a driver.
//!
//! A fade on a driver of few steps would climb a staircase, best seen in the dark, where one step
//! is a large part of the light. So what the step of one period lacks, or has too much, is owed
//! to the next (a first-order sigma-delta): over some periods the mean is the light that is due.

use crate::model::level::Duty;

/// A duty has no more steps than this, however many the driver has.
const DUTY_STEPS: u32 = u16::MAX as u32;

/// Turns a share of light into duties that a driver can tell apart.
#[derive(Debug)]
pub struct Dither {
    /// How many there are between dark and full.
    steps: f64,
    /// The last light, in steps: what was due, and what was shown.
    due: f64,
    shown: f64,
    /// Steps that the periods so far lack: one at most, either way.
    owed: f64,
}

impl Dither {
    /// For a dark light on a driver of so many steps, 1 at least.
    pub fn new(resolution: u32) -> Dither {
        Dither {
            steps: f64::from(resolution.clamp(1, DUTY_STEPS)),
            due: 0.0,
            shown: 0.0,
            owed: 0.0,
        }
    }

    /// Whether the driver is so coarse that [`Dither::next`] does better than [`Dither::rest`].
    pub fn is_needed(&self) -> bool {
        self.steps < f64::from(DUTY_STEPS)
    }

    /// The duty for the next period of a light that moves: one of the two steps around `light`, a
    /// share of 0 to 1.
    pub fn next(&mut self, light: f64) -> Duty {
        let due = light * self.steps;
        let wanted = due + self.owed;
        let mut step = wanted.round().clamp(due.floor(), due.ceil());
        // As 0.9 becomes 1.1, 2 may be wanted after 0; where the light is slow, that would show.
        if (due - self.due).abs() < 0.5 {
            step = step.clamp(self.shown - 1.0, self.shown + 1.0);
        }
        let duty = self.show(due, step);
        self.owed = wanted - duty.fraction() * self.steps;
        duty
    }

    /// The duty for a light that stays at a share of 0 to 1: the nearest step, but for a light that
    /// is on never none. Forgets what is owed.
    pub fn rest(&mut self, light: f64) -> Duty {
        let due = light * self.steps;
        let least = if light > 0.0 { 1.0 } else { 0.0 };
        self.owed = 0.0;
        self.show(due, due.round().max(least))
    }

    fn show(&mut self, due: f64, step: f64) -> Duty {
        self.due = due;
        self.shown = step;
        Duty::from_fraction(step / self.steps)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_light_is_never_a_step_off_nor_owed_more_than_one(
            start in 0.0..=1.0f64,
            ways in prop::collection::vec((-1.0..=1.0f64, 1..100u32), 1..20),
        ) {
            let mut dither = Dither::new(100);
            let mut light = start;
            dither.rest(light);
            let mut lacks = 0.0;
            for (steps, periods) in ways {
                for _ in 0..periods {
                    light = (light + steps / 100.0).clamp(0.0, 1.0);
                    let off = light - dither.next(light).fraction();
                    lacks += off;
                    prop_assert!(off.abs() * 100.0 < 1.01, "a step and a duty's rounding");
                    prop_assert!(f64::abs(lacks) * 100.0 < 1.01);
                }
            }
        }
    }
}
