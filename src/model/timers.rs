//! Timers: commands at a time. The scheduler runs them.

mod schedule;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use std::{env, fmt};

use jiff::tz::{TimeZone, reset_system_time_zone_cache};
use jiff::{SignedDuration, Timestamp, Unit};
use serde::Serialize;
use tokio::sync::watch;
use tracing::{info, warn};

use super::effect::Effect;
use super::level::Level;
use super::text::Name;
pub use schedule::{Daily, Day, MAX_OFFSET, Place, TimeOfDay};

/// The most timers.
pub const MAX_TIMERS: usize = 32;
/// The longest wait of a timer that is due once.
pub const MAX_DELAY: Duration = Duration::from_secs(86_400);
/// A timer that is later than this was missed, and does not run.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(60);

/// A command at a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Timer {
    /// The unique name.
    pub name: String,
    /// The name of the light to change; `None` for all.
    pub light: Option<String>,
    /// The time of day; `None` if the timer is for one moment.
    pub daily: Option<Daily>,
    /// The action.
    pub action: TimerAction,
    /// Time to get there; `None` for the light's own.
    pub transition: Option<Duration>,
    /// When the timer is due, or why that cannot be computed now.
    pub next: Result<Timestamp, Waiting>,
    /// Whether somebody added it since the start. What was kept on disk is due at a moment of real time;
    /// this is due after a wait, or at a time of day, that was meant by the clock before it was set.
    pub is_new: bool,
}

impl Timer {
    fn is_due(&self, now: Timestamp) -> bool {
        self.next.is_ok_and(|next| next <= now)
    }

    /// Whether the timer is due, and not too late to run.
    fn is_in_time(&self, now: Timestamp) -> bool {
        let late = |next| now.duration_since(next) <= TOLERANCE;
        self.is_due(now) && self.next.is_ok_and(late)
    }
}

/// What a timer waits for whose time cannot be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "lowercase")]
pub enum Waiting {
    /// Its time depends on the sun, and the place is unknown.
    #[error("needs latitude and longitude in the settings")]
    Place,
    /// A time zone is set that cannot be read.
    #[error("needs a time zone, but the one of TZ or /etc/localtime cannot be read")]
    Zone,
    /// The sun does not rise or set there within a year.
    #[error("does not come within a year")]
    Sun,
}

/// The action of a timer.
#[derive(Debug, Clone, PartialEq)]
pub enum TimerAction {
    /// Sets a level.
    Level(Level),
    /// Switches on or off.
    On(bool),
    /// Recalls the preset of this name.
    Recall(String),
    /// Plays an effect.
    Effect(Effect),
}

/// A timer to be added.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTimer {
    /// The name; `None` for the lowest free number.
    pub name: Option<Name>,
    /// The name of the light to change; `None` for all.
    pub light: Option<String>,
    /// When the timer is due.
    pub due: Due,
    /// The action.
    pub action: TimerAction,
    /// Time to get there; `None` for the light's own.
    pub transition: Option<Duration>,
}

/// When a new timer is due.
#[derive(Debug, Clone, PartialEq)]
pub enum Due {
    /// After this time, once.
    In(Duration),
    /// At a time of day, once or on some days.
    Daily(Daily),
}

/// Why a timer cannot be added or found.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TimerError {
    /// There are [`MAX_TIMERS`] others.
    #[error("the limit of {MAX_TIMERS} timers is reached: cancel one first")]
    TooManyTimers,
    /// No timer has this name.
    #[error("no timer is called {0:?}")]
    NoSuchTimer(String),
    /// The time of day cannot be computed.
    #[error("at {0:?} {1}")]
    Waits(String, Waiting),
}

/// All timers: one watched value, like the lights, in the order in which they are due.
pub struct Timers {
    all: watch::Sender<Arc<Vec<Timer>>>,
    place: Mutex<Option<Place>>,
    /// Before this time the clock has not been set since the boot.
    set_from: Timestamp,
}

impl Timers {
    /// The timers that were kept on disk, except those that were missed meanwhile. `kept_at` is when they
    /// were written: while the clock is before that, as on a Raspberry Pi before NTP has set it, no timer
    /// for a time of day runs.
    pub fn new(kept: Vec<Timer>, place: Option<Place>, kept_at: Option<SystemTime>) -> Timers {
        let kept_at = kept_at.and_then(|time| Timestamp::try_from(time).ok());
        let timers = Timers {
            all: watch::Sender::default(),
            place: Mutex::new(place),
            set_from: kept_at.unwrap_or(Timestamp::MIN),
        };
        timers.add_kept(kept);
        timers
    }

