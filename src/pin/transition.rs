//! The way of a light from one brightness to the next.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::level::{lightness, luminance};

/// A change of light over time, even to the eye: it moves through CIE lightness at a constant rate.
#[derive(Debug, Clone)]
pub struct Transition {
    /// Share of light at the start, 0 to 1.
    from: f64,
    /// Share of light at the end, 0 to 1.
    to: f64,
    /// When it started and how long it takes; `None` once there is nothing left to do.
    span: Option<(Instant, Duration)>,
}

impl Transition {
    /// No change: the light stays at this share.
    pub fn at(light: f64) -> Transition {
        Transition {
            from: light,
            to: light,
            span: None,
        }
    }

    /// A new fade that starts at `now` where this one is, and reaches `to` after `time`; at once if
    /// it is there.
    pub fn turned(&self, now: Instant, to: f64, time: Duration) -> Transition {
        let from = self.light(now);
        if time.is_zero() || from == to {
            return Transition::at(to);
        }
        Transition {
            from,
            to,
            span: Some((now, time)),
        }
    }

    /// The share of light at `now`.
    pub fn light(&self, now: Instant) -> f64 {
        match self.span {
            Some((start, time)) if now < start + time => {
                let done = now.saturating_duration_since(start).as_secs_f64() / time.as_secs_f64();
                let (from, to) = (lightness(self.from), lightness(self.to));
                luminance(from + (to - from) * done)
            }
            _ => self.to,
        }
    }

    /// Time between two steps that are fine enough: as many as there are duties.
    pub fn tick(&self) -> Duration {
        self.span.map_or(Duration::ZERO, |(_, time)| time / 65_536)
    }

    /// Whether the light stays as it is from `now` on.
    pub fn is_over(&self, now: Instant) -> bool {
        self.span.is_none_or(|(start, time)| now >= start + time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_fade_is_half_as_light_to_the_eye_half_way() {
        let start = Instant::now();
        let fade = Transition::at(0.0).turned(start, 1.0, 2 * SECOND);
        assert_eq!(fade.light(start), 0.0);
        assert!((lightness(fade.light(start + SECOND)) - 50.0).abs() < 1e-9);
        assert_eq!(fade.light(start + 2 * SECOND), 1.0);
        assert!(!fade.is_over(start + SECOND));
        assert!(fade.is_over(start + 2 * SECOND));
    }

    #[test]
    fn a_turned_fade_goes_on_without_a_jump() {
        let start = Instant::now();
        let up = Transition::at(0.0).turned(start, 1.0, 2 * SECOND);
        let down = up.turned(start + SECOND, 0.0, SECOND);
        let gap = up.light(start + SECOND) - down.light(start + SECOND);
        assert!(gap.abs() < 1e-9, "{gap}");
        assert_eq!(down.light(start + 2 * SECOND), 0.0);
    }

    #[test]
    fn without_time_or_way_it_is_there_at_once() {
        let now = Instant::now();
        assert!(Transition::at(0.2).turned(now, 0.2, SECOND).is_over(now));
        let fade = Transition::at(0.2).turned(now, 0.7, Duration::ZERO);
        assert!(fade.is_over(now));
        assert_eq!(fade.light(now), 0.7);
    }
}
