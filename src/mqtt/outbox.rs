//! Publishes what the broker is to retain, and subscribes; finds out what the broker refuses.
//!
//! A broker answers a subscription that its access list denies with a code. A message that is denied has
//! no answer in MQTT 3.1.1: a broker drops it, or closes the connection without a word, and would do so
//! again on each connection. So after such an end, messages are published one by one, and the one that is
//! on its way at two ends in a row is left out from then on.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rumqttc::{AsyncClient, PublishOptions, SubscribeFilter, SubscribeNotice, SubscribeReasonCode};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing::warn;

use super::qos;
use super::topics::BIRTH;

/// The way to the broker.
pub struct Outbox {
    client: AsyncClient,
    state: Mutex<State>,
    requested: UnboundedSender<Requested>,
}

#[derive(Default)]
struct State {
    /// Whether messages are published one by one.
    is_careful: bool,
    /// The topic of the message that may not have reached the broker.
    on_its_way: Option<String>,
    /// What was on its way when the connection ended before.
    suspect: Option<String>,
    /// The topics whose messages end the connection.
    denied: BTreeSet<String>,
}

/// A subscription without an answer.
struct Requested {
    topics: Vec<String>,
    answer: SubscribeNotice,
}

/// The answers to the subscriptions.
pub struct Answers(UnboundedReceiver<Requested>);

impl Outbox {
    pub fn new(client: AsyncClient) -> (Outbox, Answers) {
        let (requested, answers) = unbounded_channel();
        let outbox = Outbox {
            client,
            state: Mutex::default(),
            requested,
        };
        (outbox, Answers(answers))
    }

    /// Publishes a message that the broker retains for later subscribers.
    pub async fn retain(&self, topic: String, message: impl Into<String>) {
        let message = message.into();
        let is_careful = {
            let mut state = self.state();
            if state.denied.contains(&topic) {
                return;
            }
            if state.is_careful {
                state.on_its_way = Some(topic.clone());
            }
            state.is_careful
        };
        // Fails only if the event loop is gone, as do the other calls of the client.
        let options = PublishOptions::new(qos::STATES).retained();
        let _ = self.client.publish(topic, message, options).await;
        if is_careful && self.is_read().await {
            self.state().on_its_way = None;
        }
    }

    /// Whether the broker has read what was sent so far: it answers a subscription only after that.
    async fn is_read(&self) -> bool {
        let answer = self.client.subscribe_tracked(BIRTH, qos::COMMANDS).await;
        match answer {
            Ok(answer) => answer.wait_async().await.is_ok(),
            Err(_) => false,
        }
    }

    /// Sends a command to another dimmer.
    pub async fn command(&self, topic: String, message: String) {
        let options = PublishOptions::new(qos::COMMANDS);
        let _ = self.client.publish(topic, message, options).await;
    }

    /// Subscribes to these topics.
    pub async fn subscribe(&self, topics: Vec<String>) {
        let filters = topics
            .iter()
            .map(|topic| SubscribeFilter::new(topic.clone(), qos::COMMANDS));
        if let Ok(answer) = self.client.subscribe_many_tracked(filters).await {
            let _ = self.requested.send(Requested { topics, answer });
        }
    }

    /// All messages have reached the broker: none of them ends the connection.
    pub fn all_arrived(&self) {
        let mut state = self.state();
        state.is_careful = false;
        state.suspect = None;
    }

    /// The broker has closed the connection. Returns the topic that it is closed for, once that is
    /// certain.
    pub fn closed(&self) -> Option<String> {
        let mut state = self.state();
        state.is_careful = true;
        let last = state.suspect.take();
        state.suspect = state.on_its_way.take();
        let topic = state
            .suspect
            .take_if(|topic| last.as_ref() == Some(topic))?;
        state.denied.insert(topic.clone());
        Some(topic)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answers {
    /// Logs which subscriptions the broker refuses; never returns.
    pub async fn log(mut self) {
        // Each only once, not on each connection.
        let mut logged = BTreeSet::new();
        while let Some(Requested { topics, answer }) = self.0.recv().await {
            // Fails if the connection has ended.
            let Ok(answer) = answer.wait_async().await else {
                continue;
            };
            for (topic, code) in topics.into_iter().zip(answer.return_codes) {
                if code == SubscribeReasonCode::Failure && logged.insert(topic.clone()) {
                    warn!(
                        "mqtt: the broker refuses the subscription to {topic:?}, so nothing \
                         arrives from there; allow this user to read it in the access list of \
                         the broker"
                    );
                }
            }
        }
    }
}
