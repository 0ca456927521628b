//! Keeps levels, effects, presets and timers on disk, so that they survive a restart and a power cut.
//!
//! One small file is replaced as a whole: written beside the old one, synced, and renamed over it. It is
//! written at most once a second, to spare the SD card, and once more when the service stops.

mod file;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::model::hub::Hub;
use crate::model::presets::PresetsByName;
use crate::model::timers::Timer;
pub use file::{KeptLight, KeptState, from_json, to_json};

/// Shortest time from one write to the next.
const INTERVAL: Duration = Duration::from_secs(1);
/// Wait before a failed write is tried again.
const RETRY: Duration = Duration::from_secs(10);
/// The most damaged files that are set aside.
const MAX_DAMAGED: u32 = 10;
/// The file `levels.json`.
pub struct Store {
    file: PathBuf,
    /// What the file holds; lights that the settings no longer have stay in it. `None` while it
    /// cannot be read: it may hold good levels all the same, so it is not written before it is read.
    saved: Option<KeptState>,
}

/// What a file holds that can be read.
enum Contents {
    State(KeptState),
    /// Nothing that this version understands, for this reason.
    Damage(String),
}

impl Store {
    /// Reads `levels.json` in `folder`. A file that cannot be understood is set aside as
    /// `levels.json.damaged`; one that cannot be read is left as it is. Nothing here ends the
    /// service.
    pub fn open(folder: &Path) -> Store {
        let file = folder.join("levels.json");
        let saved = load(&file)
            .inspect_err(|error| {
                let file = file.display();
                warn!("{file}: {error}; it is left as it is, and every light starts at its default")
            })
            .ok();
        Store { file, saved }
    }

    /// What is kept of the light called `name`.
    pub fn light(&self, name: &str) -> Option<KeptLight> {
        self.saved.as_ref()?.lights.get(name).copied()
    }

    /// The presets that are kept.
    pub fn presets(&self) -> PresetsByName {
        let saved = self.saved.as_ref();
        saved.map(KeptState::presets).unwrap_or_default()
    }

    /// The timers that are kept.
    pub fn timers(&self) -> Vec<Timer> {
        let saved = self.saved.as_ref();
        saved.map(KeptState::timers).unwrap_or_default()
    }

    /// Writes every change of the hub until `stop`, and once more then.
    pub async fn run(mut self, hub: Arc<Hub>, stop: CancellationToken) {
        let (mut lights, mut presets) = (hub.lights.watch(), hub.presets.watch());
        let mut timers = hub.timers.watch();
        while !stop.is_cancelled() {
            lights.mark_unchanged();
            presets.mark_unchanged();
            timers.mark_unchanged();
            let next = self.save(&hub).await;
            tokio::select! {
                () = stop.cancelled() => {}
                // Changes during the pause are seen after it.
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
                // Neither fails: their senders live in the hub.
                _ = lights.changed(), if next.is_none() => {}
                _ = presets.changed(), if next.is_none() => {}
                _ = timers.changed(), if next.is_none() => {}
            }
        }
        self.save(&hub).await;
    }

    /// Saves what is new, and says when the next attempt may be.
    async fn save(&mut self, hub: &Hub) -> Option<Instant> {
        let news = News::of(hub);
        if let Some(saved) = &self.saved
            && news.over(saved.clone()) == *saved
        {
            return None;
        }
        let start = Instant::now();
        let (file, saved) = (self.file.clone(), self.saved.clone());
        let late = saved.is_none();
        let replace = move || {
            let saved = saved.map_or_else(|| load(&file), Ok)?;
            let late = late.then(|| (saved.presets(), saved.timers()));
            let kept = news.over(saved);
            write(&file, &kept)?;
            Ok((kept, late))
        };
        let written = task::spawn_blocking(replace)
            .await
            .unwrap_or_else(|panic| Err(io::Error::other(panic)));
        match written {
            Ok((kept, late)) => {
                if let Some((presets, timers)) = late {
                    // Nobody could know of these, so nobody has removed them. They are saved again.
                    hub.restore(presets, timers);
                }
                self.saved = Some(kept);
                Some(start + INTERVAL)
            }
            Err(error) => {
                warn!("cannot keep the levels in {}: {error}", self.file.display());
                Some(Instant::now() + RETRY)
            }
        }
    }
}

/// What is to be kept now.
struct News {
    /// Every light by its name, and whether anyone has changed it since the start.
    lights: Vec<(String, KeptLight, bool)>,
    presets: Arc<PresetsByName>,
    timers: Arc<Vec<Timer>>,
}

