//! Log messages about connections that fail and messages that are bad.

use std::io::ErrorKind;
use std::time::Duration;

use rumqttc::{ConnectReturnCode, ConnectionError, StateError, mqttbytes};
use tokio::time::Instant;
use tracing::warn;

use crate::config::MqttConfig;
use crate::platform::tls;

/// Shortest time between two lines about bad messages to one topic.
const LOG_INTERVAL: Duration = Duration::from_secs(10);
/// The most topics with a line within that time.
const MAX_TOPICS: usize = 8;
/// Longest error in characters: it may quote the command.
const MAX_ERROR: usize = 200;

/// Says why there is no connection, and what to do about that.
pub fn explain(error: &ConnectionError, config: &MqttConfig) -> String {
    use ConnectReturnCode::{BadUserNamePassword, NotAuthorized};
    match error {
        ConnectionError::ConnectionRefused(BadUserNamePassword | NotAuthorized) => match config
            .login
        {
            Some(_) => "the broker refuses the login; check username and password_file in [mqtt]",
            None => "the broker wants a login; set username and password_file in [mqtt]",
        }
        .into(),
        ConnectionError::ConnectionRefused(code) => format!("the broker refuses: {code:?}"),
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => {
            "the broker does not answer".into()
        }
        ConnectionError::MqttState(StateError::AwaitPingResp) => "the broker fell silent".into(),
        error if is_closed(error) => format!(
            "the broker closed the connection; if it does so again and again, another dimmer may have the node {:?}, too",
            config.node
        ),
        ConnectionError::Io(error) if tls::is_handshake_error(error) => {
            format!(
                "{error}; ca in [mqtt] names the PEM file with the certificate of the broker, or of its issuer"
            )
        }
        ConnectionError::Io(error) => format!("cannot connect: {error}"),
        other => other.to_string(),
    }
}

/// Whether the broker closed an open connection.
pub fn is_closed(error: &ConnectionError) -> bool {
    let error = match error {
        ConnectionError::MqttState(StateError::ConnectionAborted) => return true,
        ConnectionError::MqttState(StateError::Io(error))
        | ConnectionError::MqttState(StateError::Deserialization(mqttbytes::Error::Io(error))) => {
            error
        }
        _ => return false,
    };
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
    )
}

/// Logs bad messages: each topic in one line at most within a [`LOG_INTERVAL`], and so many topics at
/// most, so that a flood does not fill the log.
#[derive(Default)]
pub struct BadMessageLog {
    /// The topics of the lines of the last [`LOG_INTERVAL`].
    logged: Vec<(Instant, String)>,
    /// Messages without a line since the last line.
    skipped: u32,
}

impl BadMessageLog {
    /// Logs a bad message, or counts it.
    pub fn add(&mut self, topic: &str, error: &str) {
        self.logged.retain(|(at, _)| at.elapsed() < LOG_INTERVAL);
        let is_logged = self.logged.iter().any(|(_, logged)| logged == topic);
        if is_logged || self.logged.len() >= MAX_TOPICS {
            self.skipped += 1;
            return;
        }
        let error: String = error.chars().take(MAX_ERROR).collect();
        match self.skipped {
            0 => warn!("mqtt: {topic:?}: {error}"),
            skipped => warn!("mqtt: {topic:?}: {error}; and {skipped} bad messages before"),
        }
        self.logged.push((Instant::now(), topic.into()));
        self.skipped = 0;
    }
}
