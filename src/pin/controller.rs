//! Moves one pin as its light says: changes, transitions, effects, and writes that fail.

use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::dither::Dither;
use super::effect_player::EffectPlayer;
use super::output::{Opened, Output};
use super::transition::Transition;
use crate::config::{LightConfig, OnStop};
use crate::metrics::Writes;
use crate::model::effect::EffectKind;
use crate::model::level::Duty;
use crate::model::lights::{LightId, LightState, Lights};
use crate::platform::supervisor::Heartbeat;

/// The first wait before a failed write is tried again; each further wait is twice as long.
const FIRST_RETRY: Duration = Duration::from_millis(100);
/// The longest such wait.
const LAST_RETRY: Duration = Duration::from_secs(5);
/// The shortest time between two duties: tokio's timers count in these.
const SHORTEST_TICK: Duration = Duration::from_millis(1);

/// What a pin's thread knows.
pub struct PinController {
    config: LightConfig,
    output: Output,
    lights: Arc<Lights>,
    light_id: LightId,
    /// Shortest time between two duties of a transition: the driver takes one a period.
    tick: Duration,
    /// When the next dithered duty is due, or a driver that fails is tried again.
    ready: Instant,
    /// The revision of the light that `fade` leads to.
    revision: Option<u64>,
    /// The way through the curve's shares of light, before `min_duty` and `max_duty`.
    fade: Transition,
    /// What is played instead, around the end of `fade`.
    play: Option<EffectPlayer>,
    /// Set while `fade` is a sunrise, which is to be told when it is over.
    rises: bool,
    dither: Dither,
    /// The last duty that the driver took, before inversion.
    written: Option<Duty>,
    /// Set while the driver fails: the wait after the next try.
    retry: Option<Duration>,
    /// When the light was changed, until the driver has its first duty for that.
    changed: Option<Instant>,
    writes: Arc<Writes>,
    /// Whether the last duty cycle was written.
    finished: bool,
}

impl PinController {
    /// The motion of an open pin that is dark so far, for the light at `index`.
    pub fn new(
        config: LightConfig,
        opened: Opened,
        lights: Arc<Lights>,
        light_id: LightId,
    ) -> PinController {
        let period = Duration::from_secs(1) / opened.frequency.max(1);
        PinController {
            config,
            output: opened.output,
            lights,
            light_id,
            tick: period.max(SHORTEST_TICK),
            ready: Instant::now(),
            revision: None,
            fade: Transition::at(0.0),
            play: None,
            rises: false,
            dither: Dither::new(opened.resolution),
            written: None,
            retry: None,
            changed: None,
            writes: Arc::default(),
            finished: false,
        }
    }

    /// What the driver was given, counted.
    pub fn writes(&self) -> Arc<Writes> {
        self.writes.clone()
    }

    /// Follows the light until told to stop, and leaves the pin as `on_stop` says.
    pub async fn run(mut self, stop: CancellationToken, mut heartbeat: Heartbeat) {
        let mut watch = self.lights.watch();
        while !stop.is_cancelled() {
            let now = Instant::now();
            self.aim(now, &watch.borrow_and_update()[self.light_id.index()]);
            let wake = self.advance(now);
            tokio::select! {
                () = stop.cancelled() => {}
                changed = watch.changed() => {
                    if changed.is_err() {
                        break;
                    }
                }
                () = sleep_until(wake.unwrap_or(now)), if wake.is_some() => {}
                () = heartbeat.beat() => {}
            }
        }
        self.finish();
    }

    /// Takes over a change of the light, from wherever the pin is at `now`.
    fn aim(&mut self, now: Instant, light: &LightState) {
        if self.revision == Some(light.revision) {
            return;
        }
        let first = self.revision.is_none();
        let target = self.config.curve.light(light.level);
        self.rises = light
            .effect
            .is_some_and(|effect| effect.kind == EffectKind::Sunrise);
        let (from, time) = match first {
            _ if self.rises => (0.0, light.duration),
            // The service does not fade in: it goes back to where it was.
            true => (target, Duration::ZERO),
            false => (self.light(now), light.duration),
        };
        self.fade = Transition::at(from).turned(now, target, time);
        self.play = light
            .effect
            .and_then(|effect| EffectPlayer::new(effect, target, now, self.play));
        self.revision = Some(light.revision);
        self.changed = (!first).then_some(light.since);
    }

