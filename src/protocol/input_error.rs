//! Why a message or a request is refused: [`InputError`].

use std::fmt::Display;

use crate::model::activity::RemarkError;
use crate::model::command::CommandError;

/// A message that is refused. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InputError {
    /// The message cannot be read.
    #[error("{0}")]
    Malformed(String),
    /// The message can be read, but a value is not allowed.
    #[error("{0}")]
    OutOfRange(String),
    /// The command cannot be carried out.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The remark is not published.
    #[error(transparent)]
    Remark(#[from] RemarkError),
}

impl InputError {
    /// The message cannot be read.
    pub fn malformed(text: impl Into<String>) -> InputError {
        InputError::Malformed(text.into())
    }

    /// The same of what concerns the light of this name, among others.
    pub fn of_light(self, name: &str) -> InputError {
        match self {
            InputError::Malformed(why) => InputError::Malformed(format!("{name:?}: {why}")),
            InputError::OutOfRange(why) => InputError::OutOfRange(format!("{name:?}: {why}")),
            other => other,
        }
    }

    /// The value of a field is not allowed; `why` says what is.
    pub fn out_of_range(field: &str, why: impl Display) -> InputError {
        InputError::OutOfRange(format!("{field} {why}"))
    }
}
