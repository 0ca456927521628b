//! The format of backups: that of `levels.json`, with a field beside the state that says where it comes from. So a
//! `levels.json` can be restored, too.

use jiff::{Timestamp, Unit};
use serde_json::{Value, json};

use super::file::{BACKUP, Fields, KeptState, SETTINGS, fields_of, quoted, read_state, to_json};
use crate::model::backup::MAX_BACKUP;
use crate::model::backup_requests::BackupError;
use crate::model::text::printable;
use crate::model::timers::local_time;

/// The field of [`BACKUP`] with the text of the settings file.
const FILE_TEXT: &str = "settings";
/// The most notes of one kind, and the most characters of one: there may be as many as names in a file.
const MAX_NOTES: usize = 20;
const MAX_NOTE: usize = 300;

/// A backup that can be restored.
pub struct Backup {
    /// What it sets the dimmer to, and what is not understood.
    pub state: KeptState,
    /// What of it has no effect, in one line each.
    pub notes: Vec<String>,
}

impl Backup {
    /// Reads a backup. Unlike a file that is there at the start, it must have no value that no version allows.
    ///
    /// # Errors
    /// It is no backup, or a value is not allowed.
    pub fn read(file: &[u8]) -> Result<Backup, BackupError> {
        let fields = fields(file)?;
        let has_settings = settings_of(&fields)?.is_some();
        let (state, problems) = read_state(fields).map_err(BackupError::Malformed)?;
        if let Some(wrong) = problems.first_wrong() {
            return Err(BackupError::OutOfRange(shortened(wrong)));
        }
        let problems = problems.into_iter();
        let kept = problems.map(|problem| format!("kept, and without effect: {problem}"));
        let mut notes = few(kept.collect());
        if has_settings {
            notes.push(
                "the settings in it are not put in place: dimmer restore --print-settings prints them"
                    .into(),
            );
        }
        Ok(Backup { state, notes })
    }
}

/// A backup of this state, without the settings file.
///
/// # Errors
/// None in practice: plain data always becomes JSON.
pub fn write(state: &KeptState) -> Result<Vec<u8>, BackupError> {
    let unavailable = |error: String| BackupError::Unavailable(error);
    let json = to_json(state).map_err(|error| unavailable(error.to_string()))?;
    let mut fields = fields_of(&json).map_err(unavailable)?;
    // Without it, those of the dimmer that it is restored to would stay.
    fields.entry(SETTINGS).or_insert_with(|| json!({}));
    let now = Timestamp::now();
    let at = local_time(now.round(Unit::Second).unwrap_or(now)).to_string();
    let version = env!("CARGO_PKG_VERSION");
    fields.insert(BACKUP.into(), json!({ "version": version, "at": at }));
    Ok(json!(fields).to_string().into_bytes())
}

/// The backup with the text of the settings file in it, for people to read.
///
/// # Errors
/// It is no backup.
pub fn with_settings(backup: &[u8], settings: Option<String>) -> Result<String, BackupError> {
    let mut fields = fields(backup)?;
    let about = fields
        .get_mut(BACKUP)
        .and_then(|about| about.as_object_mut());
    if let (Some(about), Some(settings)) = (about, settings) {
        about.insert(FILE_TEXT.into(), json!(settings));
    }
    let backup = json!(fields);
    let readable = format!("{backup:#}\n");
    match readable.len() > MAX_BACKUP {
        true => Ok(backup.to_string()),
        false => Ok(readable),
    }
}

/// The text of the settings file in a backup, if it has one.
///
/// # Errors
/// It is no backup.
pub fn settings_in(backup: &[u8]) -> Result<Option<String>, BackupError> {
    settings_of(&fields(backup)?)
}

fn fields(file: &[u8]) -> Result<Fields, BackupError> {
    let malformed = |why: &str| BackupError::Malformed(why.into());
    if file.len() > MAX_BACKUP {
        let length = file.len();
        let why = format!("it must have at most {MAX_BACKUP} bytes, not {length}");
        return Err(malformed(&why));
    }
    if file.iter().all(u8::is_ascii_whitespace) {
        return Err(malformed("it is empty"));
    }
    let fields = fields_of(file).map_err(|why| malformed(&why))?;
    // Otherwise any object would remove all presets and timers, and so would those that are null.
    if !fields.contains_key("lights") {
        return Err(malformed("lights is missing"));
    }
    let is_null = |name: &&str| fields.get(*name).is_some_and(Value::is_null);
    match ["lights", "presets", "timers", SETTINGS]
        .into_iter()
        .find(is_null)
    {
        Some(name) => Err(malformed(&format!("{name} must not be null"))),
        None => Ok(fields),
    }
}

fn settings_of(fields: &Fields) -> Result<Option<String>, BackupError> {
    let Some(about) = fields.get(BACKUP) else {
        return Ok(None);
    };
    let wrong = |name: &str, must_be: &str, value| {
        let why = format!("{name} must be {must_be}, not {}", quoted(value));
        Err(BackupError::OutOfRange(why))
    };
    match about.as_object().map(|about| about.get(FILE_TEXT)) {
        None => wrong(BACKUP, "an object", about),
        Some(None) => Ok(None),
        Some(Some(settings)) => match settings.as_str() {
            Some(text) => Ok(Some(text.into())),
            None => wrong(FILE_TEXT, "text", settings),
        },
    }
}

/// The first of these notes, each in one line that is not too long.
pub fn few(mut notes: Vec<String>) -> Vec<String> {
    let more = notes.len().saturating_sub(MAX_NOTES);
    notes.truncate(MAX_NOTES);
    for note in &mut notes {
        *note = shortened(note);
    }
    if more > 0 {
        notes.push(format!("and {more} more"));
    }
    notes
}

fn shortened(note: &str) -> String {
    let note = printable(note);
    match note.char_indices().nth(MAX_NOTE) {
        Some((end, _)) => format!("{}…", &note[..end]),
        None => note,
    }
}
