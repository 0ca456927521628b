//! Moves one pin as its light's state says: changes, transitions, effects, and retries of failed writes.

use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::dither::Dither;
use super::effect_player::EffectPlayer;
use super::output::{OpenOutput, Output};
use super::transition::Transition;
use crate::config::{LightConfig, OnStop};
use crate::metrics::WriteMetrics;
use crate::model::effect::EffectKind;
use crate::model::level::Duty;
use crate::model::lights::{Driver, LightId, LightState, Lights, Trial};
use crate::model::settings::LightSettings;
use crate::platform::supervisor::Heartbeat;

/// The delay before the first retry of a failed write; each further delay is twice as long.
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(100);
/// The longest delay before a retry.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(5);
/// The shortest time between two writes of a transition: the resolution of tokio's timers.
const MIN_TICK: Duration = Duration::from_millis(1);

/// Moves one pin; runs in the pin's thread.
pub struct PinController {
    config: LightConfig,
    output: Output,
    lights: Arc<Lights>,
    light_id: LightId,
    /// Shortest time between two writes of a transition: the driver takes one duty per period.
    tick: Duration,
    /// No write before this time: the next dithered duty, or the retry of a failed write.
    not_before: Instant,
    /// The revision of the light's state that `transition` leads to.
    revision: Option<u64>,
    /// The curve and the range that the pin follows.
    settings: Arc<LightSettings>,
    /// The duty that somebody tries, and that is shown instead of all else.
    trial: Option<Trial>,
    /// The luminance over time, before `min_duty` and `max_duty`.
    transition: Transition,
    /// Played instead of `transition`, around the luminance that the transition leads to.
    effect: Option<EffectPlayer>,
    /// Set while `transition` is a sunrise, whose end must be reported.
    is_sunrise: bool,
    dither: Dither,
    /// Whether other programs may write to the driver, too.
    is_public: bool,
    /// The last duty that the driver took, before inversion; `None` if what the pin shows is unknown.
    last_duty: Option<Duty>,
    /// Set while the driver fails: the delay before the retry after the next one.
    retry_delay: Option<Duration>,
    /// When the light was changed, until the first write for that change.
    changed_at: Option<Instant>,
    writes: Arc<WriteMetrics>,
    /// Whether the final duty has been written.
    is_finished: bool,
}

impl PinController {
    /// A controller of this open output for the light `light_id`.
    pub fn new(
        config: LightConfig,
        open: OpenOutput,
        lights: Arc<Lights>,
        light_id: LightId,
    ) -> PinController {
        let period = Duration::from_secs(1) / open.frequency.max(1);
        PinController {
            config,
            output: open.output,
            lights,
            light_id,
            tick: period.max(MIN_TICK),
            not_before: Instant::now(),
            revision: None,
            settings: Arc::default(),
            trial: None,
            transition: Transition::constant(0.0),
            effect: None,
            is_sunrise: false,
            dither: Dither::new(open.resolution),
            is_public: open.driver == Driver::KernelPwm,
            last_duty: None,
            retry_delay: None,
            changed_at: None,
            writes: Arc::default(),
            is_finished: false,
        }
    }

    /// The metrics of the writes to the driver.
    pub fn writes(&self) -> Arc<WriteMetrics> {
        self.writes.clone()
    }

