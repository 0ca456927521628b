//! Stores levels, effects, presets and timers on disk, so that they survive a restart and a power cut.
//!
//! One small file is replaced as a whole: the new file is written beside the old one, synced, and renamed
//! over it. This happens at most once a second, to spare the SD card, and once more when the service
//! stops.
//!
//! A disk that fails costs a warning and a retry every 10 s; a damaged file is set aside, an unreadable
//! one is left alone, and an entry that is not understood is written back as it was. The service runs on
//! meanwhile. Two services never share a folder, as each would overwrite what the other has written.

mod backup;
mod disk;
mod file;
mod lock;
mod offline;

use std::fs;
use std::io;
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tokio::task;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::model::actor::Actor;
use crate::model::backup::Restored;
use crate::model::backup_requests::{BackupError, BackupRequest};
use crate::model::command::{Command, Outcome};
use crate::model::hub::Hub;
use crate::model::presets::PresetsByName;
use crate::model::settings::SetHere;
use crate::model::timers::Timer;
use crate::platform::file::create_folder;
use backup::few;
pub use backup::{Backup, settings_in, with_settings};
use disk::{keep_before_restore, load, write};
use file::KeptState;
pub use file::{KeptLight, from_json, to_json};
use lock::FolderLock;
pub use offline::{make_backup, restore};

/// Shortest time between two writes.
const INTERVAL: Duration = Duration::from_secs(1);
/// Wait before the next attempt after a failed write.
const RETRY: Duration = Duration::from_secs(10);

/// The file `levels.json`.
pub struct Store {
    file: PathBuf,
    /// The contents of the file, with lights that the settings no longer have. `None` while the file
    /// cannot be read: it may hold good levels, so it is not overwritten before it has been read.
    saved: Option<KeptState>,
    /// What was restored and takes the place of the contents of the file with the next write.
    restored: Option<KeptState>,
    /// The revision of each light when the file was read or a backup restored; none has any at the start.
    revisions: Vec<u64>,
    /// When the file was written, by the clock of then.
    written: Option<SystemTime>,
    /// Keeps other services out of the folder.
    _lock: Option<FolderLock>,
}

impl Store {
    /// Locks `folder`, which is created if it is missing, and reads `levels.json` in it. A damaged file
    /// is renamed to `levels.json.damaged`; a file that cannot be read stays as it is. Neither prevents
    /// the start of the service, nor does a folder that cannot be created.
    ///
    /// # Errors
    /// Another process has locked the folder.
    pub fn open(folder: &Path) -> anyhow::Result<Store> {
        // If that fails, so will the first write, which says so.
        let _ = create_folder(folder);
        let lock = FolderLock::new(folder)?;
        let file = folder.join("levels.json");
        let written = fs::metadata(&file).and_then(|file| file.modified()).ok();
        let saved = load(&file)
            .inspect_err(|error| {
                let file = file.display();
                warn!("{file}: {error}; it is left as it is, and every light starts at its default")
            })
            .ok();
        Ok(Store {
            file,
            saved,
            restored: None,
            revisions: Vec::new(),
            written,
            _lock: lock,
        })
    }

    /// When the file was written that was there at the start, by the clock of then.
    pub fn written(&self) -> Option<SystemTime> {
        self.written
    }

    /// The stored state of the light called `name`.
    pub fn light(&self, name: &str) -> Option<&KeptLight> {
        self.saved.as_ref()?.light(name)
    }

    /// Whether the file was read, and has nothing about the light called `name`.
    pub fn is_new(&self, name: &str) -> bool {
        let saved = self.saved.as_ref();
        saved.is_some_and(|saved| !saved.has_light(name))
    }

    /// The stored presets.
    pub fn presets(&self) -> PresetsByName {
        let saved = self.saved.as_ref();
        saved.map(KeptState::presets).unwrap_or_default()
    }

    /// The stored timers.
    pub fn timers(&self) -> Vec<Timer> {
        let saved = self.saved.as_ref();
        saved.map(KeptState::timers).unwrap_or_default()
    }

    /// The stored settings.
    pub fn settings(&self) -> SetHere {
        let saved = self.saved.as_ref();
        saved.map(KeptState::settings).unwrap_or_default()
    }

    /// Writes every change of the hub until `stop`, and then a last time. Until then it makes and restores
    /// backups.
    pub async fn run(
        mut self,
        hub: Arc<Hub>,
        mut requests: mpsc::Receiver<BackupRequest>,
        stop: CancellationToken,
    ) {
        let (mut lights, mut presets) = (hub.lights.watch(), hub.presets.watch());
        let (mut timers, mut settings) = (hub.timers.watch(), hub.settings.watch());
        while !stop.is_cancelled() {
            lights.mark_unchanged();
            presets.mark_unchanged();
            timers.mark_unchanged();
            settings.mark_unchanged();
            let next = self.save(&hub).await;
            loop {
                tokio::select! {
                    () = stop.cancelled() => break,
                    Some(request) = requests.recv() => self.answer(&hub, request),
                    // Changes during the pause are seen after it.
                    () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => break,
                    // None fails: the hub holds the senders.
                    _ = lights.changed(), if next.is_none() => break,
                    _ = presets.changed(), if next.is_none() => break,
                    _ = timers.changed(), if next.is_none() => break,
                    _ = settings.changed(), if next.is_none() => break,
                }
            }
        }
        self.save(&hub).await;
    }

