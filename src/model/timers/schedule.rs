//! Times of day and their next occurrence: by the local clock, or by the local sun.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, Zoned};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use solar_positioning::{Horizon, Location, SolarEvents};

/// Julian date of the Unix epoch.
const EPOCH: f64 = 2_440_587.5;
/// ΔT of 2026: terrestrial minus universal time, in seconds. A minute more or less moves a sunrise by a
/// few milliseconds.
const DELTA_T: f64 = 69.0;
/// Days on which a time is looked for: at the poles the sun rises once a year.
const YEAR: i64 = 367;
/// The largest distance to sunrise or sunset, in minutes.
pub const MAX_OFFSET: i16 = 180;
/// The days' names in messages and files.
const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// Where the sun is seen from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Degrees north, -90 to 90.
    pub latitude: f64,
    /// Degrees east, -180 to 180.
    pub longitude: f64,
}

/// A time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeOfDay {
    /// By the clock.
    Clock(Time),
    /// When the sun rises.
    Sunrise,
    /// When the sun sets.
    Sunset,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day(Weekday);

/// A time of day, once or on some days of the week.
#[derive(Debug, Clone, PartialEq)]
pub struct Daily {
    /// The time of day.
    pub at: TimeOfDay,
    /// Minutes after sunrise or sunset, -180 to 180.
    pub offset: i16,
    /// The days on which it repeats; `None` for the next time only.
    pub days: Option<Vec<Day>>,
}

impl Daily {
    /// The first such time after `now`; `None` if there is none within a year, for example where the sun
    /// does not rise.
    pub fn next(&self, now: Timestamp, zone: &TimeZone, place: Option<Place>) -> Option<Timestamp> {
        let today = now.to_zoned(zone.clone()).date();
        // With an offset, yesterday's may be today.
        (-1..YEAR)
            .filter_map(|days| today.checked_add(Span::new().days(days)).ok())
            .filter(|date| self.is_on(*date))
            .filter_map(|date| self.on(date, zone, place))
            .find(|time| *time > now)
    }

    fn is_on(&self, date: Date) -> bool {
        let days = self.days.as_ref();
        days.is_none_or(|days| days.contains(&Day(date.weekday())))
    }

    /// The moment on this date, if there is one.
    fn on(&self, date: Date, zone: &TimeZone, place: Option<Place>) -> Option<Timestamp> {
        let rises = match self.at {
            // A time that the clock skips in spring is as much later as the skip; of two in autumn, the
            // first counts.
            TimeOfDay::Clock(time) => {
                return Some(zone.to_zoned(date.to_datetime(time)).ok()?.timestamp());
            }
            TimeOfDay::Sunrise => true,
            TimeOfDay::Sunset => false,
        };
        let start = date.to_zoned(zone.clone()).ok()?;
        let event = sun(&start, rises, place?)?;
        event
            .checked_add(SignedDuration::from_mins(self.offset.into()))
            .ok()
    }
}

/// The moment of sunrise or sunset on the day that begins at `start`.
fn sun(start: &Zoned, rises: bool, place: Place) -> Option<Timestamp> {
    let julian = |time: &Zoned| time.timestamp().as_second() as f64 / 86_400.0 + EPOCH;
    let end = start.tomorrow().ok()?;
    let (start, end) = (julian(start), julian(&end));
    let location = Location {
        latitude: place.latitude,
        longitude: place.longitude,
    };
    let horizon = Horizon::SunriseSunset;
    let events = SolarEvents::grena3();
    let event = match rises {
        true => events.next_rise_from_julian(start, end, location, DELTA_T, horizon),
        false => events.next_set_from_julian(start, end, location, DELTA_T, horizon),
    };
    let seconds = (event.ok()?? - EPOCH) * 86_400.0;
    Timestamp::from_second(seconds.round() as i64).ok()
}

/// Why a text is not a time of day.
#[derive(Debug, thiserror::Error)]
#[error("must be like \"07:00\", \"sunrise\" or \"sunset\"")]
pub struct NotATimeOfDay;

impl FromStr for TimeOfDay {
    type Err = NotATimeOfDay;

    fn from_str(text: &str) -> Result<TimeOfDay, NotATimeOfDay> {
        match text {
            "sunrise" => Ok(TimeOfDay::Sunrise),
            "sunset" => Ok(TimeOfDay::Sunset),
            // jiff takes more, such as 0700 and whole dates.
            _ if text.len() >= 5 && text.as_bytes()[2] == b':' => text
                .parse()
                .map(TimeOfDay::Clock)
                .map_err(|_| NotATimeOfDay),
            _ => Err(NotATimeOfDay),
        }
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TimeOfDay::Clock(time) if time.second() == 0 => {
                f.write_str(&time.strftime("%H:%M").to_string())
            }
            TimeOfDay::Clock(time) => f.write_str(&time.strftime("%H:%M:%S").to_string()),
            TimeOfDay::Sunrise => f.write_str("sunrise"),
            TimeOfDay::Sunset => f.write_str("sunset"),
        }
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TimeOfDay, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Why a text is not a day of the week.
#[derive(Debug, thiserror::Error)]
#[error("must be of \"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\" and \"sun\"")]
pub struct NotADay;

impl FromStr for Day {
    type Err = NotADay;

