//! Timers: commands at a time. The scheduler runs them.

mod schedule;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Unit};
use tokio::sync::watch;
use tracing::info;

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
    /// When the timer is due.
    pub next: Timestamp,
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
    /// The time depends on the sun, and the place is unknown.
    #[error("at {0:?} needs latitude and longitude in the settings")]
    NoPlace(String),
    /// The sun does not rise or set there within a year.
    #[error("at {0:?} does not come within a year")]
    Never(String),
}

/// All timers: one watched value, like the lights, in the order in which they are due.
pub struct Timers {
    all: watch::Sender<Arc<Vec<Timer>>>,
    place: Option<Place>,
}

impl Timers {
    /// The timers that were kept on disk, except those that were missed meanwhile.
    pub fn new(kept: Vec<Timer>, place: Option<Place>) -> Timers {
        let timers = Timers {
            all: watch::Sender::default(),
            place,
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
                if timer.next <= now {
                    info!("timer {:?} was missed", timer.name);
                }
                all.extend(self.next_run(timer, now));
            }
        });
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
                let at = daily.at.to_string();
                if self.place.is_none() && !matches!(daily.at, TimeOfDay::Clock(_)) {
                    return Err(TimerError::NoPlace(at));
                }
                let next = self.next(&daily, now).ok_or(TimerError::Never(at))?;
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
                next,
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
            due.extend(all.extract_if(.., |timer| timer.next <= now));
            all.extend(
                due.iter()
                    .filter_map(|timer| self.next_run(timer.clone(), now)),
            );
        });
        due.retain(|timer| {
            let in_time = now.duration_since(timer.next) <= TOLERANCE;
            if !in_time {
                info!("timer {:?} was missed", timer.name);
            }
            in_time
        });
        due
    }

    /// Adapts the timers to a clock that was set `ahead`, or back: a wait stays as long as it was.
    pub(super) fn clock_was_set(&self, ahead: SignedDuration, now: Timestamp) {
        self.modify(|all| {
            for timer in all {
                timer.next = match &timer.daily {
                    None => timer.next.saturating_add(ahead).unwrap_or(timer.next),
                    Some(daily) if daily.days.is_some() => {
                        self.next(daily, now).unwrap_or(timer.next)
                    }
                    Some(_) => continue,
                };
            }
        });
    }

    /// The timer with its next time after `now`, if there is one.
    fn next_run(&self, timer: Timer, now: Timestamp) -> Option<Timer> {
        match &timer.daily {
            Some(daily) if daily.days.is_some() => {
                let next = self.next(daily, now)?;
                Some(Timer { next, ..timer })
            }
            _ => (timer.next > now).then_some(timer),
        }
    }

    fn next(&self, daily: &Daily, now: Timestamp) -> Option<Timestamp> {
        daily.next(now, &TimeZone::system(), self.place)
    }

    /// Changes the timers and sorts them.
    fn modify(&self, change: impl FnOnce(&mut Vec<Timer>)) {
        self.all.send_if_modified(|all| {
            let mut changed = (**all).clone();
            change(&mut changed);
            changed.sort_by_key(|timer| timer.next);
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
        Timers::new(Vec::new(), None)
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

        let due = timers.take_due(weekly.next);
        assert_eq!(due, std::slice::from_ref(&weekly));
        let next_run = timers.all()[0].next;
        let week = SignedDuration::from_hours(7 * 24);
        assert!(
            (next_run.duration_since(weekly.next) - week).abs() <= SignedDuration::from_hours(1)
        );
        let missed = next_run + TOLERANCE + SignedDuration::from_secs(1);
        assert!(timers.take_due(missed).is_empty());
        assert!(timers.all()[0].next > missed, "the next run comes after it");
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
        assert_eq!(*Timers::new(kept.clone(), None).all(), kept);

        for timer in &mut kept {
            timer.next = Timestamp::now() - SignedDuration::from_secs(1);
        }
        let after = Timers::new(kept, None);
        assert_eq!(names(&after), ["3"], "only the weekly one");
        assert!(after.all()[0].next > Timestamp::now());
    }

    #[test]
    fn a_clock_that_is_set_moves_times_of_day_but_no_waits() {
        let timers = timers();
        let wait = timers.add(after(100)).unwrap();
        let weekly = timers.add(daily("07:00", Some("mon"))).unwrap();
        let month = SignedDuration::from_hours(30 * 24);
        timers.clock_was_set(month, Timestamp::now() + month);
        let all = timers.all();
        assert_eq!(all[0].next, wait.next + month);
        assert!(all[1].next > weekly.next + SignedDuration::from_hours(20 * 24));
    }

    #[test]
    fn sunset_without_a_place_is_refused() {
        let refused = timers().add(daily("sunset", None)).unwrap_err();
        let expected = "at \"sunset\" needs latitude and longitude in the settings";
        assert_eq!(refused.to_string(), expected);
    }
}
