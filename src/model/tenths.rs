//! Numbers in steps of 0.1, such as levels: [`Tenths`].

use std::fmt;

use serde::{Serialize, Serializer};

use super::range::{OutOfRange, Range};

/// A number from `MIN` to `MAX` tenths, stored as whole tenths so that equal values compare equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenths<const MIN: i16, const MAX: i16>(i16);

impl<const MIN: i16, const MAX: i16> Tenths<MIN, MAX> {
    /// `tenths` tenths, which must be from `MIN` to `MAX`: checked by the compiler in a constant.
    pub const fn new(tenths: i16) -> Self {
        assert!(MIN <= tenths && tenths <= MAX);
        Tenths(tenths)
    }

    /// The nearest multiple of 0.1.
    ///
    /// # Errors
    /// `number` is NaN, or outside the range before rounding.
    pub fn from_f64(number: f64) -> Result<Self, OutOfRange> {
        let range = Range::new(Self(MIN).to_f64(), Self(MAX).to_f64());
        let number = range.check(number)?;
        // In range, so the cast is exact.
        Ok(Tenths((number * 10.0).round() as i16))
    }

    /// The number itself.
    pub const fn to_f64(self) -> f64 {
        self.0 as f64 / 10.0
    }

    /// The number in tenths.
    pub const fn tenths(self) -> i16 {
        self.0
    }

    /// The sum, clamped to the range.
    pub fn saturating_add(self, tenths: i16) -> Self {
        Tenths(self.0.saturating_add(tenths).clamp(MIN, MAX))
    }
}

impl<const MIN: i16, const MAX: i16> fmt::Display for Tenths<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // f64 prints 42 and 42.5, never 42.0.
        self.to_f64().fmt(f)
    }
}

/// A whole number as an integer, so that JSON reads like [`Display`](fmt::Display).
impl<const MIN: i16, const MAX: i16> Serialize for Tenths<MIN, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 10 == 0 {
            serializer.serialize_i16(self.0 / 10)
        } else {
            serializer.serialize_f64(self.to_f64())
        }
    }
}
