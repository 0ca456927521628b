//! Opens what the service needs before its tasks start: the port, the stored state, pins and buttons.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use futures_util::future::try_join_all;
use tokio::net::TcpListener;
use tokio::task;
use tracing::{info, warn};

use super::systemd;
use crate::button::Button;
use crate::config::LightConfig;
use crate::model::activity::Activity;
use crate::model::hub::Hub;
use crate::model::level::Level;
use crate::model::lights::{Light, LightId, LightState, Lights};
use crate::model::presets::Presets;
use crate::model::settings::{
    FileSettings, LightSettings, OnStart, SetHere, SettingError, Settings,
};
use crate::model::timers::Timers;
use crate::pin::{Pin, Reservation};
use crate::platform::password::Hash;
use crate::store::{KeptLight, Store};
use crate::web::Login;

/// The socket that systemd passes, or a new one at `address`.
///
/// # Errors
/// The port cannot be opened, or systemd passes anything but one TCP socket.
pub async fn listener(address: SocketAddr) -> anyhow::Result<TcpListener> {
    if let Some(listener) = systemd::listener()? {
        let actual = listener.local_addr()?;
        info!("listening on {actual}, which systemd opened");
        let both_any = actual.ip().is_unspecified() && address.ip().is_unspecified();
        if actual.port() != address.port() || actual.ip() != address.ip() && !both_any {
            warn!("listen = \"{address}\" has no effect: ListenStream= of dimmer.socket decides");
        }
        return Ok(listener);
    }
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; set another address with --listen"))
}

/// Opens the store, and the login if there is a password. Does not block this thread while the disk
/// hangs.
///
/// # Errors
/// Another service uses the folder, or the sessions of the login cannot be read or written.
pub async fn stored_state(
    folder: PathBuf,
    password: Option<Hash>,
    encrypted: bool,
) -> anyhow::Result<(Store, Option<Login>)> {
    let open = move || {
        // The store first, as it locks the folder.
        let store = Store::open(&folder)?;
        let login = password.map(|hash| Login::new(hash, &folder, encrypted));
        Ok((store, login.transpose()?))
    };
    task::spawn_blocking(open).await?
}

/// Reserves the pins of all lights. To be called before the port is opened: whoever starts a second service by
/// mistake should hear of the pin, and not be sent to another port.
///
/// # Errors
/// A driver does not support its settings, or another process has the GPIO.
pub fn reservations(settings: &[LightConfig]) -> anyhow::Result<Vec<Reservation>> {
    settings.iter().cloned().map(Reservation::new).collect()
}

/// Opens all pins at once. Each in a thread of its own, as a driver may block for seconds.
///
/// # Errors
/// A pin cannot be opened.
pub async fn pins(
    reservations: Vec<Reservation>,
    trace: Option<PathBuf>,
) -> anyhow::Result<Vec<Pin>> {
    let opening = reservations.into_iter().map(|reservation| {
        let trace = trace.clone();
        let open = task::spawn_blocking(move || reservation.open(trace.as_deref()));
        async { anyhow::Ok(open.await??) }
    });
    try_join_all(opening).await
}

/// The settings of the file with those that were set here.
pub fn settings(file: FileSettings, store: &Store) -> Settings {
    let settings = Settings::new(file, store.settings());
    if settings.is_locked() && *settings.here() != SetHere::default() {
        warn!(
            "{}: those that were set here have no effect",
            SettingError::Locked
        );
    }
    settings
}

/// The lights of these pins, in their first states.
pub fn lights(lights: &[LightConfig], pins: &[Pin], store: &Store, settings: &Settings) -> Lights {
    let lights = lights.iter().zip(pins).map(|(light, pin)| {
        let stored = store.light(&light.name);
        let (settings, problem) = settings.light(&light.name);
        if let Some(problem) = problem {
            warn!("settings of light {}: {problem}", light.name);
        }
        let mut state = first_state(settings, stored);
        let fallback = pin.fallback().map(str::to_owned);
        let light = Light {
            fallback,
            ..light.light(pin.driver())
        };
        // A simulated light has no LED that could light up.
        state.is_new = store.is_new(&light.name) && !light.is_simulated();
        (light, state)
    });
    Lights::new(lights.collect())
}

/// The state of a light when the service starts.
fn first_state(settings: LightSettings, stored: Option<&KeptLight>) -> LightState {
    let level = match settings.on_start {
        OnStart::Level(level) => level,
        OnStart::Restore => stored.map_or(Level::HALF, |stored| stored.level),
    };
    // Where nothing is known, "on" means full.
    let stored_levels = stored.map(|stored| [stored.level, stored.last_on]);
    let last_on = stored_levels
        .into_iter()
        .flatten()
        .find(|level| !level.is_off())
        .unwrap_or(Level::FULL);
    let effect = match settings.on_start {
        OnStart::Restore => stored.and_then(|stored| stored.effect()),
        OnStart::Level(_) => None,
    };
    LightState::new(level, last_on)
        .playing(effect)
        .with(settings)
}

/// The hub of these lights, with the stored presets and timers.
pub fn hub(lights: Lights, store: &Store, settings: Settings, activity: bool) -> Hub {
    let place = settings.house().place();
    Hub {
        settings,
        presets: Presets::new(store.presets()),
        timers: Timers::new(store.timers(), place, store.written()),
        ..Hub::new(lights, Activity::new(activity))
    }
}

/// Opens the buttons, each with its light. A simulated light has none.
///
/// # Errors
/// The GPIO of a button cannot be opened.
pub fn buttons(
    settings: &[LightConfig],
    lights: &Lights,
) -> anyhow::Result<Vec<(LightId, Button)>> {
    let mut buttons = Vec::new();
    for (id, light) in lights.ids().zip(settings) {
        let Some(gpio) = light.button_gpio else {
            continue;
        };
        let name = &light.name;
        if lights.light(id).is_simulated() {
            info!("light {name}: no button on GPIO {gpio}, as the light is simulated");
        } else {
            buttons.push((id, Button::open(name, gpio)?));
        }
    }
    Ok(buttons)
}