    fn from_str(text: &str) -> Result<Day, NotADay> {
        let day = DAYS.iter().find(|(name, _)| *name == text);
        day.map(|(_, day)| Day(*day)).ok_or(NotADay)
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(DAYS[self.0.to_monday_zero_offset() as usize].0)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Day, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn daily(at: &str, days: &[&str]) -> Daily {
        let days: Vec<Day> = days.iter().map(|day| day.parse().unwrap()).collect();
        Daily {
            at: at.parse().unwrap(),
            offset: 0,
            days: (!days.is_empty()).then_some(days),
        }
    }

    /// The next times after `now`, as the clocks of that zone show them.
    fn next(daily: &Daily, now: &str, zone: &str, count: usize) -> Vec<String> {
        let zone = TimeZone::get(zone).unwrap();
        let mut now: Timestamp = now.parse().unwrap();
        let mut times = Vec::new();
        for _ in 0..count {
            now = daily.next(now, &zone, None).unwrap();
            let local = now.to_zoned(zone.clone());
            times.push(local.strftime("%a %F %H:%M %:z").to_string());
        }
        times
    }

    #[test]
    fn a_time_of_day_keeps_its_local_time_across_daylight_saving() {
        // Berlin: 2026-10-25 03:00 becomes 02:00.
        let times = next(
            &daily("07:00", &["sat", "sun"]),
            "2026-10-23T12:00Z",
            "Europe/Berlin",
            3,
        );
        assert_eq!(
            times,
            [
                "Sat 2026-10-24 07:00 +02:00",
                "Sun 2026-10-25 07:00 +01:00",
                "Sat 2026-10-31 07:00 +01:00"
            ]
        );
        let twice = next(
            &daily("02:30", &[]),
            "2026-10-24T12:00Z",
            "Europe/Berlin",
            2,
        );
        assert_eq!(
            twice,
            ["Sun 2026-10-25 02:30 +02:00", "Mon 2026-10-26 02:30 +01:00"]
        );
        // 2026-03-29 02:00 becomes 03:00.
        let never = next(
            &daily("02:30", &[]),
            "2026-03-28T12:00Z",
            "Europe/Berlin",
            2,
        );
        assert_eq!(
            never,
            ["Sun 2026-03-29 03:30 +02:00", "Mon 2026-03-30 02:30 +02:00"]
        );
    }

    #[test]
    fn the_next_occurrence_of_the_present_time_is_tomorrow() {
        let times = next(
            &daily("07:00", &[]),
            "2026-11-21T10:00Z",
            "America/Sao_Paulo",
            1,
        );
        assert_eq!(times, ["Sun 2026-11-22 07:00 -03:00"]);
    }

    #[test]
    fn sunrise_and_sunset_agree_with_noaa_within_two_minutes() {
        // By NOAA's formulas, as Python's astral 3.2 has them, to the minute.
        for (zone, latitude, longitude, now, rise, set) in [
            (
                "America/Sao_Paulo",
                -23.55,
                -46.633,
                "2026-11-21T03:00Z",
                "05:12",
                "18:33",
            ),
            (
                "Europe/Berlin",
                52.52,
                13.405,
                "2026-06-20T22:00Z",
                "04:43",
                "21:33",
            ),
        ] {
            let place = Some(Place {
                latitude,
                longitude,
            });
            let zone = TimeZone::get(zone).unwrap();
            let now: Timestamp = now.parse().unwrap();
            for (at, expected) in [("sunrise", rise), ("sunset", set)] {
                let time = daily(at, &[]).next(now, &zone, place).unwrap();
                let time = time.to_zoned(zone.clone());
                let expected: Time = expected.parse().unwrap();
                let off = time.time().duration_since(expected).abs();
                assert!(off <= SignedDuration::from_mins(2), "{at} at {time}");
            }
        }
    }

    #[test]
    fn an_offset_may_pass_midnight_and_days_without_sunset_are_skipped() {
        let tromso = Some(Place {
            latitude: 69.65,
            longitude: 18.96,
        });
        let zone = TimeZone::get("Europe/Oslo").unwrap();
        let now: Timestamp = "2026-06-01T00:00Z".parse().unwrap();
        let sunset = daily("sunset", &[]).next(now, &zone, tromso).unwrap();
        assert!(sunset.to_zoned(zone.clone()).date() > jiff::civil::date(2026, 7, 20));

        let place = Some(Place {
            latitude: 52.52,
            longitude: 13.405,
        });
        let late = Daily {
            offset: 170,
            ..daily("sunset", &[])
        };
        let now: Timestamp = "2026-06-21T22:10Z".parse().unwrap();
        let next = late.next(now, &TimeZone::UTC, place).unwrap();
        assert!(
            next.duration_since(now) < SignedDuration::from_mins(20),
            "{next}"
        );
        assert_eq!(daily("sunrise", &[]).next(now, &TimeZone::UTC, None), None);
    }

    #[test]
    fn invalid_times_are_refused() {
        for text in [
            "7:00",
            "24:00",
            "0700",
            "noon",
            "07:00:00.5Z",
            "2026-01-01",
            "",
            "07:6",
        ] {
            assert!(text.parse::<TimeOfDay>().is_err(), "{text}");
        }
        assert_eq!(
            "07:00:30".parse::<TimeOfDay>().unwrap().to_string(),
            "07:00:30"
        );
        assert_eq!("07:00".parse::<TimeOfDay>().unwrap().to_string(), "07:00");
    }
}
