//! Keeps the lights' levels on disk, so that they survive a restart and a power cut.
//!
//! One small file, replaced as a whole: written beside the old one, synced, renamed over it. It is
//! written at most once a second, to spare the SD card, and once more at the stop.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::level::Level;
use crate::lights::{LightState, Lights};

/// Shortest time between two writes.
const INTERVAL: Duration = Duration::from_secs(1);
/// Wait before a failed write is tried again.
const RETRY: Duration = Duration::from_secs(10);
/// The format this version writes.
const VERSION: u32 = 1;

/// What is kept of a light.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// Its level.
    pub level: Level,
    /// Its last level above 0.
    pub last_on: Level,
}

impl From<&LightState> for Kept {
    fn from(light: &LightState) -> Kept {
        Kept {
            level: light.level,
            last_on: light.last_on,
        }
    }
}

/// Every light's levels, by name.
pub type Levels = BTreeMap<String, Kept>;

#[derive(Serialize, Deserialize)]
struct Contents {
    version: u32,
    lights: Levels,
}

/// The file with the levels.
pub struct Store {
    file: PathBuf,
    /// What the file holds; lights that the settings no longer have stay in it.
    saved: Levels,
}

impl Store {
    /// Reads `levels.json` in `folder`. A file that cannot be understood is set aside as
    /// `levels.json.damaged`; nothing here ends the service.
    pub fn open(folder: &Path) -> Store {
        let file = folder.join("levels.json");
        let saved = match read(&file) {
            Ok(levels) => levels,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Levels::new(),
            Err(error) => {
                set_aside(&file, &error);
                Levels::new()
            }
        };
        Store { file, saved }
    }

    /// What is kept of the light called `name`.
    pub fn kept(&self, name: &str) -> Option<Kept> {
        self.saved.get(name).copied()
    }

    /// Writes every change of the lights until `stop`, and once more then.
    pub async fn follow(mut self, lights: Arc<Lights>, stop: CancellationToken) {
        let mut watch = lights.watch();
        while !stop.is_cancelled() {
            let levels = self.with(&lights, &watch.borrow_and_update());
            let pause = self.save(levels).await;
            tokio::select! {
                () = stop.cancelled() => {}
                // Changes during the pause are seen after it.
                () = sleep(pause.unwrap_or_default()), if pause.is_some() => {}
                changed = watch.changed(), if pause.is_none() => {
                    if changed.is_err() {
                        break;
                    }
                }
            }
        }
        let levels = self.with(&lights, &watch.borrow());
        self.save(levels).await;
    }

    /// The saved levels with those of now over them.
    fn with(&self, lights: &Lights, states: &[LightState]) -> Levels {
        let mut levels = self.saved.clone();
        for (light, state) in lights.list().iter().zip(states) {
            levels.insert(light.name.clone(), state.into());
        }
        levels
    }

    /// Saves the levels if they are new, and says how long to wait before the next attempt.
    async fn save(&mut self, levels: Levels) -> Option<Duration> {
        if levels == self.saved {
            return None;
        }
        let (file, contents) = (self.file.clone(), levels.clone());
        let written = task::spawn_blocking(move || write(&file, contents))
            .await
            .unwrap_or_else(|panic| Err(io::Error::other(panic)));
        match written {
            Ok(()) => {
                self.saved = levels;
                Some(INTERVAL)
            }
            Err(error) => {
                warn!("cannot keep the levels in {}: {error}", self.file.display());
                Some(RETRY)
            }
        }
    }
}

fn read(file: &Path) -> io::Result<Levels> {
    from_json(&fs::read(file)?)
}

/// The levels in a file's bytes.
///
/// # Errors
/// They are not JSON in the format of this version.
pub fn from_json(bytes: &[u8]) -> io::Result<Levels> {
    let contents: Contents = serde_json::from_slice(bytes)?;
    if contents.version != VERSION {
        return Err(io::Error::other(format!(
            "its format is {}, and this version reads {VERSION}",
            contents.version
        )));
    }
    Ok(contents.lights)
}

/// A file's bytes with these levels.
///
/// # Errors
/// None that could be helped.
pub fn to_json(lights: Levels) -> io::Result<Vec<u8>> {
    let version = VERSION;
    Ok(serde_json::to_vec(&Contents { version, lights })?)
}

fn set_aside(file: &Path, error: &io::Error) {
    let aside = file.with_extension("json.damaged");
    match fs::rename(file, &aside) {
        Ok(()) => warn!(
            "{} cannot be used ({error}): it is now {}, and every light starts at its default",
            file.display(),
            aside.display()
        ),
        Err(rename) => warn!(
            "{} cannot be used ({error}) nor renamed ({rename})",
            file.display()
        ),
    }
}

/// Puts the contents in place of the file so that a power cut leaves the old or the new one.
fn write(file: &Path, lights: Levels) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    if !folder.exists() {
        fs::create_dir_all(folder)?;
        info!("keeping the levels in {}", folder.display());
    }
    let json = to_json(lights)?;
    // A fixed name, so that what a crash leaves is overwritten.
    let next = file.with_extension("json.new");
    let mut new = File::create(&next)?;
    new.write_all(&json)?;
    new.sync_all()?;
    fs::rename(&next, file)?;
    // The rename itself lasts only once the folder is synced.
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels() -> Levels {
        let level = |percent| Level::from_percent(percent).unwrap();
        Levels::from([(
            "led".into(),
            Kept {
                level: level(0.0),
                last_on: level(42.5),
            },
        )])
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deep/er/levels.json");
        write(&file, levels()).unwrap();
        assert_eq!(read(&file).unwrap(), levels());
        assert_eq!(
            fs::read_to_string(&file).unwrap(),
            r#"{"version":1,"lights":{"led":{"level":0,"last_on":42.5}}}"#
        );
    }

    #[test]
    fn a_file_cut_at_any_byte_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("levels.json");
        write(&file, levels()).unwrap();
        let whole = fs::read(&file).unwrap();
        for length in 0..whole.len() {
            fs::write(&file, &whole[..length]).unwrap();
            let store = Store::open(folder.path());
            assert_eq!(store.kept("led"), None, "cut at {length}");
            let aside = fs::read(folder.path().join("levels.json.damaged")).unwrap();
            assert_eq!(aside, whole[..length], "nothing is lost");
            assert!(!file.exists());
        }
    }

    #[test]
    fn garbage_and_a_newer_format_are_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("levels.json");
        for contents in [
            &b"\xff\x00garbage"[..],
            br#"{"version":2,"lights":{}}"#,
            br#"{"version":1,"lights":{"led":{"level":150,"last_on":1}}}"#,
        ] {
            fs::write(&file, contents).unwrap();
            assert_eq!(Store::open(folder.path()).kept("led"), None);
            let aside = fs::read(folder.path().join("levels.json.damaged")).unwrap();
            assert_eq!(aside, contents);
        }
    }
}
