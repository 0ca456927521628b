//! The WebSocket to a running service.

use std::time::Duration;

use anyhow::{Context, bail};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::endpoint::{Endpoint, ServiceArgs, unexpected};
use crate::model::effect::{EffectKind, Speed};
use crate::model::level::Level;
use crate::platform::tls::ClientStream;

/// Longest time from the connection to the last response, whatever the service sends meanwhile.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest message in bytes; the longest of a service are its timers and its activity.
const MAX_MESSAGE: usize = 1 << 20;
/// Longest silence of a service that runs: it sends a ping after 20 s.
const UPDATE_TIMEOUT: Duration = Duration::from_secs(40);
/// A message of the service: the fields that the command line uses.
#[derive(Default, Deserialize)]
pub struct ReceivedMessage {
    pub hello: Option<ReceivedHello>,
    pub light: Option<String>,
    pub level: Option<Level>,
    pub effect: Option<EffectKind>,
    pub speed: Option<Speed>,
    pub left: Option<f64>,
    pub presets: Option<Vec<String>>,
    pub timers: Option<Vec<Map<String, Value>>>,
    pub by: Option<String>,
    pub fault: Option<ReceivedFault>,
    pub error: Option<String>,
    pub echo: Option<Value>,
}

#[derive(Deserialize)]
pub struct ReceivedHello {
    pub lights: Vec<ReceivedLight>,
}

#[derive(Deserialize)]
pub struct ReceivedLight {
    pub name: String,
}

#[derive(Deserialize)]
pub struct ReceivedFault {
    pub light: String,
    /// `None` once the driver works again.
    pub message: Option<String>,
}

/// An open WebSocket to a service.
pub struct Connection {
    socket: WebSocketStream<Box<dyn ClientStream>>,
    url: String,
    /// When all responses must be there.
    deadline: Instant,
}