    /// Answers a request, unless nobody waits for that any more.
    fn answer(&mut self, hub: &Hub, request: BackupRequest) {
        match request {
            BackupRequest::Make(answer) if !answer.is_closed() => {
                let backup = self.current(hub).and_then(|state| backup::write(&state));
                let _ = answer.send(backup);
            }
            BackupRequest::Restore(file, actor, answer) if !answer.is_closed() => {
                let _ = answer.send(self.restore(hub, &file, &actor));
            }
            _ => {}
        }
    }

    /// What is kept and set now.
    fn current(&self, hub: &Hub) -> Result<KeptState, BackupError> {
        let kept = self.restored.as_ref().or(self.saved.as_ref());
        let kept = kept.ok_or_else(|| {
            let file = self.file.display();
            BackupError::Unavailable(format!("{file} cannot be read; the log says why"))
        })?;
        Ok(Snapshot::of(hub, &self.revisions).merged_into(kept.clone()))
    }

    fn restore(&mut self, hub: &Hub, file: &[u8], actor: &Actor) -> Result<Restored, BackupError> {
        let Backup { mut state, notes } = Backup::read(file)?;
        let before = self.current(hub)?;
        let command = Command::Restore(state.contents());
        let Outcome::Restored {
            mut restored,
            revisions,
        } = hub.execute(actor, command)?
        else {
            unreachable!("it is the outcome of this command");
        };
        state.add_lights_of(before, |light| hub.lights.find(light).is_some());
        self.restored = Some(state);
        self.revisions = revisions;
        restored.notes = few(restored.notes);
        restored.notes.extend(notes);
        for note in &restored.notes {
            info!("restored: {note}");
        }
        Ok(restored)
    }

    /// Writes the file if something changed. Returns when the next write may be.
    async fn save(&mut self, hub: &Hub) -> Option<Instant> {
        let snapshot = Snapshot::of(hub, &self.revisions);
        if self.restored.is_none()
            && let Some(saved) = &self.saved
            && snapshot.merged_into(saved.clone()) == *saved
        {
            return None;
        }
        let start = Instant::now();
        let (file, restored) = (self.file.clone(), self.restored.clone());
        let saved = restored.clone().or_else(|| self.saved.clone());
        let write_file = move || -> io::Result<_> {
            if restored.is_some() {
                keep_before_restore(&file);
            }
            let (saved, read_late) = match saved {
                Some(saved) => (saved, None),
                None => {
                    let saved = load(&file)?;
                    let read_late = (saved.presets(), saved.timers(), saved.settings());
                    (saved, Some(read_late))
                }
            };
            let saved = snapshot.merged_into(saved);
            write(&file, &saved)?;
            Ok((saved, read_late))
        };
        // A panic goes on in this task, which is supervised.
        let written = task::spawn_blocking(write_file)
            .await
            .expect("writing the file does not panic");
        match written {
            Ok((saved, read_late)) => {
                if let Some((presets, timers, settings)) = read_late {
                    // The snapshot had none of these because they were unknown, not because somebody had
                    // removed them. The next write saves them again.
                    hub.add_read_late(presets, timers, settings);
                }
                (self.saved, self.restored) = (Some(saved), None);
                Some(start + INTERVAL)
            }
            Err(error) => {
                warn!("cannot keep the levels in {}: {error}", self.file.display());
                Some(Instant::now() + RETRY)
            }
        }
    }
}

/// The state of the hub at one moment.
struct Snapshot {
    /// The name and state of each light, and whether it has been changed since the start or the last restore. One that
    /// is new and was not changed is left out: the next start shall find it as new as this one.
    lights: Vec<(String, KeptLight, bool)>,
    presets: Arc<PresetsByName>,
    timers: Arc<Vec<Timer>>,
    settings: Arc<SetHere>,
}

impl Snapshot {
    /// `revisions` has those of the lights at the start or the last restore.
    fn of(hub: &Hub, revisions: &[u64]) -> Snapshot {
        let states = hub.lights.states();
        let revisions = revisions.iter().copied().chain(iter::repeat(0));
        let lights = hub.lights.list().iter().zip(&*states).zip(revisions);
        Snapshot {
            lights: lights
                .filter_map(|((light, state), then)| {
                    let changed = state.revision > then;
                    let is_kept = changed || !state.is_new;
                    is_kept.then(|| (light.name.clone(), state.into(), changed))
                })
                .collect(),
            presets: hub.presets.all(),
            timers: hub.timers.all(),
            settings: hub.settings.here(),
        }
    }