    /// The share of light that is due at `now`.
    fn light(&self, now: Instant) -> f64 {
        match self.play {
            Some(play) => play.light(now),
            None => self.fade.light(now),
        }
    }

    /// Brings the pin to where it is due at `now`, and says when to look again: never, once it rests.
    fn advance(&mut self, now: Instant) -> Option<Instant> {
        if now < self.ready {
            return Some(self.ready);
        }
        let moves = self.play.is_some() || !self.fade.is_over(now);
        let light = self.config.trimmed(self.light(now));
        let rest = self.play.map_or(Duration::ZERO, |play| play.rest(now));
        let dithered = moves && rest.is_zero() && self.dither.is_needed();
        let duty = if dithered {
            self.dither.next(light)
        } else {
            self.dither.rest(light)
        };
        if self.written != Some(duty) {
            if let Err(message) = self.write(duty) {
                return Some(self.failed(now, message));
            }
            self.recovered();
        } else {
            // It shows the change already, or from a later duty on.
            self.changed = None;
        }
        if !moves {
            if mem::take(&mut self.rises) {
                let revision = self.revision.unwrap_or_default();
                self.lights.finish_sunrise(self.light_id, revision);
            }
            return None;
        }
        if dithered {
            // Also where the duty stays: whoever wakes the thread, it owes once a period.
            self.ready = now + self.tick;
        }
        // Where each duty is a step, a slow fade needs no more wakes than it has duties.
        let wait = if dithered {
            self.tick
        } else {
            self.tick.max(self.fade.tick()).max(rest)
        };
        Some(now + wait)
    }

    fn write(&mut self, duty: Duty) -> Result<(), String> {
        let wired = if self.config.invert {
            duty.inverted()
        } else {
            duty
        };
        debug!("light {}: duty {}", self.config.name, wired.0);
        self.writes.all.add();
        self.output.set_duty_cycle(wired.0).map_err(|error| {
            self.writes.failed.add();
            error.to_string()
        })?;
        if let Some(changed) = self.changed.take() {
            self.writes.delay.add(changed.elapsed());
        }
        self.written = Some(duty);
        Ok(())
    }

    fn recovered(&mut self) {
        if self.retry.take().is_some() {
            let fault = self.lights.state(self.light_id).fault;
            let lasted = fault.and_then(|fault| fault.since.elapsed().ok());
            let seconds = lasted.unwrap_or_default().as_secs_f64();
            info!(
                "light {}: the driver works again after {seconds:.1} s",
                self.config.name
            );
            self.lights.report_fault(self.light_id, None);
        }
    }

    fn failed(&mut self, now: Instant, message: String) -> Instant {
        let wait = match self.retry {
            Some(wait) => wait,
            None => {
                warn!("light {}: {message}; trying again", self.config.name);
                FIRST_RETRY
            }
        };
        // What the pin shows now is not known.
        self.written = None;
        self.lights.report_fault(self.light_id, Some(message));
        self.retry = Some((wait * 2).min(LAST_RETRY));
        self.ready = now + wait;
        self.ready
    }

    /// Writes the last duty cycle: off, or the level without the rest of a transition.
    fn finish(mut self) {
        let last = match self.config.on_stop {
            OnStop::Off => Duty::OFF,
            OnStop::Keep => {
                let level = self.lights.state(self.light_id).level;
                let light = self.config.curve.light(level);
                self.dither.rest(self.config.trimmed(light))
            }
        };
        if self.written != Some(last)
            && let Err(message) = self.write(last)
        {
            warn!("light {}: at the stop: {message}", self.config.name);
        }
        self.finished = true;
    }
}

