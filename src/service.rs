//! Puts the service together: opens the pins, starts what follows the lights, serves the pages, and
//! stops it all in order.

mod systemd;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use futures_util::future::{join3, select_all, try_join_all};
use tokio::net::TcpListener;
use tokio::task::{self, JoinHandle};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::button::Button;
use crate::config::{Config, LightConfig, OnStart};
use crate::metrics::Metrics;
use crate::model::activity::Activity;
use crate::model::fleet::Fleet;
use crate::model::hub::Hub;
use crate::model::level::Level;
use crate::model::lights::{LightState, Lights};
use crate::model::presets::Presets;
use crate::model::timers::Timers;
use crate::mqtt;
use crate::pin::{Follower, Pin};
use crate::platform::mdns::Announcement;
use crate::platform::tls::Tls;
use crate::scheduler;
use crate::store::{KeptLight, Store};
use crate::web::{self, Login};

/// Time the pages have to end, and then the pins: a stop takes less than two seconds.
const STOP: Duration = Duration::from_millis(900);
/// Time the store has to end. A slow SD card is worth waiting for: it holds the last level.
const STOP_STORE: Duration = Duration::from_secs(10);

/// A running service.
pub struct Service {
    address: SocketAddr,
    hub: Arc<Hub>,
    tls: Option<Arc<Tls>>,
    web: JoinHandle<()>,
    mqtt: JoinHandle<()>,
    store: JoinHandle<()>,
    systemd: JoinHandle<()>,
    announcement: Option<Announcement>,
    pins: Vec<Follower>,
    stop_web: CancellationToken,
    stop_followers: CancellationToken,
}

