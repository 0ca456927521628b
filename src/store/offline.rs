//! Backups of a state folder on which no service runs.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use anyhow::{Context, anyhow};

use super::backup::{self, Backup};
use super::disk::{keep_before_restore, load, write};
use super::file::from_json;
use super::lock::FolderLock;
use crate::model::backup::Restored;

/// A backup of what is kept in a folder.
///
/// # Errors
/// A service uses the folder, or its file cannot be read.
pub fn make_backup(folder: &Path) -> anyhow::Result<Vec<u8>> {
    let _lock = FolderLock::new(folder)?;
    let file = folder.join("levels.json");
    let name = || file.display().to_string();
    let contents = fs::read(&file).with_context(name)?;
    let (state, _) = from_json(&contents).map_err(|why| anyhow!("{}: {why}", name()))?;
    Ok(backup::write(&state)?)
}

/// Restores a backup to a folder, for the next start of the service.
///
/// # Errors
/// It is no backup, a service uses the folder, or its file cannot be replaced. Nothing has changed then.
pub fn restore(folder: &Path, backup: &[u8]) -> anyhow::Result<Restored> {
    let Backup { mut state, notes } = Backup::read(backup)?;
    let contents = state.contents();
    contents.check()?;
    let _lock = FolderLock::new(folder)?;
    let file = folder.join("levels.json");
    let name = || file.display().to_string();
    state.add_lights_of(load(&file).with_context(name)?, |_| true);
    keep_before_restore(&file);
    write(&file, &state).with_context(name)?;
    // Root restores for the user of the service, who must be able to read it.
    if let Ok(owner) = fs::metadata(folder) {
        let _ = chown(&file, Some(owner.uid()), Some(owner.gid()));
    }
    Ok(Restored {
        lights: contents.lights.len(),
        presets: contents.presets.len(),
        timers: contents.timers.len(),
        notes,
    })
}
