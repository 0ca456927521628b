//! Puts the service together: opens the pins, starts what follows the lights, serves the pages, and
//! stops it all in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::task::{self, JoinHandle};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::config::{Config, LightConfig, OnStart};
use crate::level::Level;
use crate::lights::{LightState, Lights};
use crate::pin::{Follower, Pin};
use crate::store::{Kept, Store};
use crate::web;

/// Time the pages have to end, and then the pins: a stop takes less than two seconds.
const STOP: Duration = Duration::from_millis(900);
/// Time the store has to end. A slow SD card is worth waiting for: it holds the last level.
const STOP_STORE: Duration = Duration::from_secs(10);

/// A running service.
pub struct Service {
    address: SocketAddr,
    lights: Arc<Lights>,
    web: JoinHandle<()>,
    store: JoinHandle<()>,
    pins: Vec<Follower>,
    stop_web: CancellationToken,
    stop_followers: CancellationToken,
}

impl Service {
    /// Opens the port, then the pins, and starts.
    ///
    /// # Errors
    /// The port or a pin cannot be had; the message is one line that says what to do.
    pub async fn start(config: Config) -> anyhow::Result<Service> {
        let listener = TcpListener::bind(config.listen).await.with_context(|| {
            format!(
                "cannot listen on {}; set another address with --listen",
                config.listen
            )
        })?;
        let address = listener.local_addr()?;
        let store = Store::open(&config.state_dir);

        let mut pins = Vec::new();
        let mut states = Vec::new();
        for light in config.lights {
            let state = first_state(&light, store.kept(&light.name));
            let trace = config.trace.clone();
            // A driver may block while it opens.
            let pin = task::spawn_blocking(move || Pin::open(light, trace.as_deref())).await??;
            states.push((pin.light(), state));
            pins.push(pin);
        }

        let lights = Arc::new(Lights::new(states));
        let stop_web = CancellationToken::new();
        let stop_followers = CancellationToken::new();
        let pins = pins
            .into_iter()
            .enumerate()
            .map(|(index, pin)| pin.follow(lights.clone(), index, stop_followers.clone()))
            .collect::<Result<_, _>>()?;
        let store = task::spawn(store.follow(lights.clone(), stop_followers.clone()));
        let web = task::spawn(web::serve(
            listener,
            lights.clone(),
            config.web,
            stop_web.clone(),
        ));
        Ok(Service {
            address,
            lights,
            web,
            store,
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
        &self.lights
    }

    /// Closes the pages, switches the pins off and keeps the levels, within two seconds unless the
    /// disk is slow.
    pub async fn stop(self) {
        // The pages first, so that their last changes reach the pins and the store.
        self.stop_web.cancel();
        if timeout(STOP, self.web).await.is_err() {
            warn!("some connections did not close in time");
        }
        self.stop_followers.cancel();
        let pins = async {
            for pin in self.pins {
                if pin.ended.await.is_err() {
                    warn!("the thread of a pin ended early");
                }
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

/// What a light is set to when the service starts.
fn first_state(light: &LightConfig, kept: Option<Kept>) -> LightState {
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
    LightState::new(level, last_on)
}
