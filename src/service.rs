//! Puts the service together: opens the pins, starts the tasks, serves the clients, and stops it all in
//! order.

mod systemd;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::future::{join, join_all, try_join_all};
use tokio::net::TcpListener;
use tokio::task::{self, JoinHandle};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::button::Button;
use crate::config::{Config, LightConfig, OnStart};
use crate::metrics::Metrics;
use crate::model::activity::Activity;
use crate::model::hub::Hub;
use crate::model::level::Level;
use crate::model::lights::{LightId, LightState, Lights};
use crate::model::presets::Presets;
use crate::model::timers::Timers;
use crate::mqtt;
use crate::pin::{Pin, PinThread};
use crate::platform::mdns::Announcement;
use crate::platform::supervisor::{Failures, Supervisor, heartbeat};
use crate::platform::tls::Tls;
use crate::scheduler;
use crate::store::{KeptLight, Store};
use crate::web::{self, Login};

/// Time that the inputs have to end, and then the pins: a stop takes less than two seconds.
const STOP_TIMEOUT: Duration = Duration::from_millis(900);
/// Time that the store has to end. A slow SD card is worth waiting for: it holds the last level.
const STORE_TIMEOUT: Duration = Duration::from_secs(10);

/// A running service.
pub struct Service {
    address: SocketAddr,
    hub: Arc<Hub>,
    tls: Option<Arc<Tls>>,
    #[cfg(test)]
    supervisor: Supervisor,
    failures: Failures,
    /// What changes lights, and systemd.
    inputs: Vec<JoinHandle<()>>,
    /// Cancelled to stop the inputs.
    stop_inputs: CancellationToken,
    /// The fan-out, which tells clients until they are closed.
    fanout: JoinHandle<()>,
    store: JoinHandle<()>,
    pins: Vec<PinThread>,
    /// Cancelled to stop what follows the lights: pins, store and fan-out.
    stop_outputs: CancellationToken,
    announcement: Option<Announcement>,
}

impl Service {
    /// Opens the port, or takes systemd's, then the pins, and starts. To be called before any other
    /// thread runs, as it removes the environment variables about systemd's socket. Dropped before it is
    /// done, it leaves pins that are dark.
    ///
    /// # Errors
    /// The port or a pin cannot be opened; the message is one line that says what to do.
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
        let opening = config.lights.iter().map(|light| {
            let (light, trace) = (light.clone(), config.trace.clone());
            let open = task::spawn_blocking(move || Pin::open(light, trace.as_deref()));
            async { anyhow::Ok(open.await??) }
        });
        let pins = try_join_all(opening).await?;
        let lights = config.lights.iter().zip(&pins).map(|(light, pin)| {
            let kept = store.light(&light.name);
            (light.light(pin.driver()), first_state(light, kept))
        });
        let lights = Lights::new(lights.collect());
        let buttons = open_buttons(&config.lights, &lights)?;
        let hub = Arc::new(Hub {
            presets: Presets::new(store.presets()),
            timers: Timers::new(store.timers(), config.place),
            ..Hub::new(lights, Activity::new(config.activity))
        });
        let lights = hub.lights.clone();

        let (supervisor, failures) = Supervisor::new();
        let (stop_inputs, stop_outputs) = (CancellationToken::new(), CancellationToken::new());
        let pins = lights
            .ids()
            .zip(pins)
            .map(|(id, pin)| pin.start(lights.clone(), id, &supervisor, stop_outputs.clone()))
            .collect::<Result<Vec<_>, _>>()?;
        let writes = pins.iter().map(|pin| pin.writes.clone()).collect();
        let store = {
            let (hub, stop) = (hub.clone(), stop_outputs.clone());
            supervisor.spawn("store", &stop_outputs, async move {
                store.run(hub, stop).await;
                Ok(())
            })
        };
        let mut probes: Vec<_> = pins
            .iter()
            .map(|pin| {
                (
                    format!("light {}: its driver", pin.light),
                    pin.probe.clone(),
                )
            })
            .collect();