impl News {
    fn of(hub: &Hub) -> News {
        let states = hub.lights.states();
        let lights = hub.lights.list().iter().zip(&*states);
        News {
            lights: lights
                .map(|(light, state)| (light.name.clone(), state.into(), state.revision > 0))
                .collect(),
            presets: hub.presets.all(),
            timers: hub.timers.all(),
        }
    }

    /// What was saved with this over it. A light that nobody has changed stays as it was saved: it
    /// may be at its default because the file could not be read.
    fn over(&self, mut kept: KeptState) -> KeptState {
        for (name, light, changed) in &self.lights {
            if *changed || !kept.lights.contains_key(name) {
                kept.lights.insert(name.clone(), *light);
            }
        }
        kept.set_presets(&self.presets);
        kept.set_timers(&self.timers);
        kept
    }
}

/// What the file keeps: nothing if there is no file, or nothing in it that can be used.
///
/// # Errors
/// It cannot be read, or is of no use and cannot be set aside.
fn load(file: &Path) -> io::Result<KeptState> {
    match read(file) {
        Ok(Contents::State(kept)) => Ok(kept),
        Ok(Contents::Damage(reason)) => set_aside(file, &reason).map(|()| KeptState::default()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(KeptState::default()),
        Err(error) => Err(error),
    }
}

fn read(file: &Path) -> io::Result<Contents> {
    let found = from_json(&fs::read(file)?);
    Ok(found.map_or_else(Contents::Damage, Contents::State))
}

/// Renames the file to the first of `levels.json.damaged`, `.damaged.2`, `.damaged.3`… that is free,
/// so that what was set aside before is not lost; of ten the last is replaced.
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

/// Puts the contents in place of the file so that a power cut leaves the old or the new one.
fn write(file: &Path, kept: &KeptState) -> io::Result<()> {
    let folder = folder_of(file);
    if !folder.exists() {
        make(folder)?;
        info!("keeping the levels in {}", folder.display());
    }
    let json = to_json(kept.clone())?;
    // A fixed name, so that what a crash leaves is overwritten.
    let next = file.with_extension("json.new");
    let mut new = File::create(&next)?;
    new.write_all(&json)?;
    new.sync_all()?;
    fs::rename(&next, file)?;
    // The rename itself lasts only once the folder is synced.
    File::open(folder)?.sync_all()
}

/// Makes a folder and those above it. Each lasts only once the one that it is in is synced.
fn make(folder: &Path) -> io::Result<()> {
    let above = folder_of(folder);
    if !above.exists() {
        make(above)?;
    }
    fs::create_dir(folder)?;
    File::open(above)?.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LED: &str = r#"{"version":1,"lights":{"led":{"level":0,"last_on":42.5}}}"#;

    fn kept() -> KeptState {
        from_json(LED.as_bytes()).unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deep/er/levels.json");
        write(&file, &kept()).unwrap();
        assert_eq!(load(&file).unwrap(), kept());
        assert_eq!(fs::read_to_string(&file).unwrap(), LED);
    }

    #[test]
    fn a_file_cut_at_any_byte_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("levels.json");
        write(&file, &kept()).unwrap();
        let whole = fs::read(&file).unwrap();
        for length in 0..whole.len() {
            fs::write(&file, &whole[..length]).unwrap();
            let store = Store::open(folder.path());
            assert_eq!(store.light("led"), None, "cut at {length}");
            let aside = fs::read(folder.path().join("levels.json.damaged")).unwrap();
            assert_eq!(aside, whole[..length], "nothing is lost");
            assert!(!file.exists());
            fs::remove_file(folder.path().join("levels.json.damaged")).unwrap();
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
            assert_eq!(Store::open(folder.path()).light("led"), None);
            let aside = folder.path().join("levels.json.damaged");
            assert_eq!(fs::read(&aside).unwrap(), contents);
            fs::remove_file(aside).unwrap();
        }
    }

    #[test]
    fn what_was_set_aside_before_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("levels.json");
        for number in 1..=12 {
            fs::write(&file, format!("damage {number}")).unwrap();
            Store::open(folder.path());
        }
        let aside = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(aside("levels.json.damaged"), "damage 1");
        assert_eq!(aside("levels.json.damaged.2"), "damage 2");
        assert_eq!(aside("levels.json.damaged.9"), "damage 9");
        assert_eq!(aside("levels.json.damaged.10"), "damage 12");
        let files = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, 10, "they do not fill the disk");
    }
}
