//! Connects the lights to an MQTT broker: publishes their states, executes commands to them, and lets
//! Home Assistant discover them.
//!
//! Nothing in the service waits for the broker. One half receives, the other publishes; both start from
//! the beginning with every connection, as the broker may have lost everything.

mod diagnostics;
mod discovery;
mod flash;
mod message;
mod peers;
mod qos;
mod topics;

use std::collections::BTreeSet;
use std::future;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{
    AsyncClient, Event, EventLoop, LastWill, MqttOptions, NetworkOptions, Packet, Publish,
    SubscribeFilter, TlsConfiguration, Transport,
};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::config::MqttConfig;
use crate::model::actor::Actor;
use crate::model::command::{Command, CommandError, Target};
use crate::model::hub::Hub;
use crate::model::lights::{LightId, LightState, Lights};
use crate::protocol::input_error::InputError;
use diagnostics::BadCommandLog;
use flash::Flashes;
use message::LightCommand;
use peers::Peers;
use topics::{BIRTH, OFFLINE, ONLINE, Subject, Topics};

/// Silence after which the client pings the broker. The broker publishes the last will after one and a
/// half times this silence.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Shortest time between two publications of states.
const STATE_INTERVAL: Duration = Duration::from_millis(100);
/// Wait before the first attempt to reconnect; each further wait is twice as long.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// Longest wait before an attempt to reconnect.
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// A connection that lasted this long was good: the next attempt waits [`FIRST_RETRY`] again.
const STABLE: Duration = Duration::from_secs(10);
/// Largest packet in bytes where the discovery of all lights is subscribed to: messages of other
/// programs can be long.
const MAX_PACKET: usize = 256 * 1024;
/// Messages that wait to be sent: more than all lights publish at once.
const QUEUE: usize = 64;

/// Publishes the lights and executes commands to them and to their groups, until `stop`. `groups` has
/// the groups of each light, in the order of the lights.
///
/// Does not disconnect from the broker, so that the broker publishes the last will, as it does after a
/// crash.
pub async fn run(
    hub: Arc<Hub>,
    groups: Vec<Vec<String>>,
    config: MqttConfig,
    stop: CancellationToken,
) {
    let bridge = Bridge {
        topics: Topics::new(&config.node, &config.discovery_prefix),
        flashes: Flashes::new(hub.clone()),
        link: watch::Sender::default(),
        lights: hub.lights.clone(),
        peers: Peers::new(&hub, &config),
        hub,
        groups,
        config,
    };
    let (client, mut events) = AsyncClient::new(bridge.options(), QUEUE);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    events.set_network_options(network);
    tokio::select! {
        () = stop.cancelled() => {}
        () = bridge.receive(&client, &mut events) => {}
        () = bridge.publish(&client) => {}
        () = bridge.run_peers(&client) => {}
        () = bridge.flashes.run() => {}
    }
    bridge.flashes.end_all();
}

/// What the receiving half reports to the publishing half.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Link {
    /// Whether there is a connection.
    is_up: bool,
    /// The number of connections so far.
    connections: u64,
    /// How often Home Assistant has started.
    births: u64,
}

/// Connects the lights of this dimmer to a broker.
struct Bridge {
    hub: Arc<Hub>,
    lights: Arc<Lights>,
    /// The groups of each light.
    groups: Vec<Vec<String>>,
    /// The other dimmers, if the settings ask for these.
    peers: Option<Peers>,
    config: MqttConfig,
    topics: Topics,
    flashes: Flashes,
    link: watch::Sender<Link>,
}

impl Bridge {
    fn options(&self) -> MqttOptions {
        let MqttConfig { broker, node, .. } = &self.config;
        let mut options = MqttOptions::new(format!("dimmer-{node}"), &broker.host, broker.port);
        options.set_keep_alive(KEEP_ALIVE);
        if self.peers.is_some() {
            options.set_max_packet_size(MAX_PACKET, MAX_PACKET);
        }
        let status = self.topics.status();
        options.set_last_will(LastWill::new(status, OFFLINE, qos::STATES, true));
        if let Some(login) = &self.config.login {
            options.set_credentials(&login.username, &login.password);
        }
        if let Some(tls) = &self.config.tls {
            let tls = TlsConfiguration::Rustls(tls.clone());
            options.set_transport(Transport::tls_with_config(tls));
        }
        options
    }

