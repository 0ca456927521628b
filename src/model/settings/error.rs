//! Why settings are refused: [`SettingError`].

/// Why settings are not changed. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SettingError {
    /// The settings file says so.
    #[error("settings are locked: the settings file has settings = \"file\"")]
    Locked,
    /// No setting of this name can be changed here.
    #[error("unknown setting {0:?}; there are {list}", list = .1.join(", "))]
    Unknown(String, &'static [&'static str]),
    /// A value is not allowed; the text names the setting, the value and what is allowed.
    #[error("{0}")]
    Wrong(String),
    /// The same of a light.
    #[error("{0:?}: {1}")]
    OfLight(String, Box<SettingError>),
    /// Another client tries the duty of this light.
    #[error("another client tries the duty of {0:?}: wait until it is done")]
    Tried(String),
}
