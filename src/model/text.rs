//! Texts that people enter: names of presets, timers and clients, and remarks.

use std::sync::Arc;

/// A text of 1 to `MAX` characters, at least one of them visible, and none of them [deceptive](is_deceptive), as it ends up on the pages and in the terminals and logs of other people.
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
    /// It has characters that are not seen, or that change how the others are seen.
    #[error("must not have invisible characters, as in {0:?}")]
    Invisible(String),
    /// It has nothing but blanks.
    #[error("must have a visible character, unlike {0:?}")]
    Blank(String),
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
    /// The text is empty, longer than `MAX` characters, has nothing but blanks, or has deceptive
    /// characters.
    pub fn new(text: &str) -> Result<Self, TextError> {
        let length = text.chars().count();
        if text.contains(char::is_control) {
            Err(TextError::Control(text.into()))
        } else if text.contains(is_deceptive) {
            Err(TextError::Invisible(text.into()))
        } else if !(1..=MAX).contains(&length) {
            Err(TextError::Length { max: MAX, length })
        } else if text.chars().all(is_blank) {
            Err(TextError::Blank(text.into()))
        } else {
            Ok(Text(text.into()))
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

/// Whether a character is not seen itself, but acts: a control character, which a terminal obeys; a line
/// separator; one that turns the direction of the text around it; one without width, by which two texts
/// that look the same differ.
pub fn is_deceptive(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Whether a character shows nothing: white space, or a letter that is empty.
fn is_blank(letter: char) -> bool {
    letter.is_whitespace()
        || matches!(
            letter,
            '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}'
                // They only choose how the letter before is shown.
                | '\u{fe00}'..='\u{fe0f}'
        )
}

/// A text of another machine as it may be printed in a terminal: each deceptive character is replaced.
pub fn printable(text: &str) -> String {
    text.replace(is_deceptive, "?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_seen_as_it_is() {
        for name in [
            "Film",
            "Fim de semana",
            "Küche",
            "كتاب",
            "お茶",
            "❤\u{fe0f}",
            "a\u{301}",
        ] {
            assert!(Name::new(name).is_ok(), "{name}");
        }
        for (name, expected) in [
            ("a\nb", "must not have control characters, as in \"a\\nb\""),
            (
                "\u{9b}2J",
                "must not have control characters, as in \"\\u{9b}2J\"",
            ),
            (
                "a\u{202e}b",
                "must not have invisible characters, as in \"a\\u{202e}b\"",
            ),
            (
                "a\u{2066}b",
                "must not have invisible characters, as in \"a\\u{2066}b\"",
            ),
            (
                "a\u{2028}b",
                "must not have invisible characters, as in \"a\\u{2028}b\"",
            ),
            (
                "Film\u{200b}",
                "must not have invisible characters, as in \"Film\\u{200b}\"",
            ),
            (
                "Film\u{feff}",
                "must not have invisible characters, as in \"Film\\u{feff}\"",
            ),
            ("   ", "must have a visible character, unlike \"   \""),
            ("\u{3164}\u{a0}", "must have a visible character, unlike"),
            ("", "must have 1 to 40 characters, not 0"),
        ] {
            let error = Name::new(name).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{name:?}: {error}");
        }
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_printed() {
        let text = "a\x1b[2J\u{9b}b\u{202e}\u{2028}c\r\n";
        assert_eq!(printable(text), "a?[2J?b??c??");
    }
}
