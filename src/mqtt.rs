//! Speaks MQTT with a broker, where Home Assistant finds the lights: follows them and tells their
//! states, and takes commands to them.
//!
//! Nothing waits for the broker. One half takes what comes, the other tells; both start anew with
//! every connection, as the broker may have forgotten everything.

mod diagnostics;
mod discovery;
mod flash;
mod message;
mod peers;
mod topics;

use std::collections::BTreeSet;
use std::future;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{
    AsyncClient, Event, EventLoop, LastWill, MqttOptions, NetworkOptions, Packet, Publish, QoS,
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
use diagnostics::Complaints;
use flash::Flashes;
use message::LightCommand;
use peers::Peers;
use topics::{BIRTH, Subject, Topics};

/// Commands come at least once; twice does no harm. Our receipt brings TCP's along, for which the
/// broker would wait some 40 ms before it sends the next small packet (Nagle's algorithm).
const HEAR: QoS = QoS::AtLeastOnce;
/// On a connection nothing is lost, and after each new one all is told anew. The broker's receipts
/// would add nothing but that wait to the commands behind them.
const TELL: QoS = QoS::AtMostOnce;
/// Silence after which the broker is asked whether it is there. It tells the world that a dimmer is
/// gone when it heard nothing for half as long again.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Shortest time from one state of a light to the next.
const PAUSE: Duration = Duration::from_millis(100);
/// Waits before another attempt: the first, and the longest.
const RETRY: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];
/// A connection that lasted so long counts as a good one: the next attempt comes soon.
const GOOD: Duration = Duration::from_secs(10);
/// Largest message, in bytes, where all lights' discoveries are heard: other programs' can be long.
const LARGEST: usize = 256 * 1024;
/// Messages that wait to be sent: more than all lights have to say at once.
const QUEUE: usize = 64;

const ONLINE: &str = "online";
const OFFLINE: &str = "offline";

/// Publishes the lights and takes commands to them and to their groups, until `stop`.
///
/// It ends without a goodbye: the broker then tells the last will, as it does after a crash.
pub async fn run(
    hub: Arc<Hub>,
    groups: Vec<Vec<String>>,
    config: MqttConfig,
    stop: CancellationToken,
) {
    let lights = hub.lights.clone();
    let others = Peers::new(&hub, &config);
    let dimmer = Dimmer {
        topics: Topics::new(&config.node, &config.discovery_prefix),
        flashes: Flashes::new(hub.clone()),
        link: watch::Sender::default(),
        hub: hub.clone(),
        lights,
        groups,
        others,
        config,
    };
    let (client, mut events) = AsyncClient::new(dimmer.options(), QUEUE);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    events.set_network_options(network);
    tokio::select! {
        () = stop.cancelled() => {}
        () = dimmer.hear(&client, &mut events) => {}
        () = dimmer.tell(&client) => {}
        () = dimmer.drive_others(&client) => {}
        () = dimmer.flashes.run() => {}
    }
    dimmer.flashes.end_all();
}

/// What the half that hears has to tell the other.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Link {
    /// Whether there is a connection.
    is_up: bool,
    /// How many there were.
    connections: u64,
    /// How often Home Assistant has started.
    births: u64,
}

/// One dimmer among those of a broker.
struct Dimmer {
    hub: Arc<Hub>,
    lights: Arc<Lights>,
    /// The groups of each light.
    groups: Vec<Vec<String>>,
    /// The other dimmers, where they are to be followed.
    others: Option<Peers>,
    config: MqttConfig,
    topics: Topics,
    flashes: Flashes,
    link: watch::Sender<Link>,
}

impl Dimmer {
    fn options(&self) -> MqttOptions {
        let MqttConfig { broker, node, .. } = &self.config;
        let mut options = MqttOptions::new(format!("dimmer-{node}"), &broker.host, broker.port);
        options.set_keep_alive(KEEP_ALIVE);
        if self.others.is_some() {
            options.set_max_packet_size(LARGEST, LARGEST);
        }
        options.set_last_will(LastWill::new(self.topics.status(), OFFLINE, TELL, true));
        if let Some(login) = &self.config.login {
            options.set_credentials(&login.username, &login.password);
        }
        if let Some(tls) = &self.config.tls {
            let tls = TlsConfiguration::Rustls(tls.clone());
            options.set_transport(Transport::tls_with_config(tls));
        }
        options
    }

