//! Plays an effect: computes the luminance that it gives a light at each time.

use std::f64::consts::TAU;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::effect::{Effect, EffectKind};
use crate::model::level::{lightness, luminance};

/// Duration of a breath in seconds.
const BREATH_PERIOD: f64 = 4.0;
/// Share of the lightness that remains at the darkest point of a breath.
const BREATH_MIN: f64 = 0.1;
/// Share of each second that a blink is on.
const BLINK_ON: f64 = 0.5;
/// Share of each second that a strobe is on.
const STROBE_ON: f64 = 0.05;
/// The two noises of a candle's flicker: random points per second, and the largest share of the
/// lightness that the noise removes. Slow enough that even at three times the speed there are at most
/// three flashes per second.
const FLICKER: [(f64, f64); 2] = [(0.7, 0.3), (2.0, 0.2)];
/// Seconds until a candle flickers fully.
const FLICKER_ONSET: f64 = 0.5;

/// Plays an effect that goes on until the light's next change.
#[derive(Debug, Clone, Copy)]
pub struct EffectPlayer {
    effect: Effect,
    /// CIE lightness of the light's level, 0 to 100: the effect's maximum.
    lightness: f64,
    /// When the effect began, or its speed changed.
    start: Instant,
    /// The position in the effect at `start`, in seconds at normal speed.
    start_phase: f64,
}

impl EffectPlayer {
    /// Plays `effect` with `luminance` as its maximum, from `now` on. Continues where `previous` is if
    /// that plays the same effect at another speed. `None` for a sunrise: it ends, so it is a
    /// [`Transition`](super::transition::Transition).
    pub fn new(
        effect: Effect,
        luminance: f64,
        now: Instant,
        previous: Option<EffectPlayer>,
    ) -> Option<EffectPlayer> {
        let same = previous.filter(|previous| previous.effect.kind == effect.kind);
        (effect.kind != EffectKind::Sunrise).then(|| EffectPlayer {
            effect,
            lightness: lightness(luminance),
            start: now,
            start_phase: same.map_or(0.0, |previous| previous.phase(now)),
        })
    }

    /// The luminance at `now`, 0 to 1.
    pub fn luminance(&self, now: Instant) -> f64 {
        let phase = self.phase(now);
        let share = match self.effect.kind {
            EffectKind::Breathe => {
                let wave = (phase / BREATH_PERIOD * TAU).cos() / 2.0 + 0.5;
                BREATH_MIN + (1.0 - BREATH_MIN) * wave
            }
            EffectKind::Candle => 1.0 - flicker(phase),
            EffectKind::Blink | EffectKind::Strobe => {
                f64::from(u8::from(phase.fract() < self.on_share()))
            }
            EffectKind::Sunrise => 1.0,
        };
        luminance(self.lightness * share)
    }

    /// How long the luminance is constant from `now` on; zero if it changes continuously.
    pub fn steady_time(&self, now: Instant) -> Duration {
        let on = self.on_share();
        if on == 0.0 {
            return Duration::ZERO;
        }
        let position = self.phase(now).fract();
        let edge = if position < on { on } else { 1.0 };
        // The time is rounded down, and must not end before the edge: hence a nanosecond more.
        Duration::from_secs_f64((edge - position) / self.effect.speed.times())
            + Duration::from_nanos(1)
    }

    /// The share of each second that a blinking effect is on; 0 for all others.
    fn on_share(&self) -> f64 {
        match self.effect.kind {
            EffectKind::Blink => BLINK_ON,
            EffectKind::Strobe => STROBE_ON,
            _ => 0.0,
        }
    }

    /// The position in the effect, in seconds at normal speed.
    fn phase(&self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.start).as_secs_f64();
        self.start_phase + passed * self.effect.speed.times()
    }
}

/// The share of the lightness that a candle's flicker removes.
fn flicker(phase: f64) -> f64 {
    let strength = (phase / FLICKER_ONSET).min(1.0);
    let removed = FLICKER.map(|(rate, share)| share * noise(phase * rate));
    strength * removed.iter().sum::<f64>()
}

/// Value noise: a smooth line through random points from 0 to 1, one at each whole number, with
/// smoothstep between them.
fn noise(x: f64) -> f64 {
    let (whole, part) = (x.floor(), x.fract());
    let (from, to) = (random(whole as u64), random(whole as u64 + 1));
    from + (to - from) * part * part * (3.0 - 2.0 * part)
}

/// A pseudorandom number from 0 to 1, always the same for a point: the mixing step of SplitMix64.
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

    fn player(kind: EffectKind, times: f64, now: Instant) -> EffectPlayer {
        let speed = Speed::from_times(times).unwrap();
        EffectPlayer::new(Effect { kind, speed }, 0.5, now, None).unwrap()
    }

    /// The luminance at each of the first `count` milliseconds.
    fn each_ms(player: &EffectPlayer, start: Instant, count: u32) -> Vec<f64> {
        (0..count)
            .map(|ms| player.luminance(start + ms * MILLI))
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
            let shown = each_ms(&player(kind, 1.0, start), start, 60_000);
            assert!((shown[0] - 0.5).abs() < 1e-9, "{kind:?}");
            assert!(
                shown
                    .iter()
                    .all(|luminance| (0.0..=0.5 + 1e-9).contains(luminance))
            );
        }
    }

    #[test]
    fn a_breath_takes_four_seconds_and_has_no_steps() {
        let start = Instant::now();
        let shown = each_ms(&player(EffectKind::Breathe, 1.0, start), start, 4_001);
        let darkest = shown.iter().copied().fold(1.0, f64::min);
        assert_eq!(darkest, shown[2_000]);
        assert!((lightness(darkest) - lightness(0.5) * 0.1).abs() < 1e-6);
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
            let player = EffectPlayer::new(effect, 1.0, start, None).unwrap();
            let shown = each_ms(&player, start, 60_000);
            for second in shown.windows(1000).step_by(100) {
                let flashes = flashes(second);
                assert!(flashes <= 3, "{kind:?}: {flashes}");
            }
        }
    }

    /// Counts the pairs of a rise and a fall by at least a tenth of full luminance (WCAG 2.2, general
    /// flash).
    fn flashes(shown: &[f64]) -> usize {
        let (mut turns, mut is_falling, mut extreme) = (0, None, shown[0]);
        for &luminance in shown {
            match is_falling {
                Some(true) if luminance < extreme => extreme = luminance,
                Some(false) if luminance > extreme => extreme = luminance,
                _ if (luminance - extreme).abs() >= 0.1 => {
                    is_falling = Some(luminance < extreme);
                    turns += 1;
                    extreme = luminance;
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
            let player = player(kind, 2.0, start);
            let mut now = start;
            for _ in 0..100 {
                for (luminance, time) in [(0.5, on), (0.0, off)] {
                    assert!(
                        (player.luminance(now) - luminance).abs() < 1e-9,
                        "{kind:?} at {:?}",
                        now - start
                    );
                    let steady = player.steady_time(now);
                    assert!(steady.abs_diff(time * MILLI) < MILLI / 100, "{steady:?}");
                    now += steady;
                }
            }
        }
    }

    #[test]
    fn a_new_speed_continues_where_the_effect_is() {
        let start = Instant::now();
        let slow = player(EffectKind::Breathe, 1.0, start);
        let now = start + 700 * MILLI;
        let effect = Effect {
            kind: EffectKind::Breathe,
            speed: Speed::SAFE,
        };
        let fast = EffectPlayer::new(effect, 0.5, now, Some(slow)).unwrap();
        assert!((fast.luminance(now) - slow.luminance(now)).abs() < 1e-9);
    }
}
