//! Reads and replaces `levels.json`.

use std::fs;
use std::io;
use std::path::Path;

use tracing::warn;

use super::file::{KeptState, from_json, to_json};
use crate::platform::file::{PUBLIC, replace};

/// The most damaged files that are kept.
const MAX_DAMAGED: u32 = 10;

/// Reads the file; without a file, or if it is damaged, the state is empty.
///
/// # Errors
/// The file cannot be read, or is damaged and cannot be renamed.
pub fn load(file: &Path) -> io::Result<KeptState> {
    let contents = match fs::read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(KeptState::default()),
        contents => contents?,
    };
    match from_json(&contents) {
        Ok((saved, problems)) => {
            for problem in problems {
                let file = file.display();
                warn!("{file}: {problem}; this is kept in the file and has no effect");
            }
            Ok(saved)
        }
        Err(reason) => set_aside(file, &reason).map(|()| KeptState::default()),
    }
}

/// Renames the file to the first of `levels.json.damaged`, `.damaged.2`, `.damaged.3`… that does not
/// exist, so that files from earlier are not lost; the tenth is overwritten.
fn set_aside(file: &Path, reason: &str) -> io::Result<()> {
    let name = |number| match number {
        1 => file.with_extension("json.damaged"),
        _ => file.with_extension(format!("json.damaged.{number}")),
    };
    let free = (1..MAX_DAMAGED).find(|&number| !name(number).exists());
    let aside = name(free.unwrap_or(MAX_DAMAGED));
    fs::rename(file, &aside).map_err(|error| {
        io::Error::other(format!("{reason}, and it cannot be renamed: {error}"))
    })?;
    warn!(
        "{} cannot be used ({reason}): it is now {}, and every light starts at its default",
        file.display(),
        aside.display()
    );
    Ok(())
}

/// Copies the file, so that a wrong backup costs nothing.
pub fn keep_before_restore(file: &Path) {
    let copy = file.with_extension("json.before-restore");
    // It may be a link that somebody else has put there.
    let _ = fs::remove_file(&copy);
    match fs::copy(file, &copy) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            warn!("cannot keep {}: {error}", copy.display());
        }
        _ => {}
    }
}

/// Replaces the file so that a power cut leaves the old or the new one.
pub fn write(file: &Path, state: &KeptState) -> io::Result<()> {
    replace(file, &to_json(state)?, PUBLIC)
}
