//! What is to happen at a time: [`Timers`], and the task that lets it happen.

mod schedule;

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Unit};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::sync::watch;
use tracing::info;

use crate::model::effect::Effect;
use crate::model::level::Level;
pub use schedule::{At, Daily, Day, NoDay, NoTime, Place};

/// How many there may be.
pub const MOST: usize = 32;
/// A timer that is later than this was missed, and is not made up for.
const LATE: SignedDuration = SignedDuration::from_secs(60);

/// Something that is to happen at a time.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Timer {
    /// What it is called by.
    pub name: String,
    /// The light that it is for; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub light: Option<String>,
    /// The time of day; `None` if it is for one moment alone.
    #[serde(flatten)]
    pub daily: Option<Daily>,
    /// What to do.
    #[serde(flatten)]
    pub act: Act,
    /// In what time; `None` for the light's own.
    #[serde(default, with = "seconds", skip_serializing_if = "Option::is_none")]
    pub transition: Option<Duration>,
    /// When it is due.
    #[serde(serialize_with = "local")]
    pub next: Timestamp,
}

/// What a timer does.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Act {
    /// Sets a level.
    Level {
        /// Which.
        level: Level,
    },
    /// Switches on or off.
    On {
        /// Whether on.
        on: bool,
    },
    /// Recalls a preset.
    Recall {
        /// Its name.
        recall: String,
    },
    /// Plays an effect.
    Effect(Effect),
}

/// A timer as someone asks for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// What to call it by; without, the lowest free number.
    pub name: Option<String>,
    /// The light that it is for; `None` for all.
    pub light: Option<String>,
    /// When.
    pub when: When,
    /// What to do.
    pub act: Act,
    /// In what time; `None` for the light's own.
    pub transition: Option<Duration>,
}

/// When a timer is to be due.
#[derive(Debug, Clone, PartialEq)]
pub enum When {
    /// After this time.
    In(Duration),
    /// At a time of day.
    Daily(Daily),
}

/// Why there is no such timer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// There are [`MOST`] others.
    #[error("there may be {MOST} timers, and there are: cancel one first")]
    Full,
    /// None has this name.
    #[error("no timer is called {0:?}")]
    NoSuch(String),
    /// It is by the sun, and nobody knows where.
    #[error("at {0:?} needs latitude and longitude in the settings")]
    NoPlace(String),
    /// The sun does not do that there.
    #[error("at {0:?} does not come within a year")]
    Never(String),
}

/// All timers: one watched value, as the lights are. The first one is due first.
pub struct Timers {
    all: watch::Sender<Arc<Vec<Timer>>>,
    place: Option<Place>,
}

impl Timers {
    /// Those that were kept, in so far as they are still to come.
    pub fn new(kept: Vec<Timer>, place: Option<Place>) -> Timers {
        let timers = Timers {
            all: watch::Sender::default(),
            place,
        };
        timers.regain(kept);
        timers
    }

    /// The newest timers, and a way to wait for the next.
    pub fn watch(&self) -> watch::Receiver<Arc<Vec<Timer>>> {
        self.all.subscribe()
    }

    /// All timers now.
    pub fn all(&self) -> Arc<Vec<Timer>> {
        self.all.borrow().clone()
    }

    /// Takes back what was kept, but what was set since.
    pub fn regain(&self, kept: Vec<Timer>) {
        let now = Timestamp::now();
        self.change(|all| {
            for timer in kept {
                if all.iter().any(|other| other.name == timer.name) {
                    continue;
                }
                if timer.next <= now {
                    info!("timer {:?} was missed", timer.name);
                }
                all.extend(self.again(timer, now));
            }
        });
    }

    /// Sets a timer, in place of one that has its name.
    ///
    /// # Errors
    /// There are too many, or its time never comes.
    pub fn add(&self, wanted: Wanted) -> Result<Timer, Error> {
        let now = Timestamp::now();
        let (daily, next) = match wanted.when {
            When::In(time) => {
                let next = now.saturating_add(time).unwrap_or(Timestamp::MAX);
                (None, next.round(Unit::Second).unwrap_or(next))
            }
            When::Daily(daily) => {
                let at = daily.at.to_string();
                if self.place.is_none() && !matches!(daily.at, At::Clock(_)) {
                    return Err(Error::NoPlace(at));
                }
                let next = self.next(&daily, now).ok_or(Error::Never(at))?;
                (Some(daily), next)
            }
        };
        let mut added = Err(Error::Full);
        self.change(|all| {
            let name = wanted.name.unwrap_or_else(|| free_name(all));
            let others = all.iter().filter(|timer| timer.name != name).count();
            if others >= MOST {
                return;
            }
            all.retain(|timer| timer.name != name);
            let timer = Timer {
                name,
                light: wanted.light,
                daily,
                act: wanted.act,
                transition: wanted.transition,
                next,
            };
            all.push(timer.clone());
            added = Ok(timer);
        });
        added
    }

    /// Removes a timer.
    ///
    /// # Errors
    /// [`Error::NoSuch`].
    pub fn cancel(&self, name: &str) -> Result<(), Error> {
        let mut found = Err(Error::NoSuch(name.into()));
        self.change(|all| {
            if let Some(index) = all.iter().position(|timer| timer.name == name) {
                all.remove(index);
                found = Ok(());
            }
        });
        found
    }

    /// Those that are due at `now`, and not too late; from now on, they are due again or gone.
    pub fn take_due(&self, now: Timestamp) -> Vec<Timer> {
        let mut due = Vec::new();
        self.change(|all| {
            due.extend(all.extract_if(.., |timer| timer.next <= now));
            all.extend(
                due.iter()
                    .filter_map(|timer| self.again(timer.clone(), now)),
            );
        });
        due.retain(|timer| {
            let in_time = now.duration_since(timer.next) <= LATE;
            if !in_time {
                info!("timer {:?} was missed", timer.name);
            }
            in_time
        });
        due
    }