    /// Merges this snapshot into the saved state. An unchanged light keeps its saved state: it may be at
    /// its default because the file could not be read.
    fn merged_into(&self, mut saved: KeptState) -> KeptState {
        for (name, light, changed) in &self.lights {
            if *changed || !saved.has_light(name) {
                saved.set_light(name, light.clone());
            }
        }
        saved.set_presets(&self.presets);
        saved.set_timers(&self.timers);
        saved.set_settings(&self.settings);
        saved
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::level::Level;
    use crate::model::lights::{Change, Light, LightId, LightState, Lights};

    const LED: &str = r#"{"version":1,"lights":{"led":{"level":0,"last_on":42.5}}}"#;

    fn state() -> KeptState {
        from_json(LED.as_bytes()).unwrap().0
    }

    fn open(folder: &tempfile::TempDir) -> Store {
        Store::open(folder.path()).unwrap()
    }

    #[test]
    fn a_written_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deep/er/levels.json");
        write(&file, &state()).unwrap();
        assert_eq!(load(&file).unwrap(), state());
        assert_eq!(fs::read_to_string(&file).unwrap(), LED);
    }

    #[test]
    fn a_light_is_new_only_if_the_file_was_read_and_has_nothing_about_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("levels.json");
        assert!(open(&folder).is_new("led"));
        let unread = r#"{"version":1,"lights":{"led":{"level":142}}}"#;
        for text in [LED, unread] {
            fs::write(&file, text).unwrap();
            let store = open(&folder);
            let is_new = ["led", "desk"].map(|name| store.is_new(name));
            assert_eq!(is_new, [false, true], "{text}");
        }
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert!(!open(&folder).is_new("led"), "nothing is known");
    }

    #[test]
    fn a_new_light_is_kept_once_it_is_changed_or_greeted() {
        let light = |name| {
            let mut state = LightState::new(Level::HALF, Level::FULL);
            state.is_new = true;
            (Light::simulated(name), state)
        };
        let hub = Hub::with(Lights::new(vec![light("led"), light("desk")]));
        let kept = || {
            let state = Snapshot::of(&hub, &[]).merged_into(KeptState::default());
            ["led", "desk"].map(|name| state.has_light(name))
        };
        assert_eq!(kept(), [false, false]);
        hub.execute(&Actor::Mqtt, Command::Greet(LightId::FIRST))
            .unwrap();
        assert_eq!(kept(), [true, false]);
        let desk = hub.lights.find("desk").unwrap();
        hub.change(desk, Change::Level(Level::FULL));
        assert_eq!(kept(), [true, true]);
    }

    #[test]
    fn a_file_cut_at_any_byte_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("levels.json");
        write(&file, &state()).unwrap();
        let whole = fs::read(&file).unwrap();
        for length in 0..whole.len() {
            fs::write(&file, &whole[..length]).unwrap();
            let store = open(&folder);
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
            br#"{"version":1,"lights":[150]}"#,
        ] {
            fs::write(&file, contents).unwrap();
            assert_eq!(open(&folder).light("led"), None);
            let aside = folder.path().join("levels.json.damaged");
            assert_eq!(fs::read(&aside).unwrap(), contents);
            fs::remove_file(aside).unwrap();
        }
    }

    #[test]
    fn files_set_aside_before_are_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("levels.json");
        for number in 1..=12 {
            fs::write(&file, format!("damage {number}")).unwrap();
            open(&folder);
        }
        let aside = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(aside("levels.json.damaged"), "damage 1");
        assert_eq!(aside("levels.json.damaged.2"), "damage 2");
        assert_eq!(aside("levels.json.damaged.9"), "damage 9");
        assert_eq!(aside("levels.json.damaged.10"), "damage 12");
        let files = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, 10, "they do not fill the disk");
    }

    #[test]
    fn the_new_file_follows_no_link_and_nobody_else_may_write_whatever_the_umask() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        fs::write(&target, "precious").unwrap();
        let state_dir = folder.path().join("state");
        let file = state_dir.join("levels.json");
        write(&file, &state()).unwrap();
        std::os::unix::fs::symlink(&target, file.with_extension("json.new")).unwrap();
        write(&file, &state()).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
        assert_eq!(fs::read_to_string(&file).unwrap(), LED);
        for path in [&file, &state_dir] {
            let mode = fs::symlink_metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o022, 0, "{}: {mode:o}", path.display());
        }
    }

    #[test]
    fn a_folder_is_for_one_service_until_that_ends() {
        let folder = tempfile::tempdir().unwrap();
        let one = open(&folder);
        let error = Store::open(folder.path()).err().unwrap().to_string();
        let pid = format!("process {}", std::process::id());
        assert!(
            error.contains(&pid) && error.contains("--state-dir"),
            "{error}"
        );
        drop(one);
        open(&folder);
    }
}
