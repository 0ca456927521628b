//! An effect as a course of light: what share of light is due when.

use std::f64::consts::TAU;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::effect::{Effect, EffectKind};
use crate::model::level::{lightness, luminance};

/// Seconds of a breath.
const BREATH: f64 = 4.0;
/// Share of the lightness that is left at the end of a breath.
const EXHALED: f64 = 0.1;
/// Share of each second that a blink is on.
const BLINK: f64 = 0.5;
/// Share of each second that a strobe is on.
const STROBE: f64 = 0.05;
/// A flame's flicker: how many random points a second, and what share of the lightness they take at
/// most. Slow enough that even three times as fast there are three flashes a second at most.
const FLICKER: [(f64, f64); 2] = [(0.7, 0.3), (2.0, 0.2)];
/// Seconds in which the flicker begins.
const KINDLED: f64 = 0.5;

/// An effect that goes on until something else is to be done.
#[derive(Debug, Clone, Copy)]
pub struct EffectPlayer {
    effect: Effect,
    /// Lightness, 0 to 100, of the level that it plays around.
    lightness: f64,
    /// When the effect, or its speed, began.
    start: Instant,
    /// How far it was by then, in seconds at normal speed.
    phase: f64,
}

impl EffectPlayer {
    /// The effect around a share of light, from `now` on; it goes on where `before` is, if that is
    /// the same at another speed. `None` if it is a sunrise, which ends.
    pub fn new(
        effect: Effect,
        light: f64,
        now: Instant,
        before: Option<EffectPlayer>,
    ) -> Option<EffectPlayer> {
        let same = before.filter(|before| before.effect.kind == effect.kind);
        (effect.kind != EffectKind::Sunrise).then(|| EffectPlayer {
            effect,
            lightness: lightness(light),
            start: now,
            phase: same.map_or(0.0, |before| before.phase(now)),
        })
    }

    /// The share of light at `now`, 0 to 1.
    pub fn light(&self, now: Instant) -> f64 {
        let phase = self.phase(now);
        let share = match self.effect.kind {
            EffectKind::Breathe => {
                let full = (phase / BREATH * TAU).cos() / 2.0 + 0.5;
                EXHALED + (1.0 - EXHALED) * full
            }
            EffectKind::Candle => 1.0 - flicker(phase),
            EffectKind::Blink | EffectKind::Strobe => {
                f64::from(u8::from(phase.fract() < self.on()))
            }
            EffectKind::Sunrise => 1.0,
        };
        luminance(self.lightness * share)
    }

    /// How long the light is the same from `now` on; zero if it moves all the time.
    pub fn rest(&self, now: Instant) -> Duration {
        let on = self.on();
        if on == 0.0 {
            return Duration::ZERO;
        }
        let at = self.phase(now).fract();
        let next = if at < on { on } else { 1.0 };
        // A nanosecond more, as the time is rounded down and must not end before the edge.
        Duration::from_secs_f64((next - at) / self.effect.speed.times()) + Duration::from_nanos(1)
    }

    /// The share of each second that it is on, if it is on and off by turns.
    fn on(&self) -> f64 {
        match self.effect.kind {
            EffectKind::Blink => BLINK,
            EffectKind::Strobe => STROBE,
            _ => 0.0,
        }
    }

    fn phase(&self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.start).as_secs_f64();
        self.phase + passed * self.effect.speed.times()
    }
}

/// The share of its light that a flame lacks.
fn flicker(phase: f64) -> f64 {
    let kindled = (phase / KINDLED).min(1.0);
    let lacks = FLICKER.map(|(points, share)| share * smooth(phase * points));
    kindled * lacks.iter().sum::<f64>()
}

/// A smooth line through random points from 0 to 1, one at each whole number.
fn smooth(x: f64) -> f64 {
    let (whole, part) = (x.floor(), x.fract());
    let (from, to) = (random(whole as u64), random(whole as u64 + 1));
    from + (to - from) * part * part * (3.0 - 2.0 * part)
}