    /// Goes by a clock that was set ahead by this much, or back: what is due after some time stays so.
    pub fn clock_set(&self, ahead: SignedDuration, now: Timestamp) {
        self.change(|all| {
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

    /// The timer as it is due after `now`, if it still is.
    fn again(&self, timer: Timer, now: Timestamp) -> Option<Timer> {
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

    /// Changes them, and puts them into their order.
    fn change(&self, change: impl FnOnce(&mut Vec<Timer>)) {
        self.all.send_if_modified(|all| {
            let mut changed = (**all).clone();
            change(&mut changed);
            changed.sort_by_key(|timer| timer.next);
            let news = changed != **all;
            if news {
                *all = Arc::new(changed);
            }
            news
        });
    }
}

fn free_name(all: &[Timer]) -> String {
    let taken = |name: &String| all.iter().any(|timer| timer.name == *name);
    (1..)
        .map(|number: u32| number.to_string())
        .find(|name| !taken(name))
        .expect("numbers do not end")
}

fn local<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    let offset = TimeZone::system().to_offset(*time);
    serializer.collect_str(&time.display_with_offset(offset))
}

/// An optional time as seconds.
mod seconds {
    use super::*;

    pub fn serialize<S: Serializer>(
        time: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(|time| time.as_secs_f64()).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let seconds = Option::<f64>::deserialize(deserializer)?;
        let time = seconds.map(crate::model::lights::transition).transpose();
        time.map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFF: Act = Act::On { on: false };

    fn timers() -> Timers {
        Timers::new(Vec::new(), None)
    }

    fn wanted(when: When) -> Wanted {
        Wanted {
            name: None,
            light: None,
            when,
            act: OFF,
            transition: None,
        }
    }

    fn after(seconds: u64) -> Wanted {
        wanted(When::In(Duration::from_secs(seconds)))
    }

    fn daily(at: &str, days: Option<&str>) -> Wanted {
        wanted(When::Daily(Daily {
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
    fn the_first_that_is_due_comes_first_and_free_numbers_are_names() {
        let timers = timers();
        timers.add(after(300)).unwrap();
        timers.add(after(100)).unwrap();
        let sleep = Wanted {
            name: Some("sleep".into()),
            ..after(200)
        };
        timers.add(sleep.clone()).unwrap();
        assert_eq!(names(&timers), ["2", "sleep", "1"]);
        timers.cancel("2").unwrap();
        assert_eq!(timers.cancel("2"), Err(Error::NoSuch("2".into())));
        timers.add(after(400)).unwrap();
        timers
            .add(Wanted {
                when: When::In(Duration::from_secs(500)),
                ..sleep
            })
            .unwrap();
        assert_eq!(names(&timers), ["1", "2", "sleep"]);
    }

    #[test]
    fn there_are_32_at_most() {
        let timers = timers();
        for seconds in 1..=MOST {
            timers.add(after(seconds as u64)).unwrap();
        }
        assert_eq!(timers.add(after(99)), Err(Error::Full));
        timers
            .add(Wanted {
                name: Some("7".into()),
                ..after(99)
            })
            .unwrap();
        assert_eq!(timers.all().len(), MOST);
    }

    #[test]
    fn what_is_due_is_done_once_or_every_week_and_what_is_late_is_not_made_up_for() {
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
        let again = timers.all()[0].clone();
        let week = SignedDuration::from_hours(7 * 24);
        assert!(
            (again.next.duration_since(weekly.next) - week).abs() <= SignedDuration::from_hours(1)
        );
        let missed = again.next + LATE + SignedDuration::from_secs(1);
        assert!(timers.take_due(missed).is_empty());
        assert!(
            timers.all()[0].next > missed,
            "the one after that is to come"
        );
    }

    #[test]
    fn what_was_kept_is_due_as_before_and_what_was_missed_is_gone() {
        let before = timers();
        for wanted in [
            after(100),
            daily("07:00", None),
            daily("07:00", Some("mon")),
        ] {
            before.add(wanted).unwrap();
        }
        let mut kept = before.all().to_vec();
        let text = serde_json::to_string(&kept).unwrap();
        assert_eq!(
            serde_json::from_str::<Vec<Timer>>(&text).unwrap(),
            kept,
            "{text}"
        );
        assert_eq!(*Timers::new(kept.clone(), None).all(), kept);

        for timer in &mut kept {
            timer.next = Timestamp::now() - SignedDuration::from_secs(1);
        }
        let after = Timers::new(kept, None);
        assert_eq!(names(&after), ["3"], "only what comes again");
        assert!(after.all()[0].next > Timestamp::now());
    }

    #[test]
    fn a_clock_that_is_set_moves_times_of_day_but_no_waits() {
        let timers = timers();
        let wait = timers.add(after(100)).unwrap();
        let weekly = timers.add(daily("07:00", Some("mon"))).unwrap();
        let month = SignedDuration::from_hours(30 * 24);
        timers.clock_set(month, Timestamp::now() + month);
        let all = timers.all();
        assert_eq!(all[0].next, wait.next + month);
        assert!(all[1].next > weekly.next + SignedDuration::from_hours(20 * 24));
    }

    #[test]
    fn without_a_place_there_is_no_sun() {
        let refused = timers().add(daily("sunset", None)).unwrap_err();
        let says = "at \"sunset\" needs latitude and longitude in the settings";
        assert_eq!(refused.to_string(), says);
    }
}