    /// Follows the timers.
    pub fn watch(&self) -> watch::Receiver<Arc<Vec<Timer>>> {
        self.all.subscribe()
    }

    /// All timers now.
    pub fn all(&self) -> Arc<Vec<Timer>> {
        self.all.borrow().clone()
    }

    /// Adds timers that were kept on disk, except those that were missed. One of the same name that is
    /// there already is newer, and stays.
    pub(super) fn add_kept(&self, kept: Vec<Timer>) {
        let now = Timestamp::now();
        self.modify(|all| {
            for timer in kept {
                if all.iter().any(|other| other.name == timer.name) {
                    continue;
                }
                if timer.is_due(now) {
                    info!("timer {:?} was missed", timer.name);
                }
                all.extend(self.kept(timer, now));
            }
        });
        if now < self.set_from && self.all().iter().any(|timer| timer.daily.is_some()) {
            warn!(
                "the clock says {}, but the timers were kept at {}: those for a time of day wait until it is set",
                local_time(now),
                local_time(self.set_from)
            );
        }
    }

    /// Replaces all of them by timers that were kept, and says in a line each which of these were missed, or wait.
    pub(super) fn replace(&self, kept: Vec<Timer>) -> Vec<String> {
        let now = Timestamp::now();
        let mut notes = Vec::new();
        self.modify(|all| {
            all.clear();
            for timer in kept {
                let name = timer.name.clone();
                let kept = self.kept(timer, now);
                match kept.as_ref().map(|timer| timer.next) {
                    None => notes.push(format!("timer {name:?} was missed: it is left out")),
                    Some(Err(waiting)) => notes.push(format!("timer {name:?} waits: it {waiting}")),
                    Some(Ok(_)) => {}
                }
                all.extend(kept);
            }
        });
        notes
    }

    /// A timer that was kept, with its next time after `now`; `None` if it was missed.
    fn kept(&self, timer: Timer, now: Timestamp) -> Option<Timer> {
        let is_new = false;
        self.next_run(Timer { is_new, ..timer }, now)
    }

    /// Adds a timer, in place of one that has its name.
    pub(super) fn add(&self, new: NewTimer) -> Result<Timer, TimerError> {
        let now = Timestamp::now();
        let (daily, next) = match new.due {
            Due::In(time) => {
                let next = now.saturating_add(time).unwrap_or(Timestamp::MAX);
                (None, next.round(Unit::Second).unwrap_or(next))
            }
            Due::Daily(daily) => {
                let next = self.next(&daily, now);
                let next = next.map_err(|why| TimerError::Waits(daily.at.to_string(), why))?;
                (Some(daily), next)
            }
        };
        let mut added = Err(TimerError::TooManyTimers);
        self.modify(|all| {
            let name = match new.name {
                Some(name) => name.into(),
                None => free_name(all),
            };
            let others = all.iter().filter(|timer| timer.name != name).count();
            if others >= MAX_TIMERS {
                return;
            }
            all.retain(|timer| timer.name != name);
            let timer = Timer {
                name,
                light: new.light,
                daily,
                action: new.action,
                transition: new.transition,
                next: Ok(next),
                is_new: true,
            };
            all.push(timer.clone());
            added = Ok(timer);
        });
        added
    }

    pub(super) fn cancel(&self, name: &str) -> Result<(), TimerError> {
        let mut found = Err(TimerError::NoSuchTimer(name.into()));
        self.modify(|all| {
            if let Some(index) = all.iter().position(|timer| timer.name == name) {
                all.remove(index);
                found = Ok(());
            }
        });
        found
    }

    /// Returns the timers that are due at `now` and not too late. Those that repeat wait for their
    /// next time, all others are removed.
    pub(super) fn take_due(&self, now: Timestamp) -> Vec<Timer> {
        let mut due = Vec::new();
        self.modify(|all| {
            due.extend(all.extract_if(.., |timer| timer.is_due(now)));
            all.extend(
                due.iter()
                    .filter_map(|timer| self.next_run(timer.clone(), now)),
            );
        });
        due.retain(|timer| {
            if self.waits_for_clock(timer, now) {
                info!("timer {:?} waits until the clock is set", timer.name);
                return false;
            }
            let in_time = timer.is_in_time(now);
            if !in_time {
                info!("timer {:?} was missed", timer.name);
            }
            in_time
        });
        due
    }

