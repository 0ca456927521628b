//! Texts that people enter: names of presets, timers and clients, and remarks.

use std::sync::Arc;

/// A text of 1 to `MAX` characters without control characters, as it ends up in the terminals and
/// logs of other people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text<const MAX: usize>(Arc<str>);

/// The name of a preset, a timer, a client or a light's title.
pub type Name = Text<40>;

/// A remark of a client to all others.
pub type Remark = Text<200>;

/// Why a text is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TextError {
    /// It has control characters.
    #[error("must not have control characters, as in {0:?}")]
    Control(String),
    /// It is empty or too long.
    #[error("must have 1 to {max} characters, not {length}")]
    Length {
        /// The most characters allowed.
        max: usize,
        /// The number of characters given.
        length: usize,
    },
}

impl<const MAX: usize> Text<MAX> {
    /// The most characters allowed.
    pub const MAX: usize = MAX;

    /// Checks a text.
    ///
    /// # Errors
    /// The text is empty, longer than `MAX` characters, or has control characters.
    pub fn new(text: &str) -> Result<Self, TextError> {
        if text.contains(char::is_control) {
            return Err(TextError::Control(text.into()));
        }
        let length = text.chars().count();
        if (1..=MAX).contains(&length) {
            Ok(Text(text.into()))
        } else {
            Err(TextError::Length { max: MAX, length })
        }
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> From<Text<MAX>> for Arc<str> {
    fn from(text: Text<MAX>) -> Arc<str> {
        text.0
    }
}

impl<const MAX: usize> From<Text<MAX>> for String {
    fn from(text: Text<MAX>) -> String {
        text.0.as_ref().into()
    }
}
