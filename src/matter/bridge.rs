//! What the clusters of all lights share: [`MatterBridge`].

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rs_matter::dm::clusters::decl::level_control::OptionsBitmap;
use rs_matter::dm::{EndptId, OperationContext};
use rs_matter::error::{Error, ErrorCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::endpoints::{Endpoints, FIRST_LIGHT};
use crate::model::actor::Actor;
use crate::model::command::{Command, CommandError, Flash, Outcome, Target};
use crate::model::hub::Hub;
use crate::model::level::Level;
use crate::model::lights::{Change, LightId, LightState};
use crate::model::settings::SettingsChange;
use crate::model::text::Name;
use crate::platform::file;

/// The file of [`Kept`].
const FILE: &str = "lights.json";

/// What is kept of a light besides its own state and settings.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Kept {
    /// Its endpoint.
    pub endpoint: EndptId,
    /// The level of Matter that "on" sets; `None` for the last one.
    pub on_level: Option<u8>,
    /// Whether commands that do not switch it on set its level while it is off.
    pub execute_if_off: bool,
}

/// What is known of a light while the service runs.
#[derive(Default)]
pub struct Passing {
    /// A level that was set while it is off, and the revision for which that holds.
    pub chosen: Option<(u8, u64)>,
    /// It identifies itself until then.
    pub identifies: Option<(Instant, Flash)>,
    /// It is to be switched off then, unless it is changed after this revision.
    pub timed_off: Option<(Instant, u64)>,
    /// It is not to be switched on for a time until then.
    pub stays_off: Option<Instant>,
}

/// The lights as the clusters see them.
pub struct MatterBridge {
    pub hub: Arc<Hub>,
    pub endpoints: Endpoints,
    file: PathBuf,
    kept: RefCell<BTreeMap<String, Kept>>,
    /// In the order of the lights.
    passing: RefCell<Vec<Passing>>,
    /// Wakes the reports: something is due, or has changed that no light's state shows.
    pub wake: Notify,
}

impl MatterBridge {
    /// Reads what is kept in the folder, and gives each light an endpoint.
    ///
    /// # Errors
    /// The file cannot be read, used or written.
    pub fn new(hub: Arc<Hub>, folder: &Path) -> anyhow::Result<MatterBridge> {
        let file = folder.join(FILE);
        let name = || format!("{}", file.display());
        let mut kept: BTreeMap<String, Kept> = match fs::read(&file) {
            Err(error) if error.kind() == ErrorKind::NotFound => BTreeMap::new(),
            contents => serde_json::from_slice(&contents.with_context(name)?)
                .with_context(|| format!("{} is damaged; remove it, and pair again", name()))?,
        };
        if number(&mut kept, &hub) {
            write(&file, &kept).with_context(name)?;
        }
        let numbers = kept
            .iter()
            .map(|(name, kept)| (name.as_str(), kept.endpoint));
        let endpoints = Endpoints::new(hub.clone(), numbers);
        let passing = hub.lights.ids().map(|_| Passing::default()).collect();
        Ok(MatterBridge {
            endpoints,
            hub,
            kept: RefCell::new(kept),
            file,
            passing: RefCell::new(passing),
            wake: Notify::new(),
        })
    }

    /// The light of an endpoint.
    ///
    /// # Errors
    /// The endpoint is none of a light.
    pub fn light(&self, endpoint: EndptId) -> Result<LightId, Error> {
        let light = self.endpoints.light(endpoint);
        light.ok_or_else(|| ErrorCode::EndpointNotFound.into())
    }

    /// The state of a light now.
    pub fn state(&self, light: LightId) -> LightState {
        self.hub.lights.state(light)
    }

    /// What is kept of a light.
    pub fn kept(&self, light: LightId) -> Kept {
        let name = &self.hub.lights.light(light).name;
        self.kept.borrow().get(name).cloned().unwrap_or_default()
    }

    /// Changes what is kept of a light.
    ///
    /// # Errors
    /// It cannot be written; nothing has changed then.
    pub fn keep(&self, light: LightId, change: impl FnOnce(&mut Kept)) -> Result<(), Error> {
        let mut kept = self.kept.borrow().clone();
        let name = &self.hub.lights.light(light).name;
        change(kept.entry(name.clone()).or_default());
        self.replace(kept)
    }

    /// Forgets what controllers have set, but not which light has which endpoint.
    ///
    /// # Errors
    /// As [`MatterBridge::keep`].
    pub fn reset(&self) -> Result<(), Error> {
        let mut kept = self.kept.borrow().clone();
        for kept in kept.values_mut() {
            *kept = Kept {
                endpoint: kept.endpoint,
                ..Kept::default()
            };
        }
        self.replace(kept)
    }

    fn replace(&self, kept: BTreeMap<String, Kept>) -> Result<(), Error> {
        write(&self.file, &kept).map_err(|error| {
            warn!("matter: {}: {error}", self.file.display());
            Error::from(ErrorCode::StdIoError)
        })?;
        *self.kept.borrow_mut() = kept;
        Ok(())
    }

    /// Looks at or changes what is known of a light while the service runs.
    pub fn passing<T>(&self, light: LightId, f: impl FnOnce(&mut Passing) -> T) -> T {
        f(&mut self.passing.borrow_mut()[light.index()])
    }

    /// For how many seconds a light still identifies itself.
    pub fn identify_seconds(&self, light: LightId) -> u16 {
        let revision = self.state(light).revision;
        self.passing(light, |passing| {
            let running = passing.identifies.as_ref();
            let running = running.filter(|(_, flash)| flash.is_of(revision));
            let left = running.map(|(until, _)| until.saturating_duration_since(Instant::now()));
            let seconds = left.unwrap_or_default().as_secs_f64().ceil();
            // A float-to-integer cast saturates.
            seconds as u16
        })
    }

