//! Connects the lights to an MQTT broker: publishes their states, executes commands to them, and lets
//! Home Assistant discover them.
//!
//! Nothing in the service waits for the broker. One half receives, the other publishes; both start from
//! the beginning with every connection, as the broker may have lost everything.

mod diagnostics;
mod discovery;
mod flash;
mod former;
mod message;
mod outbox;
mod peers;
mod qos;
mod sieve;
mod topics;

use std::collections::BTreeSet;
use std::future;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{
    AsyncClient, Event, EventLoop, LastWill, MqttOptions, Packet, Publish, PublishOptions,
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
use crate::platform::tls;
use crate::protocol::input_error::InputError;
use diagnostics::BadMessageLog;
use flash::Flashes;
use former::Former;
use message::LightCommand;
use outbox::Outbox;
use peers::Peers;
use sieve::{MAX_PACKET, Sieve, TAKEN_OUT};
use topics::{BIRTH, OFFLINE, ONLINE, Subject, Topics};

/// Silence after which the client pings the broker. The broker publishes the last will after one and a
/// half times this silence.
const KEEP_ALIVE_SECONDS: u16 = 30;
/// Shortest time between two publications of states.
const STATE_INTERVAL: Duration = Duration::from_millis(100);
/// Wait before the first attempt to reconnect; each further wait is twice as long.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// Longest wait before an attempt to reconnect.
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// A connection that lasted this long was good: the next attempt waits [`FIRST_RETRY`] again.
const STABLE: Duration = Duration::from_secs(10);
/// Longest topic in bytes.
const MAX_TOPIC: usize = 0xffff;
/// Messages that wait to be sent: more than all lights publish at once.
const QUEUE: usize = 64;

/// Publishes the lights and executes commands to them and to their groups, until `stop`. `groups` has
/// the groups of each light, in the order of the lights; `url` is that of the page, if other machines know
/// one.
///
/// Does not disconnect from the broker, so that the broker publishes the last will, as it does after a
/// crash.
pub async fn run(
    hub: Arc<Hub>,
    groups: Vec<Vec<String>>,
    url: Option<String>,
    config: MqttConfig,
    stop: CancellationToken,
) {
    let bridge = Bridge {
        topics: Topics::new(&config.node, &config.discovery_prefix),
        flashes: Flashes::new(hub.clone()),
        link: watch::Sender::default(),
        lights: hub.lights.clone(),
        peers: Peers::new(&hub, &config),
        former: Former::read(&config),
        hub,
        groups,
        url,
        config,
    };
    let (client, mut events) = AsyncClient::builder(bridge.options())
        .capacity(QUEUE)
        .build();
    let (outbox, answers) = Outbox::new(client.clone());
    tokio::select! {
        () = stop.cancelled() => {}
        () = bridge.receive(&client, &outbox, &mut events) => {}
        () = bridge.publish(&outbox) => {}
        () = bridge.run_peers(&outbox) => {}
        () = answers.log() => {}
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
    /// The URL of the page, if other machines know one.
    url: Option<String>,
    former: Former,
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
        let address = (broker.host.clone(), broker.port);
        let mut options = MqttOptions::new(format!("dimmer-{node}"), address);
        options.set_keep_alive(KEEP_ALIVE_SECONDS);
        options.set_max_packet_size(MAX_PACKET + MAX_TOPIC, MAX_PACKET);
        let status = self.topics.status();
        options.set_last_will(LastWill::new(status, OFFLINE, qos::STATES, true));
        if let Some(login) = &self.config.login {
            options.set_credentials(&login.username, login.password.clone());
        }
        let (host, port, tls) = (broker.host.clone(), broker.port, self.config.tls.clone());
        options.set_socket_connector(move |_, _| {
            let (host, tls) = (host.clone(), tls.clone());
            async move { tls::connect(&host, port, tls).await.map(Sieve::new) }
        });
        options
    }

    /// Receives messages, and reconnects whenever the connection ends.
    async fn receive(&self, client: &AsyncClient, outbox: &Outbox, events: &mut EventLoop) {
        let broker = &self.config.broker;
        let mut bad_messages = BadMessageLog::default();
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
                    let topic = String::from_utf8_lossy(&message.topic);
                    if let Err(error) = self.handle(client, &topic, &message) {
                        bad_messages.add(&topic, &error);
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    let was_up = self.disconnected();
                    // The next connection starts from scratch: nothing left over from this one may be sent late.
                    events.reset_session_state();
                    if was_up && connected_at.elapsed() >= STABLE {
                        retry = FIRST_RETRY;
                    }
                    let reason = diagnostics::explain(&error, &self.config);
                    if logged.as_ref() != Some(&reason) {
                        warn!("mqtt: {broker}: {reason}; trying again");
                        logged = Some(reason);
                    }
                    if was_up
                        && diagnostics::is_closed(&error)
                        && let Some(topic) = outbox.closed()
                    {
                        warn!(
                            "mqtt: {broker} closes the connection at a message to {topic:?}, so \
                             that one is left out; allow this user to write it in the access list \
                             of the broker, then restart dimmer"
                        );
                        retry = FIRST_RETRY;
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

    /// Handles a message. Returns what is wrong with it, and what to do about that.
    fn handle(&self, client: &AsyncClient, topic: &str, message: &Publish) -> Result<(), String> {
        if message.payload == TAKEN_OUT {
            return Err(format!(
                "skipped, as it has more than {} KiB; if the broker retains it, \
                 mosquitto_pub -r -n -t TOPIC removes it",
                MAX_PACKET / 1024
            ));
        }
        self.peers
            .as_ref()
            .inspect(|peers| peers.handle(topic, &message.payload));
        if message.retain {
            let (left, is_next) = self.former.handle(topic, &message.payload);
            empty(client, left);
            if is_next && let Some(topic) = self.former.topic() {
                // If the queue is full, the next connection subscribes to it.
                let _ = client.try_subscribe(topic, qos::COMMANDS);
            }
        }
        self.handle_own(client, topic, message)
            .map_err(|error| error.to_string())
    }

    /// Executes a command, or reacts to discovery and birth messages.
    fn handle_own(
        &self,
        client: &AsyncClient,
        topic: &str,
        message: &Publish,
    ) -> Result<(), InputError> {
        let Some(subject) = self.topics.subject(topic) else {
            return Ok(());
        };
        match subject {
            Subject::Discovery(light) => {
                let is_gone = self.lights.find(light).is_none();
                if is_gone && discovery::parse(&message.payload).is_some() {
                    empty(client, [topic.into(), self.topics.state(light)]);
                }
                Ok(())
            }
            // A retained message is not new: every state was just published, and a command of last
            // week is not meant for today.
            _ if message.retain => {
                debug!("mqtt: {topic:?}: ignored, as it is retained");
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

    /// Publishes every state that differs from the published one; after a reconnect, everything.
    async fn publish(&self, outbox: &Outbox) {
        let mut watch = self.lights.watch();
        let mut link = self.link.subscribe();
        let mut published_to = Link::default();
        let mut published = vec![String::new(); self.lights.list().len()];
        loop {
            let now = *link.borrow_and_update();
            if now.is_up && now.connections != published_to.connections {
                self.subscribe(outbox).await;
            }
            if now.is_up && now != published_to {
                self.publish_discovery(outbox).await;
                published.fill(String::new());
                published_to = now;
            }
            let states = watch.borrow_and_update().clone();
            if now.is_up && self.publish_states(outbox, &states, &mut published).await {
                if *link.borrow() == now {
                    outbox.all_arrived();
                }
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

    async fn run_peers(&self, outbox: &Outbox) {
        match &self.peers {
            Some(peers) => peers.run(outbox).await,
            None => future::pending().await,
        }
    }

    /// Subscribes to all topics of interest.
    async fn subscribe(&self, outbox: &Outbox) {
        let groups: BTreeSet<_> = self.groups.iter().flatten().collect();
        let own = [
            BIRTH.into(),
            self.topics.set("+"),
            self.topics.discovery("+"),
        ];
        let groups = groups.into_iter().map(|name| topics::group(name));
        let peers = self.peers.as_ref().map(Peers::filter);
        let former = self.former.topic();
        let topics = groups.chain(own).chain(peers).chain(former);
        outbox.subscribe(topics.collect()).await;
    }

    /// Publishes the descriptions of the lights, and that they are online.
    async fn publish_discovery(&self, outbox: &Outbox) {
        let (node, url) = (&self.config.node, self.url.as_deref());
        for light in self.lights.list() {
            let message = discovery::message(light, node, url, &self.topics);
            outbox
                .retain(self.topics.discovery(&light.name), message)
                .await;
        }
        outbox.retain(self.topics.status(), ONLINE).await;
    }

    /// Publishes the states that differ from the published ones. Returns whether there was any.
    async fn publish_states(
        &self,
        outbox: &Outbox,
        states: &[LightState],
        published: &mut [String],
    ) -> bool {
        let mut any = false;
        for (index, light) in self.lights.list().iter().enumerate() {
            let state = message::state(&states[index]);
            if state != published[index] {
                outbox
                    .retain(self.topics.state(&light.name), state.clone())
                    .await;
                published[index] = state;
                any = true;
            }
        }
        any
    }
}

/// Removes what the broker retains in these topics.
fn empty(client: &AsyncClient, topics: impl IntoIterator<Item = String>) {
    for topic in topics {
        // If the queue is full, the next connection removes it.
        let _ = client.try_publish(topic, "", PublishOptions::new(qos::STATES).retained());
    }
}