    /// Adapts the timers to a clock that was set `ahead`, or back: a wait that somebody asked for since
    /// the start stays as long as it was, and one that was kept on disk is due when it was.
    pub(super) fn clock_was_set(&self, ahead: SignedDuration, now: Timestamp) {
        self.modify(|all| {
            for timer in all {
                match (&timer.daily, timer.next) {
                    // A small correction must not skip what is due.
                    (Some(_), _) if timer.is_in_time(now) => {}
                    (Some(daily), _) if daily.days.is_some() || timer.is_new => {
                        self.compute_next(timer, now);
                    }
                    (None, Ok(next)) if timer.is_new => {
                        timer.next = Ok(next.saturating_add(ahead).unwrap_or(next));
                    }
                    _ => {}
                }
            }
        });
    }

    /// Adapts the timers for a time of day to another time zone of the system.
    pub(super) fn zone_was_set(&self, now: Timestamp) {
        reset_system_time_zone_cache();
        self.modify(|all| {
            let not_due = |timer: &&mut Timer| !timer.is_in_time(now);
            for timer in all.iter_mut().filter(not_due) {
                self.compute_next(timer, now);
            }
        });
    }

    /// Adapts the timers at sunrise and sunset to another place.
    pub(super) fn set_place(&self, place: Option<Place>) {
        let now = Timestamp::now();
        {
            let mut known = self.place.lock().unwrap_or_else(PoisonError::into_inner);
            if *known == place {
                return;
            }
            *known = place;
        }
        self.modify(|all| {
            let by_sun = |timer: &&mut Timer| {
                let daily = timer.daily.as_ref();
                daily.is_some_and(|daily| !matches!(daily.at, TimeOfDay::Clock(_)))
                    && !timer.is_in_time(now)
            };
            for timer in all.iter_mut().filter(by_sun) {
                self.compute_next(timer, now);
            }
        });
    }

