//! The numbers that a value may have: [`Range`].

/// The numbers from a lowest to a highest one, both included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The lowest number.
    pub min: f64,
    /// The highest number.
    pub max: f64,
    /// The unit, in plural, for errors; empty where the name of the value says it.
    unit: &'static str,
}

/// A number outside its range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("must be from {}, not {found}", range.text())]
pub struct OutOfRange {
    /// The numbers allowed.
    pub range: Range,
    /// The number, or the text that is none, as it was given.
    pub found: String,
}

impl Range {
    /// The numbers from `min` to `max`.
    pub const fn new(min: f64, max: f64) -> Range {
        let unit = "";
        Range { min, max, unit }
    }

    /// The same numbers of this unit.
    pub const fn of(self, unit: &'static str) -> Range {
        Range { unit, ..self }
    }

    /// The number, if it is in the range.
    ///
    /// # Errors
    /// `number` is NaN, or outside the range.
    pub fn check(self, number: f64) -> Result<f64, OutOfRange> {
        if (self.min..=self.max).contains(&number) {
            Ok(number)
        } else {
            Err(self.excludes(number.to_string()))
        }
    }

    /// The error for a number, or a text that is none, outside the range.
    pub fn excludes(self, found: String) -> OutOfRange {
        OutOfRange { range: self, found }
    }

    fn text(self) -> String {
        let Range { min, max, unit } = self;
        let space = if unit.is_empty() { "" } else { " " };
        format!("{min} to {max}{space}{unit}")
    }
}