        let mut inputs = Vec::new();
        for (id, button) in buttons {
            let name = button.to_string();
            let button = button.run(hub.clone(), id);
            inputs.push(supervisor.spawn_until(name, &stop_inputs, button));
        }
        let (probe, beat) = heartbeat();
        probes.push(("timers".into(), probe));
        let timers = scheduler::run(hub.clone(), beat);
        inputs.push(supervisor.spawn_until("timers", &stop_inputs, timers));
        let activity = {
            let (activity, stop) = (hub.activity.clone(), stop_inputs.clone());
            async move {
                activity.run(stop).await;
                Ok(())
            }
        };
        inputs.push(supervisor.spawn("activity", &stop_inputs, activity));
        if let Some(mqtt) = config.mqtt {
            let groups = config.lights.iter().map(|light| light.groups.clone());
            let (hub, groups, stop) = (hub.clone(), groups.collect(), stop_inputs.clone());
            inputs.push(supervisor.spawn("mqtt", &stop_inputs, async move {
                mqtt::run(hub, groups, mqtt, stop).await;
                Ok(())
            }));
        }
        let announcement = config
            .mdns
            .then(|| announce(address, encrypted, &lights))
            .flatten();
        if let Some(announcement) = &announcement {
            let log = announcement.log()?;
            inputs.push(supervisor.spawn_until("mdns", &stop_inputs, log));
        }
        let server = web::Server::new(
            hub.clone(),
            Metrics::new(writes),
            config.web,
            login,
            supervisor.clone(),
            stop_inputs.clone(),
        );
        let (probe, beat) = heartbeat();
        probes.push(("fan-out".into(), probe));
        let fanout = server.fanout();
        let fanout = supervisor.spawn_until("fan-out", &stop_outputs, async move {
            fanout.run(beat).await;
            Ok(())
        });
        inputs.push(supervisor.spawn("web", &stop_inputs, async move {
            server.serve(listener).await;
            Ok(())
        }));
        let systemd = {
            let stop = stop_inputs.clone();
            async move {
                systemd::run(lights, probes, stop).await;
                Ok(())
            }
        };
        inputs.push(supervisor.spawn("systemd", &stop_inputs, systemd));
        Ok(Service {
            address,
            hub,
            tls,
            #[cfg(test)]
            supervisor,
            failures,
            inputs,
            stop_inputs,
            fanout,
            store,
            pins,
            stop_outputs,
            announcement,
        })
    }

    /// Where the service listens.
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

    /// Reads the certificate again, and keeps the one before if the new one cannot be used.
    pub fn reload(&self) {
        match self.tls.as_ref().map(|tls| tls.reload()) {
            Some(Ok(())) => info!("the certificate is read again"),
            Some(Err(error)) => warn!("the certificate before stays in use: {error:#}"),
            None => info!("no certificate is set, so there is nothing to read again"),
        }
    }

    /// Resolves when a task or a thread has failed. A restart is the way out.
    pub async fn failed(&mut self) -> anyhow::Error {
        self.failures.next().await
    }

    /// Closes the clients, switches the pins off and keeps the levels, within two seconds unless the
    /// disk is slow.
    pub async fn stop(self) {
        // What changes lights first, so that the last changes reach the pins and the store.
        self.stop_inputs.cancel();
        let goodbye = async {
            if let Some(announcement) = self.announcement {
                announcement.end().await;
            }
        };
        let inputs = join(join_all(self.inputs), goodbye);
        if timeout(STOP_TIMEOUT, inputs).await.is_err() {
            warn!("some connections did not close in time");
        }
        self.stop_outputs.cancel();
        let pins = self.pins.iter().map(|pin| pin.ended.cancelled());
        if timeout(STOP_TIMEOUT, join(join_all(pins), self.fanout))
            .await
            .is_err()
        {
            warn!("a driver hangs, so its pin may not be off");
        }
        if timeout(STORE_TIMEOUT, self.store).await.is_err() {
            warn!("the disk hangs, so the last levels may be lost");
        }
    }
}