impl Service {
    /// Opens the port, or takes systemd's, then the pins, and starts. To be called before any other
    /// thread runs, as it takes the variables about systemd's socket away. Dropped before it is
    /// done, it leaves pins that are dark.
    ///
    /// # Errors
    /// The port or a pin cannot be had; the message is one line that says what to do.
    pub async fn start(config: Config) -> anyhow::Result<Service> {
        let listener = listener(config.listen).await?;
        let address = listener.local_addr()?;
        // A disk may hang, and a driver may block for seconds while it opens.
        let (folder, password) = (config.state_dir, config.web.password.clone());
        let tls = config.web.tls.clone();
        let encrypted = tls.is_some();
        let (store, login) = task::spawn_blocking(move || {
            let login = password.map(|hash| Login::new(hash, &folder, encrypted));
            (Store::open(&folder), login.transpose())
        })
        .await?;
        let login = login?;
        let states: Vec<_> = config
            .lights
            .iter()
            .map(|light| first_state(light, store.light(&light.name)))
            .collect();
        let groups = config.lights.iter().map(|light| light.groups.clone());
        let groups: Vec<_> = groups.collect();
        let opening = config.lights.into_iter().map(|light| {
            let trace = config.trace.clone();
            let open = task::spawn_blocking(move || Pin::open(light, trace.as_deref()));
            async { anyhow::Ok(open.await??) }
        });
        let pins = try_join_all(opening).await?;
        let buttons = open_buttons(&pins)?;

        let lights = pins.iter().map(Pin::light).zip(states).collect();
        let lights = Arc::new(Lights::new(lights));
        let hub = Arc::new(Hub {
            lights: lights.clone(),
            presets: Presets::new(store.presets()),
            timers: Timers::new(store.timers(), config.place),
            activity: Activity::new(config.activity),
            fleet: Fleet::default(),
        });
        let stop_web = CancellationToken::new();
        let stop_followers = CancellationToken::new();
        let pins = pins
            .into_iter()
            .enumerate()
            .map(|(index, pin)| pin.follow(lights.clone(), index, stop_followers.clone()))
            .collect::<Result<Vec<_>, _>>()?;
        for (index, button) in buttons {
            task::spawn(button.follow(hub.clone(), index, stop_web.clone()));
        }
        let store = task::spawn(store.follow(hub.clone(), stop_followers.clone()));
        task::spawn(scheduler::follow(hub.clone(), stop_web.clone()));
        task::spawn(hub.activity.clone().follow(stop_web.clone()));
        let metrics = Metrics::new(pins.iter().map(|pin| pin.writes.clone()).collect());
        let web = task::spawn(web::serve(
            listener,
            hub.clone(),
            metrics,
            config.web,
            login,
            tls.clone(),
            stop_web.clone(),
        ));
        let announcement = config
            .mdns
            .then(|| announce(address, encrypted, &lights))
            .flatten();
        let mqtt = task::spawn(mqtt::follow(
            hub.clone(),
            groups,
            config.mqtt,
            stop_web.clone(),
        ));
        let systemd = task::spawn(systemd::follow(lights, pins.clone(), stop_web.clone()));
        Ok(Service {
            address,
            hub,
            tls,
            web,
            mqtt,
            store,
            systemd,
            announcement,
            pins,
            stop_web,
            stop_followers,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its lights.
    pub fn lights(&self) -> &Arc<Lights> {
        &self.hub.lights
    }

    /// Whether it speaks TLS.
    pub fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// Reads the certificate again, and goes on with the one before if it cannot be used.
    pub fn reload(&self) {
        match self.tls.as_ref().map(|tls| tls.reload()) {
            Some(Ok(())) => info!("the certificate is read again"),
            Some(Err(error)) => warn!("the certificate before stays in use: {error:#}"),
            None => info!("no certificate is set, so there is nothing to read again"),
        }
    }

    /// Resolves when the thread of a pin has ended by itself, so that its light follows no more. A
    /// restart is the way out.
    pub async fn failed(&self) -> anyhow::Error {
        let ends = self.pins.iter().map(|pin| {
            Box::pin(async move {
                pin.ended.cancelled().await;
                pin
            })
        });
        let (pin, ..) = select_all(ends).await;
        anyhow!("light {}: its thread ended early", pin.light)
    }

    /// Closes the pages, switches the pins off and keeps the levels, within two seconds unless the
    /// disk is slow.
    pub async fn stop(self) {
        // What changes lights first, so that the last changes reach the pins and the store.
        self.stop_web.cancel();
        let _ = self.systemd.await;
        let goodbye = async {
            if let Some(announcement) = self.announcement {
                announcement.end().await;
            }
        };
        let ends = join3(self.web, self.mqtt, goodbye);
        if timeout(STOP, ends).await.is_err() {
            warn!("some connections did not close in time");
        }
        self.stop_followers.cancel();
        let pins = async {
            for pin in self.pins {
                pin.ended.cancelled().await;
            }
        };
        if timeout(STOP, pins).await.is_err() {
            warn!("a driver hangs, so its pin may not be off");
        }
        match timeout(STOP_STORE, self.store).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!("the store ended early: {error}"),
            Err(_) => warn!("the disk hangs, so the last levels may be lost"),
        }
    }
}

/// The buttons of the lights, each with the index of its light. A simulated light has none.
fn open_buttons(pins: &[Pin]) -> anyhow::Result<Vec<(usize, Button)>> {
    let mut buttons = Vec::new();
    for (index, pin) in pins.iter().enumerate() {
        let Some(gpio) = pin.button_gpio() else {
            continue;
        };
        let light = pin.light();
        if light.simulated {
            let name = &light.name;
            info!("light {name}: no button on GPIO {gpio}, as the light is simulated");
        } else {
            buttons.push((index, Button::open(&light.name, gpio)?));
        }
    }
    Ok(buttons)
}

/// The socket that systemd has opened, else one at `address`.
async fn listener(address: SocketAddr) -> anyhow::Result<TcpListener> {
    if let Some(listener) = systemd::listener()? {
        let theirs = listener.local_addr()?;
        info!("listening on {theirs}, which systemd opened");
        let any = theirs.ip().is_unspecified() && address.ip().is_unspecified();
        if theirs.port() != address.port() || theirs.ip() != address.ip() && !any {
            warn!("listen = \"{address}\" has no effect: ListenStream= of dimmer.socket decides");
        }
        return Ok(listener);
    }
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; set another address with --listen"))
}

/// Tells the LAN of the service, which works without that, too.
fn announce(address: SocketAddr, encrypted: bool, lights: &Lights) -> Option<Announcement> {
    Announcement::new(address, encrypted, lights.list()).unwrap_or_else(|error| {
        warn!("{error:#}");
        None
    })
}

/// What a light is set to when the service starts.
fn first_state(light: &LightConfig, kept: Option<KeptLight>) -> LightState {
    let level = match light.on_start {
        OnStart::Level(level) => level,
        OnStart::Restore => kept.map_or(Level::HALF, |kept| kept.level),
    };
    // "On" goes to full where nothing is known.
    let last_on = [Some(level), kept.map(|kept| kept.last_on)]
        .into_iter()
        .flatten()
        .find(|level| !level.is_off())
        .unwrap_or(Level::FULL);
    let effect = match light.on_start {
        OnStart::Restore => kept.and_then(|kept| kept.effect),
        OnStart::Level(_) => None,
    };
    LightState::new(level, last_on).playing(effect)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DriverChoice, LightConfig, WebConfig};

    #[tokio::test]
    async fn a_pin_whose_thread_ends_by_itself_fails_the_service() {
        let folder = tempfile::tempdir().unwrap();
        let light = |name: &str| LightConfig {
            name: name.into(),
            driver: DriverChoice::Simulated,
            ..LightConfig::default()
        };
        let service = Service::start(Config {
            mdns: false,
            listen: "127.0.0.1:0".parse().unwrap(),
            web: WebConfig {
                allowed_hosts: Vec::new(),
                max_pages: 1,
                max_pages_per_address: 1,
                socketio: false,
                password: None,
                tls: None,
            },
            mqtt: None,
            state_dir: folder.path().into(),
            trace: None,
            place: None,
            activity: true,
            lights: vec![light("desk")],
        })
        .await
        .unwrap();
        let mut failed = Box::pin(service.failed());
        let early = timeout(Duration::from_millis(50), &mut failed).await;
        assert!(early.is_err(), "nothing is wrong yet");
        service.stop_followers.cancel();
        let error = timeout(Duration::from_secs(20), failed).await.unwrap();
        assert_eq!(error.to_string(), "light desk: its thread ended early");
    }
}