/// A number from 0 to 1 that is always the same for a point: the mixing step of SplitMix64.
fn random(point: u64) -> f64 {
    let mut bits = point.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    // The upper half is enough, and exact in an f64.
    f64::from((bits >> 32) as u32) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::effect::Speed;

    const MILLI: Duration = Duration::from_millis(1);

    fn play(kind: EffectKind, times: f64, now: Instant) -> EffectPlayer {
        let speed = Speed::from_times(times).unwrap();
        EffectPlayer::new(Effect { kind, speed }, 0.5, now, None).unwrap()
    }

    /// The light at each ms of so many.
    fn each_ms(play: &EffectPlayer, start: Instant, count: u32) -> Vec<f64> {
        (0..count)
            .map(|ms| play.light(start + ms * MILLI))
            .collect()
    }

    #[test]
    fn each_effect_begins_at_its_level_and_never_exceeds_it() {
        let start = Instant::now();
        for kind in [
            EffectKind::Breathe,
            EffectKind::Blink,
            EffectKind::Candle,
            EffectKind::Strobe,
        ] {
            let shown = each_ms(&play(kind, 1.0, start), start, 60_000);
            assert!((shown[0] - 0.5).abs() < 1e-9, "{kind:?}");
            assert!(shown.iter().all(|light| (0.0..=0.5 + 1e-9).contains(light)));
        }
    }

    #[test]
    fn a_breath_takes_four_seconds_and_has_no_steps() {
        let start = Instant::now();
        let shown = each_ms(&play(EffectKind::Breathe, 1.0, start), start, 4_001);
        let least = shown.iter().copied().fold(1.0, f64::min);
        assert_eq!(least, shown[2_000]);
        assert!((lightness(least) - lightness(0.5) * 0.1).abs() < 1e-6);
        assert!((shown[4_000] - 0.5).abs() < 1e-6);
        assert!(
            shown
                .windows(2)
                .all(|pair| (pair[1] - pair[0]).abs() < 0.001)
        );
    }

    #[test]
    fn no_effect_flashes_more_than_three_times_a_second_at_the_safe_speed() {
        let start = Instant::now();
        for kind in [
            EffectKind::Breathe,
            EffectKind::Blink,
            EffectKind::Candle,
            EffectKind::Strobe,
        ] {
            let effect = Effect {
                kind,
                speed: Speed::SAFE,
            };
            let play = EffectPlayer::new(effect, 1.0, start, None).unwrap();
            let shown = each_ms(&play, start, 60_000);
            for second in shown.windows(1000).step_by(100) {
                let flashes = flashes(second);
                assert!(flashes <= 3, "{kind:?}: {flashes}");
            }
        }
    }

    /// How often the light falls and rises by a tenth of full light or more (WCAG 2.2, general flash).
    fn flashes(shown: &[f64]) -> usize {
        let (mut turns, mut falls, mut end) = (0, None, shown[0]);
        for &light in shown {
            match falls {
                Some(true) if light < end => end = light,
                Some(false) if light > end => end = light,
                _ if (light - end).abs() >= 0.1 => {
                    falls = Some(light < end);
                    turns += 1;
                    end = light;
                }
                _ => {}
            }
        }
        turns / 2
    }

    #[test]
    fn a_blink_and_a_strobe_wake_only_at_their_edges() {
        let start = Instant::now();
        for (kind, on, off) in [(EffectKind::Blink, 250, 250), (EffectKind::Strobe, 25, 475)] {
            let play = play(kind, 2.0, start);
            let mut now = start;
            for _ in 0..100 {
                for (light, time) in [(0.5, on), (0.0, off)] {
                    assert!(
                        (play.light(now) - light).abs() < 1e-9,
                        "{kind:?} at {:?}",
                        now - start
                    );
                    let rest = play.rest(now);
                    assert!(rest.abs_diff(time * MILLI) < MILLI / 100, "{rest:?}");
                    now += rest;
                }
            }
        }
    }

    #[test]
    fn another_speed_goes_on_where_the_effect_is() {
        let start = Instant::now();
        let slow = play(EffectKind::Breathe, 1.0, start);
        let now = start + 700 * MILLI;
        let effect = Effect {
            kind: EffectKind::Breathe,
            speed: Speed::SAFE,
        };
        let fast = EffectPlayer::new(effect, 0.5, now, Some(slow)).unwrap();
        assert!((fast.light(now) - slow.light(now)).abs() < 1e-9);
    }
}
