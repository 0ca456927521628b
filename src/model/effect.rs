//! Effects: what a light plays around its level.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, de};

use super::range::{OutOfRange, Range};
use super::tenths::Tenths;

/// Duration of a sunrise at normal speed, unless a transition says otherwise.
pub const SUNRISE: Duration = Duration::from_secs(30 * 60);

/// An effect with its speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effect {
    /// The kind.
    pub kind: EffectKind,
    /// Relative to normal.
    pub speed: Speed,
}

impl Effect {
    /// Whether the effect goes on until the light's next change: all do but a sunrise.
    pub fn is_endless(&self) -> bool {
        self.kind != EffectKind::Sunrise
    }
}

/// What an effect does with the level. The times are those of normal speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EffectKind {
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

impl EffectKind {
    /// Every effect.
    pub const ALL: [EffectKind; 5] = [
        EffectKind::Breathe,
        EffectKind::Blink,
        EffectKind::Candle,
        EffectKind::Strobe,
        EffectKind::Sunrise,
    ];

    /// The name in messages, settings and files.
    pub fn name(self) -> &'static str {
        match self {
            EffectKind::Breathe => "breathe",
            EffectKind::Blink => "blink",
            EffectKind::Candle => "candle",
            EffectKind::Strobe => "strobe",
            EffectKind::Sunrise => "sunrise",
        }
    }

    /// The effect of this name.
    pub fn from_name(name: &str) -> Option<EffectKind> {
        EffectKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// The speed of an effect relative to normal: 0.1 to 10 in steps of 0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Speed(Tenths<1, 100>);

impl Speed {
    /// A tenth of the normal speed.
    pub const MIN: Speed = Speed(Tenths::new(1));
    /// The speed at which the effects have the times that are documented.
    pub const NORMAL: Speed = Speed(Tenths::new(10));
    /// Three flashes of a strobe per second: the most that is safe for people with photosensitive
    /// epilepsy (WCAG 2.2, 2.3.1).
    pub const SAFE: Speed = Speed(Tenths::new(30));
    /// The highest speed, for lights with `allow_fast_strobe`.
    pub const MAX: Speed = Speed(Tenths::new(100));

    /// The speed nearest to `times` normal, rounded to 0.1.
    ///
    /// # Errors
    /// `times` is NaN, below 0.1 or above 10.
    pub fn from_times(times: f64) -> Result<Speed, OutOfRange> {
        Tenths::from_f64(times).map(Speed)
    }

    /// The factor of the normal speed.
    pub const fn times(self) -> f64 {
        self.0.to_f64()
    }

    /// The speed itself, if it is at most `fastest`.
    ///
    /// # Errors
    /// It is higher.
    pub fn at_most(self, fastest: Speed) -> Result<Speed, OutOfRange> {
        if self <= fastest {
            Ok(self)
        } else {
            let range = Range::new(Speed::MIN.times(), fastest.times());
            Err(range.excludes(self.0.to_string()))
        }
    }
}

impl Default for Speed {
    fn default() -> Speed {
        Speed::NORMAL
    }
}

impl<'de> Deserialize<'de> for Speed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Speed, D::Error> {
        let times = f64::deserialize(deserializer)?;
        Speed::from_times(times).map_err(|error| de::Error::custom(format!("speed {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_effect_survives_json() {
        for kind in EffectKind::ALL {
            for tenths in 1..=100 {
                let speed = Speed(Tenths::new(tenths));
                let json = serde_json::to_string(&(kind, speed)).unwrap();
                let read: (EffectKind, Speed) = serde_json::from_str(&json).unwrap();
                assert_eq!(read, (kind, speed));
            }
            assert_eq!(EffectKind::from_name(kind.name()), Some(kind));
        }
    }

    #[test]
    fn a_speed_out_of_range_names_itself_and_the_range() {
        let parsed = |times| Speed::from_times(times).unwrap_err().to_string();
        assert_eq!(parsed(10.1), "must be from 0.1 to 10, not 10.1");
        assert_eq!(parsed(0.0), "must be from 0.1 to 10, not 0");
        assert_eq!(parsed(f64::NAN), "must be from 0.1 to 10, not NaN");
        let limited = |times| Speed::from_times(times).unwrap().at_most(Speed::SAFE);
        let error = limited(3.1).unwrap_err();
        assert_eq!(error.to_string(), "must be from 0.1 to 3, not 3.1");
        assert_eq!(limited(2.96), Ok(Speed::SAFE), "rounded");
    }
}