    /// Follows the light until `stop`, then leaves the pin as `on_stop` says.
    pub async fn run(mut self, stop: CancellationToken, mut heartbeat: Heartbeat) {
        let mut states = self.lights.watch();
        while !stop.is_cancelled() {
            let now = Instant::now();
            self.retarget(now, &states.borrow_and_update()[self.light_id.index()]);
            let wake = self.advance(now);
            tokio::select! {
                () = stop.cancelled() => {}
                changed = states.changed() => {
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

    /// Adopts a change of the light, starting from what the pin shows at `now`.
    fn retarget(&mut self, now: Instant, light: &LightState) {
        if self.trial != light.trial {
            self.trial = light.trial.clone();
            // A retry of a failed write waits on.
            if self.retry_delay.is_none() {
                self.not_before = now;
            }
        }
        let is_change = self.revision != Some(light.revision);
        if !is_change && self.settings == light.settings {
            return;
        }
        self.settings = light.settings.clone();
        let is_first = self.revision.is_none();
        if self.is_public && is_change {
            // Each change is written, even if the duty is the same, as another program may have written meanwhile.
            self.last_duty = None;
        }
        let target = self.settings.curve.luminance(light.level);
        self.is_sunrise = light
            .effect
            .is_some_and(|effect| effect.kind == EffectKind::Sunrise);
        let (from, duration) = if !is_change {
            // The way to the new target goes on from what is seen.
            let arrives = light.arrives().unwrap_or(now);
            (self.luminance(now), arrives.saturating_duration_since(now))
        } else if self.is_sunrise {
            (0.0, light.duration)
        } else if is_first {
            // No transition at the start of the service: the light returns to where it was.
            (target, Duration::ZERO)
        } else {
            (self.luminance(now), light.duration)
        };
        self.transition = Transition::new(from, target, now, duration);
        self.effect = light
            .effect
            .and_then(|effect| EffectPlayer::new(effect, target, now, self.effect));
        self.revision = Some(light.revision);
        if is_change {
            self.changed_at = (!is_first).then_some(light.since);
        }
    }

    /// The luminance that is due at `now`, 0 to 1.
    fn luminance(&self, now: Instant) -> f64 {
        match self.effect {
            Some(effect) => effect.luminance(now),
            None => self.transition.luminance(now),
        }
    }

    /// Writes the duty that is due at `now`, and returns when to call again; `None` once the light is
    /// steady.
    fn advance(&mut self, now: Instant) -> Option<Instant> {
        if now < self.not_before {
            return Some(self.not_before);
        }
        if let Some(wake) = self.show_trial(now) {
            return Some(wake);
        }
        let is_moving = self.effect.is_some() || !self.transition.is_finished(now);
        let steady_time = self
            .effect
            .map_or(Duration::ZERO, |effect| effect.steady_time(now));
        let is_dithered = is_moving && steady_time.is_zero() && self.dither.is_needed();
        let fraction = self.settings.duty(self.luminance(now));
        let duty = if is_dithered {
            self.dither.next_duty(fraction)
        } else {
            self.dither.steady_duty(fraction)
        };
        if self.last_duty == Some(duty) {
            // No delay to measure: the pin shows the change already, or a later duty will.
            self.changed_at = None;
        } else if let Err(message) = self.write(duty) {
            return Some(self.schedule_retry(now, message));
        } else {
            self.report_recovery();
        }
        if !is_moving {
            if mem::take(&mut self.is_sunrise) {
                let revision = self.revision.unwrap_or_default();
                self.lights.finish_sunrise(self.light_id, revision);
            }
            return None;
        }
        if is_dithered {
            // Even if the duty is unchanged: the dither error advances once per period, not once per
            // wake-up.
            self.not_before = now + self.tick;
            return Some(self.not_before);
        }
        // Without dithering, a slow transition needs no more wake-ups than it has duties.
        Some(now + self.tick.max(self.transition.tick()).max(steady_time))
    }

    /// Writes the duty that somebody tries, and returns when to call again; `None` if nobody tries one.
    fn show_trial(&mut self, now: Instant) -> Option<Instant> {
        let (until, duty) = self.trial.as_ref().map(|trial| (trial.until, trial.duty))?;
        if until <= now {
            let over = self.trial.take();
            over.inspect(|trial| self.lights.end_trial(self.light_id, trial));
            return None;
        }
        let duty = self.dither.steady_duty(duty / 100.0);
        if self.last_duty != Some(duty)
            && let Err(message) = self.write(duty)
        {
            return Some(self.schedule_retry(now, message).min(until));
        }
        self.report_recovery();
        Some(until)
    }

    fn write(&mut self, duty: Duty) -> Result<(), String> {
        let pin_duty = if self.config.invert {
            duty.inverted()
        } else {
            duty
        };
        debug!("light {}: duty {}", self.config.name, pin_duty.0);
        self.writes.all.add();
        self.output.set_duty_cycle(pin_duty.0).map_err(|error| {
            self.writes.failed.add();
            error.to_string()
        })?;
        if let Some(changed_at) = self.changed_at.take() {
            self.writes.delay.add(changed_at.elapsed());
        }
        self.last_duty = Some(duty);
        Ok(())
    }

    /// Reports that the driver works again, if it failed before.
    fn report_recovery(&mut self) {
        if self.retry_delay.take().is_some() {
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

    /// Reports that a write failed with `message`, and returns when to retry.
    fn schedule_retry(&mut self, now: Instant, message: String) -> Instant {
        let delay = match self.retry_delay {
            Some(delay) => delay,
            None => {
                warn!("light {}: {message}; trying again", self.config.name);
                FIRST_RETRY_DELAY
            }
        };
        self.last_duty = None;
        self.lights.report_fault(self.light_id, Some(message));
        self.retry_delay = Some((delay * 2).min(MAX_RETRY_DELAY));
        self.not_before = now + delay;
        self.not_before
    }

    /// Writes the final duty: off, or with `keep` that of the light's level, even if a transition to it
    /// has not ended.
    fn finish(mut self) {
        let last = match self.config.on_stop {
            OnStop::Off => Duty::OFF,
            OnStop::Keep => {
                let level = self.lights.state(self.light_id).level;
                let luminance = self.settings.curve.luminance(level);
                self.dither.steady_duty(self.settings.duty(luminance))
            }
        };
        if self.last_duty != Some(last)
            && let Err(message) = self.write(last)
        {
            warn!("light {}: at the stop: {message}", self.config.name);
        }
        self.is_finished = true;
    }
}

/// Leaves the pin as a stop does if the thread panics.
impl Drop for PinController {
    fn drop(&mut self) {
        if self.is_finished || self.config.on_stop == OnStop::Keep {
            return;
        }
        // The panic may come from the driver, which may panic again.
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
    use crate::model::actor::Actor;
    use crate::model::command::Command;
    use crate::model::effect::{Effect, Speed};
    use crate::model::hub::Hub;
    use crate::model::level::{Curve, Level, lightness, luminance};
    use crate::model::lights::Change;
    use crate::pin::output::WriteError;

    const LED: LightId = LightId::FIRST;

    /// An output that sends each duty to the test.
    struct Recorder(Sender<u16>);

    impl ErrorType for Recorder {
        type Error = WriteError;
    }

    impl SetDutyCycle for Recorder {
        fn max_duty_cycle(&self) -> u16 {
            u16::MAX
        }

        fn set_duty_cycle(&mut self, duty: u16) -> Result<(), WriteError> {
            self.0.send(duty).expect("the test receives");
            Ok(())
        }
    }

    /// A controller with a clock of its own, which only [`ControlledLight::advance`] moves.
    struct ControlledLight {
        hub: Arc<Hub>,
        controller: PinController,
        now: Instant,
        duties: Receiver<u16>,
        /// Each duty that the output was given, with its time.
        writes: Vec<(Instant, Duty)>,
    }

    impl ControlledLight {
        /// A dark light whose driver has this frequency in Hz and this number of steps.
        fn new(frequency: u32, resolution: u32, config: LightConfig) -> ControlledLight {
            ControlledLight::with_driver(Driver::Simulated, frequency, resolution, config)
        }

        fn with_driver(
            driver: Driver,
            frequency: u32,
            resolution: u32,
            config: LightConfig,
        ) -> ControlledLight {
            let (sender, duties) = channel();
            let open = OpenOutput {
                output: Box::new(Recorder(sender)),
                driver,
                frequency,
                resolution,
                description: "recorded".into(),
                fallback: None,
            };
            let state = LightState::new(Level::OFF, Level::FULL).with(config.settings());
            let light = config.light((driver, frequency, resolution));
            let hub = Hub::with(Lights::new(vec![(light, state)]));
            let controller = PinController::new(config, open, hub.lights.clone(), LED);
            let mut light = ControlledLight {
                now: controller.not_before,
                hub,
                controller,
                duties,
                writes: Vec::new(),
            };
            light.advance(Duration::ZERO);
            light
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

        /// Runs the controller for `time`, as the thread does; returns whether a timer runs at the end.
        fn advance(&mut self, time: Duration) -> bool {
            let end = self.now + time;
            loop {
                let state = self.hub.lights.state(LED);
                self.controller.retarget(self.now, &state);
                let wake = self.controller.advance(self.now);
                let duties = self.duties.try_iter();
                self.writes
                    .extend(duties.map(|duty| (self.now, Duty(duty))));
                match wake {
                    Some(at) if at <= end => self.now = at,
                    _ => {
                        self.now = end;
                        return wake.is_some();
                    }
                }
            }
        }

        /// The duty of the pin, 0 to 1.
        fn fraction(&self) -> f64 {
            let (_, duty) = self.writes.last().expect("a write at the start");
            duty.fraction()
        }
    }

    #[test]
    fn the_same_level_again_is_written_where_another_program_may_have_written_meanwhile() {
        for (driver, writes) in [
            (Driver::KernelPwm, 2),
            (Driver::SoftwarePwm, 1),
            (Driver::Simulated, 1),
        ] {
            let config = LightConfig::default();
            let mut light = ControlledLight::with_driver(driver, 1000, 65_536, config);
            light.writes.clear();
            for _ in 0..2 {
                light.change(Level::FULL, Duration::ZERO);
                light.advance(Duration::from_secs(1));
            }
            let duties: Vec<_> = light.writes.iter().map(|(_, duty)| *duty).collect();
            assert_eq!(duties, vec![Duty::FULL; writes], "{driver:?}");
        }
    }

    fn level(percent: f64) -> Level {
        Level::from_percent(percent).unwrap()
    }

    /// One of the 65 535 steps of a duty.
    const DUTY: f64 = 1.0 / 65_535.0;

    #[test]
    fn a_slow_transition_on_a_coarse_driver_follows_the_curve_on_average_and_never_jumps() {
        const TIME: Duration = Duration::from_secs(60);
        const WINDOW: Duration = Duration::from_millis(100);
        for (frequency, resolution) in [(200, 5_000), (1_000, 1_000), (1_000, 10_000)] {
            for curve in [Curve::Linear, Curve::Perceptual] {
                let case = format!("{frequency} Hz, {resolution} steps, {curve:?}");
                let mut light = ControlledLight::new(
                    frequency,
                    resolution,
                    LightConfig {
                        curve,
                        ..LightConfig::default()
                    },
                );
                let start = light.now;
                light.change(level(5.0), TIME);
                let target = curve.luminance(level(5.0));
                let due = |at: Instant| {
                    let progress = (at - start).div_duration_f64(TIME);
                    luminance(lightness(target) * progress)
                };
                let tick = light.controller.tick;
                let ticks = WINDOW.div_duration_f64(tick) as usize;
                let mut shown = Vec::new();
                while light.now + tick < start + TIME {
                    light.advance(tick);
                    shown.push((light.fraction(), due(light.now)));
                }
                for window in shown.windows(ticks) {
                    let (shown, due) = window
                        .iter()
                        .fold((0.0, 0.0), |sum, tick| (sum.0 + tick.0, sum.1 + tick.1));
                    let error = (shown - due) / ticks as f64;
                    assert!(error.abs() <= DUTY, "{case}: the mean is {error} off");
                }

                let step = 1.0 / f64::from(resolution);
                let end = light.fraction();
                assert!(
                    !light.advance(tick),
                    "{case}: no timer runs after the transition"
                );
                let steady = light.fraction();
                assert!((steady - target).abs() <= (step + DUTY) / 2.0, "{case}");
                assert!((steady - end).abs() <= step + DUTY, "{case}");
                for pair in light.writes.windows(2) {
                    let jump = (pair[1].1.fraction() - pair[0].1.fraction()).abs();
                    assert!(jump <= step + DUTY, "{case}: a jump of {jump}");
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
        let mut light = ControlledLight::new(1_000, 1_000, config);
        light.change(level(0.1), Duration::ZERO);
        light.advance(Duration::from_millis(1));
        assert_eq!(light.writes.last().unwrap().1, Duty(66), "one step");
        light.change(Level::OFF, Duration::ZERO);
        light.advance(Duration::from_millis(1));
        assert_eq!(light.writes.last().unwrap().1, Duty::OFF);
    }

    #[test]
    fn a_transition_is_written_at_most_once_a_period() {
        for (frequency, period) in [(50, 20), (200, 5), (1_000, 1), (20_000, 1)] {
            for resolution in [5_000, 65_536] {
                let config = LightConfig::default();
                let mut light = ControlledLight::new(frequency, resolution, config);
                light.writes.clear();
                light.change(Level::FULL, Duration::from_secs(1));
                light.advance(Duration::from_secs(2));
                assert!(light.writes.len() > 30, "{frequency} Hz");
                let shortest = Duration::from_millis(period);
                for pair in light.writes.windows(2) {
                    let time = pair[1].0 - pair[0].0;
                    assert!(time >= shortest, "{frequency} Hz: {time:?}");
                }
            }
        }
    }

    #[test]
    fn each_change_is_written_at_once() {
        let mut light = ControlledLight::new(200, 5_000, LightConfig::default());
        light.advance(Duration::from_secs(1));
        light.writes.clear();
        let start = light.now;
        for tenth in 1..=1000 {
            light.change(level(f64::from(tenth) / 10.0), Duration::ZERO);
            assert!(!light.advance(Duration::from_micros(100)), "no timer runs");
        }
        assert_eq!(light.writes[0].0, start);
        assert_eq!(light.writes.len(), 1000);
        assert_eq!(light.writes.last().unwrap().1, Duty::FULL);
    }

    #[test]
    fn an_unchanged_level_is_not_written_again() {
        let mut light = ControlledLight::new(1_000, 1_000, LightConfig::default());
        for time in [0, 0, 1, 0] {
            light.change(Level::HALF, Duration::from_secs(time));
            assert!(!light.advance(Duration::from_secs(2)));
        }
        assert_eq!(light.writes.len(), 2, "dark at the start, then half");
    }

    #[test]
    fn a_sunrise_goes_from_dark_to_its_level_and_ends() {
        let mut light = ControlledLight::new(1_000, 65_536, LightConfig::default());
        let minute = Duration::from_secs(60);
        light.change(level(80.0), Duration::ZERO);
        light.advance(minute);
        light.writes.clear();
        let start = light.now;
        light.play(EffectKind::Sunrise, Some(minute));
        assert!(light.advance(minute / 2));
        assert!(light.hub.lights.state(LED).effect.is_some());
        assert!((light.fraction() - luminance(lightness(0.8) / 2.0)).abs() < 0.001);
        assert!(!light.advance(minute), "no timer runs after the sunrise");
        assert_eq!(light.writes[0], (start, Duty::OFF));
        assert!(light.writes.is_sorted_by_key(|(_, duty)| duty.0));
        assert_eq!(light.fraction(), Duty::from_fraction(0.8).fraction());
        assert_eq!(light.hub.lights.state(LED).effect, None);
    }

    #[test]
    fn a_change_takes_over_from_an_effect_without_a_jump() {
        let mut light = ControlledLight::new(1_000, 65_536, LightConfig::default());
        light.change(Level::FULL, Duration::ZERO);
        light.play(EffectKind::Breathe, None);
        light.advance(Duration::from_millis(1_500));
        light.change(Level::HALF, Duration::from_secs(1));
        assert!(
            light.advance(Duration::from_millis(900)),
            "the transition runs"
        );
        let jumps = light.writes[2..].windows(2);
        let largest = jumps
            .map(|pair| (pair[1].1.fraction() - pair[0].1.fraction()).abs())
            .fold(0.0, f64::max);
        assert!(largest < 0.002, "a jump of {largest}");
        assert!(!light.advance(Duration::from_secs(1)));
    }

    #[test]
    fn a_blink_takes_two_writes_per_second() {
        let mut light = ControlledLight::new(1_000, 1_000, LightConfig::default());
        light.change(Level::HALF, Duration::ZERO);
        light.writes.clear();
        light.play(EffectKind::Blink, None);
        light.advance(Duration::from_millis(9_900));
        let duties: Vec<_> = light.writes.iter().map(|(_, duty)| *duty).collect();
        let half = Duty::from_fraction(0.5);
        assert_eq!(duties.len(), 20, "{duties:?}");
        assert!(duties.chunks(2).all(|pair| pair == [half, Duty::OFF]));
    }

    fn try_duty(light: &ControlledLight, duty: Option<f64>) {
        let command = Command::TryDuty { light: LED, duty };
        light.hub.execute(&Actor::Button, command).unwrap();
    }

    #[test]
    fn a_change_of_curve_and_range_moves_the_pin_at_once_and_without_a_detour() {
        let mut light = ControlledLight::new(1_000, 65_536, LightConfig::default());
        light.change(Level::HALF, Duration::ZERO);
        light.advance(Duration::from_secs(1));
        light.writes.clear();
        let settings = LightSettings {
            curve: Curve::Perceptual,
            min_duty: 10.0,
            max_duty: 60.0,
            ..LightSettings::default()
        };
        light.hub.configure_light(LED, &settings);
        assert!(!light.advance(Duration::from_secs(1)), "no timer runs");
        let duties: Vec<_> = light.writes.iter().map(|(_, duty)| *duty).collect();
        let expected = settings.duty(Curve::Perceptual.luminance(Level::HALF));
        assert_eq!(duties, [Duty::from_fraction(expected)], "one step");

        // What is off stays off.
        light.change(Level::OFF, Duration::ZERO);
        light.advance(Duration::from_secs(1));
        light.writes.clear();
        light.hub.configure_light(LED, &LightSettings::default());
        light.advance(Duration::from_secs(1));
        assert_eq!(light.writes, []);
    }

    #[test]
    fn a_transition_and_an_effect_go_on_where_they_are_when_the_settings_change() {
        let config = LightConfig::default();
        let mut light = ControlledLight::new(1_000, 65_536, config.clone());
        light.change(Level::FULL, Duration::from_secs(10));
        light.advance(Duration::from_secs(5));
        let half_way = light.fraction();
        let mut settings = config.settings();
        settings.curve = Curve::Perceptual;
        light.hub.configure_light(LED, &settings);
        assert!(light.advance(Duration::from_millis(1)), "it goes on");
        assert!((light.fraction() - half_way).abs() < 0.01);
        assert!(light.advance(Duration::from_millis(4_900)));
        assert!(!light.advance(Duration::from_millis(200)));
        assert_eq!(light.fraction(), 1.0);

        light.play(EffectKind::Breathe, None);
        light.advance(Duration::from_millis(1_500));
        let before = light.fraction();
        settings.hidden = true;
        light.hub.configure_light(LED, &settings);
        light.advance(Duration::from_millis(1));
        assert!((light.fraction() - before).abs() < 0.01, "no new breath");
    }

    #[test]
    fn a_duty_that_is_tried_is_shown_until_it_ends_or_nothing_is_heard_of_it() {
        let mut light = ControlledLight::new(1_000, 65_536, LightConfig::default());
        light.change(Level::HALF, Duration::ZERO);
        light.advance(Duration::from_secs(1));
        light.play(EffectKind::Breathe, None);
        light.advance(Duration::from_secs(1));
        for duty in [3.0, 0.0, 2.5] {
            try_duty(&light, Some(duty));
            light.advance(Duration::ZERO);
            assert_eq!(
                light.writes.last().unwrap().1,
                Duty::from_fraction(duty / 100.0)
            );
        }
        light.writes.clear();
        light.advance(Duration::from_secs(1));
        assert_eq!(light.writes, [], "the effect does not show through");
        try_duty(&light, None);
        light.advance(Duration::from_millis(10));
        assert_ne!(light.writes, [], "the effect goes on");

        try_duty(&light, Some(1.0));
        light.advance(Duration::from_millis(1));
        light.change(Level::FULL, Duration::ZERO);
        light.advance(Duration::from_millis(1));
        assert_eq!(light.fraction(), 1.0, "a change of the light counts");

        // The clock of this light is some seconds ahead of the one that the trial goes by.
        try_duty(&light, Some(1.0));
        assert!(light.advance(Duration::from_secs(20)));
        assert_eq!(light.writes.last().unwrap().1, Duty::from_fraction(0.01));
        assert!(!light.advance(Duration::from_secs(60)));
        assert_eq!(light.fraction(), 1.0);
        assert_eq!(light.hub.lights.state(LED).trial, None, "it is over");
    }

    /// A change: its level, its transition in seconds, and the seconds until the next change.
    fn change() -> impl Strategy<Value = (Level, f64, f64)> {
        let level = (0..=1000u16).prop_map(|tenths| level(f64::from(tenths) / 10.0));
        let transition = prop_oneof![Just(0.0), 0.001..3.0f64];
        (level, transition, 0.0..2.0f64)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn changes_in_any_order_move_a_light_to_the_last_of_them_without_jumps(
            changes in prop::collection::vec(change(), 1..12),
            frequency in prop::sample::select(&[20, 200, 1_000, 20_000]),
            resolution in prop::sample::select(&[100, 5_000, 65_536]),
            (min_duty, max_duty) in prop::sample::select(&[(0.0, 100.0), (12.3, 70.0)]),
        ) {
            let config = LightConfig { min_duty, max_duty, ..LightConfig::default() };
            let mut light = ControlledLight::new(frequency, resolution, config.clone());
            // The expected transition: lightness at both ends, its start, its duration in seconds.
            let (mut from, mut to, mut start, mut seconds) = (0.0, 0.0, light.now, 0.0);
            let due = |at: Instant, from: f64, to: f64, start: Instant, seconds: f64| {
                let passed = (at - start).as_secs_f64();
                if passed < seconds { from + (to - from) * passed / seconds } else { to }
            };
            let step = 1.0 / f64::from(resolution.min(65_535));
            let tick = light.controller.tick;
            let mut checked = light.writes.len();
            for (target, transition, pause) in changes {
                from = due(light.now, from, to, start, seconds);
                to = lightness(config.curve.luminance(target));
                (start, seconds) = (light.now, transition);
                light.change(target, Duration::from_secs_f64(transition));
                light.advance(Duration::from_secs_f64(pause));
                for (at, duty) in &light.writes[checked..] {
                    let due = config.settings().duty(luminance(due(*at, from, to, start, seconds)));
                    let error = (duty.fraction() - due).abs();
                    prop_assert!(error <= step + DUTY, "{error} off at {:?}", *at - start);
                }
                checked = light.writes.len();
            }
            let timer_runs = light.advance(Duration::from_secs_f64(seconds) + 2 * tick);
            prop_assert!(!timer_runs, "no timer runs for a steady light");
            let last = config.settings().duty(luminance(to));
            let tolerance = (step / 2.0).max(if to > 0.0 { step - last } else { 0.0 });
            prop_assert!((light.fraction() - last).abs() <= tolerance + DUTY);
            prop_assert!(light.writes.windows(2).all(|pair| pair[1].1 != pair[0].1));
        }
    }
}
