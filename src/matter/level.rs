//! Levels of Matter, 1 to 254, and those of dimmer.

use crate::model::level::Level;

/// The lowest level of a light of Matter.
pub const MIN: u8 = 1;
/// The highest one.
pub const MAX: u8 = 254;

/// The level of Matter nearest to one that is above 0.
pub fn to_matter(level: Level) -> u8 {
    let nearest = (level.percent() * f64::from(MAX) / 100.0).round();
    // A float-to-integer cast saturates.
    (nearest as u8).clamp(MIN, MAX)
}

/// The level for one of Matter, which is clamped to [`MIN`] and [`MAX`].
///
/// A whole percent wherever one has this level of Matter, as people see percents in the apps of phones. Both ends are
/// exact, and [`to_matter`] leads back.
pub fn from_matter(level: u8) -> Level {
    if level <= MIN {
        return lowest();
    }
    let percent = f64::from(level.min(MAX)) * 100.0 / f64::from(MAX);
    let at = |percent| Level::from_percent(percent).unwrap_or(Level::FULL);
    let whole = at(percent.round());
    match to_matter(whole) == level {
        true => whole,
        false => at(percent),
    }
}

/// The lowest level at which a light is on.
fn lowest() -> Level {
    Level::from_percent(0.1).unwrap_or(Level::OFF)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn level(percent: f64) -> Level {
        Level::from_percent(percent).unwrap()
    }

    #[test]
    fn both_ends_are_exact() {
        assert_eq!(from_matter(MIN), level(0.1));
        assert_eq!(from_matter(MAX), Level::FULL);
        assert_eq!(to_matter(level(0.1)), MIN);
        assert_eq!(to_matter(Level::FULL), MAX);
        assert_eq!(from_matter(0), level(0.1), "out of range is clamped");
        assert_eq!(from_matter(255), Level::FULL);
    }

    #[test]
    fn each_level_of_matter_leads_back_to_itself_and_higher_ones_are_brighter() {
        let levels: Vec<_> = (MIN..=MAX).map(from_matter).collect();
        assert!(levels.is_sorted_by(|a, b| a < b), "{levels:?}");
        for (matter, level) in (MIN..=MAX).zip(levels) {
            assert_eq!(to_matter(level), matter, "{level}");
        }
    }

    #[test]
    fn whole_percents_stay_what_they_are() {
        for percent in 1..=100 {
            let level = level(percent.into());
            assert_eq!(from_matter(to_matter(level)), level);
        }
    }

    proptest! {
        #[test]
        fn the_way_back_and_forth_is_stable_and_near(tenths in 1..=1000) {
            let level = level(f64::from(tenths) / 10.0);
            let once = from_matter(to_matter(level));
            prop_assert_eq!(from_matter(to_matter(once)), once);
            // Half a step of Matter, and the rounding to a whole percent.
            prop_assert!((once.percent() - level.percent()).abs() <= 0.5, "{} {}", level, once);
        }
    }
}