    /// Carries out a command on behalf of the fabric that sent it.
    ///
    /// # Errors
    /// It is refused; nothing has changed then.
    pub fn execute(
        &self,
        context: &impl OperationContext,
        command: Command,
    ) -> Result<Outcome, Error> {
        self.hub.execute(&actor(context), command).map_err(refused)
    }

    /// Changes a light on behalf of the fabric that sent the command.
    ///
    /// # Errors
    /// As [`MatterBridge::execute`].
    pub fn change(
        &self,
        context: &impl OperationContext,
        light: LightId,
        change: Change,
        transition: Option<Duration>,
    ) -> Result<(), Error> {
        let command = Command::Change {
            target: Target::Own(light),
            change,
            transition,
        };
        self.execute(context, command).map(|_| ())
    }

    /// Changes a setting of a light on behalf of the fabric that wrote the attribute; `null` resets it.
    ///
    /// # Errors
    /// As [`MatterBridge::execute`].
    pub fn change_setting(
        &self,
        context: &impl OperationContext,
        light: LightId,
        setting: &str,
        value: Value,
    ) -> Result<(), Error> {
        let name = self.hub.lights.light(light).name.clone();
        let settings = Map::from_iter([(setting.to_owned(), value)]);
        let change = SettingsChange {
            lights: BTreeMap::from([(name, settings)]),
            ..SettingsChange::default()
        };
        let command = Command::ChangeSettings(change);
        self.execute(context, command).map(|_| ())
    }
}

/// Gives each light that has none an endpoint that was never used. Returns whether there was such a light.
fn number(kept: &mut BTreeMap<String, Kept>, hub: &Hub) -> bool {
    let before = kept.len();
    for light in hub.lights.list() {
        let last = kept.values().map(|kept| kept.endpoint).max();
        kept.entry(light.name.clone()).or_insert_with(|| Kept {
            endpoint: last.map_or(FIRST_LIGHT, |last| last.saturating_add(1)),
            ..Kept::default()
        });
    }
    kept.len() > before
}

fn write(file: &Path, kept: &BTreeMap<String, Kept>) -> std::io::Result<()> {
    file::replace(file, &serde_json::to_vec(kept)?, file::SECRET)
}

/// Who sent a command: the label that its controller gave the fabric, if it could be a client's name as well.
fn actor(context: &impl OperationContext) -> Actor {
    let fabric = context.accessor().and_then(|accessor| accessor.fab_idx());
    let label = fabric.ok().and_then(|index| {
        context.matter().with_state(|state| {
            let name = Name::new(state.fabrics.get(index)?.label()).ok()?;
            Some(Arc::from(name.as_str()))
        })
    });
    Actor::Matter(label)
}

/// What a controller is told.
fn refused(error: CommandError) -> Error {
    debug!("matter: {error}");
    match error {
        CommandError::Setting(_) => ErrorCode::ConstraintError.into(),
        _ => ErrorCode::Failure.into(),
    }
}

/// Whether a command that does not switch a light on may set its level while it is off.
pub fn executes_if_off(kept: &Kept, mask: OptionsBitmap, value: OptionsBitmap) -> bool {
    match mask.contains(OptionsBitmap::EXECUTE_IF_OFF) {
        true => value.contains(OptionsBitmap::EXECUTE_IF_OFF),
        false => kept.execute_if_off,
    }
}

/// The level that is seen of a light that is on, or that it would go back to.
pub fn seen(state: &LightState, passing: &Passing) -> Level {
    let chosen = passing
        .chosen
        .filter(|(_, revision)| *revision == state.revision);
    match (state.level.is_off(), chosen) {
        (false, _) => state.shown(Instant::now()),
        (true, Some((level, _))) => super::level::from_matter(level),
        (true, None) => state.last_on(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::lights::{Light, Lights};

    fn bridge(folder: &Path, names: &[&str]) -> MatterBridge {
        let light = |name: &&str| {
            let state = LightState::new(Level::OFF, Level::HALF);
            (Light::simulated(name), state)
        };
        let hub = Hub::with(Lights::new(names.iter().map(light).collect()));
        MatterBridge::new(hub, folder).unwrap()
    }

    #[test]
    fn a_light_keeps_its_endpoint_and_no_other_ever_gets_it() {
        let folder = tempfile::tempdir().unwrap();
        let endpoint = |bridge: &MatterBridge, name| {
            let light = bridge.hub.lights.find(name).unwrap();
            assert_eq!(bridge.light(bridge.kept(light).endpoint).unwrap(), light);
            bridge.kept(light).endpoint
        };
        let first = bridge(folder.path(), &["desk", "shelf"]);
        assert_eq!(
            [endpoint(&first, "desk"), endpoint(&first, "shelf")],
            [2, 3]
        );
        let without = bridge(folder.path(), &["shelf", "lamp"]);
        assert_eq!(
            [endpoint(&without, "shelf"), endpoint(&without, "lamp")],
            [3, 4]
        );
        assert!(without.light(2).is_err(), "that of the light that is gone");
        assert_eq!(endpoint(&bridge(folder.path(), &["desk"]), "desk"), 2);
    }

    #[test]
    fn what_an_app_has_set_is_kept_until_a_reset() {
        let folder = tempfile::tempdir().unwrap();
        let led = LightId::FIRST;
        let first = bridge(folder.path(), &["desk"]);
        first.keep(led, |kept| kept.on_level = Some(51)).unwrap();
        let second = bridge(folder.path(), &["desk"]);
        assert_eq!(second.kept(led).on_level, Some(51));
        second.reset().unwrap();
        let third = bridge(folder.path(), &["desk"]).kept(led);
        assert_eq!((third.endpoint, third.on_level), (2, None));
    }
}