    /// Receives messages, and reconnects whenever the connection ends.
    async fn receive(&self, client: &AsyncClient, events: &mut EventLoop) {
        let broker = &self.config.broker;
        let mut bad_commands = BadCommandLog::default();
        let mut retry = FIRST_RETRY;
        let mut connected_at = Instant::now();
        // The last error in the log since the last connection, so that it is there only once.
        let mut logged = None;
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    info!("mqtt: connected to {broker} as {}", self.config.node);
                    (connected_at, logged) = (Instant::now(), None);
                    self.connected();
                }
                Ok(Event::Incoming(Packet::Publish(message))) => {
                    self.peers.as_ref().inspect(|peers| peers.handle(&message));
                    if let Err(error) = self.handle(client, &message) {
                        bad_commands.add(&message.topic, &error);
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    let was_up = self.disconnected();
                    if was_up && connected_at.elapsed() >= STABLE {
                        retry = FIRST_RETRY;
                    }
                    let reason = diagnostics::explain(&error, &self.config);
                    if logged.as_ref() != Some(&reason) {
                        warn!("mqtt: {broker}: {reason}; trying again");
                        logged = Some(reason);
                    }
                    sleep(retry).await;
                    retry = (retry * 2).min(LONGEST_RETRY);
                }
            }
        }
    }

    fn connected(&self) {
        self.peers.as_ref().inspect(|peers| peers.connected());
        self.link.send_modify(|link| {
            link.is_up = true;
            link.connections += 1;
        });
    }

    /// Returns whether there was a connection before.
    fn disconnected(&self) -> bool {
        self.peers.as_ref().inspect(|peers| peers.disconnected());
        self.link
            .send_if_modified(|link| std::mem::replace(&mut link.is_up, false))
    }

    /// Executes a command, or reacts to discovery and birth messages.
    fn handle(&self, client: &AsyncClient, message: &Publish) -> Result<(), InputError> {
        let Some(subject) = self.topics.subject(&message.topic) else {
            return Ok(());
        };
        match subject {
            Subject::Discovery(light) => {
                let is_gone = self.lights.find(light).is_none();
                if is_gone && discovery::parse(&message.payload).is_some() {
                    self.remove(client, light);
                }
                Ok(())
            }
            // A retained message is not new: every state was just published, and a command of last
            // week is not meant for today.
            _ if message.retain => {
                debug!("mqtt: {}: ignored, as it is retained", message.topic);
                Ok(())
            }
            Subject::Birth => {
                if *message.payload == *ONLINE.as_bytes() {
                    self.link.send_modify(|link| link.births += 1);
                }
                Ok(())
            }
            Subject::Light(name) => {
                let light = self.lights.find(name);
                let light = light.ok_or_else(|| CommandError::NoSuchLight(name.into()))?;
                self.execute(&LightCommand::parse(&message.payload)?, light)
            }
            Subject::Group(name) => {
                let command = LightCommand::parse(&message.payload)?;
                let lights = self.lights.ids().zip(&self.groups);
                let members = lights.filter(|(_, groups)| groups.iter().any(|group| group == name));
                // A light that refuses keeps no other from it.
                let results: Vec<_> = members
                    .map(|(light, _)| self.execute(&command, light))
                    .collect();
                results.into_iter().collect()
            }
        }
    }

    fn execute(&self, command: &LightCommand, light: LightId) -> Result<(), InputError> {
        for change in &command.changes {
            let change = Command::Change {
                target: Target::Own(light),
                change: *change,
                transition: command.transition,
            };
            self.hub.execute(&Actor::Mqtt, change)?;
        }
        if command.flash {
            self.flashes.start(light);
        }
        Ok(())
    }

    /// Removes the retained messages of a light that the settings no longer have.
    fn remove(&self, client: &AsyncClient, light: &str) {
        for topic in [self.topics.discovery(light), self.topics.state(light)] {
            // If the queue is full, the next connection removes it.
            let _ = client.try_publish(topic, qos::STATES, true, "");
        }
    }

    /// Publishes every state that differs from the published one; after a reconnect, everything.
    async fn publish(&self, client: &AsyncClient) {
        let mut watch = self.lights.watch();
        let mut link = self.link.subscribe();
        let mut published_to = Link::default();
        let mut published = vec![String::new(); self.lights.list().len()];
        loop {
            let now = *link.borrow_and_update();
            if now.is_up && now.connections != published_to.connections {
                self.subscribe(client).await;
            }
            if now.is_up && now != published_to {
                self.publish_discovery(client).await;
                published.fill(String::new());
                published_to = now;
            }
            let states = watch.borrow_and_update().clone();
            if now.is_up && self.publish_states(client, &states, &mut published).await {
                // Changes during the pause are seen after it.
                sleep(STATE_INTERVAL).await;
            } else {
                let changed = tokio::select! {
                    changed = watch.changed(), if now.is_up => changed,
                    changed = link.changed() => changed,
                };
                if changed.is_err() {
                    // Cannot fail: `self` holds both senders.
                    future::pending().await
                }
            }
        }
    }

    async fn run_peers(&self, client: &AsyncClient) {
        match &self.peers {
            Some(peers) => peers.run(client).await,
            None => future::pending().await,
        }
    }

    /// Subscribes to all topics of interest.
    async fn subscribe(&self, client: &AsyncClient) {
        let groups: BTreeSet<_> = self.groups.iter().flatten().collect();
        let own = [
            BIRTH.into(),
            self.topics.set("+"),
            self.topics.discovery("+"),
        ];
        let groups = groups.into_iter().map(|name| topics::group(name));
        let peers = self.peers.as_ref().map(Peers::filter);
        let filters = groups
            .chain(own)
            .chain(peers)
            .map(|topic| SubscribeFilter::new(topic, qos::COMMANDS));
        // Fails only if the event loop is gone, as do the other calls of `client` below.
        let _ = client.subscribe_many(filters).await;
    }

    /// Publishes the descriptions of the lights, and that they are online.
    async fn publish_discovery(&self, client: &AsyncClient) {
        for light in self.lights.list() {
            let message = discovery::message(light, &self.config.node, &self.topics);
            publish_retained(client, self.topics.discovery(&light.name), message).await;
        }
        publish_retained(client, self.topics.status(), ONLINE.into()).await;
    }

    /// Publishes the states that differ from the published ones. Returns whether there was any.
    async fn publish_states(
        &self,
        client: &AsyncClient,
        states: &[LightState],
        published: &mut [String],
    ) -> bool {
        let mut any = false;
        for (index, light) in self.lights.list().iter().enumerate() {
            let state = message::state(&states[index]);
            if state != published[index] {
                publish_retained(client, self.topics.state(&light.name), state.clone()).await;
                published[index] = state;
                any = true;
            }
        }
        any
    }
}

/// Publishes a message that the broker retains for later subscribers.
async fn publish_retained(client: &AsyncClient, topic: String, message: String) {
    let _ = client.publish(topic, qos::STATES, true, message).await;
}
