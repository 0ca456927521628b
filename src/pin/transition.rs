//! A light's transition from one brightness to another.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::level::luminance_between;

/// A change of luminance over time that looks even: CIE lightness changes at a constant rate.
#[derive(Debug, Clone)]
pub struct Transition {
    /// Luminance at the start, 0 to 1.
    from: f64,
    /// Luminance at the end, 0 to 1.
    to: f64,
    /// The start and the duration; `None` if the light is at `to` from the beginning.
    span: Option<(Instant, Duration)>,
}

impl Transition {
    /// A light that stays at this luminance.
    pub fn constant(luminance: f64) -> Transition {
        Transition {
            from: luminance,
            to: luminance,
            span: None,
        }
    }

    /// A transition that begins at `start` and takes `duration`; none if both ends are the same.
    pub fn new(from: f64, to: f64, start: Instant, duration: Duration) -> Transition {
        if duration.is_zero() || from == to {
            return Transition::constant(to);
        }
        Transition {
            from,
            to,
            span: Some((start, duration)),
        }
    }

    /// The luminance at `now`, 0 to 1.
    pub fn luminance(&self, now: Instant) -> f64 {
        match self.span {
            Some((start, duration)) if now < start + duration => {
                let passed = now.saturating_duration_since(start);
                luminance_between([self.from, self.to], passed.div_duration_f64(duration))
            }
            _ => self.to,
        }
    }

    /// The shortest useful time between two writes: the transition has no more steps than there are
    /// duties.
    pub fn tick(&self) -> Duration {
        self.span
            .map_or(Duration::ZERO, |(_, duration)| duration / 65_536)
    }

    /// Whether the luminance is constant from `now` on.
    pub fn is_finished(&self, now: Instant) -> bool {
        self.span
            .is_none_or(|(start, duration)| now >= start + duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::level::lightness;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn half_way_through_a_transition_the_lightness_is_half_way() {
        let start = Instant::now();
        let transition = Transition::new(0.0, 1.0, start, 2 * SECOND);
        assert_eq!(transition.luminance(start), 0.0);
        assert!((lightness(transition.luminance(start + SECOND)) - 50.0).abs() < 1e-9);
        assert_eq!(transition.luminance(start + 2 * SECOND), 1.0);
        assert!(!transition.is_finished(start + SECOND));
        assert!(transition.is_finished(start + 2 * SECOND));
    }

    #[test]
    fn a_transition_that_takes_over_from_another_begins_without_a_jump() {
        let start = Instant::now();
        let up = Transition::new(0.0, 1.0, start, 2 * SECOND);
        let turn = start + SECOND;
        let down = Transition::new(up.luminance(turn), 0.0, turn, SECOND);
        let gap = up.luminance(turn) - down.luminance(turn);
        assert!(gap.abs() < 1e-9, "{gap}");
        assert_eq!(down.luminance(start + 2 * SECOND), 0.0);
    }

    #[test]
    fn a_transition_without_duration_or_difference_is_finished_at_once() {
        let now = Instant::now();
        assert!(Transition::new(0.2, 0.2, now, SECOND).is_finished(now));
        let transition = Transition::new(0.2, 0.7, now, Duration::ZERO);
        assert!(transition.is_finished(now));
        assert_eq!(transition.luminance(now), 0.7);
    }
}
