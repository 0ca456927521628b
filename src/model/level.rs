//! Levels that people set, duty cycles that pins get, and the curves between them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de};

use super::range::{OutOfRange, Range};
use super::tenths::Tenths;

/// The brightness that people set: 0 to 100 percent in steps of 0.1, where 0 is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Level(Tenths<0, 1000>);

impl Level {
    /// 0 percent: the light is dark.
    pub const OFF: Level = Level(Tenths::new(0));
    /// 50 percent: a light's level before anybody has set one.
    pub const HALF: Level = Level(Tenths::new(500));
    /// 100 percent.
    pub const FULL: Level = Level(Tenths::new(1000));

    /// All levels, in percent.
    pub const RANGE: Range = Range::new(Level::OFF.percent(), Level::FULL.percent());

    /// The level nearest to `percent`, rounded to 0.1.
    ///
    /// # Errors
    /// `percent` is NaN, below 0 or above 100, before rounding.
    pub fn from_percent(percent: f64) -> Result<Level, OutOfRange> {
        Tenths::from_f64(percent).map(Level)
    }

    /// The level in percent, 0 to 100.
    pub const fn percent(self) -> f64 {
        self.0.to_f64()
    }

    /// Whether the light is dark at this level.
    pub fn is_off(self) -> bool {
        self == Level::OFF
    }

    /// The level `step` away, clamped to 0..100.
    pub fn stepped(self, step: Step) -> Level {
        Level(self.0.saturating_add(step.0.tenths()))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Level {
    type Err = OutOfRange;

    fn from_str(text: &str) -> Result<Level, OutOfRange> {
        let no_number = || Level::RANGE.excludes(format!("{text:?}"));
        let percent = text.trim().parse().map_err(|_| no_number())?;
        Level::from_percent(percent)
    }
}

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Level, D::Error> {
        let percent = f64::deserialize(deserializer)?;
        Level::from_percent(percent).map_err(|error| de::Error::custom(format!("level {error}")))
    }
}

/// A relative change of a level: -100 to 100 percent in steps of 0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step(Tenths<-1000, 1000>);

impl Step {
    /// One percent up.
    pub const UP: Step = Step(Tenths::new(10));
    /// One percent down.
    pub const DOWN: Step = Step(Tenths::new(-10));
    /// The largest step down.
    pub const MIN: Step = Step(Tenths::new(-1000));
    /// The largest step up.
    pub const MAX: Step = Step(Tenths::new(1000));

    /// The step nearest to `percent`, rounded to 0.1.
    ///
    /// # Errors
    /// `percent` is NaN, below -100 or above 100.
    pub fn from_percent(percent: f64) -> Result<Step, OutOfRange> {
        Tenths::from_f64(percent).map(Step)
    }

    /// Whether the step is one up.
    pub fn is_up(self) -> bool {
        self.0.tenths() > 0
    }

    /// The step in percent, -100 to 100.
    pub const fn percent(self) -> f64 {
        self.0.to_f64()
    }
}

/// The duty cycle a pin gets: 0 (always low) to 65 535 (always high), the scale of embedded-hal's
/// `SetDutyCycle`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duty(pub u16);

impl Duty {
    /// Never on.
    pub const OFF: Duty = Duty(0);
    /// Always on.
    pub const FULL: Duty = Duty(u16::MAX);

    /// The duty nearest to `fraction`, which is clamped to 0..1.
    pub fn from_fraction(fraction: f64) -> Duty {
        // A float-to-integer cast saturates, so the ends are exact.
        Duty((fraction * f64::from(u16::MAX)).round() as u16)
    }

    /// The share of time the pin is on, 0 to 1.
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(u16::MAX)
    }

    /// The duty of an LED wired to the supply instead of to ground.
    pub fn inverted(self) -> Duty {
        Duty(u16::MAX - self.0)
    }

    /// How long the pin is on in each period of `period_ns` nanoseconds, rounded to one.
    pub fn pulse_ns(self, period_ns: u64) -> u64 {
        let full = u128::from(u16::MAX);
        let pulse = (u128::from(self.0) * u128::from(period_ns) + full / 2) / full;
        // No more than period_ns, so it fits.
        pulse as u64
    }
}

/// How a level becomes a duty cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Curve {
    /// The duty is the level: 50 percent is half the time on, and looks brighter than half.
    #[default]
    Linear,
    /// CIE 1931 lightness: equal steps of the level look equal.
    Perceptual,
}

impl Curve {
    /// The relative luminance at `level`, 0 to 1, which is the share of time that the LED is on.
    pub fn luminance(self, level: Level) -> f64 {
        match self {
            Curve::Linear => level.percent() / 100.0,
            Curve::Perceptual => luminance(level.percent()),
        }
    }

    /// The level nearest to a luminance of 0 to 1.
    pub fn level(self, luminance: f64) -> Level {
        let percent = match self {
            Curve::Linear => luminance * 100.0,
            Curve::Perceptual => lightness(luminance),
        };
        Level::from_percent(percent.clamp(0.0, 100.0)).unwrap_or(Level::OFF)
    }
}

