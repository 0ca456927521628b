//! Puts the service together: opens the pins, starts the tasks, serves the clients, and stops it all in
//! order.

mod opening;
mod systemd;
mod tasks;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::{Config, LightConfig};
use crate::doctor;
use crate::metrics::Metrics;
use crate::model::backup_requests::Backups;
use crate::model::hub::Hub;
use crate::model::lights::Lights;
use crate::pin::PinThread;
use crate::platform::mdns::{self, Announcement};
use crate::platform::supervisor::{Failures, Supervisor};
use crate::platform::tls::Tls;
use crate::web::{self, Doctor};
use tasks::Tasks;

/// Longest time for the inputs to end, and then for the pins, so that a stop takes less than two seconds.
const STOP_TIMEOUT: Duration = Duration::from_millis(900);
/// Longest time for the store to end. A slow SD card is worth the wait, as it gets the last levels.
const STORE_TIMEOUT: Duration = Duration::from_secs(10);

/// A running service.
pub struct Service {
    address: SocketAddr,
    hub: Arc<Hub>,
    tls: Option<Arc<Tls>>,
    #[cfg(test)]
    supervisor: Supervisor,
    failures: Failures,
    /// Everything that changes lights, and the task that notifies systemd.
    inputs: Vec<JoinHandle<()>>,
    /// Stops the inputs.
    stop_inputs: CancellationToken,
    /// Sends updates to clients until they are closed.
    fanout: JoinHandle<()>,
    store: JoinHandle<()>,
    pins: Vec<PinThread>,
    /// Stops what follows the lights: pins, store and fan-out.
    stop_outputs: CancellationToken,
    announcement: Option<Announcement>,
}

impl Service {
    /// Reserves the pins, opens the port or takes systemd's, then opens the pins, and starts all tasks. To be called before any
    /// other thread runs, as it removes the environment variables about systemd's socket. If the future
    /// is dropped early, the pins are off.
    ///
    /// # Errors
    /// The port or a pin cannot be opened; the message is one line that says what to do.
    pub async fn start(config: Config) -> anyhow::Result<Service> {
        let reservations = opening::reservations(&config.lights)?;
        let listener = opening::listener(config.listen).await?;
        let address = listener.local_addr()?;
        let tls = config.web.tls.clone();
        let (password, encrypted) = (config.web.password.clone(), tls.is_some());
        let matter_folder = config.state_dir.join("matter");
        let (store, login) = opening::stored_state(config.state_dir, password, encrypted).await?;
        let pins = opening::pins(reservations, config.trace).await?;
        let settings = opening::settings(config.settings, &store);
        let lights = opening::lights(&config.lights, &pins, &store, &settings);
        let buttons = opening::buttons(&config.lights, &lights)?;
        let hub = Arc::new(opening::hub(lights, &store, settings, config.activity));

        let (supervisor, failures) = Supervisor::new();
        let (stop_inputs, stop_outputs) = (CancellationToken::new(), CancellationToken::new());
        let mut tasks = Tasks::new(
            hub.clone(),
            supervisor.clone(),
            stop_inputs.clone(),
            stop_outputs.clone(),
        );
        let pins = tasks.start_pins(pins).await?;
        let mut metrics = Metrics::new(pins.iter().map(|pin| pin.writes.clone()).collect());
        let (backups, requests) = Backups::new();
        let store = tasks.start_store(store, requests);
        tasks.start_buttons(buttons);
        tasks.start_scheduler(metrics.timers_due.clone());
        tasks.start_activity();
        if let Some(mqtt) = config.mqtt {
            let url = config.mdns.then(|| mdns::url(address, encrypted)).flatten();
            tasks.start_mqtt(url, mqtt, metrics.add_mqtt());
        }
        let matter = config.matter.then(|| tasks.start_matter(matter_folder));
        let announcement = match config.mdns {
            true => tasks.start_mdns(address, encrypted),
            false => None,
        };
        let server = web::Server::new(
            hub.clone(),
            backups,
            metrics,
            config.web,
            login,
            supervisor.clone(),
            stop_inputs.clone(),
        )
        .with_doctor(doctor_of(&hub, config.lights))
        .with_matter(matter);
        let fanout = tasks.start_web(server, listener);
        let inputs = tasks.start_systemd();
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

    /// The address and port that the service listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The lights of this dimmer.
    pub fn lights(&self) -> &Arc<Lights> {
        &self.hub.lights
    }

    /// Whether the service accepts TLS.
    pub fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// Reads the certificate again, and keeps the previous one if the new one cannot be used.
    pub fn reload(&self) {
        match self.tls.as_ref().map(|tls| tls.reload()) {
            Some(Ok(())) => info!("the certificate was read again"),
            Some(Err(error)) => warn!("the certificate before stays in use: {error:#}"),
            None => info!("nothing to read again, as no certificate is set"),
        }
    }

    /// Resolves when a task or a thread has failed. The service should then be stopped and started again.
    pub async fn failed(&mut self) -> anyhow::Error {
        self.failures.next().await
    }

    /// Closes all clients, switches the pins off and stores the levels, within two seconds unless the
    /// disk is slow.
    pub async fn stop(mut self) {
        // The inputs first, so that their last changes reach the pins and the store.
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
        while let Some(failure) = self.failures.try_next() {
            warn!("{failure:#}");
        }
    }
}

/// The doctor of these lights, with their settings.
fn doctor_of(hub: &Hub, settings: Vec<LightConfig>) -> Doctor {
    let lights = hub.lights.clone();
    Arc::new(move || doctor::diagnose(Path::new("/"), lights.list(), &settings))
}

#[cfg(test)]
mod tests {
    use tokio::task;

    use super::*;
    use crate::config::{DriverChoice, MqttConfig, WebConfig};
    use crate::model::settings::FileSettings;

    /// A service with everything that runs without hardware.
    async fn service(folder: &std::path::Path) -> Service {
        let light = |name: &str| LightConfig {
            name: name.into(),
            driver: DriverChoice::Simulated,
            ..LightConfig::default()
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
            // It would announce itself on the network of the machine that runs the test.
            matter: false,
            mqtt: Some(MqttConfig {
                fleet: true,
                state_dir: folder.into(),
                ..MqttConfig::for_test("attic")
            }),
            state_dir: folder.into(),
            trace: Some(folder.into()),
            settings: FileSettings::default(),
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
        // The connection of a client is also a task.
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
            "scheduler",
            "activity",
            "mqtt",
            "fan-out",
            "web",
            "systemd",
            "Socket.IO",
        ] {
            assert!(
                names.iter().any(|other| other == name),
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
            assert!(early.is_err(), "failed before the panic: {early:?}");
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
