//! What a light plays around its level: [`Effect`].

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;

/// Time that a sunrise takes at normal speed, if nobody says how long.
pub const SUNRISE: Duration = Duration::from_secs(30 * 60);

/// A light that moves by itself, around its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
pub struct Effect {
    /// How it moves.
    #[serde(rename = "effect")]
    pub kind: Kind,
    /// How fast.
    #[serde(default)]
    pub speed: Speed,
}

/// How a light moves by itself. The times are those of normal speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Effect)]
pub enum Kind {
    /// Swells and fades every 4 s.
    Breathe,
    /// On for half of each second.
    Blink,
    /// Flickers below its level, as a flame does.
    Candle,
    /// Flashes once a second.
    Strobe,
    /// From dark to its level, once.
    Sunrise,
}

impl Kind {
    /// All there are.
    pub const ALL: [Kind; 5] = [
        Kind::Breathe,
        Kind::Blink,
        Kind::Candle,
        Kind::Strobe,
        Kind::Sunrise,
    ];

    /// Its name in messages, settings and files.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Breathe => "breathe",
            Kind::Blink => "blink",
            Kind::Candle => "candle",
            Kind::Strobe => "strobe",
            Kind::Sunrise => "sunrise",
        }
    }

    /// The effect of this name.
    pub fn called(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// How many times as fast as normal an effect plays: 0.1 to 10 in steps of 0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Speed {
    tenths: u8,
}

impl Speed {
    /// As fast as the effects' own times.
    pub const NORMAL: Speed = Speed { tenths: 10 };
    /// Three flashes of a strobe in a second: the most that is safe for people with photosensitive
    /// epilepsy (WCAG 2.2, 2.3.1).
    pub const SAFE: Speed = Speed { tenths: 30 };
    /// The highest there is.
    pub const MOST: Speed = Speed { tenths: 100 };

    /// The speed nearest to `times` normal, rounded to 0.1.
    ///
    /// # Errors
    /// `times` is below 0.1 or above `fastest`; the message says so.
    pub fn from_times(times: f64, fastest: Speed) -> Result<Speed, String> {
        if (0.1..=fastest.times()).contains(&times) {
            // In range, so the rounded tenths are 1 to 100.
            let tenths = (times * 10.0).round() as u8;
            Ok(Speed { tenths })
        } else {
            Err(format!(
                "speed must be from 0.1 to {}, not {times}",
                fastest.times()
            ))
        }
    }

    /// How many times as fast as normal.
    pub fn times(self) -> f64 {
        f64::from(self.tenths) / 10.0
    }
}

impl Default for Speed {
    fn default() -> Speed {
        Speed::NORMAL
    }
}

impl Serialize for Speed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.tenths.is_multiple_of(10) {
            serializer.serialize_u8(self.tenths / 10)
        } else {
            serializer.serialize_f64(self.times())
        }
    }
}

impl<'de> Deserialize<'de> for Speed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Speed, D::Error> {
        let times = f64::deserialize(deserializer)?;
        Speed::from_times(times, Speed::MOST).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_effect_survives_json() {
        for kind in Kind::ALL {
            for tenths in 1..=100 {
                let speed = Speed { tenths };
                let effect = Effect { kind, speed };
                let json = serde_json::to_string(&effect).unwrap();
                assert_eq!(serde_json::from_str::<Effect>(&json).unwrap(), effect);
            }
            assert_eq!(Kind::called(kind.name()), Some(kind));
        }
        let normal: Effect = serde_json::from_str(r#"{"effect":"candle"}"#).unwrap();
        let json = serde_json::to_string(&normal).unwrap();
        assert_eq!(json, r#"{"effect":"candle","speed":1}"#);
    }

    #[test]
    fn a_speed_out_of_range_names_itself_and_the_range() {
        for (times, fastest, says) in [
            (3.1, Speed::SAFE, "speed must be from 0.1 to 3, not 3.1"),
            (10.1, Speed::MOST, "speed must be from 0.1 to 10, not 10.1"),
            (0.0, Speed::MOST, "speed must be from 0.1 to 10, not 0"),
            (
                f64::NAN,
                Speed::SAFE,
                "speed must be from 0.1 to 3, not NaN",
            ),
        ] {
            assert_eq!(Speed::from_times(times, fastest).unwrap_err(), says);
        }
        let fast = Speed::from_times(2.96, Speed::SAFE).unwrap();
        assert_eq!(fast, Speed::SAFE, "rounded");
    }
}