/// The luminance at this part, 0 to 1, of the way from one luminance to another, with a lightness that
/// changes at a constant rate: so a transition looks even.
pub fn luminance_between([from, to]: [f64; 2], part: f64) -> f64 {
    let (from, to) = (lightness(from), lightness(to));
    luminance(from + (to - from) * part)
}

/// Relative luminance, 0 to 1, of a CIE 1931 lightness of 0 to 100.
///
/// CIE 15:2004, 8.2.1: Y = ((L + 16) / 116)³ above L = 8, and L / 903.3 below; the exact constant
/// 24389 / 27 makes the two meet.
pub fn luminance(lightness: f64) -> f64 {
    if lightness > 8.0 {
        ((lightness + 16.0) / 116.0).powi(3)
    } else {
        lightness * 27.0 / 24389.0
    }
}

/// CIE 1931 lightness, 0 to 100, of a relative luminance of 0 to 1: [`luminance`] turned round.
pub fn lightness(luminance: f64) -> f64 {
    if luminance > 8.0 * 27.0 / 24389.0 {
        116.0 * luminance.cbrt() - 16.0
    } else {
        luminance * 24389.0 / 27.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn every_level() -> impl Iterator<Item = Level> {
        (0..=1000).map(|tenths| Level(Tenths::new(tenths)))
    }

    #[test]
    fn every_level_survives_json() {
        for level in every_level() {
            let json = serde_json::to_string(&level).unwrap();
            assert_eq!(json, level.to_string(), "JSON and people read the same");
            assert_eq!(serde_json::from_str::<Level>(&json).unwrap(), level);
            assert_eq!(json.parse::<Level>().unwrap(), level);
        }
    }

    #[test]
    fn a_level_out_of_range_names_itself_and_the_range() {
        for (percent, shown) in [(150.0, "150"), (-0.1, "-0.1"), (f64::NAN, "NaN")] {
            let error = Level::from_percent(percent).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("must be from 0 to 100, not {shown}")
            );
        }
    }

    #[test]
    fn curves_start_dark_end_full_and_never_fall() {
        for curve in [Curve::Linear, Curve::Perceptual] {
            assert_eq!(
                Duty::from_fraction(curve.luminance(Level::OFF)),
                Duty::OFF,
                "{curve:?}"
            );
            assert_eq!(
                Duty::from_fraction(curve.luminance(Level::FULL)),
                Duty::FULL,
                "{curve:?}"
            );
            let duties: Vec<Duty> = every_level()
                .map(|level| Duty::from_fraction(curve.luminance(level)))
                .collect();
            assert!(
                duties.windows(2).all(|pair| pair[0] < pair[1]),
                "{curve:?}: each level has a duty of its own"
            );
        }
    }

    #[test]
    fn perceptual_half_is_the_cie_value() {
        // L* = 50 has Y = (66 / 116)³ = 0.18419.
        let half = Curve::Perceptual.luminance(Level::HALF);
        assert!((half - 0.184_186_5).abs() < 1e-6, "{half}");
    }

    #[test]
    fn the_perceptual_curve_has_no_step_and_no_kink_where_its_parts_meet() {
        let slope = 27.0 / 24389.0;
        let below = luminance(8.0);
        let above = luminance(8.0 + 1e-6);
        assert!((below - 8.0 * slope).abs() < 1e-15);
        assert!(((above - below) / 1e-6 - slope).abs() < 1e-8);
    }

    #[test]
    fn a_pulse_is_exact_at_both_ends() {
        for period in [1_000, 1_000_000, 10_000_000_000] {
            assert_eq!(Duty::OFF.pulse_ns(period), 0);
            assert_eq!(Duty::FULL.pulse_ns(period), period);
        }
    }

    proptest! {
        #[test]
        fn a_number_is_a_level_exactly_from_0_to_100(percent in -200.0..300.0f64) {
            match Level::from_percent(percent) {
                Ok(level) => {
                    prop_assert!((0.0..=100.0).contains(&percent));
                    prop_assert!((level.percent() - percent).abs() <= 0.05 + 1e-9);
                }
                Err(_) => prop_assert!(!(0.0..=100.0).contains(&percent)),
            }
        }

        #[test]
        fn text_never_panics(text in ".*") {
            let _ = text.parse::<Level>();
        }

        #[test]
        fn a_step_moves_by_itself_or_to_an_end(tenths in 0i16..=1000, percent in -100.0..100.0f64) {
            let step = Step::from_percent(percent).unwrap();
            let there = Level(Tenths::new(tenths)).stepped(step);
            let exact = tenths + step.0.tenths();
            prop_assert_eq!(there.0.tenths(), exact.clamp(0, 1000));
        }

        #[test]
        fn lightness_and_luminance_undo_each_other(y in 0.0..=1.0f64) {
            prop_assert!((luminance(lightness(y)) - y).abs() < 1e-12);
        }

        #[test]
        fn a_duty_is_its_own_fraction(duty: u16) {
            prop_assert_eq!(Duty::from_fraction(Duty(duty).fraction()), Duty(duty));
            prop_assert_eq!(Duty(duty).inverted().inverted(), Duty(duty));
        }
    }
}