    fn place(&self) -> Option<Place> {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The timer with its next time after `now`; `None` if it is over. One whose time cannot be computed
    /// stays.
    fn next_run(&self, mut timer: Timer, now: Timestamp) -> Option<Timer> {
        let repeats = timer
            .daily
            .as_ref()
            .is_some_and(|daily| daily.days.is_some());
        let is_due = timer.is_due(now);
        if repeats || timer.next.is_err() || is_due && self.waits_for_clock(&timer, now) {
            self.compute_next(&mut timer, now);
        } else if is_due {
            return None;
        }
        Some(timer)
    }

    /// Computes when a timer for a time of day is due next, and warns if that is not possible.
    fn compute_next(&self, timer: &mut Timer, now: Timestamp) {
        let Some(daily) = &timer.daily else { return };
        let next = self.next(daily, now);
        if let Err(waiting) = next {
            let (name, at) = (&timer.name, daily.at);
            warn!("timer {name:?} waits: at \"{at}\" {waiting}");
        }
        timer.next = next;
    }

    /// Whether the timer is for a time of day, and the clock has not been set yet.
    fn waits_for_clock(&self, timer: &Timer, now: Timestamp) -> bool {
        timer.daily.is_some() && now < self.set_from
    }

    fn next(&self, daily: &Daily, now: Timestamp) -> Result<Timestamp, Waiting> {
        let place = self.place();
        if place.is_none() && !matches!(daily.at, TimeOfDay::Clock(_)) {
            return Err(Waiting::Place);
        }
        let zone = zone().ok_or(Waiting::Zone)?;
        daily.next(now, &zone, place).ok_or(Waiting::Sun)
    }

    /// Changes the timers and sorts them.
    fn modify(&self, change: impl FnOnce(&mut Vec<Timer>)) {
        self.all.send_if_modified(|all| {
            let mut changed = (**all).clone();
            change(&mut changed);
            changed.sort_by_key(|timer| timer.next.unwrap_or(Timestamp::MAX));
            let differs = changed != **all;
            if differs {
                *all = Arc::new(changed);
            }
            differs
        });
    }
}

/// A time in RFC 3339 with the offset of the local zone.
pub fn local_time(time: Timestamp) -> impl fmt::Display {
    time.display_with_offset(TimeZone::system().to_offset(time))
}

/// The time zone of the system; `None` if one is set that cannot be read.
fn zone() -> Option<TimeZone> {
    TimeZone::try_system().ok().or_else(|| {
        let is_set =
            env::var_os("TZ").is_some() || Path::new("/etc/localtime").symlink_metadata().is_ok();
        // Without one, the time is UTC, as for every other program.
        (!is_set).then_some(TimeZone::UTC)
    })
}

fn free_name(all: &[Timer]) -> String {
    let taken = |name: &String| all.iter().any(|timer| timer.name == *name);
    (1..)
        .map(|number: u32| number.to_string())
        .find(|name| !taken(name))
        .expect("numbers do not end")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFF: TimerAction = TimerAction::On(false);

    fn timers() -> Timers {
        Timers::new(Vec::new(), None, None)
    }

    fn new_timer(due: Due) -> NewTimer {
        NewTimer {
            name: None,
            light: None,
            due,
            action: OFF,
            transition: None,
        }
    }

    fn after(seconds: u64) -> NewTimer {
        new_timer(Due::In(Duration::from_secs(seconds)))
    }

    fn daily(at: &str, days: Option<&str>) -> NewTimer {
        new_timer(Due::Daily(Daily {
            at: at.parse().unwrap(),
            offset: 0,
            days: days.map(|day| vec![day.parse().unwrap()]),
        }))
    }

    fn names(timers: &Timers) -> Vec<String> {
        timers
            .all()
            .iter()
            .map(|timer| timer.name.clone())
            .collect()
    }

    #[test]
    fn timers_are_in_the_order_of_their_times_and_a_free_number_is_the_default_name() {
        let timers = timers();
        timers.add(after(300)).unwrap();
        timers.add(after(100)).unwrap();
        let sleep = NewTimer {
            name: Some(Name::new("sleep").unwrap()),
            ..after(200)
        };
        timers.add(sleep.clone()).unwrap();
        assert_eq!(names(&timers), ["2", "sleep", "1"]);
        timers.cancel("2").unwrap();
        assert_eq!(timers.cancel("2"), Err(TimerError::NoSuchTimer("2".into())));
        timers.add(after(400)).unwrap();
        timers
            .add(NewTimer {
                due: Due::In(Duration::from_secs(500)),
                ..sleep
            })
            .unwrap();
        assert_eq!(names(&timers), ["1", "2", "sleep"]);
    }

    #[test]
    fn at_most_32_timers_are_kept() {
        let timers = timers();
        for seconds in 1..=MAX_TIMERS {
            timers.add(after(seconds as u64)).unwrap();
        }
        assert_eq!(timers.add(after(99)), Err(TimerError::TooManyTimers));
        timers
            .add(NewTimer {
                name: Some(Name::new("7").unwrap()),
                ..after(99)
            })
            .unwrap();
        assert_eq!(timers.all().len(), MAX_TIMERS);
    }

    #[test]
    fn due_timers_run_once_or_weekly_and_late_ones_are_skipped() {
        let timers = timers();
        timers.add(after(100)).unwrap();
        let weekly = timers.add(daily("07:00", Some("mon"))).unwrap();
        let now = Timestamp::now();
        assert!(
            timers
                .take_due(now + SignedDuration::from_secs(98))
                .is_empty()
        );
        let due = timers.take_due(now + SignedDuration::from_secs(102));
        assert_eq!(due.len(), 1);
        assert_eq!(names(&timers), ["2"]);

        let due = timers.take_due(weekly.next.unwrap());
        assert_eq!(due, std::slice::from_ref(&weekly));
        let next_run = timers.all()[0].next.unwrap();
        let week = SignedDuration::from_hours(7 * 24);
        assert!(
            (next_run.duration_since(weekly.next.unwrap()) - week).abs()
                <= SignedDuration::from_hours(1)
        );
        let missed = next_run + TOLERANCE + SignedDuration::from_secs(1);
        assert!(timers.take_due(missed).is_empty());
        assert!(
            timers.all()[0].next.unwrap() > missed,
            "the next run comes after it"
        );
    }

    #[test]
    fn kept_timers_are_due_as_before_and_missed_ones_are_removed() {
        let before = timers();
        for new in [
            after(100),
            daily("07:00", None),
            daily("07:00", Some("mon")),
        ] {
            before.add(new).unwrap();
        }
        let mut kept = before.all().to_vec();
        for timer in &mut kept {
            timer.is_new = false;
        }
        assert_eq!(*Timers::new(kept.clone(), None, None).all(), kept);

        for timer in &mut kept {
            timer.next = Ok(Timestamp::now() - SignedDuration::from_secs(1));
        }
        let after = Timers::new(kept, None, None);
        assert_eq!(names(&after), ["3"], "only the weekly one");
        assert!(after.all()[0].next.unwrap() > Timestamp::now());
    }

    #[test]
    fn a_clock_that_is_set_moves_times_of_day_but_no_waits() {
        let timers = timers();
        let wait = timers.add(after(100)).unwrap();
        let weekly = timers.add(daily("07:00", Some("mon"))).unwrap();
        let month = SignedDuration::from_hours(30 * 24);
        timers.clock_was_set(month, Timestamp::now() + month);
        let all = timers.all();
        assert_eq!(all[0].next.unwrap(), wait.next.unwrap() + month);
        let later = weekly.next.unwrap() + SignedDuration::from_hours(20 * 24);
        assert!(all[1].next.unwrap() > later);
    }

    #[test]
    fn sunset_without_a_place_is_refused() {
        let refused = timers().add(daily("sunset", None)).unwrap_err();
        let expected = "at \"sunset\" needs latitude and longitude in the settings";
        assert_eq!(refused.to_string(), expected);
    }

    #[test]
    fn a_timer_whose_time_cannot_be_computed_waits_and_works_again() {
        let place = Some(Place {
            latitude: -23.55,
            longitude: -46.63,
        });
        let with_place = Timers::new(Vec::new(), place, None);
        with_place.add(daily("sunset", Some("mon"))).unwrap();
        with_place.add(after(100)).unwrap();
        let kept = with_place.all().to_vec();

        let without = Timers::new(kept, None, None);
        let all = without.all().to_vec();
        assert_eq!(all[1].next, Err(Waiting::Place), "after all others");
        let year = Timestamp::now() + SignedDuration::from_hours(366 * 24);
        assert_eq!(without.take_due(year), []);
        assert_eq!(without.all()[0].next, Err(Waiting::Place), "it stays");

        let again = Timers::new(all, place, None);
        assert!(again.all()[1].next.unwrap() > Timestamp::now());

        let pole = Some(Place {
            latitude: 90.0,
            longitude: 0.0,
        });
        let daily_there = Timers::new(again.all().to_vec(), pole, None);
        assert_eq!(daily_there.all().len(), 2, "wherever it goes");
    }

    #[test]
    fn a_kept_wait_is_due_at_its_moment_however_the_clock_is_set() {
        let before = timers();
        let wait = before.add(after(1500)).unwrap();
        let after_boot = Timers::new(before.all().to_vec(), None, None);
        let hour = SignedDuration::from_hours(1);
        for ahead in [hour, -hour, SignedDuration::from_hours(56 * 365 * 24)] {
            after_boot.clock_was_set(ahead, Timestamp::now() + ahead);
            assert_eq!(after_boot.all()[0].next, wait.next);
        }
    }

    #[test]
    fn before_the_clock_is_as_late_as_the_kept_timers_only_waits_run() {
        let hour = SignedDuration::from_hours(1);
        let kept_at = SystemTime::now() + Duration::from_secs(365 * 86_400);
        let timers = Timers::new(Vec::new(), None, Some(kept_at));
        for new in [
            after(100),
            daily("07:00", Some("mon")),
            daily("08:00", None),
        ] {
            timers.add(new).unwrap();
        }
        let week = Timestamp::now() + 24 * 7 * hour;
        for timer in timers.all().to_vec() {
            let due = timers.take_due(timer.next.unwrap());
            assert_eq!(due.len(), usize::from(timer.daily.is_none()), "{timer:?}");
        }
        assert_eq!(timers.all().len(), 2, "they wait for their next times");

        let set = Timestamp::try_from(kept_at).unwrap() + hour;
        timers.clock_was_set(set.duration_since(week), set);
        for timer in timers.all().to_vec() {
            let next = timer.next.unwrap();
            assert!(next > set && next <= set + 24 * 7 * hour, "{timer:?}");
            assert_eq!(timers.take_due(next).len(), 1);
        }
    }

    #[test]
    fn a_small_correction_of_the_clock_skips_no_timer() {
        let timers = timers();
        let weekly = timers.add(daily("07:00", Some("mon"))).unwrap();
        let next = weekly.next.unwrap();
        let second = SignedDuration::from_secs(1);
        timers.clock_was_set(2 * second, next + second);
        assert_eq!(timers.take_due(next + second), [weekly]);
    }
}