/// Opens the buttons, each with its light. A simulated light has none.
fn open_buttons(
    settings: &[LightConfig],
    lights: &Lights,
) -> anyhow::Result<Vec<(LightId, Button)>> {
    let mut buttons = Vec::new();
    for (
        id,
        LightConfig {
            name, button_gpio, ..
        },
    ) in lights.ids().zip(settings)
    {
        let Some(gpio) = *button_gpio else {
            continue;
        };
        if lights.light(id).is_simulated() {
            info!("light {name}: no button on GPIO {gpio}, as the light is simulated");
        } else {
            buttons.push((id, Button::open(name, gpio)?));
        }
    }
    Ok(buttons)
}

/// The socket that systemd has opened, or a new one at `address`.
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

/// Announces the service on the LAN. It works without that, too.
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
        OnStart::Restore => kept.and_then(|kept| kept.effect()),
        OnStart::Level(_) => None,
    };
    LightState::new(level, last_on).playing(effect)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Broker, DriverChoice, MqttConfig, WebConfig};

    /// A service with everything that runs without hardware.
    async fn service(folder: &std::path::Path) -> Service {
        let light = |name: &str| LightConfig {
            name: name.into(),
            driver: DriverChoice::Simulated,
            ..LightConfig::default()
        };
        let nowhere = Broker {
            host: "127.0.0.1".into(),
            port: 9,
            encrypted: false,
        };
        Service::start(Config {
            mdns: false,
            listen: "127.0.0.1:0".parse().unwrap(),
            web: WebConfig {
                allowed_hosts: Vec::new(),
                max_pages: 9,
                max_pages_per_address: 9,
                socketio: true,
                password: None,
                tls: None,
            },
            mqtt: Some(MqttConfig {
                broker: nowhere,
                node: "attic".into(),
                discovery_prefix: "homeassistant".into(),
                login: None,
                tls: None,
                fleet: true,
            }),
            state_dir: folder.into(),
            trace: Some(folder.into()),
            place: None,
            activity: true,
            lights: vec![light("desk")],
        })
        .await
        .unwrap()
    }

    #[tokio::test]
    async fn each_task_and_thread_that_panics_fails_the_service_by_name_and_leaves_the_pins_off() {
        let folder = tempfile::tempdir().unwrap();
        let running = service(folder.path()).await;
        // A client, whose connection is a task, too.
        let client = tokio::net::TcpStream::connect(running.address)
            .await
            .unwrap();
        let names = loop {
            let names = running.supervisor.sabotage.names();
            if names.iter().any(|name| name.starts_with("connection")) {
                break names;
            }
            task::yield_now().await;
        };
        for name in [
            "light desk: pin",
            "store",
            "timers",
            "activity",
            "mqtt",
            "fan-out",
            "web",
            "systemd",
        ] {
            assert!(
                names.iter().any(|it| it == name),
                "{name} is not in {names:?}"
            );
        }
        drop(client);
        running.stop().await;

        for name in names {
            let folder = tempfile::tempdir().unwrap();
            let mut running = service(folder.path()).await;
            let _client = tokio::net::TcpStream::connect(running.address)
                .await
                .unwrap();
            let early = timeout(Duration::from_millis(20), running.failed()).await;
            assert!(early.is_err(), "nothing is wrong yet: {early:?}");
            running.supervisor.sabotage.make_panic(&name);
            let failure = timeout(Duration::from_secs(20), running.failed()).await;
            let failure = failure.unwrap().to_string();
            assert_eq!(failure, format!("{name}: panicked: as the test wants"));
            running.stop().await;
            let trace = std::fs::read_to_string(folder.path().join("desk")).unwrap();
            let last = trace.lines().last().unwrap();
            assert!(last.ends_with(" 0"), "{name}: {trace}");
        }
    }
}
