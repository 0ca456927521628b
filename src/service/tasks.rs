//! Starts the tasks and threads of the service.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::systemd;
use crate::button::Button;
use crate::config::MqttConfig;
use crate::matter;
use crate::metrics::{Counter, Flag};
use crate::model::backup_requests::BackupRequest;
use crate::model::hub::Hub;
use crate::model::lights::LightId;
use crate::model::matter::Matter;
use crate::mqtt;
use crate::pin::{Pin, PinThread};
use crate::platform::mdns::Announcement;
use crate::platform::supervisor::{Probe, Supervisor, heartbeat};
use crate::scheduler;
use crate::store::Store;
use crate::web;

/// The tasks of the service: all supervised, each with a name that the log and the watchdog use.
///
/// Inputs are everything that changes lights, and the tasks that report to the outside; outputs are what
/// follows the lights to the end: pins, store and fan-out.
pub struct Tasks {
    hub: Arc<Hub>,
    supervisor: Supervisor,
    stop_inputs: CancellationToken,
    stop_outputs: CancellationToken,
    inputs: Vec<JoinHandle<()>>,
    /// The loops that the watchdog asks whether they run, with names for the log.
    probes: Vec<(String, Probe)>,
}

impl Tasks {
    /// No tasks yet. The tokens stop the inputs and the outputs.
    pub fn new(
        hub: Arc<Hub>,
        supervisor: Supervisor,
        stop_inputs: CancellationToken,
        stop_outputs: CancellationToken,
    ) -> Tasks {
        Tasks {
            hub,
            supervisor,
            stop_inputs,
            stop_outputs,
            inputs: Vec::new(),
            probes: Vec::new(),
        }
    }

    /// Starts the threads of the pins, in the order of the lights.
    ///
    /// # Errors
    /// The system has no thread left. The pins are off then.
    pub async fn start_pins(&mut self, pins: Vec<Pin>) -> anyhow::Result<Vec<PinThread>> {
        let lights = &self.hub.lights;
        let mut threads = Vec::<PinThread>::new();
        for (id, pin) in lights.ids().zip(pins) {
            let stop = self.stop_outputs.clone();
            match pin.start(lights.clone(), id, &self.supervisor, stop) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    self.stop_outputs.cancel();
                    join_all(threads.iter().map(|thread| thread.ended.cancelled())).await;
                    return Err(error);
                }
            }
        }
        for pin in &threads {
            let name = format!("light {}: its driver", pin.light);
            self.probes.push((name, pin.probe.clone()));
        }
        Ok(threads)
    }

    pub fn start_store(
        &self,
        store: Store,
        backups: mpsc::Receiver<BackupRequest>,
    ) -> JoinHandle<()> {
        let (hub, stop) = (self.hub.clone(), self.stop_outputs.clone());
        self.supervisor
            .spawn("store", &self.stop_outputs, async move {
                store.run(hub, backups, stop).await;
                Ok(())
            })
    }

    pub fn start_buttons(&mut self, buttons: Vec<(LightId, Button)>) {
        for (light, button) in buttons {
            let name = button.to_string();
            let button = button.run(self.hub.clone(), light);
            let task = self.supervisor.spawn_until(name, &self.stop_inputs, button);
            self.inputs.push(task);
        }
    }

    /// `timers_due` counts the timers that were due.
    pub fn start_scheduler(&mut self, timers_due: Arc<Counter>) {
        let (probe, heartbeat) = heartbeat();
        self.probes.push(("scheduler".into(), probe));
        let scheduler = scheduler::run(self.hub.clone(), timers_due, heartbeat);
        let task = self
            .supervisor
            .spawn_until("scheduler", &self.stop_inputs, scheduler);
        self.inputs.push(task);
    }

    pub fn start_activity(&mut self) {
        let (activity, stop) = (self.hub.activity.clone(), self.stop_inputs.clone());
        self.start_input("activity", activity.run(stop));
    }

    /// `url` is that of the page, if other machines know one; `connected`
    /// is whether there is a connection.
    pub fn start_mqtt(&mut self, url: Option<String>, config: MqttConfig, connected: Arc<Flag>) {
        let (hub, stop) = (self.hub.clone(), self.stop_inputs.clone());
        self.start_input("mqtt", mqtt::run(hub, url, config, connected, stop));
    }

    /// What is paired is kept in `folder`.
    pub fn start_matter(&mut self, folder: PathBuf) -> Matter {
        let (matter, end) = Matter::new();
        let (hub, stop) = (self.hub.clone(), self.stop_inputs.clone());
        let run = move || matter::run(hub, folder, end, stop);
        let task =
            self.supervisor
                .spawn_thread("matter", &self.stop_inputs, matter::STACK_SIZE, run);
        self.inputs.push(task);
        matter
    }

    /// Announces the service on the LAN. The service also works without that: if the announcement fails,
    /// the error is only logged.
    pub fn start_mdns(&mut self, address: SocketAddr, encrypted: bool) -> Option<Announcement> {
        let lights = self.hub.lights.list();
        let announcement = Announcement::new(address, encrypted, lights)
            .inspect_err(|error| warn!("{error:#}"))
            .ok()??;
        let log = announcement.log();
        let task = self.supervisor.spawn_until("mdns", &self.stop_inputs, log);
        self.inputs.push(task);
        Some(announcement)
    }

    /// Returns the task of the fan-out, which sends updates to clients until these are closed.
    pub fn start_web(&mut self, server: web::Server, listener: TcpListener) -> JoinHandle<()> {
        let (probe, heartbeat) = heartbeat();
        self.probes.push(("fan-out".into(), probe));
        let fanout = server.fanout();
        let fanout = async move {
            fanout.run(heartbeat).await;
            Ok(())
        };
        let fanout = self
            .supervisor
            .spawn_until("fan-out", &self.stop_outputs, fanout);
        self.start_input("web", server.serve(listener));
        fanout
    }

    /// Starts to notify systemd of the state of the service, and returns the tasks of all inputs. To be
    /// called last, as the watchdog asks the loops that run by then.
    pub fn start_systemd(mut self) -> Vec<JoinHandle<()>> {
        let (lights, stop) = (self.hub.lights.clone(), self.stop_inputs.clone());
        let probes = std::mem::take(&mut self.probes);
        self.start_input("systemd", systemd::run(lights, probes, stop));
        self.inputs
    }

    /// Starts a task that ends by itself after [`Tasks::stop_inputs`].
    fn start_input(&mut self, name: &str, task: impl Future<Output = ()> + Send + 'static) {
        let task = async move {
            task.await;
            Ok(())
        };
        let task = self.supervisor.spawn(name, &self.stop_inputs, task);
        self.inputs.push(task);
    }
}
