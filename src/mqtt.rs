//! Connects the lights to an MQTT broker: publishes their states, executes commands to them, and lets
//! Home Assistant discover them.
//!
//! Nothing in the service waits for the broker. One half receives, the other publishes; both start from
//! the beginning with every connection, as the broker may have lost everything.

mod controls;
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

use std::collections::{BTreeMap, BTreeSet};
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
use crate::metrics::Flag;
use crate::model::actor::Actor;
use crate::model::command::{Command, CommandError, Target, TargetChange};
use crate::model::hub::Hub;
use crate::model::lights::{LightId, LightState, Lights};
use crate::model::presets;
use crate::platform::tls;
use crate::protocol::input_error::InputError;
use controls::Controls;
use diagnostics::BadMessageLog;
use discovery::Discovery;
use flash::Flashes;
use former::Former;
use message::{Format, LightCommand};
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
/// Home Assistant's name for no option of a select.
const NO_PRESET: &str = "None";
/// Longest topic in bytes.
const MAX_TOPIC: usize = 0xffff;
/// Messages that wait to be sent: more than all lights publish at once.
const QUEUE: usize = 64;

/// Publishes the lights and executes commands to them and to their groups, until `stop`. `url` is that
/// of the page, if other machines know one; `connected` is for the metrics.
///
/// Does not disconnect from the broker, so that the broker publishes the last will, as it does after a
/// crash.
pub async fn run(
    hub: Arc<Hub>,
    url: Option<String>,
    config: MqttConfig,
    connected: Arc<Flag>,
    stop: CancellationToken,
) {
    let bridge = Bridge {
        topics: Topics::new(&config.node, &config.discovery_prefix),
        discovery: Discovery::new(&config, url.as_deref()),
        controls: Controls::new(hub.clone()),
        flashes: Flashes::new(hub.clone()),
        link: watch::Sender::default(),
        lights: hub.lights.clone(),
        peers: Peers::new(&hub, &config),
        former: Former::read(&config),
        hub,
        config,
        connected,
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
    discovery: Discovery,
    controls: Controls,
    former: Former,
    /// The other dimmers, if the settings ask for these.
    peers: Option<Peers>,
    config: MqttConfig,
    topics: Topics,
    flashes: Flashes,
    link: watch::Sender<Link>,
    /// Whether there is a connection, for the metrics.
    connected: Arc<Flag>,
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
        self.connected.set(true);
        self.peers.as_ref().inspect(|peers| peers.connected());
        self.link.send_modify(|link| {
            link.is_up = true;
            link.connections += 1;
        });
    }

    /// Returns whether there was a connection before.
    fn disconnected(&self) -> bool {
        self.connected.set(false);
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
        if message.retain || message.payload.is_empty() {
            let (left, is_next) = self.former.handle(topic, &message.payload);
            empty(client, left);
            if is_next {
                for topic in self.former.topics() {
                    // If the queue is full, the next connection subscribes to it.
                    let _ = client.try_subscribe(topic, qos::COMMANDS);
                }
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
            Subject::Discovery(platform, object) => {
                if self.descriptions().contains_key(topic) {
                    return Ok(());
                }
                if discovery::parse(&message.payload).is_some() {
                    empty(client, [topic.into()]);
                } else if message.payload.is_empty() {
                    // Home Assistant has forgotten the entity, and would have warned of an empty state before.
                    let states = self.topics.states_of(platform, object);
                    let kept = self.states(&self.lights.states().clone());
                    let is_kept = |topic: &String| kept.iter().any(|(kept, _)| kept == topic);
                    empty(client, states.into_iter().filter(|topic| !is_kept(topic)));
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
                let command = LightCommand::parse(&message.payload, Format::Plain)?;
                self.execute(&command, &[self.find(name)?])
            }
            Subject::HomeAssistant(name) => {
                let light = self.find(name)?;
                match self.controls.handle(light, &message.payload)? {
                    Some(command) => self.execute(&command, &[light]),
                    None => Ok(()),
                }
            }
            Subject::Recall => self.recall(&message.payload),
            Subject::Group(name) => {
                let command = LightCommand::parse(&message.payload, Format::Plain)?;
                let is_member = |light: &LightId| {
                    self.lights
                        .settings(*light)
                        .groups
                        .iter()
                        .any(|group| group == name)
                };
                let members: Vec<_> = self.lights.ids().filter(is_member).collect();
                // All at once; a light that refuses keeps no other from it.
                self.execute(&command, &members).or_else(|_| {
                    let each = members.chunks(1).map(|light| self.execute(&command, light));
                    each.collect::<Vec<_>>().into_iter().collect()
                })
            }
        }
    }

    fn find(&self, name: &str) -> Result<LightId, CommandError> {
        let light = self.lights.find(name);
        light.ok_or_else(|| CommandError::NoSuchLight(name.into()))
    }

    /// Recalls the preset whose name is the payload.
    fn recall(&self, payload: &[u8]) -> Result<(), InputError> {
        let name = String::from_utf8_lossy(payload).into_owned();
        let transition = None;
        self.hub
            .execute(&Actor::Mqtt, Command::RecallPreset { name, transition })?;
        Ok(())
    }

    /// Executes a command to all of these lights, or to none.
    fn execute(&self, command: &LightCommand, lights: &[LightId]) -> Result<(), InputError> {
        let changes = lights.iter().flat_map(|light| {
            command.changes.iter().map(|change| TargetChange {
                target: Target::Own(*light),
                change: *change,
                transition: command.transition,
            })
        });
        let changes = Command::ChangeTogether(changes.collect());
        self.hub.execute(&Actor::Mqtt, changes)?;
        if let Some(duration) = command.flash {
            lights
                .iter()
                .for_each(|light| self.flashes.start(*light, duration));
        }
        Ok(())
    }

    /// Publishes every state that differs from the published one; after a reconnect, everything.
    async fn publish(&self, outbox: &Outbox) {
        let mut watch = self.lights.watch();
        let mut presets = self.hub.presets.watch();
        let mut controls = self.controls.watch();
        let mut link = self.link.subscribe();
        let mut published_to = Link::default();
        let mut described = Vec::new();
        let mut published = BTreeMap::new();
        loop {
            let now = *link.borrow_and_update();
            presets.mark_unchanged();
            controls.mark_unchanged();
            let states = watch.borrow_and_update().clone();
            // Titles and groups.
            let settings: Vec<_> = states.iter().map(|state| state.settings.clone()).collect();
            let set_up_again = settings != described;
            if now.is_up && (now.connections != published_to.connections || set_up_again) {
                self.subscribe(outbox).await;
            }
            if now.is_up && (now != published_to || set_up_again) {
                self.publish_discovery(outbox).await;
                published.clear();
                (published_to, described) = (now, settings);
            }
            if now.is_up && publish_new(outbox, self.states(&states), &mut published).await {
                if *link.borrow() == now {
                    outbox.all_arrived();
                }
                // Changes during the pause are seen after it.
                sleep(STATE_INTERVAL).await;
            } else {
                let changed = tokio::select! {
                    changed = watch.changed(), if now.is_up => changed,
                    changed = presets.changed(), if now.is_up => changed,
                    changed = controls.changed(), if now.is_up => changed,
                    changed = link.changed() => changed,
                };
                if changed.is_err() {
                    // Cannot fail: `self` holds all senders.
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
        let states = self.lights.states().clone();
        let groups: BTreeSet<_> = states
            .iter()
            .flat_map(|state| &state.settings.groups)
            .collect();
        let own = [
            BIRTH.into(),
            self.topics.set("+"),
            self.topics.home_assistant_set("+"),
            self.topics.recall(),
        ];
        let own = own.into_iter().chain(self.topics.all_discoveries());
        let groups = groups.into_iter().map(|name| topics::group(name));
        let peers = self.peers.as_ref().map(Peers::filter);
        let former = self.former.topics();
        let topics = groups.chain(own).chain(peers).chain(former);
        outbox.subscribe(topics.collect()).await;
    }

    /// Publishes the descriptions of the lights, and that they are online.
    async fn publish_discovery(&self, outbox: &Outbox) {
        let states = self.lights.states().clone();
        for (light, state) in self.lights.list().iter().zip(&states) {
            let title = light.title(&state.settings);
            for (topic, message) in self.discovery.of_light(light, title) {
                outbox.retain(topic, message).await;
            }
        }
        outbox.retain(self.topics.status(), ONLINE).await;
    }

    /// The topics where this dimmer describes what it has now, with the descriptions.
    fn descriptions(&self) -> BTreeMap<String, String> {
        let states = self.lights.states().clone();
        let lights = self.lights.list().iter().zip(&states);
        let of_lights = lights.flat_map(|(light, state)| {
            let title = light.title(&state.settings);
            self.discovery.of_light(light, title)
        });
        let all = of_lights.chain(self.discovery.presets(self.hub.presets.all().keys()));
        all.filter(|(_, message)| !message.is_empty()).collect()
    }

    /// The topics of all states, with the messages for these; and the description of the presets, which
    /// changes like a state.
    fn states(&self, states: &[LightState]) -> Vec<(String, String)> {
        let mut messages = Vec::new();
        for (id, state) in self.lights.ids().zip(states) {
            let name = &self.lights.light(id).name;
            messages.push((self.topics.state(name), message::state(state)));
            let topic = self.topics.home_assistant_state(name);
            messages.push((topic, self.controls.state(id, state)));
        }
        let presets = self.hub.presets.all();
        if let Some(description) = self.discovery.presets(presets.keys()) {
            let shown = presets::shown(&presets, &self.lights);
            let state = shown.unwrap_or_else(|| NO_PRESET.into());
            messages.extend([description, (self.topics.preset(), state)]);
        }
        messages
    }
}

/// Publishes the messages that differ from the published ones. Returns whether there was any.
async fn publish_new(
    outbox: &Outbox,
    messages: Vec<(String, String)>,
    published: &mut BTreeMap<String, String>,
) -> bool {
    let mut any = false;
    for (topic, message) in messages {
        if published.get(&topic).map_or("", String::as_str) != message {
            outbox.retain(topic.clone(), message.clone()).await;
            published.insert(topic, message);
            any = true;
        }
    }
    any
}

/// Removes what the broker retains in these topics.
fn empty(client: &AsyncClient, topics: impl IntoIterator<Item = String>) {
    for topic in topics {
        // If the queue is full, the next connection removes it.
        let _ = client.try_publish(topic, "", PublishOptions::new(qos::STATES).retained());
    }
}