    /// Takes what comes, and connects again for ever.
    async fn hear(&self, client: &AsyncClient, events: &mut EventLoop) {
        let broker = &self.config.broker;
        let mut complaints = Complaints::default();
        let mut wait = RETRY[0];
        let mut since = Instant::now();
        let mut told = None;
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    info!("mqtt: connected to {broker} as {}", self.config.node);
                    (since, told) = (Instant::now(), None);
                    self.others.as_ref().inspect(|others| others.connected());
                    self.link.send_modify(|link| {
                        link.is_up = true;
                        link.connections += 1;
                    });
                }
                Ok(Event::Incoming(Packet::Publish(message))) => {
                    self.others.as_ref().inspect(|others| others.take(&message));
                    if let Err(bad) = self.take(client, &message) {
                        complaints.add(&message.topic, &bad);
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    let was_up = self
                        .link
                        .send_if_modified(|link| std::mem::replace(&mut link.is_up, false));
                    self.others.as_ref().inspect(|others| others.disconnected());
                    if was_up && since.elapsed() >= GOOD {
                        wait = RETRY[0];
                    }
                    let why = diagnostics::explain(&error, &self.config);
                    if told.as_ref() != Some(&why) {
                        warn!("mqtt: {broker}: {why}; trying again");
                        told = Some(why);
                    }
                    sleep(wait).await;
                    wait = (wait * 2).min(RETRY[1]);
                }
            }
        }
    }

    /// Does what a message says.
    fn take(&self, client: &AsyncClient, message: &Publish) -> Result<(), InputError> {
        let Some(subject) = self.topics.subject(&message.topic) else {
            return Ok(());
        };
        match subject {
            Subject::Discovery(light) => {
                if self.lights.find(light).is_none() && discovery::ours(&message.payload).is_some()
                {
                    self.forget(client, light);
                }
                Ok(())
            }
            // What the broker kept is no news: the lights were told anew just now, and a command of
            // last week is none for today.
            _ if message.retain => {
                debug!("mqtt: {}: retained, so it is ignored", message.topic);
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
                self.apply(&LightCommand::parse(&message.payload)?, light)
            }
            Subject::Group(name) => {
                let command = LightCommand::parse(&message.payload)?;
                for (light, groups) in self.lights.ids().zip(&self.groups) {
                    if groups.iter().any(|group| group == name) {
                        self.apply(&command, light)?;
                    }
                }
                Ok(())
            }
        }
    }

    fn apply(&self, command: &LightCommand, light: LightId) -> Result<(), InputError> {
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

    /// Takes away what the broker keeps of a light that is no more.
    fn forget(&self, client: &AsyncClient, light: &str) {
        for topic in [self.topics.discovery(light), self.topics.state(light)] {
            // With the queue full it is done at the next connection.
            let _ = client.try_publish(topic, TELL, true, "");
        }
    }

    /// Tells every state that is another than was told; after a new connection, everything.
    async fn tell(&self, client: &AsyncClient) {
        let mut watch = self.lights.watch();
        let mut link = self.link.subscribe();
        let mut known = Link::default();
        let mut told = vec![String::new(); self.lights.list().len()];
        loop {
            let now = *link.borrow_and_update();
            if now.is_up && now.connections != known.connections {
                self.subscribe(client).await;
            }
            if now.is_up && now != known {
                self.introduce(client).await;
                told.fill(String::new());
                known = now;
            }
            let states = watch.borrow_and_update().clone();
            if now.is_up && self.tell_news(client, &states, &mut told).await {
                // Changes during the pause are seen after it.
                sleep(PAUSE).await;
            } else {
                let changed = tokio::select! {
                    changed = watch.changed(), if now.is_up => changed,
                    changed = link.changed() => changed,
                };
                if changed.is_err() {
                    // Both outlive this.
                    future::pending().await
                }
            }
        }
    }

    async fn drive_others(&self, client: &AsyncClient) {
        match &self.others {
            Some(others) => others.drive(client).await,
            None => future::pending().await,
        }
    }

    /// Asks for everything that this dimmer wants to hear.
    async fn subscribe(&self, client: &AsyncClient) {
        let groups: BTreeSet<_> = self.groups.iter().flatten().collect();
        let own = [
            BIRTH.into(),
            self.topics.set("+"),
            self.topics.discovery("+"),
        ];
        let all = groups.into_iter().map(|name| topics::group(name));
        let others = self.others.as_ref().map(Peers::filter);
        let filters = all
            .chain(own)
            .chain(others)
            .map(|topic| SubscribeFilter::new(topic, HEAR));
        // This and the others fail only once nobody sends any more.
        let _ = client.subscribe_many(filters).await;
    }

    /// Tells what the lights are, and that they can be reached.
    async fn introduce(&self, client: &AsyncClient) {
        for light in self.lights.list() {
            let message = discovery::message(light, &self.config.node, &self.topics);
            self.say(client, self.topics.discovery(&light.name), message)
                .await;
        }
        self.say(client, self.topics.status(), ONLINE.into()).await;
    }

    /// Tells what each light is set to, where that is news, and whether any was.
    async fn tell_news(
        &self,
        client: &AsyncClient,
        states: &[LightState],
        told: &mut [String],
    ) -> bool {
        let mut any = false;
        for (index, light) in self.lights.list().iter().enumerate() {
            let state = message::state(&states[index]);
            if state != told[index] {
                self.say(client, self.topics.state(&light.name), state.clone())
                    .await;
                told[index] = state;
                any = true;
            }
        }
        any
    }

    /// Retained, as whoever comes later has to know it, too.
    async fn say(&self, client: &AsyncClient, topic: String, message: String) {
        let _ = client.publish(topic, TELL, true, message).await;
    }
}