impl Connection {
    /// Connects and logs in.
    ///
    /// # Errors
    /// The service cannot be reached or refuses the login; the message says what to do.
    pub async fn open(service: &ServiceArgs) -> anyhow::Result<Connection> {
        let endpoint = Endpoint::new(service)?;
        let mut request = endpoint.websocket().into_client_request()?;
        let authorization = endpoint.authorization.clone();
        let authorization = authorization.map(|password| (AUTHORIZATION, password));
        request.headers_mut().extend(authorization);
        let connecting = async {
            let stream = endpoint.connect().await?;
            let config = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE));
            anyhow::Ok(client_async_with_config(request, stream, Some(config)).await)
        };
        match endpoint.reach(connecting).await? {
            Ok((socket, _)) => Ok(Connection {
                socket,
                url: endpoint.url,
                deadline: Instant::now() + RESPONSE_TIMEOUT,
            }),
            Err(tungstenite::Error::Http(response)) => {
                let body = response.body().as_deref().unwrap_or_default();
                Err(endpoint.refusal(response.status(), body))
            }
            Err(error) => Err(endpoint.unreachable(&error.to_string())),
        }
    }

    /// Receives the messages that every client gets first: returns the names of all lights, and the
    /// level of each.
    ///
    /// # Errors
    /// The service ends, or sends something else.
    pub async fn initial_levels(&mut self) -> anyhow::Result<(Vec<String>, Vec<(String, Level)>)> {
        let Some(hello) = self.next_response().await?.hello else {
            bail!("{}", unexpected(&self.url));
        };
        let names: Vec<_> = hello.lights.into_iter().map(|light| light.name).collect();
        let mut levels = Vec::new();
        while levels.len() < names.len() {
            let message = self.next_response().await?;
            levels.extend(message.light.zip(message.level));
        }
        Ok((names, levels))
    }

    /// Receives the messages that every client gets first.
    ///
    /// # Errors
    /// The service ends.
    pub async fn initial_messages(&mut self) -> anyhow::Result<Vec<ReceivedMessage>> {
        self.messages_before_echo().await
    }

    /// Gives the next responses as much time as the first had.
    pub fn restart_deadline(&mut self) {
        self.deadline = Instant::now() + RESPONSE_TIMEOUT;
    }

    /// Sends a message.
    ///
    /// # Errors
    /// The service has ended, or does not read.
    pub async fn send(&mut self, message: Value) -> anyhow::Result<()> {
        let frame = Message::text(message.to_string());
        match timeout_at(self.deadline, self.socket.send(frame)).await {
            Ok(sent) => sent.with_context(|| format!("cannot send to {}", self.url)),
            Err(_) => bail!("{} does not answer", self.url),
        }
    }

    /// Sends a message and returns every message that the service sends before it has handled this
    /// one.
    ///
    /// # Errors
    /// The service refuses the message, or has ended.
    pub async fn request(&mut self, message: Value) -> anyhow::Result<Vec<ReceivedMessage>> {
        self.send(message).await?;
        self.messages_before_echo().await
    }

    /// The service handles messages in order: before the response to an echo, it sends the results of
    /// all earlier messages.
    async fn messages_before_echo(&mut self) -> anyhow::Result<Vec<ReceivedMessage>> {
        self.send(json!({"echo": "done"})).await?;
        let mut messages = Vec::new();
        loop {
            match self.next_response().await? {
                ReceivedMessage { echo: Some(_), .. } => return Ok(messages),
                ReceivedMessage {
                    error: Some(error), ..
                } => bail!(error),
                message => messages.push(message),
            }
        }
    }

    /// Waits for the next message as long as the connection lives.
    ///
    /// # Errors
    /// The service has ended.
    pub async fn next_update(&mut self) -> anyhow::Result<ReceivedMessage> {
        self.deadline = Instant::now() + UPDATE_TIMEOUT;
        loop {
            if let Some(message) = self.receive().await? {
                return Ok(message);
            }
            // It lives.
            self.deadline = Instant::now() + UPDATE_TIMEOUT;
        }
    }

    /// Waits for the next message, which is due.
    ///
    /// # Errors
    /// The service has ended, or does not answer.
    pub async fn next_response(&mut self) -> anyhow::Result<ReceivedMessage> {
        loop {
            if let Some(message) = self.receive().await? {
                return Ok(message);
            }
        }
    }

    /// Waits for the next frame until the deadline; `None` if it is no message, such as a ping.
    async fn receive(&mut self) -> anyhow::Result<Option<ReceivedMessage>> {
        let Ok(frame) = timeout_at(self.deadline, self.socket.next()).await else {
            bail!("{} does not answer", self.url);
        };
        match frame {
            Some(Ok(Message::Text(text))) => {
                let message = serde_json::from_str(&text);
                message.map(Some).with_context(|| unexpected(&self.url))
            }
            Some(Ok(Message::Close(_))) | None => bail!("{} closed the connection", self.url),
            Some(Ok(_)) => Ok(None),
            Some(Err(error)) => bail!("the connection to {} broke: {error}", self.url),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::protocol::samples;

    #[test]
    fn every_message_of_the_service_is_understood() {
        let mut fields = BTreeSet::new();
        for message in samples::server_messages().into_values().flatten() {
            let text = message.to_string();
            let received: ReceivedMessage =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let ReceivedMessage {
                hello,
                light,
                level,
                effect,
                speed,
                left,
                presets,
                timers,
                by,
                fault,
                error,
                echo,
            } = received;
            for (name, is_there) in [
                ("hello", hello.is_some()),
                ("light", light.is_some()),
                ("level", level.is_some()),
                ("effect", effect.is_some()),
                ("speed", speed.is_some()),
                ("left", left.is_some()),
                ("presets", presets.is_some()),
                ("timers", timers.is_some()),
                ("by", by.is_some()),
                ("fault", fault.is_some()),
                ("error", error.is_some()),
                ("echo", echo.is_some()),
            ] {
                assert_eq!(is_there, message.get(name).is_some(), "{name} in {text}");
                fields.extend(is_there.then_some(name));
            }
        }
        assert_eq!(fields.len(), 12, "{fields:?}");
    }
}