/// A thread that panics leaves the pin as a stop does.
impl Drop for PinController {
    fn drop(&mut self) {
        if self.finished || self.config.on_stop == OnStop::Keep {
            return;
        }
        // The driver may be what panicked, and may do so again.
        let off = panic::catch_unwind(AssertUnwindSafe(|| self.write(Duty::OFF)));
        if !matches!(off, Ok(Ok(()))) {
            warn!("light {}: its pin may not be off", self.config.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use embedded_hal::pwm::{ErrorType, SetDutyCycle};
    use proptest::prelude::*;

    use super::*;
    use crate::model::effect::{Effect, Speed};
    use crate::model::hub::Hub;
    use crate::model::level::{Curve, Level, lightness, luminance};
    use crate::model::lights::{Change, Driver};
    use crate::pin::output::WriteError;

    const LED: LightId = LightId::FIRST;

    /// An LED that tells the test each duty it gets.
    struct Recorder(Sender<u16>);

    impl ErrorType for Recorder {
        type Error = WriteError;
    }

    impl SetDutyCycle for Recorder {
        fn max_duty_cycle(&self) -> u16 {
            u16::MAX
        }

        fn set_duty_cycle(&mut self, duty: u16) -> Result<(), WriteError> {
            self.0.send(duty).expect("a test that listens");
            Ok(())
        }
    }

    /// A motion with its own clock, which stands still but in [`Test::pass`].
    struct Test {
        hub: Arc<Hub>,
        motion: PinController,
        now: Instant,
        told: Receiver<u16>,
        /// Each duty with its time.
        writes: Vec<(Instant, Duty)>,
    }

    impl Test {
        /// A dark light on a driver of this frequency in Hz and so many steps.
        fn new(frequency: u32, resolution: u32, config: LightConfig) -> Test {
            let (tells, told) = channel();
            let opened = Opened {
                output: Box::new(Recorder(tells)),
                driver: Driver::Simulated,
                frequency,
                resolution,
                about: "recorded".into(),
            };
            let state = LightState::new(Level::OFF, Level::FULL);
            let light = config.light((Driver::Simulated, frequency, resolution));
            let hub = Hub::with(Lights::new(vec![(light, state)]));
            let motion = PinController::new(config, opened, hub.lights.clone(), LED);
            let mut test = Test {
                now: motion.ready,
                hub,
                motion,
                told,
                writes: Vec::new(),
            };
            test.pass(Duration::ZERO);
            test
        }

        fn change(&self, level: Level, transition: Duration) {
            let change = Change::Level(level);
            self.hub.change_in(LED, change, Some(transition));
        }

        fn play(&self, kind: EffectKind, transition: Option<Duration>) {
            let effect = Effect {
                kind,
                speed: Speed::NORMAL,
            };
            let change = Change::Effect(Some(effect));
            self.hub.change_in(LED, change, transition);
        }

        /// Lets time pass, as the thread does; says whether a timer runs at its end.
        fn pass(&mut self, time: Duration) -> bool {
            let end = self.now + time;
            loop {
                self.motion.aim(self.now, &self.motion.lights.state(LED));
                let wake = self.motion.advance(self.now);
                let told = self.told.try_iter();
                self.writes.extend(told.map(|duty| (self.now, Duty(duty))));
                match wake {
                    Some(at) if at <= end => self.now = at,
                    _ => {
                        self.now = end;
                        return wake.is_some();
                    }
                }
            }
        }

        fn shown(&self) -> f64 {
            self.writes
                .last()
                .expect("a write at the start")
                .1
                .fraction()
        }
    }

    fn level(percent: f64) -> Level {
        Level::from_percent(percent).unwrap()
    }

    /// One of the 65 535 parts of full light.
    const DUTY: f64 = 1.0 / 65_535.0;

    #[test]
    fn a_slow_fade_on_a_coarse_driver_has_the_curve_for_its_mean_and_no_steps() {
        const TIME: Duration = Duration::from_secs(60);
        const WINDOW: Duration = Duration::from_millis(100);
        for (frequency, resolution) in [(200, 5_000), (1_000, 1_000), (1_000, 10_000)] {
            for curve in [Curve::Linear, Curve::Perceptual] {
                let what = format!("{frequency} Hz, {resolution} steps, {curve:?}");
                let mut test = Test::new(
                    frequency,
                    resolution,
                    LightConfig {
                        curve,
                        ..LightConfig::default()
                    },
                );
                let start = test.now;
                test.change(level(5.0), TIME);
                let target = curve.light(level(5.0));
                let due = |at: Instant| {
                    let done = (at - start).div_duration_f64(TIME);
                    luminance(lightness(target) * done)
                };
                let tick = test.motion.tick;
                let ticks = WINDOW.div_duration_f64(tick) as usize;
                let mut shown = Vec::new();
                while test.now + tick < start + TIME {
                    test.pass(tick);
                    shown.push((test.shown(), due(test.now)));
                }
                for window in shown.windows(ticks) {
                    let (shown, due) = window
                        .iter()
                        .fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
                    let off = (shown - due) / ticks as f64;
                    assert!(off.abs() <= DUTY, "{what}: the mean is {off} off");
                }

                let step = 1.0 / f64::from(resolution);
                let end = test.shown();
                assert!(!test.pass(tick), "{what}: no timer runs after the fade");
                let rest = test.shown();
                assert!((rest - target).abs() <= (step + DUTY) / 2.0, "{what}");
                assert!((rest - end).abs() <= step + DUTY, "{what}");
                for pair in test.writes.windows(2) {
                    let jump = (pair[1].1.fraction() - pair[0].1.fraction()).abs();
                    assert!(jump <= step + DUTY, "{what}: a jump of {jump}");
                }
            }
        }
    }

    #[test]
    fn a_light_that_is_on_is_never_dark_however_coarse_its_driver() {
        let config = LightConfig {
            curve: Curve::Perceptual,
            ..LightConfig::default()
        };
        let mut test = Test::new(1_000, 1_000, config);
        test.change(level(0.1), Duration::ZERO);
        test.pass(Duration::from_millis(1));
        assert_eq!(test.writes.last().unwrap().1, Duty(66), "one step");
        test.change(Level::OFF, Duration::ZERO);
        test.pass(Duration::from_millis(1));
        assert_eq!(test.writes.last().unwrap().1, Duty::OFF);
    }

    #[test]
    fn the_driver_gets_each_change_at_once() {
        let mut test = Test::new(200, 5_000, LightConfig::default());
        test.pass(Duration::from_secs(1));
        test.writes.clear();
        let start = test.now;
        for tenth in 1..=1000 {
            test.change(level(f64::from(tenth) / 10.0), Duration::ZERO);
            assert!(!test.pass(Duration::from_micros(100)), "no timer runs");
        }
        assert_eq!(test.writes[0].0, start);
        assert_eq!(test.writes.len(), 1000);
        assert_eq!(test.writes.last().unwrap().1, Duty::FULL);
    }

    #[test]
    fn a_level_that_a_light_has_already_is_not_written_again() {
        let mut test = Test::new(1_000, 1_000, LightConfig::default());
        for time in [0, 0, 1, 0] {
            test.change(Level::HALF, Duration::from_secs(time));
            assert!(!test.pass(Duration::from_secs(2)));
        }
        assert_eq!(test.writes.len(), 2, "dark at the start, then half");
    }

    #[test]
    fn a_sunrise_goes_from_dark_to_its_level_and_ends() {
        let mut test = Test::new(1_000, 65_536, LightConfig::default());
        let minute = Duration::from_secs(60);
        test.change(level(80.0), Duration::ZERO);
        test.pass(minute);
        test.writes.clear();
        let start = test.now;
        test.play(EffectKind::Sunrise, Some(minute));
        assert!(test.pass(minute / 2));
        assert!(test.motion.lights.state(LED).effect.is_some());
        assert!((test.shown() - luminance(lightness(0.8) / 2.0)).abs() < 0.001);
        assert!(!test.pass(minute), "no timer runs after it");
        assert_eq!(test.writes[0], (start, Duty::OFF));
        assert!(test.writes.is_sorted_by_key(|(_, duty)| duty.0));
        assert_eq!(test.shown(), Duty::from_fraction(0.8).fraction());
        assert_eq!(test.motion.lights.state(LED).effect, None);
    }

    #[test]
    fn a_change_takes_over_from_an_effect_without_a_jump() {
        let mut test = Test::new(1_000, 65_536, LightConfig::default());
        test.change(Level::FULL, Duration::ZERO);
        test.play(EffectKind::Breathe, None);
        test.pass(Duration::from_millis(1_500));
        test.change(Level::HALF, Duration::from_secs(1));
        assert!(test.pass(Duration::from_millis(900)), "it fades");
        let jumps = test.writes[2..].windows(2);
        let largest = jumps
            .map(|pair| (pair[1].1.fraction() - pair[0].1.fraction()).abs())
            .fold(0.0, f64::max);
        assert!(largest < 0.002, "a jump of {largest}");
        assert!(!test.pass(Duration::from_secs(1)));
    }

    #[test]
    fn a_blink_takes_two_wakes_a_second() {
        let mut test = Test::new(1_000, 1_000, LightConfig::default());
        test.change(Level::HALF, Duration::ZERO);
        test.writes.clear();
        test.play(EffectKind::Blink, None);
        test.pass(Duration::from_millis(9_900));
        let duties: Vec<_> = test.writes.iter().map(|(_, duty)| *duty).collect();
        let half = Duty::from_fraction(0.5);
        assert_eq!(duties.len(), 20, "{duties:?}");
        assert!(duties.chunks(2).all(|pair| pair == [half, Duty::OFF]));
    }

    /// A change: its level, seconds it takes, and seconds until the next.
    fn change() -> impl Strategy<Value = (Level, f64, f64)> {
        let level = (0..=1000u16).prop_map(|tenths| level(f64::from(tenths) / 10.0));
        let time = prop_oneof![Just(0.0), 0.001..3.0f64];
        (level, time, 0.0..2.0f64)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn changes_in_any_order_move_a_light_without_jumps_to_the_last_of_them(
            changes in prop::collection::vec(change(), 1..12),
            frequency in prop::sample::select(&[20, 200, 1_000, 20_000]),
            resolution in prop::sample::select(&[100, 5_000, 65_536]),
            (min_duty, max_duty) in prop::sample::select(&[(0.0, 100.0), (12.3, 70.0)]),
        ) {
            let config = LightConfig { min_duty, max_duty, ..LightConfig::default() };
            let mut test = Test::new(frequency, resolution, config.clone());
            // Where the light is due: lightness from, to, since when, in how many seconds.
            let (mut from, mut to, mut since, mut seconds) = (0.0, 0.0, test.now, 0.0);
            let due = |at: Instant, from: f64, to: f64, since: Instant, seconds: f64| {
                let passed = (at - since).as_secs_f64();
                if passed < seconds { from + (to - from) * passed / seconds } else { to }
            };
            let step = 1.0 / f64::from(resolution.min(65_535));
            let tick = test.motion.tick;
            let mut checked = test.writes.len();
            for (target, time, pause) in changes {
                from = due(test.now, from, to, since, seconds);
                to = lightness(config.curve.light(target));
                (since, seconds) = (test.now, time);
                test.change(target, Duration::from_secs_f64(time));
                test.pass(Duration::from_secs_f64(pause));
                for (at, duty) in &test.writes[checked..] {
                    let due = config.trimmed(luminance(due(*at, from, to, since, seconds)));
                    let off = (duty.fraction() - due).abs();
                    prop_assert!(off <= step + DUTY, "{off} off at {:?}", *at - since);
                }
                checked = test.writes.len();
            }
            let rests = test.pass(Duration::from_secs_f64(seconds) + 2 * tick);
            prop_assert!(!rests, "no timer runs at rest");
            let last = config.trimmed(luminance(to));
            let near = (step / 2.0).max(if to > 0.0 { step - last } else { 0.0 });
            prop_assert!((test.shown() - last).abs() <= near + DUTY);
            prop_assert!(test.writes.windows(2).all(|pair| pair[1].1 != pair[0].1));
        }
    }
}
